/**
 * An incremental parser for one HTTP/1.1 response, without a socket.
 *
 *     head --1xx--> head
 *       |---204, 304, HEAD, content-length: 0--------------------> done
 *       |---content-length---> length ---last byte---------------> done
 *       |---chunked----------> chunked ---last chunk, trailers---> done
 *       +---neither----------> close ---the connection ends------> done
 *
 * Bytes come in as the socket gave them. The body bytes among them go out as
 * one piece, however many chunks they came in: the parser closes the gaps in
 * the reader's buffer and copies once.
 *
 * Invariant: only `done` is an end. A connection that ends in any other phase
 * than `close` has lost its response, and {@linkcode ResponseParser.end} says so.
 *
 * Source: RFC 9112, sections 6 and 7.
 *
 * @module
 */

import { UpstreamError } from "../ports.ts";
import { ChunkDecoder } from "./http1_chunks.ts";
import { isResponseStart, parseResponseHead, type ResponseHead } from "./http1_head.ts";
import { Slab } from "./slab.ts";

/** Pieces are small and many: an `ArrayBuffer` for each would cost more than reading them. */
const SLAB = new Slab();

/** What the parser has to know of the request. */
export interface ResponseParserOptions {
  /** The request's method: the answer to a HEAD has no body, whatever its headers say. */
  readonly method: string;
  /** The most bytes that heads (interim ones too) and trailers may take, each. */
  readonly headBytesMax: number;
}

type Phase = "head" | "length" | "chunked" | "close" | "done";

const CR = 13;
const LF = 10;

/** Parses one response; a new one is made for each. */
export class ResponseParser {
  readonly #options: ResponseParserOptions;
  #phase: Phase = "head";
  #head: ResponseHead | null = null;
  #chunks: ChunkDecoder | null = null;
  #leftBytes = 0;
  #reusable = false;
  /** A head that did not arrive at once, and how much of it is there. */
  #held = new Uint8Array(0);
  #heldBytes = 0;
  #headBytes = 0;

  /** Starts before the first byte. */
  constructor(options: ResponseParserOptions) {
    this.#options = options;
  }

  /** The final head (not a 1xx), or `null` until it is complete. */
  get head(): ResponseHead | null {
    return this.#head;
  }

  /** Whether the whole response has been read. */
  get done(): boolean {
    return this.#phase === "done";
  }

  /**
   * Whether the connection may carry another request once the response is
   * done: HTTP/1.1, no `connection: close`, an end that its framing gave, and
   * no bytes after it.
   */
  get reusable(): boolean {
    return this.#reusable && this.#phase === "done";
  }

