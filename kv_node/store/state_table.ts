/**
 * The rows of a state, by complete key.
 *
 * One version of each key. Superseded versions, which snapshots over several
 * arcs will need for some seconds, will stand in a table beside this one, so
 * that a range here reads nothing but what it returns.
 *
 * WITHOUT ROWID keeps a row in the leaf of its key: one descent a read, and rows
 * of a range lie side by side. BLOB order is byte order, which is key order.
 * `value` is the last column, so that whether a row has expired is read without
 * touching the pages that a long value spills into.
 *
 * @module
 */
import type { AppliedPosition } from "../ports.ts";
import type { Encoding, ReadRange, Row } from "../types.ts";
import { readingOf, type SqlConnection, type SqlStatement } from "./sql_connection.ts";

const COLUMNS = "key, stamp, encoding, expires, value";
// The plus sign keeps SQLite from reading a range by the index of expiry.
const LIVE_RANGE = "key >= ? AND key < ? AND (expires IS NULL OR +expires > ?)";

/** A row of `entry`, in the order of COLUMNS. */
type EntryTuple = readonly [Uint8Array, Uint8Array, Encoding, number | null, Uint8Array];

/** Prepared statements over the rows. */
export class StateTable {
  readonly #get: SqlStatement;
  readonly #forward: SqlStatement;
  readonly #backward: SqlStatement;
  readonly #expired: SqlStatement;
  readonly #insert: SqlStatement;
  readonly #update: SqlStatement;
  readonly #remove: SqlStatement;
  readonly #move: SqlStatement;
  #wasNew = true;

  /** Prepares them; the tables have to be there. */
  constructor(connection: SqlConnection) {
    const rows = `SELECT ${COLUMNS} FROM entry WHERE`;
    this.#get = readingOf(connection, `${rows} key = ?`);
    this.#forward = readingOf(connection, `${rows} ${LIVE_RANGE} ORDER BY key LIMIT ?`);
    this.#backward = readingOf(connection, `${rows} ${LIVE_RANGE} ORDER BY key DESC LIMIT ?`);
    this.#expired = readingOf(
      connection,
      "SELECT key FROM entry WHERE expires <= ? ORDER BY expires, key LIMIT ?",
    );
    this.#insert = connection.prepare(
      "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO NOTHING",
    );
    this.#update = connection.prepare(
      "UPDATE entry SET stamp = ?2, encoding = ?3, expires = ?4, value = ?5 WHERE key = ?1",
    );
    this.#remove = connection.prepare("DELETE FROM entry WHERE key = ?");
    this.#move = connection.prepare(
      "UPDATE meta SET term = ?, log_index = ?, stamp = ?, entries = ?",
    );
  }

  /** The row under a key. */
  get(key: Uint8Array): Row | null {
    const found = this.#get.get(key);
    return found === undefined ? null : rowOf(found as EntryTuple);
  }

  /** Rows of a range that have not expired. */
  scan(range: ReadRange, nowMs: number): readonly Row[] {
    const statement = range.reverse ? this.#backward : this.#forward;
    const found = statement.all(range.start, range.end, nowMs, range.limit) as EntryTuple[];
    const rows = new Array<Row>(found.length);
    let count = 0;
    for (const tuple of found) rows[count++] = rowOf(tuple);
    return rows;
  }

  /** Keys of rows that have expired, earliest first. */
  expired(nowMs: number, limit: number): readonly Uint8Array[] {
    const found = this.#expired.all(nowMs, limit) as [Uint8Array][];
    return found.map(([key]) => key);
  }

  /**
   * Writes a row.
   *
   * An upsert would not say whether there was one before. What the last row was
   * decides what is tried first, since inserts and updates come in runs.
   *
   * @returns Whether the key is new.
   */
  put(row: Row): boolean {
    const { key, stamp, encoding, expiresMs, data } = row;
    if (this.#wasNew) {
      if (this.#insert.run(key, stamp, encoding, expiresMs, data).changes === 1) return true;
      this.#update.run(key, stamp, encoding, expiresMs, data);
      this.#wasNew = false;
      return false;
    }
    if (this.#update.run(key, stamp, encoding, expiresMs, data).changes === 1) return false;
    this.#insert.run(key, stamp, encoding, expiresMs, data);
    this.#wasNew = true;
    return true;
  }

  /** Deletes a row; returns whether it was there. */
  remove(key: Uint8Array): boolean {
    return this.#remove.run(key).changes === 1;
  }

  /** Writes the applied position and the number of rows. */
  move(applied: AppliedPosition, rows: number): void {
    this.#move.run(applied.term, applied.index, applied.stamp, rows);
  }
}

/** All rows in key order, from one moment if it is read in a transaction. */
export function* rowsOf(connection: SqlConnection): Generator<Row> {
  const statement = readingOf(connection, `SELECT ${COLUMNS} FROM entry ORDER BY key`);
  for (const tuple of statement.iterate()) yield rowOf(tuple as EntryTuple);
}

function rowOf(tuple: EntryTuple): Row {
  return {
    key: tuple[0],
    stamp: tuple[1],
    encoding: tuple[2],
    expiresMs: tuple[3],
    data: tuple[4],
  };
}
