/**
 * One sweep for all time limits, instead of a timer for each chunk.
 *
 * A stream moves its own deadline by writing down the time of the last byte;
 * the sweep looks at everything that is watched a few times a second. So a
 * chunk costs one number, and a limit is kept to within one sweep.
 *
 * @module
 */
import type { Clock } from "../ports.ts";
import { Roster, type Rostered } from "./roster.ts";

/** Something with a time limit. */
export interface Watched extends Rostered {
  /** Looks whether a limit has passed, and acts on it. */
  checkLimits(nowMs: number): void;
}

/** Sweeps over everything watched while there is anything to watch. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #watched = new Roster<Watched>();
  #timer: Disposable | null = null;

  /** `everyMs`: time between two sweeps, the error that every limit may have. */
  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** How many are watched. */
  get size(): number {
    return this.#watched.size;
  }

  /** Begins to watch. */
  watch(item: Watched): void {
    this.#watched.add(item);
    this.#timer ??= this.#clock.after(this.#everyMs, () => this.#sweep());
  }

  /** Ends it; unknown items are ignored. The sweep itself ends when it finds nothing to watch. */
  unwatch(item: Watched): void {
    this.#watched.delete(item);
  }

  /** Runs `run` once after `delayMs`, to within one sweep: a timer that costs next to nothing. */
  after(delayMs: number, run: () => void): Disposable {
    const dueMs = this.#clock.nowMs() + delayMs;
    const item: Watched & Disposable = {
      rosterPlace: -1,
      checkLimits: (nowMs) => {
        if (nowMs < dueMs) return;
        this.unwatch(item);
        run();
      },
      [Symbol.dispose]: () => this.unwatch(item),
    };
    this.watch(item);
    return item;
  }

  /** Ends the sweep. */
  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    for (const item of this.#watched.snapshot()) this.#watched.delete(item);
  }

  #sweep(): void {
    this.#timer = null;
    const nowMs = this.#clock.nowMs();
    for (const item of this.#watched.snapshot()) item.checkLimits(nowMs);
    if (this.#watched.size === 0) return;
    this.#timer ??= this.#clock.after(this.#everyMs, () => this.#sweep());
  }
}
