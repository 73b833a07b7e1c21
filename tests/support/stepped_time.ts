/**
 * Virtual time for code that awaits: one task, then everything that follows from it.
 *
 * {@linkcode VirtualTime} of the other simulations runs tasks one after the other
 * without a pause; here each task is followed by all promises that it settles, so
 * that a run of asynchronous code is a pure function of its seed.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../src/ports.ts";

interface Task {
  readonly dueMs: number;
  readonly order: number;
  run: (() => void) | null;
}

/** A clock that goes from task to task, and a wall clock that may be wrong. */
export class SteppedTime implements Clock {
  #nowMs = 0;
  #wallMsMax = 0;
  #asked = 0;
  /** Sorted, the next one last: there are only a few at any time. */
  readonly #tasks: Task[] = [];
  /** What the wall clock shows at the beginning, and after it was set. */
  wallOffsetMs: number;

  /** A clock whose wall clock shows `wallMs` now. */
  constructor(wallMs: number) {
    this.wallOffsetMs = wallMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    const wallMs = Math.floor(this.wallOffsetMs + this.#nowMs);
    this.#wallMsMax = Math.max(this.#wallMsMax, wallMs);
    return wallMs;
  }

  /** The latest time that the wall clock has ever shown to anybody. */
  get wallMsMax(): number {
    return this.#wallMsMax;
  }

  after(delayMs: number, run: () => void): Disposable {
    const task: Task = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#asked++, run };
    // Of those that are due at the same time the first asked is the first run.
    const later = this.#tasks.findLastIndex((other) => other.dueMs > task.dueMs);
    const place = later + 1;
    this.#tasks.splice(place, 0, task);
    return {
      [Symbol.dispose]: () => {
        task.run = null;
      },
    };
  }

  /** Waits, in virtual time. */
  sleep(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.after(delayMs, resolve);
    return promise;
  }

  /** Runs the next task and all that follows from it at once; `false` if there is none. */
  async step(): Promise<boolean> {
    await settled();
    for (;;) {
      const task = this.#tasks.pop();
      if (task === undefined) return false;
      if (task.run === null) continue;
      this.#nowMs = task.dueMs;
      task.run();
      await settled();
      return true;
    }
  }

  /**
   * Runs tasks until `isDone`.
   *
   * @throws {Error} If there are none left before, or `stepsMax` were not enough.
   */
  async runUntil(isDone: () => boolean, stepsMax: number): Promise<void> {
    await settled();
    for (let steps = 0; !isDone(); steps++) {
      if (steps >= stepsMax) throw new Error(`Cannot go on: not done after ${steps} steps`);
      if (!await this.step()) throw new Error("Cannot go on: nothing is left to wait for");
    }
  }

  /** Runs tasks until a promise has settled. */
  async settle<T>(promise: Promise<T>, stepsMax: number): Promise<T> {
    let isSettled = false;
    promise.then(() => isSettled = true, () => isSettled = true);
    await this.runUntil(() => isSettled, stepsMax);
    return await promise;
  }
}

/** Settles once no promise can go on by itself. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(() => resolve()));
}
