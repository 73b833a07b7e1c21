/**
 * Searches that wait for an answer.
 *
 * A search that is late is rejected on time, but its place is taken until the
 * worker has answered or died: that is what bounds the worker's queue.
 *
 * @module
 */
import { type Clock, EmbedError, type VectorMatch } from "../ports.ts";

interface Ticket {
  readonly worker: number;
  readonly timer: Disposable;
  /** `null` once the caller has been told. */
  outcome: PromiseWithResolvers<readonly VectorMatch[]> | null;
}

/** Promises by number. */
export class Tickets {
  readonly #clock: Clock;
  readonly #tickets = new Map<number, Ticket>();
  #last = 0;

  /** No searches yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Searches that no worker has answered yet. */
  get size(): number {
    return this.#tickets.size;
  }

  /** How many of them a worker owes. */
  owedBy(worker: number): number {
    let count = 0;
    for (const ticket of this.#tickets.values()) if (ticket.worker === worker) count++;
    return count;
  }

  /** A search given to a worker: its number, and the promise, which is rejected at the deadline. */
  open(
    worker: number,
    deadlineMs: number,
  ): { readonly ticket: number; readonly found: Promise<readonly VectorMatch[]> } {
    const number = ++this.#last;
    const outcome = Promise.withResolvers<readonly VectorMatch[]>();
    const timer = this.#clock.after(deadlineMs - this.#clock.nowMs(), () => {
      this.#reject(this.#tickets.get(number), late());
    });
    this.#tickets.set(number, { worker, timer, outcome });
    return { ticket: number, found: outcome.promise };
  }

  /** The worker's answer. */
  settle(number: number, result: readonly VectorMatch[] | EmbedError): void {
    const ticket = this.#tickets.get(number);
    if (ticket === undefined) return;
    this.#tickets.delete(number);
    if (result instanceof EmbedError) return this.#reject(ticket, result);
    ticket.timer[Symbol.dispose]();
    ticket.outcome?.resolve(result);
  }

  /** Rejects all searches of a worker, or of all workers. */
  fail(worker: number | null, error: EmbedError): void {
    for (const [number, ticket] of this.#tickets) {
      if (worker === null || ticket.worker === worker) this.settle(number, error);
    }
  }

  #reject(ticket: Ticket | undefined, error: EmbedError): void {
    if (ticket === undefined) return;
    ticket.timer[Symbol.dispose]();
    ticket.outcome?.reject(error);
    ticket.outcome = null;
  }
}

/** The error of a search whose deadline has passed. */
export function late(): EmbedError {
  return new EmbedError("late", "Cannot search: the deadline has passed");
}
