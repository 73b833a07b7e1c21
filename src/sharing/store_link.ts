/**
 * The way to the store: every question has a time limit, none throws, and few
 * are open at once.
 *
 *              3 failures in a row
 *     up ----------------------------> down
 *        <----------------------------
 *              an answered heartbeat
 *
 * While it is down nobody asks but the heartbeat, so that an absent store costs
 * requests nothing. A store that is merely late, time after time, is asked for
 * one entry in sixteen.
 *
 * What a store was asked cannot be taken back: a question that is over its time
 * stays open until the store says something. The bound on open questions holds
 * for those too.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import type { Clock } from "../ports.ts";

const FAILURES_MAX = 3;
/** Questions open at once: for entries, for everything behind them, and whether the store is there. */
const OPEN_MAX = { read: 64, work: 32, beat: 8 } as const;
/** So many late reads in a row, and only one in as many is tried. */
const LATE_MAX = 16;

/** What a question came to. */
export type Outcome<T> =
  | { readonly type: "done"; readonly value: T }
  /** Not in time. */
  | { readonly type: "late" }
  /** Too many questions are open. */
  | { readonly type: "full" }
  | { readonly type: "failed"; readonly error: unknown };

/** How a link came into a state. */
export type LinkChange =
  | { readonly type: "down"; readonly reason: string }
  | { readonly type: "up"; readonly downSeconds: number };

/** The way to a store. */
export class StoreLink {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #onChange: (change: LinkChange) => void;
  readonly #open = { read: 0, work: 0, beat: 0 };
  /** Ends the waiting of each open question. */
  readonly #givingUp = new Set<() => void>();
  #hasGivenUp = false;
  #failuresInRow = 0;
  #lateInRow = 0;
  #readsHeldBack = 0;
  #downSinceMs: number | null = null;
  #contactMs: number;

  /** Starts up, until something is known to the contrary. */
  constructor(store: Store, clock: Clock, onChange: (change: LinkChange) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#contactMs = clock.nowMs();
  }

  /** Whether the store answers, as far as is known. */
  get isUp(): boolean {
    return this.#downSinceMs === null;
  }

  /** How long ago the store last answered, in seconds. */
  get silentSeconds(): number {
    return (this.#clock.nowMs() - this.#contactMs) / 1000;
  }

  /** Whether to ask for an entry at all. */
  mayRead(): boolean {
    if (!this.isUp) return false;
    if (this.#lateInRow < LATE_MAX) return true;
    this.#readsHeldBack = (this.#readsHeldBack + 1) % LATE_MAX;
    return this.#readsHeldBack === 0;
  }

  /** Asks for an entry. */
  async read<T>(timeoutMs: number, question: (store: Store) => Promise<T>): Promise<Outcome<T>> {
    const outcome = await this.#ask("read", timeoutMs, question);
    this.#lateInRow = outcome.type === "late" ? this.#lateInRow + 1 : 0;
    if (outcome.type === "failed") this.#failed(outcome.error);
    return outcome;
  }

  /** Asks for anything else, or writes; a failure says nothing about reading. */
  work<T>(timeoutMs: number, question: (store: Store) => Promise<T>): Promise<Outcome<T>> {
    return this.#ask("work", timeoutMs, question);
  }

  /** Asks whether the store is there; decides between up and down. */
  async heartbeat<T>(
    timeoutMs: number,
    question: (store: Store) => Promise<T>,
  ): Promise<Outcome<T>> {
    const outcome = await this.#ask("beat", timeoutMs, question);
    if (outcome.type === "done") this.#answered();
    else this.#failed(outcome.type === "failed" ? outcome.error : null);
    return outcome;
  }

  /** Asks nothing any more: open questions, and all that follow, are late. */
  giveUp(): void {
    this.#hasGivenUp = true;
    for (const end of this.#givingUp) end();
  }

  async #ask<T>(
    kind: "read" | "work" | "beat",
    timeoutMs: number,
    question: (store: Store) => Promise<T>,
  ): Promise<Outcome<T>> {
    if (this.#hasGivenUp) return { type: "late" };
    if (this.#open[kind] >= OPEN_MAX[kind]) return { type: "full" };
    this.#open[kind] += 1;
    const settled = settle(this.#store, question).then((outcome) => {
      this.#open[kind] -= 1;
      if (outcome.type === "done") this.#contactMs = this.#clock.nowMs();
      return outcome;
    });
    const { promise: late, resolve } = Promise.withResolvers<Outcome<T>>();
    const end = (): void => resolve({ type: "late" });
    this.#givingUp.add(end);
    using _timer = this.#clock.after(timeoutMs, end);
    const outcome = await Promise.race([settled, late]);
    this.#givingUp.delete(end);
    return outcome;
  }

  #answered(): void {
    this.#failuresInRow = 0;
    if (this.#downSinceMs === null) return;
    const downSeconds = (this.#clock.nowMs() - this.#downSinceMs) / 1000;
    this.#downSinceMs = null;
    this.#lateInRow = 0;
    this.#onChange({ type: "up", downSeconds });
  }

  #failed(error: unknown): void {
    this.#failuresInRow += 1;
    if (this.#downSinceMs !== null || this.#failuresInRow < FAILURES_MAX) return;
    this.#downSinceMs = this.#clock.nowMs();
    const reason = error === null ? "it does not answer" : reasonOf(error);
    this.#onChange({ type: "down", reason });
  }
}

/** What an error of a store says. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Never rejects, whether the question does or throws. */
async function settle<T>(
  store: Store,
  question: (store: Store) => Promise<T>,
): Promise<Outcome<T>> {
  try {
    return { type: "done", value: await question(store) };
  } catch (error) {
    return { type: "failed", error };
  }
}
