/**
 * Makes states last, and cuts the log behind them.
 *
 * The log is cut only up to what a checkpoint has made durable: until then it is
 * the one place where a commit is sure to survive.
 *
 * @module
 */
import type { Log, State } from "../ports.ts";
import type { LogPosition } from "../types.ts";

/** What is kept. */
export interface KeptGroup {
  /** Number of the group. */
  readonly group: number;
  /** Its state. */
  readonly state: State;
}

/** Checkpoints groups one after the other, and cuts the log they share. */
export class Keeper {
  readonly #groups: readonly KeptGroup[];
  readonly #log: Log;
  readonly #durable = new Map<number, number>();
  #running: Promise<void> | null = null;

  /** Keeps these groups of a log. */
  constructor(groups: readonly KeptGroup[], log: Log) {
    this.#groups = groups;
    this.#log = log;
  }

  /** The last index of each group that needs no log any more. */
  get durable(): ReadonlyMap<number, number> {
    return this.#durable;
  }

  /** Makes everything applied so far last and cuts the log; joins a run under way. */
  keep(): Promise<void> {
    this.#running ??= this.#keep().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #keep(): Promise<void> {
    for (const { group, state } of this.#groups) {
      // Nothing new since: a group that rests is not touched.
      if (this.#durable.get(group) === state.applied.index) continue;
      const position: LogPosition = await state.checkpoint();
      this.#durable.set(group, position.index);
    }
    await this.#log.cut(this.#durable);
  }
}
