/**
 * What all clients of a key-value store together were told, in one order of calls and
 * returns.
 *
 * @module
 */
import type { CounterAction, RegisterAction, Transaction } from "./consistency_models.ts";
import type { Operation } from "./linearizability.ts";
import type { ListTransaction } from "./list_cycles.ts";

/** What all clients of one round write down. */
export class Histories {
  /** Keys that are written blindly. */
  readonly plain: Operation<RegisterAction>[] = [];
  /** Keys that are only ever swapped. */
  readonly swapped: Operation<RegisterAction>[] = [];
  /** Counters. */
  readonly counters: Operation<CounterAction>[] = [];
  /** Transactions over accounts and pairs. */
  readonly database: Operation<Transaction>[] = [];
  /** Transactions over lists. */
  readonly lists: ListTransaction[] = [];
  /** Deaths of the node that have begun. */
  deathsBegun = 0;
  /** Deaths that are over: of those nothing that is sent now can suffer. */
  deathsOver = 0;
  /** Settles when the node serves, again. */
  serving: Promise<unknown> = Promise.resolve();
  /** Answers so far. */
  answers = 0;
  readonly #pending = new Set<string | number>();
  #early = Promise.withResolvers<void>();
  #clock = 0;

  /** The next place in the order of all calls and returns: they happen in one process. */
  tick(): number {
    return ++this.#clock;
  }

  /**
   * Settles when somebody reads what its writer has no answer for yet: the best moment
   * for a death, as it must not be forgotten any more.
   */
  earlyRead(): Promise<void> {
    this.#early = Promise.withResolvers();
    return this.#early.promise;
  }

  /** These values, each used once, are on their way; to be disposed when there is an answer. */
  begin(values: readonly (string | number | null)[]): Disposable {
    const begun = values.filter((value) => value !== null);
    for (const value of begun) this.#pending.add(value);
    return {
      [Symbol.dispose]: () => {
        for (const value of begun) this.#pending.delete(value);
      },
    };
  }

  /** Somebody read this. */
  noteRead(value: string | number | null | undefined): void {
    if (value !== null && value !== undefined && this.#pending.has(value)) this.#early.resolve();
  }
}
