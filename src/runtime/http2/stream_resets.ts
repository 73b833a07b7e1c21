/**
 * Streams that this side has reset: their client may go on sending for a while.
 *
 * @module
 */

import { FrameType } from "./frame.ts";
import type { FrameOutput } from "./frame_output.ts";

/** Streams that are remembered. */
const KEPT = 256;

/** Resets streams, and remembers which ones. */
export class StreamResets {
  readonly #output: FrameOutput;
  readonly #ids = new Uint32Array(KEPT);
  #at = 0;

  /** Puts its frames into `output`. */
  constructor(output: FrameOutput) {
    this.#output = output;
  }

  /** Resets a stream; `code` is one of `ErrorCode`. */
  put(id: number, code: number): void {
    this.#ids[this.#at] = id;
    this.#at = (this.#at + 1) % KEPT;
    this.#output.putShort(FrameType.rstStream, id, code);
  }

  /** Whether this one was among the last that were reset. */
  has(id: number): boolean {
    return this.#ids.includes(id);
  }
}
