/**
 * What a client has sent and nobody has taken yet.
 *
 * While a read is out its memory stays where it is: the buffer is moved or
 * replaced only in {@linkcode InputBuffer.space}, when the next read is prepared.
 *
 * @module
 */

import {
  findHeadEnd,
  hasBareLineFeed,
  isRequestStart,
  parseRequestHead,
  type RequestHead,
} from "./http1_request_head.ts";
import { malformed, RequestRefusal } from "./request_refusal.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Most requests fit, and a connection that waits for one costs no more. */
const BUFFER_BYTES = 8_192;
const CR = 13;
const LF = 10;

/** Bytes in the order they came. */
export class InputBuffer {
  readonly #headBytesMax: number;
  #bytes: Bytes = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  /** Up to here no end of a head was found. */
  #searched = 0;

  /** Holds at most `headBytesMax` bytes, or 8 KiB if that is more. */
  constructor(headBytesMax: number) {
    this.#headBytesMax = headBytesMax;
  }

  /** The memory that {@linkcode start} and {@linkcode end} point into. */
  get bytes(): Bytes {
    return this.#bytes;
  }

  /** The first byte that was not taken. */
  get start(): number {
    return this.#start;
  }

  /** Behind the last byte that came. */
  get end(): number {
    return this.#end;
  }

  /** Whether everything has been taken. */
  get empty(): boolean {
    return this.#start === this.#end;
  }

  /** Where the next read goes, or `null` if there is no room. */
  space(): Bytes | null {
    if (this.empty) this.#reset();
    if (this.#end === this.#bytes.length && !this.#makeRoom()) return null;
    return this.#end === 0 ? this.#bytes : this.#bytes.subarray(this.#end);
  }

  /** Counts bytes that were read into {@linkcode space}. */
  filled(count: number): void {
    this.#end += count;
  }

  /** Takes what lies before `offset`. */
  takeTo(offset: number): void {
    this.#start = offset;
  }

  /** Takes everything. */
  clear(): void {
    this.#start = this.#end;
  }

  /**
   * Takes the next request head; `null` if it is not complete.
   *
   * @throws {RequestRefusal} If it cannot become one.
   */
  takeHead(): RequestHead | null {
    if (!this.#skipEmptyLines()) return null;
    const bytes = this.#bytes;
    const start = this.#start;
    const end = this.#end;
    if (!isRequestStart(bytes[start])) throw malformed("it is not HTTP");

    const headEnd = findHeadEnd(bytes, start, this.#searched, end);
    const sizeBytes = (headEnd < 0 ? end : headEnd) - start;
    const headBytesMax = this.#headBytesMax;
    if (sizeBytes > headBytesMax || (headEnd < 0 && sizeBytes === headBytesMax)) {
      throw new RequestRefusal(431, `its head is longer than ${headBytesMax} bytes`);
    }
    if (headEnd < 0) {
      if (hasBareLineFeed(bytes, start, Math.max(start, this.#searched), end)) {
        throw malformed("a line of its head ends without CR");
      }
      this.#searched = end;
      return null;
    }
    const head = parseRequestHead(bytes, start, headEnd);
    this.#start = headEnd;
    this.#searched = headEnd;
    return head;
  }

  /**
   * A client may send an empty line too many after a body (RFC 9112, section 2.2).
   *
   * @returns Whether anything else is there.
   */
  #skipEmptyLines(): boolean {
    while (this.#start + 1 < this.#end && this.#bytes[this.#start] === CR) {
      if (this.#bytes[this.#start + 1] !== LF) break;
      this.#start += 2;
    }
    if (this.empty) return false;
    return this.#bytes[this.#start] !== CR || this.#start + 1 < this.#end;
  }

  /** Begins again at the front, with a small buffer after a large head. */
  #reset(): void {
    this.#start = 0;
    this.#end = 0;
    this.#searched = 0;
    if (this.#bytes.length > BUFFER_BYTES) this.#bytes = new Uint8Array(BUFFER_BYTES);
  }

  #makeRoom(): boolean {
    const heldBytes = this.#end - this.#start;
    if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#searched = Math.max(0, this.#searched - this.#start);
    } else {
      const most = Math.max(BUFFER_BYTES, this.#headBytesMax);
      if (heldBytes >= most) return false;
      const larger = new Uint8Array(Math.min(most, heldBytes * 4));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#start = 0;
    this.#end = heldBytes;
    return true;
  }
}
