/**
 * Writes rows and counts them, while a transaction is open.
 *
 * @module
 */
import type { StateWriter } from "../ports.ts";
import type { Row } from "../types.ts";
import { StateError } from "./state_error.ts";
import type { StateTable } from "./state_table.ts";

/** The writer of one state, used again by each transaction. */
export class RowWriter implements StateWriter {
  readonly #table: StateTable;
  #rows: number;
  #isOpen = false;
  #failure: unknown = null;

  /** Begins with this number of rows. */
  constructor(table: StateTable, rows: number) {
    this.#table = table;
    this.#rows = rows;
  }

  /** How many rows there are. */
  get rows(): number {
    return this.#rows;
  }

  /** A transaction begins. */
  start(): void {
    this.#isOpen = true;
    this.#failure = null;
  }

  /**
   * It is to be committed.
   *
   * @throws {Error} What a write threw, even if whoever called it has caught that:
   * SQLite may have undone what was written before.
   */
  finish(): void {
    this.#isOpen = false;
    if (this.#failure !== null) throw this.#failure;
  }

  /** It is undone: there are as many rows as before. */
  abandon(rows: number): void {
    this.#isOpen = false;
    this.#rows = rows;
  }

  /** The row under a key as it is now. */
  get(key: Uint8Array): Row | null {
    this.#requireOpen();
    return this.#table.get(key);
  }

  /** Writes a row in place of an earlier one. */
  put(row: Row): void {
    this.#requireOpen();
    try {
      if (this.#table.put(row)) this.#rows++;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Deletes a row, if it is there. */
  remove(key: Uint8Array): void {
    this.#requireOpen();
    try {
      if (this.#table.remove(key)) this.#rows--;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  #requireOpen(): void {
    if (!this.#isOpen) throw new StateError("closed", "Cannot use a writer: its call has returned");
  }
}
