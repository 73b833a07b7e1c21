/**
 * For tests: a clock that stands still until it is moved.
 *
 * @module
 */
import type { Clock } from "../ports.ts";

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** Time in the hands of a test; both clocks show the same. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<Timer>();

  /** Starts at that time. */
  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  /** Timers that have not run and were not disposed. */
  get pending(): number {
    return this.#timers.size;
  }

  /** See {@linkcode Clock.nowMs}. */
  nowMs(): number {
    return this.#nowMs;
  }

  /** See {@linkcode Clock.wallMs}. */
  wallMs(): number {
    return this.#nowMs;
  }

  /** See {@linkcode Clock.after}. */
  after(delayMs: number, run: () => void): Disposable {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Moves on, and runs what is due in its order. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= endMs)
        .sort((one, other) => one.atMs - other.atMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = endMs;
  }
}
