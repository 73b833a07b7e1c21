/**
 * Operations that wait until there is room on a connection, in order.
 *
 * @module
 */
import type { Operation } from "./weir_operation.ts";

/** How many places in front may be empty before the rest moves up. */
const EMPTY_MAX = 1_024;

/** First in, first out, but for those that have to pause. */
export class OperationQueue {
  #items: Operation[] = [];
  #head = 0;
  #paused: Operation[] = [];
  #sizeBytes = 0;

  /** How many wait. */
  get size(): number {
    return this.#items.length - this.#head + this.#paused.length;
  }

  /** Bytes of their bodies. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Adds one at the end; with an `againMs` to come, after its pause. */
  push(operation: Operation): void {
    this.#sizeBytes += operation.body.length;
    if (operation.againMs > 0) this.#paused.push(operation);
    else this.#items.push(operation);
  }

  /** Puts those that were on their way in front again, in their order. */
  putBack(operations: readonly Operation[]): void {
    for (const operation of operations) this.#sizeBytes += operation.body.length;
    this.#items = [...operations, ...this.#items.slice(this.#head)];
    this.#head = 0;
  }

  /** Takes the first one that need not pause, or `null`. */
  shift(nowMs: number): Operation | null {
    const operation = this.#items[this.#head] ?? this.#rested(nowMs);
    if (operation === null) return null;
    if (operation === this.#items[this.#head]) this.#head++;
    if (this.#head >= EMPTY_MAX || this.#head === this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    this.#sizeBytes -= operation.body.length;
    operation.againMs = 0;
    return operation;
  }

  /** Takes out those whose time is over. */
  takeLate(nowMs: number): readonly Operation[] {
    if (this.size === 0) return [];
    const isLate = (operation: Operation) => operation.deadlineMs <= nowMs;
    const all = [...this.#items.slice(this.#head), ...this.#paused];
    const late = all.filter(isLate);
    if (late.length === 0) return late;
    for (const operation of late) this.#sizeBytes -= operation.body.length;
    this.#items = this.#items.slice(this.#head).filter((operation) => !isLate(operation));
    this.#head = 0;
    this.#paused = this.#paused.filter((operation) => !isLate(operation));
    return late;
  }

  /** Takes out all. */
  takeAll(): readonly Operation[] {
    const all = [...this.#items.slice(this.#head), ...this.#paused];
    this.#items = [];
    this.#paused = [];
    this.#head = 0;
    this.#sizeBytes = 0;
    return all;
  }

  #rested(nowMs: number): Operation | null {
    const index = this.#paused.findIndex((operation) => operation.againMs <= nowMs);
    return index < 0 ? null : this.#paused.splice(index, 1)[0] ?? null;
  }
}
