/**
 * Rows put together to commits that a server takes.
 *
 * @module
 */
import type { Row } from "../types.ts";

/** What of a row is imported; its versionstamp will be a new one. */
export type ImportedRow = Omit<Row, "stamp">;

/** Half of what Deno's own limits allow: counting is not exactly the same everywhere. */
const MUTATIONS_MAX = 500;
const COMMIT_BYTES_MAX = 409_600;
const KEY_BYTES_MAX = 40_960;

/** Groups rows, in their order; one that is larger than a group comes alone. */
export class WriteBatches<Imported extends ImportedRow = ImportedRow> {
  #rows: Imported[] = [];
  #bytes = 0;
  #keyBytes = 0;

  /** Takes a row. @returns The group before it, if it does not fit into that any more. */
  add(row: Imported): readonly Imported[] | null {
    const keyBytes = row.key.length;
    const bytes = keyBytes + row.data.length;
    const isFull = this.#rows.length >= MUTATIONS_MAX ||
      this.#bytes + bytes > COMMIT_BYTES_MAX || this.#keyBytes + keyBytes > KEY_BYTES_MAX;
    const full = isFull ? this.take() : null;
    this.#rows.push(row);
    this.#bytes += bytes;
    this.#keyBytes += keyBytes;
    return full;
  }

  /** The last group; `null` if there is none. */
  take(): readonly Imported[] | null {
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    this.#keyBytes = 0;
    return rows.length === 0 ? null : rows;
  }
}
