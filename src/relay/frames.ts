/**
 * Bytes on their way to the client.
 *
 * Events that lie side by side in one received piece go out as one slice of it:
 * no copy and one write, however many events a piece brought.
 *
 * @module
 */

const encoder = new TextEncoder();

/** A queue of byte slices that joins neighbours. */
export class Frames {
  #slices: Uint8Array<ArrayBuffer>[] = [];

  /** Whether nothing is queued. */
  get empty(): boolean {
    return this.#slices.length === 0;
  }

  /** Queues bytes; they are not copied and must not change any more. */
  push(bytes: Uint8Array<ArrayBuffer>): void {
    const last = this.#slices[this.#slices.length - 1];
    if (
      last !== undefined && last.buffer === bytes.buffer &&
      last.byteOffset + last.byteLength === bytes.byteOffset
    ) {
      this.#slices[this.#slices.length - 1] = new Uint8Array(
        last.buffer,
        last.byteOffset,
        last.byteLength + bytes.byteLength,
      );
      return;
    }
    this.#slices.push(bytes);
  }

  /** Queues text as UTF-8. */
  pushText(text: string): void {
    this.push(encoder.encode(text));
  }

  /** Takes everything out. */
  take(): Uint8Array<ArrayBuffer>[] {
    const slices = this.#slices;
    this.#slices = [];
    return slices;
  }
}
