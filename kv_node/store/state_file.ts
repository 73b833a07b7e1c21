/**
 * What stands in the file of a state besides its rows: whose it is, and how far
 * the log is in it.
 *
 * The number of rows is kept beside the applied position, in the same
 * transaction: counting a large table would hold up every start. A checksum covers
 * all of it: from a wrong position a start would apply entries twice, or leave some out.
 *
 * Format 2 has checksums. Format 1, without them, was never released: it is refused
 * like any other that is not known, and nothing converts it.
 *
 * @module
 */
import type { AppliedPosition } from "../ports.ts";
import {
  numberOf,
  readingOf,
  type SqlConnection,
  type SqlValue,
  wideReadingOf,
} from "./sql_connection.ts";
import { identitySeed, metaChecksum } from "./state_checksum.ts";
import { StateError } from "./state_error.ts";

/** "WEIR" in the header of the file. */
const APPLICATION_ID = 0x57454952;
/** Version of the schema. */
const STATE_FORMAT = 2;

/** First version of SQLite in which a checkpoint beside a writer loses nothing (its wal.html). */
const SQLITE_VERSION_MIN = [3, 51, 3] as const;

const SCHEMA = `
  CREATE TABLE entry (
    key BLOB NOT NULL PRIMARY KEY,
    stamp BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    expires INTEGER,
    checksum INTEGER NOT NULL,
    value BLOB NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    cluster TEXT NOT NULL,
    replication_group INTEGER NOT NULL,
    term INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    stamp BLOB,
    entries INTEGER NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
`;

const INDEX = "CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL";

/** A row is found by about four pages, so small pages keep the write-ahead file short. */
export const PAGE_BYTES = 4_096;
/** Whose rows a state holds. */
export interface StateIdentity {
  /** Identity of the cluster, or of the lone node. */
  readonly cluster: string;
  /** The replication group. */
  readonly group: number;
}

/** What the file says of itself. */
export interface StateMeta extends StateIdentity {
  /** The last entry in it. */
  readonly applied: AppliedPosition;
  /** How many rows. */
  readonly rows: number;
}

/** The row of `meta`, in the order in which it is read; of a damaged one it may be anything. */
type MetaTuple = readonly [SqlValue, SqlValue, SqlValue, SqlValue, SqlValue, SqlValue, SqlValue];

/**
 * Makes the tables in a file that has none, or checks whose they are; the file
 * is in write-ahead mode then.
 *
 * @throws {StateError} If it is no state, or not this one.
 */
export function prepareFile(
  connection: SqlConnection,
  path: string,
  { cluster, group }: StateIdentity,
): StateMeta {
  const found = readMeta(connection, path);
  if (found === null) {
    const meta = { cluster, group, applied: { term: 0, index: 0, stamp: null }, rows: 0 };
    connection.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL`);
    // A crash on the way leaves a file that is still empty.
    connection.exec("BEGIN IMMEDIATE");
    createTables(connection, meta);
    createIndex(connection);
    connection.exec("COMMIT");
    return meta;
  }
  if (found.cluster !== cluster) {
    throw new StateError("foreign", `Cannot open ${path}: it belongs to another cluster`);
  }
  if (found.group !== group) {
    const message = `Cannot open ${path}: it is of group ${found.group}, not of ${group}`;
    throw new StateError("foreign", message);
  }
  // A file that came out of a snapshot may not be in this mode yet.
  connection.exec("PRAGMA journal_mode = WAL");
  // Reading it makes the write-ahead file, which is to be there from now on.
  return readMeta(connection, path) ?? found;
}

/** Makes the tables in an empty file, in the transaction that is open. */
export function createTables(connection: SqlConnection, meta: StateMeta): void {
  connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  connection.exec(`PRAGMA user_version = ${STATE_FORMAT}`);
  connection.exec(SCHEMA);
  const { term, index, stamp } = meta.applied;
  connection.prepare("INSERT INTO meta VALUES (1, ?, ?, ?, ?, ?, ?, ?)")
    .run(meta.cluster, meta.group, term, index, stamp, meta.rows, checksumOfMeta(meta));
}

/** Makes the index by expiry: last, where many rows are written at once. */
export function createIndex(connection: SqlConnection): void {
  connection.exec(INDEX);
}

/**
 * Reads what the file says of itself.
 *
 * @param path For messages.
 * @returns `null` for an empty file.
 * @throws {StateError} If it is not a state that this version can read, or damaged.
 */
export function readMeta(connection: SqlConnection, path: string): StateMeta | null {
  const found = readMetaUnchecked(connection, path);
  if (found === null || found.isIntact) return found?.meta ?? null;
  const help = "restore a backup, or use `kv salvage`";
  throw new StateError(
    "damaged",
    `Cannot open ${path}: what it says of itself is not as it was written; ${help}`,
  );
}

/** What a file says of itself, true or not: for whoever saves what there is. */
export function readMetaUnchecked(
  connection: SqlConnection,
  path: string,
): { readonly meta: StateMeta; readonly isIntact: boolean } | null {
  const applicationId = numberOf(connection, "PRAGMA application_id");
  if (applicationId !== APPLICATION_ID) {
    const tables = numberOf(connection, "SELECT count(*) FROM sqlite_schema");
    if (applicationId === 0 && tables === 0) return null;
    throw new StateError("foreign", `Cannot open ${path}: it is a database of something else`);
  }
  const format = numberOf(connection, "PRAGMA user_version");
  if (format !== STATE_FORMAT) {
    throw new StateError("format", `Cannot open ${path}: unknown format ${format}`);
  }
  const found = wideReadingOf(
    connection,
    "SELECT cluster, replication_group, term, log_index, stamp, entries, checksum FROM meta",
  ).get() as MetaTuple | undefined;
  if (found === undefined) {
    throw new StateError("damaged", `Cannot open ${path}: it does not say what it is of`);
  }
  const [cluster, group, term, index, stamp, rows, checksum] = found;
  const meta: StateMeta = {
    cluster: String(cluster),
    group: Number(group),
    applied: {
      term: Number(term),
      index: Number(index),
      stamp: stamp instanceof Uint8Array ? stamp : null,
    },
    rows: Number(rows),
  };
  const isIntact = (stamp === null || stamp instanceof Uint8Array) &&
    Number(checksum) === checksumOfMeta(meta);
  return { meta, isIntact };
}

function checksumOfMeta({ cluster, group, applied, rows }: StateMeta): number {
  return metaChecksum(identitySeed(cluster, group), applied, rows);
}

/**
 * Refuses the SQLite of an older runtime: until 3.51.2 a checkpoint beside a
 * writer could lose pages (its "WAL-reset bug").
 *
 * @throws {StateError} If it is too old.
 */
export function requireSqlite(connection: SqlConnection): void {
  const [version] = readingOf(connection, "SELECT sqlite_version()").get() as [string];
  const parts = version.split(".").map(Number);
  for (const [place, least] of SQLITE_VERSION_MIN.entries()) {
    const part = parts[place] ?? 0;
    if (part > least) return;
    if (part < least) {
      const wanted = SQLITE_VERSION_MIN.join(".");
      throw new StateError("format", `Cannot use SQLite ${version}: ${wanted} or later is needed`);
    }
  }
}
