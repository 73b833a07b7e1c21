/**
 * The body of one request, as far as it has come.
 *
 * Nothing is kept before somebody asks for it. A body whose length is known is
 * read into its final place; chunks are decoded where they arrived and appended.
 *
 * @module
 */

import { UpstreamError } from "../ports.ts";
import { ChunkDecoder } from "./http1_chunks.ts";
import type { InputBuffer } from "./input_buffer.ts";
import { malformed } from "./request_refusal.ts";
import type { Slab } from "./slab.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A body's room grows from here: an announced length is only a claim. */
const ROOM_BYTES_MIN = 65_536;
const TRAILER_BYTES_MAX = 16_384;
const EMPTY: Bytes = new Uint8Array(0);

/** Reads one body. */
export class RequestBody {
  readonly #slab: Slab;
  /** `null` where the length is known. */
  readonly #chunks: ChunkDecoder | null;
  /** Bytes that are still to come; of no meaning with chunks. */
  #leftBytes: number;
  #room: Bytes = EMPTY;
  #roomBytes = 0;
  #bytesMax = -1;
  #waiting: PromiseWithResolvers<Bytes | null> | null = null;

  /**
   * Starts before the first byte.
   *
   * @param lengthBytes What `content-length` says; -1 for no body, or for chunks.
   */
  constructor(lengthBytes: number, chunked: boolean, slab: Slab) {
    this.#slab = slab;
    this.#chunks = chunked ? new ChunkDecoder(TRAILER_BYTES_MAX) : null;
    this.#leftBytes = Math.max(0, lengthBytes);
  }

  /** Whether its last byte has been taken. */
  get complete(): boolean {
    return this.#chunks === null ? this.#leftBytes === 0 : this.#chunks.done;
  }

  /** Whether somebody waits for it. */
  get wanted(): boolean {
    return this.#waiting !== null;
  }

  /**
   * Asks for the whole.
   *
   * @param input Holds what has come behind the head; to be passed to {@linkcode take} right
   * afterwards.
   * @returns Rejects with a `TypeError` if it was asked for before.
   */
  ask(bytesMax: number, input: InputBuffer): Promise<Bytes | null> {
    if (this.#bytesMax >= 0) {
      return Promise.reject(new TypeError("Cannot read body: it was read before"));
    }
    this.#bytesMax = bytesMax;
    if (this.#chunks === null) {
      const lengthBytes = this.#leftBytes;
      if (lengthBytes > bytesMax) return Promise.resolve(null);
      if (lengthBytes === 0) return Promise.resolve(EMPTY);
      const { bytes, start, end } = input;
      if (lengthBytes <= end - start) {
        return Promise.resolve(this.#slab.copy(bytes, start, start + lengthBytes));
      }
    }
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /**
   * Takes what belongs to the body, keeping it if it is wanted.
   *
   * @throws {RequestRefusal} If it is not made of chunks.
   */
  take(input: InputBuffer): void {
    const { bytes, start, end } = input;
    if (this.#chunks === null) {
      const stop = Math.min(end, start + this.#leftBytes);
      if (this.wanted) this.#append(bytes, start, stop);
      this.#leftBytes -= stop - start;
      input.takeTo(stop);
    } else {
      decodeChunks(this.#chunks, bytes, start, end);
      if (this.wanted) this.#append(bytes, this.#chunks.dataStart, this.#chunks.dataEnd);
      input.takeTo(this.#chunks.stoppedAt);
    }
    this.#settle();
  }

  /** Where the next bytes can be read to without a copy, or `null`. */
  space(): Bytes | null {
    if (!this.wanted || this.#chunks !== null || this.#leftBytes === 0) return null;
    if (this.#roomBytes === this.#room.length) this.#grow(1);
    return this.#room.subarray(this.#roomBytes, this.#roomBytes + this.#leftBytes);
  }

  /** Counts bytes that were read into {@linkcode space}. */
  filled(count: number): void {
    this.#roomBytes += count;
    this.#leftBytes -= count;
    this.#settle();
  }

  /** Lets who waits know that it will not come. */
  abandon(why: string): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    // Whoever asked may have gone on without it.
    waiting.promise.catch(ignore);
    waiting.reject(new Error(`Cannot read body: ${why}`));
  }

  #settle(): void {
    if (this.#waiting === null) return;
    const tooLong = this.#roomBytes > this.#bytesMax;
    if (!tooLong && !this.complete) return;
    const { resolve } = this.#waiting;
    const room = this.#room;
    const roomBytes = this.#roomBytes;
    this.#waiting = null;
    this.#room = EMPTY;
    resolve(tooLong ? null : roomBytes === room.length ? room : room.subarray(0, roomBytes));
  }

  #append(bytes: Bytes, start: number, end: number): void {
    const count = end - start;
    if (count === 0) return;
    if (this.#roomBytes + count > this.#room.length) this.#grow(count);
    this.#room.set(bytes.subarray(start, end), this.#roomBytes);
    this.#roomBytes += count;
  }

  /** Makes room for `count` more bytes, and for no more than can come. */
  #grow(count: number): void {
    const needed = this.#roomBytes + count;
    const wanted = Math.max(needed, ROOM_BYTES_MIN, this.#room.length * 2);
    const most = this.#chunks === null ? this.#roomBytes + this.#leftBytes : wanted;
    const larger = new Uint8Array(Math.min(wanted, most));
    larger.set(this.#room.subarray(0, this.#roomBytes));
    this.#room = larger;
  }
}

function decodeChunks(chunks: ChunkDecoder, bytes: Bytes, start: number, end: number): void {
  try {
    chunks.decode(bytes, start, end);
  } catch (cause) {
    if (!(cause instanceof UpstreamError)) throw cause;
    throw malformed(cause.message.replace(/^[^:]*: /, ""));
  }
}

function ignore(): void {}
