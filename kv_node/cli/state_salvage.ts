/**
 * Takes out of a state, damaged or not, every row that can be read.
 *
 * It works on a copy: SQLite would write into what it opens, and what is damaged is
 * to stay as it is.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { basename, join } from "node:path";
import { Buffer } from "node:buffer";
import type { AppliedPosition, StateWriter } from "../ports.ts";
import { readingOf } from "../store/sql_connection.ts";
import { StateError, stateFailure } from "../store/state_error.ts";
import { problemsOf, readMeta, type StateMeta } from "../store/state_file.ts";
import type { Encoding, Row } from "../types.ts";
import { rowFault } from "./state_check.ts";

/** A row as SQLite gives it. */
type EntryTuple = readonly [Uint8Array, Uint8Array, Encoding, number | null, Uint8Array];

const ROWS = "SELECT key, stamp, encoding, expires, value FROM entry ORDER BY key";

/** What came of a state. */
export interface SavedState {
  /** How far the log was in it; `null` if it could not be opened. */
  readonly applied: AppliedPosition | null;
  /** Rows that were taken over. */
  readonly rows: number;
  /** Rows that could not be read, or make no sense; 0 where nobody knows how many there were. */
  readonly lost: number;
}

/** A copy of a state that can be read. */
export class SalvagedState implements Disposable {
  readonly #connection: DatabaseSync | null;
  readonly #meta: StateMeta | null;
  readonly #problems: string[];

  /** Copies a state into a folder of its own, and opens it as far as that goes. */
  constructor(path: string, scratch: string, group: number) {
    this.#problems = [];
    let connection: DatabaseSync | null = null;
    let meta: StateMeta | null = null;
    try {
      const copy = join(scratch, basename(path));
      Deno.copyFileSync(path, copy);
      copyIfThere(`${path}-wal`, `${copy}-wal`);
      connection = new DatabaseSync(copy);
      meta = readMeta(connection, path);
      if (meta === null) this.#problems.push("it is empty");
      else if (meta.group !== group) {
        this.#problems.push(`it is of group ${meta.group}`);
        meta = null;
      } else this.#problems.push(...problemsOf(connection, path).problems);
    } catch (error) {
      const why = whyUnreadable(error, path);
      if (why === null) throw error;
      this.#problems.push(why);
      meta = null;
    }
    this.#connection = connection;
    this.#meta = meta;
  }

  /** How far the log was in it; `null` if it does not open. */
  get applied(): AppliedPosition | null {
    return this.#meta?.applied ?? null;
  }

  /** What is wrong with it, as far as is known by now. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Writes what can be read into another state. */
  copyInto(writer: StateWriter): SavedState {
    const [connection, meta] = [this.#connection, this.#meta];
    if (connection === null || meta === null) {
      return { applied: null, rows: 0, lost: 0 };
    }
    let rows = 0;
    const take = (row: Row): void => {
      if (rowFault(row, meta) !== null) return;
      writer.put(row);
      rows++;
    };
    const end = readUntilDamage(connection, ROWS, (row) => take(row));
    if (end !== null) {
      // From the other side, up to what was read already.
      readUntilDamage(connection, `${ROWS} DESC`, (row) => {
        if (end.lastKey !== null && Buffer.compare(row.key, end.lastKey) <= 0) return false;
        take(row);
      });
      this.#problems.push("it cannot be read to its end");
    }
    const lost = Math.max(0, meta.rows - rows);
    return { applied: meta.applied, rows, lost };
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#connection?.close();
  }
}

/** @returns `null` if all was read, else where it ended. */
function readUntilDamage(
  connection: DatabaseSync,
  sql: string,
  take: (row: Row) => boolean | void,
): { readonly lastKey: Uint8Array | null } | null {
  let lastKey: Uint8Array | null = null;
  try {
    for (const tuple of readingOf(connection, sql).iterate()) {
      const [key, stamp, encoding, expiresMs, data] = tuple as EntryTuple;
      if (take({ key, stamp, encoding, expiresMs, data }) === false) return null;
      lastKey = key;
    }
    return null;
  } catch (error) {
    if (!(stateFailure(error, "Cannot read state") instanceof StateError)) throw error;
    return { lastKey };
  }
}

function whyUnreadable(error: unknown, path: string): string | null {
  if (error instanceof Deno.errors.NotFound) return "it is missing";
  const failure = stateFailure(error, `Cannot read ${path}`);
  return failure instanceof StateError ? failure.message : null;
}

function copyIfThere(from: string, to: string): void {
  try {
    Deno.copyFileSync(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
