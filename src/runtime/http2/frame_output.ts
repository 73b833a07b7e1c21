/**
 * Frames that wait to be written, one behind the other.
 *
 * Whoever writes takes all that is there at once, so that everything that came
 * together during a turn of the event loop, or during the last write, leaves in
 * one write.
 *
 * @module
 */

import type { BufferPool } from "../slab.ts";
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES, FrameType, putFrameHead, putUint32 } from "./frame.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** From here on bodies wait until what is there has been written. */
export const OUTPUT_BYTES_MAX = 65_536;
/** Larger buffers are not used again. */
const SPARE_BYTES_MAX = 131_072;
const BUFFER_BYTES = 16_384;
const EMPTY: Bytes = new Uint8Array(0);

/** Collects frames. */
export class FrameOutput {
  readonly #buffers: BufferPool;
  #bytes: Bytes = EMPTY;
  #spare: Bytes = EMPTY;
  #size = 0;

  /** Empty; small buffers come from `buffers`. */
  constructor(buffers: BufferPool) {
    this.#buffers = buffers;
  }

  /** Bytes that wait. */
  get size(): number {
    return this.#size;
  }

  /** The memory that offsets point into; another one after every {@linkcode reserve}. */
  get bytes(): Bytes {
    return this.#bytes;
  }

  /** Whether a body may add to it. */
  get hasRoom(): boolean {
    return this.#size < OUTPUT_BYTES_MAX;
  }

  /** Makes room for `count` bytes and returns where they go. */
  reserve(count: number): number {
    const needed = this.#size + count;
    if (needed > this.#bytes.length) this.#grow(needed);
    return this.#size;
  }

  /** Adds what was written up to `end`. */
  commit(end: number): void {
    this.#size = end;
  }

  /** Takes what waits, if there is anything; to be given back when it was written. */
  takeAll(): Bytes {
    const all = this.#bytes.subarray(0, this.#size);
    this.#bytes = this.#spare;
    this.#spare = EMPTY;
    this.#size = 0;
    return all;
  }

  /** Takes back the memory that {@linkcode takeAll} gave. */
  giveBack(all: Bytes): void {
    const bytes = new Uint8Array(all.buffer);
    if (this.#bytes.length === 0) this.#bytes = bytes;
    else if (this.#spare.length === 0 && bytes.length <= SPARE_BYTES_MAX) this.#spare = bytes;
    else this.#buffers.give(bytes);
  }

  /** Lets go of memory that nothing waits in. */
  trim(): void {
    this.#buffers.give(this.#spare);
    this.#spare = EMPTY;
    if (this.#size > 0) return;
    this.#buffers.give(this.#bytes);
    this.#bytes = EMPTY;
  }

  /** A frame whose payload are four bytes: RST_STREAM or WINDOW_UPDATE. */
  putShort(type: number, streamId: number, value: number): void {
    const at = this.reserve(FRAME_HEAD_BYTES + 4);
    const payloadAt = putFrameHead(this.#bytes, at, 4, type, 0, streamId);
    this.commit(putUint32(this.#bytes, payloadAt, value));
  }

  /** A frame with this payload, which is not too long. */
  putFrame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    const at = this.reserve(FRAME_HEAD_BYTES + payload.length);
    const payloadAt = putFrameHead(this.#bytes, at, payload.length, type, flags, streamId);
    this.#bytes.set(payload, payloadAt);
    this.commit(payloadAt + payload.length);
  }

  /** The last word: up to which stream requests were or will be answered, and why it ends. */
  putGoaway(lastStreamId: number, code: number): void {
    const payload = new Uint8Array(8);
    putUint32(payload, putUint32(payload, 0, lastStreamId), code);
    this.putFrame(FrameType.goaway, 0, 0, payload);
  }

  /** A header block, cut into frames; `flags` without those for its end. */
  putLongBlock(streamId: number, flags: number, block: Uint8Array, endFlag: number): void {
    for (let at = 0; at === 0 || at < block.length; at += FRAME_BYTES_MAX) {
      const piece = block.subarray(at, at + FRAME_BYTES_MAX);
      const ending = at + FRAME_BYTES_MAX >= block.length ? endFlag : 0;
      if (at === 0) this.putFrame(FrameType.headers, flags | ending, streamId, piece);
      else this.putFrame(FrameType.continuation, ending, streamId, piece);
    }
  }

  #grow(needed: number): void {
    const larger = this.#buffers.take(Math.max(BUFFER_BYTES, needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#size));
    this.#buffers.give(this.#bytes);
    this.#bytes = larger;
  }
}