  /**
   * Takes the bytes one read of the socket gave.
   *
   * @param bytes Their buffer; what is in front of `end` may be moved about.
   * @param end How many of them count.
   * @returns A copy of the body bytes among them, or `null` if there were none.
   * @throws {UpstreamError} `protocol`, if they are not a response.
   */
  push(bytes: Uint8Array<ArrayBuffer>, end: number): Uint8Array<ArrayBuffer> | null {
    let start = 0;
    while (this.#phase === "head" && start < end) start = this.#pushHead(bytes, start, end);
    switch (this.#phase) {
      case "head":
        return null;
      case "length":
        return this.#pushLength(bytes, start, end);
      case "chunked":
        return this.#pushChunked(bytes, start, end);
      case "close":
        return start === end ? null : SLAB.copy(bytes, start, end);
      case "done":
        if (start < end) this.#reusable = false;
        return null;
    }
  }

  /**
   * Takes the end of the connection.
   *
   * @throws {UpstreamError} `reset`, if the response was not complete.
   */
  end(): void {
    if (this.#phase === "close") this.#phase = "done";
    if (this.#phase !== "done") throw new UpstreamError("reset", this.#lossMessage());
  }

  /** Returns where the parser stopped: behind a head, or at `end`. */
  #pushHead(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): number {
    if (this.#heldBytes === 0) {
      const headEnd = this.#findHeadEnd(bytes, start, start, end);
      if (headEnd >= 0) {
        this.#takeHead(SLAB.copy(bytes, start, headEnd - 2));
        return headEnd;
      }
      this.#hold(bytes, start, end);
      return end;
    }
    const before = this.#heldBytes;
    this.#hold(bytes, start, end);
    const headEnd = this.#findHeadEnd(this.#held, 0, before, this.#heldBytes);
    if (headEnd < 0) return end;
    this.#heldBytes = 0;
    this.#takeHead(this.#held.slice(0, headEnd - 2));
    return start + headEnd - before;
  }

  /**
   * Looks for the empty line; -1 if it is not there yet.
   *
   * @param first Where the head begins.
   * @param from Where the bytes begin that have not been looked at.
   */
  #findHeadEnd(bytes: Uint8Array, first: number, from: number, end: number): number {
    const limit = first + this.#options.headBytesMax - this.#headBytes;
    if (!isResponseStart(bytes, first, end)) throw malformed("it does not begin with HTTP/1");
    for (let at = bytes.indexOf(LF, from); at >= 0 && at < end; at = bytes.indexOf(LF, at + 1)) {
      if (at >= limit) break;
      if (at === first || bytes[at - 1] !== CR) throw malformed("a head line ends without CR");
      const empty = at >= first + 3 && bytes[at - 2] === LF;
      if (!empty) continue;
      this.#headBytes += at + 1 - first;
      return at + 1;
    }
    if (end > limit) {
      throw malformed(`its head is larger than ${this.#options.headBytesMax} bytes`);
    }
    return -1;
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const neededBytes = this.#heldBytes + end - start;
    if (neededBytes > this.#held.length) {
      const larger = new Uint8Array(Math.max(1024, neededBytes, this.#held.length * 2));
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(bytes.subarray(start, end), this.#heldBytes);
    this.#heldBytes = neededBytes;
  }

  #takeHead(section: Uint8Array): void {
    const head = parseResponseHead(section);
    if (head.status === 101) throw malformed("it switches to a protocol that was not asked for");
    if (head.status < 200) return;
    this.#head = head;
    this.#held = new Uint8Array(0);
    this.#startBody(head);
  }

  #startBody(head: ResponseHead): void {
    const { status } = head;
    this.#reusable = head.minorVersion > 0 && !hasToken(head.header("connection"), "close");
    const coding = head.header("transfer-encoding");
    const lengthText = head.header("content-length");
    const length = lengthText === null ? null : parseLength(lengthText);
    if (status === 204 || status === 304 || this.#options.method === "HEAD") {
      this.#phase = "done";
      return;
    }
    if (coding !== null) {
      this.#checkCoding(head, coding, length);
      this.#phase = "chunked";
      this.#chunks = new ChunkDecoder(this.#options.headBytesMax);
    } else if (length !== null) {
      this.#phase = length === 0 ? "done" : "length";
      this.#leftBytes = length;
    } else {
      this.#phase = "close";
      this.#reusable = false;
    }
    const encoding = head.header("content-encoding");
    if (this.#phase !== "done" && encoding !== null && !isIdentity(encoding)) {
      throw malformed(`its content-encoding is ${printable(encoding)}, which was not asked for`);
    }
  }

  #checkCoding(head: ResponseHead, coding: string, length: number | null): void {
    if (coding.toLowerCase() !== "chunked") {
      throw malformed(`its transfer-encoding is ${printable(coding)}, only chunked is understood`);
    }
    // Both together are how responses are smuggled (RFC 9112, section 6.3).
    if (length !== null) throw malformed("it has both content-length and transfer-encoding");
    if (head.minorVersion === 0) throw malformed("it is HTTP/1.0 with a transfer-encoding");
  }

  #pushLength(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): Uint8Array<ArrayBuffer> | null {
    if (start === end) return null;
    const bodyEnd = Math.min(end, start + this.#leftBytes);
    this.#leftBytes -= bodyEnd - start;
    if (this.#leftBytes === 0) this.#phase = "done";
    if (bodyEnd < end) this.#reusable = false;
    return SLAB.copy(bytes, start, bodyEnd);
  }

  #pushChunked(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): Uint8Array<ArrayBuffer> | null {
    const chunks = this.#chunks;
    if (chunks === null) throw new TypeError("Cannot read chunks: no decoder");
    chunks.decode(bytes, start, end);
    if (chunks.done) {
      this.#phase = "done";
      if (chunks.stoppedAt < end) this.#reusable = false;
    }
    const { dataStart, dataEnd } = chunks;
    return dataStart === dataEnd ? null : SLAB.copy(bytes, dataStart, dataEnd);
  }

  #lossMessage(): string {
    const where = this.#phase === "head"
      ? "before the response head was complete"
      : this.#phase === "length"
      ? `${this.#leftBytes} bytes before the end of the body`
      : "before the last chunk";
    return `Cannot read response: the connection ended ${where}`;
  }
}

/** A length that is repeated must be the same each time (RFC 9112, section 6.3). */
function parseLength(text: string): number {
  let length: number | null = null;
  for (const part of text.split(",")) {
    const digits = part.trim();
    const value = /^[0-9]+$/.test(digits) ? Number(digits) : Infinity;
    if (!Number.isSafeInteger(value) || (length !== null && value !== length)) {
      throw malformed("its content-length is not one number");
    }
    length = value;
  }
  return length ?? 0;
}

function hasToken(list: string | null, token: string): boolean {
  if (list === null) return false;
  return list.toLowerCase().split(",").some((item) => item.trim() === token);
}

function isIdentity(encoding: string): boolean {
  return encoding === "" || encoding.toLowerCase() === "identity";
}

/** A header value fit for a message: short, and ASCII. */
function printable(value: string): string {
  return value.slice(0, 40).replace(/[^ -~]/g, "?");
}

function malformed(why: string): UpstreamError {
  return new UpstreamError("protocol", `Cannot read response: ${why}`);
}
