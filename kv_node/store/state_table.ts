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
 * Each row has a checksum, which every reading compares: what is damaged is refused
 * and never given out. See `state_checksum.ts` for what that can show.
 *
 * @module
 */
import type { AppliedPosition } from "../ports.ts";
import type { ReadRange, Row } from "../types.ts";
import {
  readingOf,
  type SqlConnection,
  type SqlStatement,
  type SqlValue,
  wideReadingOf,
} from "./sql_connection.ts";
import {
  checksumOf,
  identitySeed,
  intactRow,
  metaChecksum,
  ROW_COLUMNS,
  type RowTuple,
} from "./state_checksum.ts";
import { StateError, stateFailure } from "./state_error.ts";
import type { StateIdentity } from "./state_file.ts";

/**
 * What has not expired. A row whose expiry was damaged must not be left out in silence:
 * whatever seems to have expired is looked up in the index of expiry, which lies in
 * other pages. What that does not know comes out, and is found to be damaged.
 *
 * The plus sign keeps SQLite from reading a range by that index.
 */
const LIVE_RANGE = `key >= ? AND key < ? AND (expires IS NULL OR +expires > ? OR NOT EXISTS (
  SELECT 1 FROM entry AS listed INDEXED BY entry_expires
  WHERE listed.expires = entry.expires AND listed.key = entry.key
))`;

/** Whose rows they are, and where. */
export interface TablePlace extends StateIdentity {
  /** The file, for messages. */
  readonly path: string;
}

/** Prepared statements over the rows. */
export class StateTable {
  readonly #connection: SqlConnection;
  readonly #path: string;
  readonly #seed: number;
  readonly #get: SqlStatement;
  #scans: { readonly forward: SqlStatement; readonly backward: SqlStatement } | null = null;
  readonly #expired: SqlStatement;
  readonly #insert: SqlStatement;
  readonly #update: SqlStatement;
  readonly #remove: SqlStatement;
  readonly #move: SqlStatement;
  #wasNew = true;

