/**
 * A state in a map, for tests of what is applied to it.
 *
 * @module
 */
import type { StateWriter } from "../ports.ts";
import type { Row } from "../types.ts";

/** Rows by the hex digits of their keys. It keeps what it is given and copies nothing. */
export class MapState implements StateWriter {
  readonly #rows = new Map<string, Row>();
  /** Calls of `put` and `remove` so far. */
  writeCount = 0;

  /** The row under a key, expired or not. */
  get(key: Uint8Array): Row | null {
    return this.#rows.get(key.toHex()) ?? null;
  }

  /** Writes a row in place of an earlier one. */
  put(row: Row): void {
    this.writeCount++;
    this.#rows.set(row.key.toHex(), row);
  }

  /** Deletes a row, if it is there. */
  remove(key: Uint8Array): void {
    this.writeCount++;
    this.#rows.delete(key.toHex());
  }

  /** All rows in key order. */
  rows(): readonly Row[] {
    const texts = [...this.#rows.keys()].sort();
    return texts.flatMap((text) => this.#rows.get(text) ?? []);
  }
}
