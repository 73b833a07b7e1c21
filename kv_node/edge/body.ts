/**
 * Reads request bodies within their limits of size and time.
 *
 * One sweep a second looks at all bodies that are on their way, so that a body
 * which is there already, as nearly all are, costs no timer of its own. A limit
 * is kept to within a second, never early.
 *
 * @module
 */
import type { Clock, ServerRequest } from "../../src/ports.ts";
import { KvError } from "../errors.ts";

/** How much, and how long. */
export interface BodyLimits {
  /** Longest body, in bytes. */
  readonly bodyBytesMax: number;
  /** Longest time for a body to arrive, in milliseconds. */
  readonly bodyMs: number;
}

const SWEEP_MS = 1_000;

interface Waiting {
  readonly deadlineMs: number;
  readonly reject: (error: KvError) => void;
}

/** Reads bodies. */
export class BodyReader implements Disposable {
  readonly #clock: Clock;
  readonly #limits: BodyLimits;
  /** In the order of their deadlines, since all have the same time. */
  readonly #waiting = new Set<Waiting>();
  #sweep: Disposable | null = null;

  /** Reads nothing yet. */
  constructor(clock: Clock, limits: BodyLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Reads the whole body of a request.
   *
   * @param bytesMax Where less than the general limit is allowed.
   * @throws {KvError} `too_large`, `request_timeout`, or `bad_request` if the client broke off.
   */
  read(
    request: ServerRequest,
    bytesMax = this.#limits.bodyBytesMax,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        deadlineMs: this.#clock.nowMs() + this.#limits.bodyMs,
        reject,
      };
      this.#waiting.add(waiting);
      this.#sweep ??= this.#clock.after(SWEEP_MS, () => this.#sweepAll());
      request.bytes(bytesMax).then((bytes) => {
        this.#waiting.delete(waiting);
        if (bytes === null) reject(tooLarge(bytesMax));
        else resolve(bytes);
      }, (cause) => {
        this.#waiting.delete(waiting);
        reject(
          new KvError("bad_request", "Cannot read body: the connection broke off", { cause }),
        );
      });
    });
  }

  /** Looks at deadlines no more. */
  [Symbol.dispose](): void {
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = null;
  }

  #sweepAll(): void {
    this.#sweep = null;
    const nowMs = this.#clock.nowMs();
    for (const waiting of this.#waiting) {
      if (waiting.deadlineMs > nowMs) break;
      this.#waiting.delete(waiting);
      waiting.reject(timedOut(this.#limits.bodyMs));
    }
    if (this.#waiting.size === 0) return;
    this.#sweep = this.#clock.after(SWEEP_MS, () => this.#sweepAll());
  }
}

function tooLarge(bytesMax: number): KvError {
  return new KvError("too_large", `Cannot take body: it is longer than ${bytesMax} bytes`);
}

function timedOut(bodyMs: number): KvError {
  return new KvError(
    "request_timeout",
    `Cannot read body: it did not arrive within ${bodyMs / 1_000} s`,
  );
}
