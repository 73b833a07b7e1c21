/**
 * A state read from end to end: its pages and indexes, as SQLite checks them, and the
 * checksum of every row.
 *
 * @module
 */
import type { Row } from "../types.ts";
import { readingOf, type SqlConnection } from "./sql_connection.ts";
import { StateError, stateFailure } from "./state_error.ts";
import { readMeta, type StateMeta } from "./state_file.ts";
import { rowsOfDamaged } from "./state_table.ts";

/** A state that was read from end to end. */
export interface StateReport {
  /** Rows that were read. */
  readonly rows: number;
  /** What is wrong with it, in words; nothing if empty. */
  readonly problems: readonly string[];
}

/** What else may be wrong with a row that is as it was written; `null` if nothing is. */
export type FaultOf = (row: Row, meta: StateMeta) => string | null;

/** More say no more. */
const PROBLEMS_MAX = 20;

/**
 * Reads everything: all pages and indexes, every row with its checksum, and that the
 * rows are as many as the file says. Rows are named by their number, never by their key.
 *
 * @throws {StateError} If it is no state at all, or what it says of itself is damaged.
 */
export function problemsOf(
  connection: SqlConnection,
  path: string,
  faultOf: FaultOf = () => null,
): StateReport {
  connection.exec("BEGIN");
  const meta = readMeta(connection, path);
  const problems: string[] = [];
  let rows = 0;
  try {
    const check = readingOf(connection, `PRAGMA integrity_check(${PROBLEMS_MAX})`);
    for (const [text] of check.all() as [string][]) if (text !== "ok") problems.push(text);
    if (meta === null) return { rows, problems };
    for (const row of rowsOfDamaged(connection, path, "forward")) {
      if (problems.length >= PROBLEMS_MAX) return { rows, problems };
      rows++;
      const why = row === null ? "it is not as it was written" : faultOf(row, meta);
      if (why !== null) problems.push(`row ${rows} in the order of keys: ${why}`);
    }
    if (rows !== meta.rows) problems.push(`it holds ${rows} rows and says ${meta.rows}`);
  } catch (error) {
    const failure = stateFailure(error, `Cannot read ${path}`);
    if (!(failure instanceof StateError)) throw failure;
    problems.push(failure.message);
  }
  return { rows, problems };
}
