/**
 * The changes that some worker may still need.
 *
 * @module
 */
import type { VectorQuery } from "../ports.ts";

/** A change as its owner made it: with the scope's name. */
export type LoggedChange =
  | {
    readonly type: "add";
    readonly scope: string;
    readonly id: number;
    readonly query: VectorQuery;
  }
  | { readonly type: "remove"; readonly scope: string; readonly id: number };

/** Numbered changes, dropped at the front as they are confirmed. */
export class ChangeLog {
  #entries: LoggedChange[] = [];
  #head = 0;
  /** Sequence of the entry at the head. */
  #first = 1;

  /** How many changes it holds. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** Last change that was dropped; 0 before the first. */
  get trimmed(): number {
    return this.#first - 1;
  }

  /** Appends a change; it gets the next sequence, the first one 1. */
  push(change: LoggedChange): void {
    this.#entries.push(change);
  }

  /**
   * The changes after one sequence and up to another, with their sequences.
   *
   * @throws {RangeError} If some of them were dropped or are not there yet.
   */
  *slice(after: number, upTo: number): Generator<readonly [number, LoggedChange]> {
    for (let sequence = after + 1; sequence <= upTo; sequence++) {
      const entry = sequence < this.#first
        ? undefined
        : this.#entries[this.#head + sequence - this.#first];
      if (entry === undefined) {
        throw new RangeError(`Cannot read change ${sequence}: not in the log`);
      }
      yield [sequence, entry];
    }
  }

  /** Drops the changes up to a sequence. */
  trim(upTo: number): void {
    const count = Math.min(upTo - this.#first + 1, this.size);
    if (count <= 0) return;
    this.#head += count;
    this.#first += count;
    // Moving the rest only when it is the smaller part makes a drop cost the same on average.
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}
