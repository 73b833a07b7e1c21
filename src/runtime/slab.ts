/**
 * Memory for many small byte arrays.
 *
 * An `ArrayBuffer` of its own costs about 2 µs, most of it for the garbage
 * collector; a view into a larger one costs a hundredth of that. A slab is
 * handed out piece by piece and never used twice: it is collected when the last
 * view on it is.
 *
 * @module
 */

type Bytes = Uint8Array<ArrayBuffer>;

const SLAB_BYTES = 65_536;
/** Larger pieces get a buffer of their own, lest they keep a slab alive for long. */
const PIECE_BYTES_MAX = 8_192;

/** Hands out small byte arrays. */
export class Slab {
  #slab: Bytes = new Uint8Array(0);
  #used = 0;

  /** `count` bytes of zero; they belong to the caller. */
  take(count: number): Bytes {
    if (count > PIECE_BYTES_MAX) return new Uint8Array(count);
    if (this.#used + count > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const piece = this.#slab.subarray(this.#used, this.#used + count);
    this.#used += count;
    return piece;
  }

  /** A copy of `bytes` from `start` to `end`; it belongs to the caller. */
  copy(bytes: Bytes, start: number, end: number): Bytes {
    const count = end - start;
    if (count > PIECE_BYTES_MAX) return bytes.slice(start, end);
    const piece = this.take(count);
    piece.set(bytes.subarray(start, end));
    return piece;
  }
}

/** Buffers for writing, used again and again. */
export class BufferPool {
  readonly #bufferBytes: number;
  readonly #keptMax: number;
  readonly #free: Bytes[] = [];

  /** Keeps at most `keptMax` free buffers of `bufferBytes` each. */
  constructor(bufferBytes: number, keptMax: number) {
    this.#bufferBytes = bufferBytes;
    this.#keptMax = keptMax;
  }

  /** A buffer of at least `sizeBytes`, its content undefined. */
  take(sizeBytes: number): Bytes {
    if (sizeBytes > this.#bufferBytes) return new Uint8Array(sizeBytes);
    return this.#free.pop() ?? new Uint8Array(this.#bufferBytes);
  }

  /** Gives back what {@linkcode take} gave, once nothing reads or writes it any more. */
  give(buffer: Bytes): void {
    if (buffer.length === this.#bufferBytes && this.#free.length < this.#keptMax) {
      this.#free.push(buffer);
    }
  }
}
