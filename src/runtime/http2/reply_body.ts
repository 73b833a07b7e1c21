/**
 * The body of one reply, as far as it has not been put into frames.
 *
 * @module
 */

import type { StreamSource } from "../../ports.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A cursor over bytes that are there, with or without more to come. */
export class ReplyBody {
  /** Where more comes from; `null` where these bytes are all. */
  readonly source: StreamSource | null;
  #slices: readonly Bytes[];
  #slice = 0;
  /** Within the slice. */
  #at = 0;
  #leftBytes = 0;

  /** `slices` is what is there already. */
  constructor(source: StreamSource | null, slices: readonly Bytes[]) {
    this.source = source;
    this.#slices = slices;
    for (const slice of slices) this.#leftBytes += slice.length;
  }

  /** Bytes that are there. */
  get leftBytes(): number {
    return this.#leftBytes;
  }

  /** Goes on with these; the last ones have to be used up. */
  refill(slices: readonly Bytes[]): void {
    this.#slices = slices;
    this.#slice = 0;
    this.#at = 0;
    for (const slice of slices) this.#leftBytes += slice.length;
  }

  /** Moves `count` bytes, which have to be there, to `target` at `start`. */
  moveTo(target: Bytes, start: number, count: number): void {
    this.#leftBytes -= count;
    let at = start;
    const end = start + count;
    while (at < end) {
      const slice = this.#slices[this.#slice];
      if (slice === undefined) return;
      const part = Math.min(slice.length - this.#at, end - at);
      target.set(slice.subarray(this.#at, this.#at + part), at);
      at += part;
      this.#at += part;
      if (this.#at < slice.length) return;
      this.#slice++;
      this.#at = 0;
    }
    if (this.#leftBytes === 0) this.#slices = [];
  }
}
