/**
 * The SQLite file of `Deno.openKv(path)`, read and written row by row.
 *
 * Not through `Deno.openKv`: that decodes every value and tells no expiry, while
 * the rows hold the very bytes, their encoding and the time when they are gone.
 * The tables are those that Deno 2.9 makes (its third migration); a later one
 * brings them up to date when it opens the file.
 *
 * A version is a 64-bit number there, and a versionstamp its ten bytes with two
 * zeros: a file keeps the order of versionstamps, and all but their last two bytes.
 *
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Encoding, ENCODING_BYTES, ENCODING_V8, type Row } from "../../types.ts";
import type { ImportedRow } from "../write_batches.ts";

const SCHEMA = `
  CREATE TABLE migration_state (k integer not null primary key, version integer not null);
  CREATE TABLE data_version (
    k integer primary key, version integer not null, seq integer not null default 0
  );
  CREATE TABLE kv (
    k blob primary key, v blob not null, v_encoding integer not null, version integer not null,
    seq integer not null default 0, expiration_ms integer not null default -1
  ) without rowid;
  CREATE TABLE queue (
    ts integer not null, id text not null, data blob not null, backoff_schedule text not null,
    keys_if_undelivered blob not null, primary key (ts, id)
  );
  CREATE TABLE queue_running (
    deadline integer not null, id text not null, data blob not null,
    backoff_schedule text not null, keys_if_undelivered blob not null, primary key (deadline, id)
  );
  CREATE INDEX kv_expiration_ms_idx ON kv (expiration_ms);
  INSERT INTO migration_state VALUES (0, 3);
`;

/** How a row says that it lasts. */
const NEVER_MS = -1;
const VERSION_MAX = 2n ** 63n - 1n;

/** A file that is not a Deno KV database. */
export class DenoKvFileError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "DenoKvFileError";
}

/** Writes a new file; nobody may read it before it is finished. */
export class DenoKvFileWriter implements Disposable {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  #version = 1n;

  /** Begins, in an empty file. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    // Without a journal: until it is whole and synced it has another name.
    this.#database.exec(`
      PRAGMA journal_mode = OFF;
      PRAGMA synchronous = OFF;
      BEGIN IMMEDIATE;
      ${SCHEMA}
    `);
    this.#insert = this.#database.prepare(
      "INSERT INTO kv (k, v, v_encoding, version, expiration_ms) VALUES (?, ?, ?, ?, ?)",
    );
  }

  /** Writes a row. */
  write({ key, data, encoding, stamp, expiresMs }: Row): void {
    const version = versionOf(stamp);
    if (version > this.#version) this.#version = version;
    this.#insert.run(key, data, encoding, version, expiresMs ?? NEVER_MS);
  }

  /** All was written. */
  finish(): void {
    this.#database.prepare("INSERT INTO data_version (k, version) VALUES (0, ?)")
      .run(this.#version);
    this.#database.exec("COMMIT");
    this.#database.close();
  }

  /** Closes it, if it was not finished. */
  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

/** Reads a file as of one moment, even while others write to it. */
export class DenoKvFileReader implements Disposable {
  readonly #database: DatabaseSync;
  /** How many rows there are. */
  readonly rowCount: number;
  /** Messages that wait in its queue: no part of an import. */
  readonly messageCount: number;

  /**
   * Opens a file that is there.
   *
   * @throws {DenoKvFileError} If it is not a Deno KV database, or damaged.
   */
  constructor(path: string) {
    this.#database = new DatabaseSync(path, { readOnly: true });
    try {
      this.#database.exec("BEGIN");
      this.rowCount = this.#count("kv");
      this.messageCount = this.#count("queue") + this.#count("queue_running");
    } catch (cause) {
      this.#database.close();
      throw failureOf(path, cause);
    }
  }

  /** Its rows in key order. @throws {DenoKvFileError} If one cannot be read. */
  *rows(): Generator<ImportedRow, void, undefined> {
    const statement = this.#database.prepare(
      "SELECT k, v, v_encoding, expiration_ms FROM kv ORDER BY k",
    );
    let count = 0;
    for (const row of statement.iterate()) {
      yield importedRow(row);
      count++;
    }
    // `node:sqlite` of Deno 2.9.6 ends rows without a word where it should throw.
    if (count !== this.rowCount) {
      const message = `Cannot read the file: ${count} of its ${this.rowCount} rows could be read`;
      throw new DenoKvFileError(message);
    }
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#database.close();
  }

  #count(table: string): number {
    const found = this.#database.prepare(`SELECT count(*) AS count FROM ${table}`).get();
    return Number(found?.["count"] ?? 0);
  }
}

/** What became of a failure of SQLite. */
function failureOf(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "ERR_SQLITE_ERROR") {
    return cause;
  }
  const why = /no such table|not a database/.test(cause.message)
    ? "it is not a Deno KV database"
    : "it is damaged, or may not be opened";
  return new DenoKvFileError(`Cannot read ${path}: ${why}`, { cause });
}

function importedRow(row: Record<string, unknown>): ImportedRow {
  const { k: key, v: data, v_encoding: encoding, expiration_ms: expiresMs } = row;
  if (!(key instanceof Uint8Array) || !(data instanceof Uint8Array) || !isEncoding(encoding)) {
    throw new DenoKvFileError("Cannot read the file: a row is not of the form that Deno writes");
  }
  const time = Number(expiresMs);
  return { key, data, encoding, expiresMs: time < 0 ? null : time };
}

function isEncoding(value: unknown): value is Encoding {
  return typeof value === "number" && value >= ENCODING_V8 && value <= ENCODING_BYTES;
}

/** The number whose eight bytes a versionstamp begins with. */
function versionOf(stamp: Uint8Array): bigint {
  const version = new DataView(stamp.buffer, stamp.byteOffset).getBigUint64(0);
  return version > VERSION_MAX ? VERSION_MAX : version;
}