  /** Prepares them; the tables have to be there, and the index for the first scan. */
  constructor(connection: SqlConnection, { path, cluster, group }: TablePlace) {
    this.#connection = connection;
    this.#path = path;
    this.#seed = identitySeed(cluster, group);
    this.#get = readingOf(connection, `SELECT ${ROW_COLUMNS} FROM entry WHERE key = ?`);
    this.#expired = readingOf(
      connection,
      "SELECT key FROM entry WHERE expires <= ? ORDER BY expires, key LIMIT ?",
    );
    this.#insert = connection.prepare(
      "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO NOTHING",
    );
    this.#update = connection.prepare(
      "UPDATE entry SET stamp = ?2, encoding = ?3, expires = ?4, checksum = ?5, value = ?6 " +
        "WHERE key = ?1",
    );
    this.#remove = connection.prepare("DELETE FROM entry WHERE key = ?");
    this.#move = connection.prepare(
      "UPDATE meta SET term = ?, log_index = ?, stamp = ?, entries = ?, checksum = ?",
    );
  }

  /**
   * The row under a key.
   *
   * @throws {StateError} `damaged` if it is not as it was written.
   */
  get(key: Uint8Array): Row | null {
    const found = this.#get.get(key);
    return found === undefined ? null : this.#rowOf(found);
  }

  /**
   * Rows of a range that have not expired.
   *
   * @throws {StateError} `damaged` if one of them is not as it was written.
   */
  scan(range: ReadRange, nowMs: number): readonly Row[] {
    const { forward, backward } = this.#scans ??= this.#prepareScans();
    const statement = range.reverse ? backward : forward;
    const found = statement.all(range.start, range.end, nowMs, range.limit);
    const rows = new Array<Row>(found.length);
    let count = 0;
    for (const tuple of found) {
      const row = this.#rowOf(tuple);
      // It is as it was written, so the index is not.
      if (row.expiresMs !== null && row.expiresMs <= nowMs) throw damage(this.#path, "an index");
      rows[count++] = row;
    }
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
    const checksum = checksumOf(row);
    if (this.#wasNew) {
      if (this.#insert.run(key, stamp, encoding, expiresMs, checksum, data).changes === 1) {
        return true;
      }
      this.#update.run(key, stamp, encoding, expiresMs, checksum, data);
      this.#wasNew = false;
      return false;
    }
    if (this.#update.run(key, stamp, encoding, expiresMs, checksum, data).changes === 1) {
      return false;
    }
    this.#insert.run(key, stamp, encoding, expiresMs, checksum, data);
    this.#wasNew = true;
    return true;
  }

  /** Deletes a row; returns whether it was there. */
  remove(key: Uint8Array): boolean {
    return this.#remove.run(key).changes === 1;
  }

  /** Writes the applied position and the number of rows. */
  move(applied: AppliedPosition, rows: number): void {
    const checksum = metaChecksum(this.#seed, applied, rows);
    this.#move.run(applied.term, applied.index, applied.stamp, rows, checksum);
  }

  /** Not before they are needed: they name an index, which an installation makes last. */
  #prepareScans(): { readonly forward: SqlStatement; readonly backward: SqlStatement } {
    const rows = `SELECT ${ROW_COLUMNS} FROM entry WHERE ${LIVE_RANGE} ORDER BY key`;
    return {
      forward: readingOf(this.#connection, `${rows} LIMIT ?`),
      backward: readingOf(this.#connection, `${rows} DESC LIMIT ?`),
    };
  }

  #rowOf(tuple: unknown): Row {
    const row = intactRow(tuple as RowTuple);
    if (row === null) throw damage(this.#path, "a row");
    return row;
  }
}

/**
 * All rows in key order, from one moment if it is read in a transaction.
 *
 * @param path For messages.
 * @throws {StateError} `damaged` at the first that is not as it was written, with its
 * number, and where pages are in disorder.
 */
export function* rowsOf(connection: SqlConnection, path: string): Generator<Row> {
  let number = 0;
  for (const row of rowsOfDamaged(connection, path, "forward")) {
    number++;
    if (row === null) throw damage(path, `row ${number} in the order of keys`);
    yield row;
  }
}

/**
 * All rows in key order or reversed; `null` for each that is not as it was written.
 *
 * @param path For messages.
 * @throws {StateError} `damaged` where pages are in disorder.
 */
export function* rowsOfDamaged(
  connection: SqlConnection,
  path: string,
  direction: "forward" | "backward",
): Generator<Row | null> {
  // Rows one by one are what `node:sqlite` of Deno 2.9.6 ends without a word where it
  // should throw. So the last one is none of the table: without it the rest is missing.
  // (A limit keeps the order of a part that is put together with another.)
  const order = direction === "forward" ? "key" : "key DESC";
  const sql = `SELECT * FROM (SELECT ${ROW_COLUMNS} FROM entry ORDER BY ${order} LIMIT -1)
    UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL`;
  let isWhole = false;
  // A damaged number may be longer than what JavaScript has numbers for.
  for (const found of wideReadingOf(connection, sql).iterate()) {
    const tuple = found as RowTuple;
    isWhole = tuple.every((column) => column === null);
    if (!isWhole) yield intactRow(narrowed(tuple));
  }
  if (!isWhole) throw whyEnded(connection, path);
}

/** With numbers for bigints: exact for whatever was written. */
function narrowed([key, stamp, encoding, expires, checksum, value]: RowTuple): RowTuple {
  return [key, stamp, narrow(encoding), narrow(expires), narrow(checksum), value];
}

function narrow(value: SqlValue): SqlValue {
  return typeof value === "bigint" ? Number(value) : value;
}

/** What SQLite says if it reads everything at one go. */
function whyEnded(connection: SqlConnection, path: string): unknown {
  try {
    readingOf(connection, "SELECT max(value), max(stamp) FROM entry").get();
  } catch (error) {
    return stateFailure(error, `Cannot read ${path}`);
  }
  return new StateError("damaged", `Cannot read ${path}: its rows end too early`);
}

function damage(path: string, what: string): StateError {
  const help = "restore a backup, or use `kv salvage`";
  return new StateError(
    "damaged",
    `Cannot read ${path}: ${what} is not as it was written; ${help}`,
  );
}
