/**
 * For tests: rows in a sorted array, and a database over them that commits as the
 * caller's `evaluate` says.
 *
 * @module
 */
import { bytesEqual, compareBytes, startsWith } from "../keyspace/bytes.ts";
import { spaceOf } from "../keyspace/spaces.ts";
import {
  type Command,
  type Database,
  DEFAULT_LIMITS,
  type Limits,
  type Outcome,
  type ReadRange,
  type Row,
  type SpaceKind,
} from "../types.ts";

/** What applies a command to rows, in the shape of `txn/evaluate.ts`. */
export type Evaluate = (stamp: Uint8Array, command: Command, rows: SortedRows) => Outcome;

/** Rows in key order. */
export class SortedRows {
  readonly #rows: Row[] = [];
  /** Called with the key of each row that is written or deleted. */
  onTouched: (key: Uint8Array) => void = () => {};

  /** All rows below a prefix. */
  below(prefix: Uint8Array): readonly Row[] {
    return this.#rows.filter(({ key }) => startsWith(key, prefix));
  }

  /** Rows of a range that have not expired. */
  scan({ start, end, limit, reverse }: ReadRange, nowMs: number): readonly Row[] {
    const found: Row[] = [];
    const from = reverse ? this.#placeOf(end) - 1 : this.#placeOf(start);
    for (let at = from; found.length < limit; at += reverse ? -1 : 1) {
      const row = this.#rows[at];
      if (row === undefined) break;
      if (compareBytes(row.key, start) < 0 || compareBytes(row.key, end) >= 0) break;
      if (row.expiresMs === null || row.expiresMs > nowMs) found.push(row);
    }
    return found;
  }

  /** The row under a key, expired or not. */
  get(key: Uint8Array): Row | null {
    const row = this.#rows[this.#placeOf(key)];
    return row !== undefined && bytesEqual(row.key, key) ? row : null;
  }

  /** Writes a row in place of an earlier one. */
  put(row: Row): void {
    const at = this.#placeOf(row.key);
    this.#rows.splice(at, this.get(row.key) === null ? 0 : 1, row);
    this.onTouched(row.key);
  }

  /** Deletes a row, if it is there. */
  remove(key: Uint8Array): void {
    if (this.get(key) !== null) this.#rows.splice(this.#placeOf(key), 1);
    this.onTouched(key);
  }

  /** The place of the first row that is not before the key. */
  #placeOf(key: Uint8Array): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = this.#rows[middle];
      if (row !== undefined && compareBytes(row.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What a database of a test is made of. */
export interface FixtureParts {
  /** Applies commands. */
  readonly evaluate: Evaluate;
  /** Gives versionstamps. */
  readonly nextStamp: () => Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly wallMs: () => number;
}

/** A database over sorted rows. */
export class FixtureDatabase implements Database {
  readonly name = "default";
  readonly id = "00000000-0000-4000-8000-000000000001";
  readonly limits: Limits = DEFAULT_LIMITS;
  /** See {@linkcode Database.readDisabled}. */
  readDisabled = false;
  /** See {@linkcode Database.writeDisabled}. */
  writeDisabled = false;
  /** Thrown by writes, if set. */
  writeFailure: Error | null = null;
  /** Thrown by reads, if set. */
  readFailure: Error | null = null;
  /** Its rows. */
  readonly rows = new SortedRows();
  readonly #parts: FixtureParts;
  readonly #listeners = new Set<{ readonly prefix: Uint8Array; changed(): void }>();
  #touched: Uint8Array[] = [];

  /** An empty one. */
  constructor(parts: FixtureParts) {
    this.#parts = parts;
    this.rows.onTouched = (key) => this.#touched.push(key);
  }

  /** Watches that were not disposed. */
  get watching(): number {
    return this.#listeners.size;
  }

  /** See {@linkcode Database.prefixOf}. */
  prefixOf(kind: SpaceKind): Uint8Array {
    return spaceOf(1, kind);
  }

  /** See {@linkcode Database.read}. */
  read(ranges: readonly ReadRange[]): readonly (readonly Row[])[] {
    if (this.readFailure !== null) throw this.readFailure;
    return ranges.map((range) => this.rows.scan(range, this.#parts.wallMs()));
  }

  /** See {@linkcode Database.write}. */
  async write(command: Command): Promise<Outcome> {
    // As in a node, what is written shows only after the caller has gone on.
    await Promise.resolve();
    if (this.writeFailure !== null) throw this.writeFailure;
    const outcome = this.#parts.evaluate(this.#parts.nextStamp(), command, this.rows);
    const touched = this.#touched;
    this.#touched = [];
    for (const { prefix, changed } of this.#listeners) {
      if (touched.some((key) => startsWith(key, prefix))) changed();
    }
    return outcome;
  }

  /** See {@linkcode Database.watch}. */
  watch(keys: readonly Uint8Array[], changed: () => void): Disposable {
    const watches = keys.map((key) => this.watchPrefix(key, changed));
    return { [Symbol.dispose]: () => watches.forEach((each) => each[Symbol.dispose]()) };
  }

  /** See {@linkcode Database.watchPrefix}. */
  watchPrefix(prefix: Uint8Array, changed: () => void): Disposable {
    const listener = { prefix, changed };
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
