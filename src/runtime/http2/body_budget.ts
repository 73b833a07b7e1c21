/**
 * Memory for long bodies: who may send more than the first window.
 *
 * A body is granted all that it needs or nothing, in the order of asking, so
 * that the bodies under way can always be finished. One that needs more than the
 * whole budget is granted it when no other is.
 *
 * @module
 */

import type { ServerStream } from "./server_stream.ts";

/** Sets bytes aside for streams. */
export class BodyBudget {
  readonly #bytesMax: number;
  readonly #grant: (stream: ServerStream, sizeBytes: number) => void;
  #reservedBytes = 0;
  #waiting: { readonly stream: ServerStream; readonly sizeBytes: number }[] = [];

  /** `grant` opens a stream's window by so much. */
  constructor(bytesMax: number, grant: (stream: ServerStream, sizeBytes: number) => void) {
    this.#bytesMax = bytesMax;
    this.#grant = grant;
  }

  /** Bytes that are set aside. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** Asks for bytes; they are granted now or later. */
  ask(stream: ServerStream, sizeBytes: number): void {
    this.#waiting.push({ stream, sizeBytes });
    this.#serve();
  }

  /** Takes back what a stream had, and serves who waits. */
  release(stream: ServerStream): void {
    if (stream.reservedBytes === 0) return;
    this.#reservedBytes -= stream.reservedBytes;
    stream.reservedBytes = 0;
    this.#serve();
  }

  #serve(): void {
    let served = 0;
    for (const { stream, sizeBytes } of this.#waiting) {
      const isFree = this.#reservedBytes === 0 ||
        this.#reservedBytes + sizeBytes <= this.#bytesMax;
      if (!stream.isClosed) {
        if (!isFree) break;
        stream.reservedBytes = sizeBytes;
        this.#reservedBytes += sizeBytes;
        this.#grant(stream, sizeBytes);
      }
      served++;
    }
    if (served > 0) this.#waiting = this.#waiting.slice(served);
  }
}
