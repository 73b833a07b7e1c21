/**
 * What of `node:sqlite` is used, as interfaces, so that all but the shells can
 * do without it.
 *
 * @module
 */

/** What SQLite takes and gives. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** A prepared statement, as `node:sqlite` has it. */
export interface SqlStatement {
  /** The first row. */
  get(...values: SqlValue[]): unknown;
  /** All rows. */
  all(...values: SqlValue[]): unknown[];
  /** Rows one by one. */
  iterate(...values: SqlValue[]): Iterable<unknown>;
  /** Changes something. */
  run(...values: SqlValue[]): { readonly changes: number | bigint };
}

/** A connection, as `node:sqlite` has it. */
export interface SqlConnection {
  /** Runs statements that return nothing. */
  exec(sql: string): void;
  /** Prepares one. */
  prepare(sql: string): SqlStatement;
}

/** Rows as arrays: a third faster to make than objects. Deno has it, its types do not yet. */
interface ArrayStatement extends SqlStatement {
  setReturnArrays(enabled: boolean): void;
  setReadBigInts(enabled: boolean): void;
}

/** A statement whose rows come as arrays, in the order of its columns. */
export function readingOf(connection: SqlConnection, sql: string): SqlStatement {
  const statement = connection.prepare(sql) as ArrayStatement;
  statement.setReturnArrays(true);
  return statement;
}

/** The same, with integers as bigints: of 64 bits, whatever they are. */
export function wideReadingOf(connection: SqlConnection, sql: string): SqlStatement {
  const statement = readingOf(connection, sql) as ArrayStatement;
  statement.setReadBigInts(true);
  return statement;
}

/** The number that a statement returns. */
export function numberOf(connection: SqlConnection, sql: string): number {
  const [value] = readingOf(connection, sql).get() as [number];
  return value;
}
