/**
 * The applied state of a group in one SQLite file.
 *
 * Write-ahead mode with `synchronous=NORMAL`: a commit reaches the page cache
 * and no sync holds up the event loop. What a power cut takes is in the node's
 * own log, which is cut only behind a position that {@linkcode SqliteState.checkpoint}
 * returned. What survives a crash of the process alone is everything.
 *
 * How a checkpoint is known to last (SQLite's wal.c, and its wal.html):
 *
 * 1. A worker copies pages from the write-ahead file into the main file
 *    (`wal_checkpoint(PASSIVE)` on a connection of its own, which waits for
 *    nobody). It syncs the write-ahead file first. It leaves the main file
 *    unsynced if a commit came meanwhile, which is safe for SQLite but would
 *    leave that work to step 4, so the main file is synced here by a second
 *    descriptor, off the event loop.
 * 2. Steps like that are repeated until little is left.
 * 3. The applied position is noted, and the write-ahead file is synced off the
 *    event loop. Every commit up to the position stands in it or in the main
 *    file, and both are on disk: the position is durable.
 * 4. A last, short `PASSIVE` on the writing connection, with no commit between,
 *    empties the write-ahead file: the next commit starts it afresh. Without it
 *    a node that never stops writing would let it grow without end.
 *
 * While a snapshot is read, steps 1 and 4 cannot pass the moment it reads, and
 * the position rests on step 3 alone.
 *
 * Both descriptors are opened before SQLite opens the file, and closed after:
 * closing any descriptor of a file drops all POSIX locks that the process has on
 * it, SQLite's too.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { dirname } from "node:path";
import { isNextTo } from "../keyspace/bytes.ts";
import {
  type AppliedPosition,
  DiskError,
  type State,
  type StateSize,
  type StateWriter,
} from "../ports.ts";
import type { LogPosition, ReadRange, Row } from "../types.ts";
import type { Checkpointer, CheckpointProgress } from "./checkpointer.ts";
import type { SqlStatement } from "./sql_connection.ts";
import { StateError, stateFailure } from "./state_error.ts";
import type { StateFiles } from "./state_installer.ts";
import { prepareFile, requireSqlite, type StateIdentity, type StateMeta } from "./state_file.ts";
import { StateTable } from "./state_table.ts";
import { RowWriter } from "./state_writer.ts";

/** How a state is opened. */
export interface SqliteStateOptions extends StateIdentity {
  /** What copies pages; `null` to copy all on this thread, as a tool may. */
  readonly checkpointer: Checkpointer | null;
  /** Page cache in bytes; 4 MiB unless given. */
  readonly cacheBytes?: number;
}

const CACHE_BYTES = 4 * 1_048_576;
/** What the write-ahead file is cut to after a checkpoint, in bytes. */
const WAL_BYTES_KEPT = 16 * 1_048_576;
/** How long a commit waits for another process's lock, which should not exist, in milliseconds. */
const BUSY_MS = 50;
/** Room that SQLite takes at once for its index of the write-ahead file, in bytes. */
const ROOM_BYTES = 32 * 1_024;
/** Rounds of the worker before a checkpoint is left as far as it came. */
const ROUNDS_MAX = 3;
/** Pages that the writing thread copies itself: about a millisecond. */
const SLICE_PAGES = 128;
/** The same while the write-ahead file is longer than WAL_BYTES_KEPT. */
const LONG_SLICE_PAGES = 1_024;
/** Length from which on whatever is left is copied, in bytes. */
const WAL_BYTES_MAX = 64 * 1_048_576;

/**
 * Opens a state, and makes it where there is none.
 *
 * @param path The file; SQLite keeps two more beside it.
 * @throws {StateError} If the file is not a state, one of another group, or damaged.
 * @throws {DiskError} If it cannot be opened.
 */
export function openSqliteState(path: string, options: SqliteStateOptions): SqliteState {
  const opened = openFile(path);
  let connection: DatabaseSync | null = null;
  let walFile: Deno.FsFile | null = null;
  try {
    connection = new DatabaseSync(path, { timeout: BUSY_MS });
    requireSqlite(connection);
    const meta = prepareFile(connection, path, options);
    connection.exec(`
      PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = 0;
      PRAGMA journal_size_limit = ${WAL_BYTES_KEPT};
      PRAGMA cache_size = ${-Math.ceil((options.cacheBytes ?? CACHE_BYTES) / 1_024)};
      PRAGMA mmap_size = 0;
    `);
    walFile = openFile(`${path}-wal`).file;
    if (opened.isNew) syncFile(dirname(path));
    return new SqliteState(path, connection, meta, {
      main: opened.file,
      wal: walFile,
      checkpointer: options.checkpointer,
    });
  } catch (error) {
    connection?.close();
    walFile?.close();
    opened.file.close();
    throw stateFailure(error, `Cannot open ${path}`);
  }
}

/** What a state is made of besides its connection. */
interface StateParts {
  readonly main: Deno.FsFile;
  readonly wal: Deno.FsFile;
  readonly checkpointer: Checkpointer | null;
}

/** An applied state; see the module. */
export class SqliteState implements State {
  /** Its file. */
  readonly path: string;
  readonly #connection: DatabaseSync;
  readonly #parts: StateParts;
  readonly #table: StateTable;
  readonly #writer: RowWriter;
  readonly #begin: SqlStatement;
  readonly #commit: SqlStatement;
  readonly #rollback: SqlStatement;
  readonly #pages: SqlStatement;
  readonly #copy: SqlStatement;
  #applied: AppliedPosition;
  #durable: LogPosition = { term: 0, index: 0 };
  #checkpoint: Promise<LogPosition> | null = null;
  #closing: Promise<void> | null = null;

  /** Use {@linkcode openSqliteState}. */
  constructor(path: string, connection: DatabaseSync, meta: StateMeta, parts: StateParts) {
    this.path = path;
    this.#connection = connection;
    this.#parts = parts;
    this.#applied = meta.applied;
    this.#table = new StateTable(connection, { path, cluster: meta.cluster, group: meta.group });
    this.#writer = new RowWriter(this.#table, meta.rows);
    this.#begin = connection.prepare("BEGIN IMMEDIATE");
    this.#commit = connection.prepare("COMMIT");
    this.#rollback = connection.prepare("ROLLBACK");
    this.#pages = connection.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#copy = connection.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  }

  /** The last entry in it. */
  get applied(): AppliedPosition {
    return this.#applied;
  }

  /** The row under a key, expired or not. */
  get(key: Uint8Array): Row | null {
    try {
      return this.#table.get(key);
    } catch (error) {
      throw this.#failure(error, `Cannot read ${this.path}`);
    }
  }

  /** Rows of a range in key order (or reversed), expired ones left out. */
  scan(range: ReadRange, nowMs: number): readonly Row[] {
    try {
      // A `get` comes as a range of one key; looking that up costs less than half of a scan.
      if (range.limit > 0 && isNextTo(range.start, range.end)) {
        const row = this.#table.get(range.start);
        return row === null || (row.expiresMs !== null && row.expiresMs <= nowMs) ? [] : [row];
      }
      return this.#table.scan(range, nowMs);
    } catch (error) {
      throw this.#failure(error, `Cannot read ${this.path}`);
    }
  }

  /** Complete keys of rows that expired by then, earliest first. */
  expired(nowMs: number, limit: number): readonly Uint8Array[] {
    try {
      return this.#table.expired(nowMs, limit);
    } catch (error) {
      throw this.#failure(error, `Cannot read ${this.path}`);
    }
  }

  /**
   * Changes it, all or nothing.
   *
   * @param position Behind the applied one: an entry is applied once.
   * @throws {DiskError} `full` or `io`; nothing has changed then.
   * @throws {RangeError} If the position is not behind the applied one.
   */
  transact(position: AppliedPosition, run: (writer: StateWriter) => void): void {
    const { term, index } = this.#applied;
    if (position.index <= index || position.term < term) {
      throw new RangeError(
        `Cannot apply entry ${position.term}/${position.index}: ${term}/${index} is applied`,
      );
    }
    const writer = this.#writer;
    const rowsBefore = writer.rows;
    try {
      this.#begin.run();
      writer.start();
      run(writer);
      writer.finish();
      this.#table.move(position, writer.rows);
      this.#commit.run();
      this.#applied = position;
    } catch (error) {
      writer.abandon(rowsBefore);
      // A full disk may have rolled it back already.
      if (this.#connection.isOpen && this.#connection.isTransaction) this.#rollback.run();
      throw this.#failure(error, `Cannot write ${this.path}`);
    }
  }

  /** Makes what was applied last; see the module. Calls at once share one. */
  checkpoint(): Promise<LogPosition> {
    if (this.#closing !== null) {
      return Promise.reject(new StateError("closed", "Cannot checkpoint: the state is closed"));
    }
    this.#checkpoint ??= this.#makeDurable().finally(() => {
      this.#checkpoint = null;
    });
    return this.#checkpoint;
  }

  /** How much there is. */
  size(): StateSize {
    const bytes = this.#parts.main.statSync().size + this.#parts.wal.statSync().size;
    return { rows: this.#writer.rows, bytes };
  }

  /** Checkpoints what it can, then closes it. Settles even if the disk has failed. */
  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #makeDurable(): Promise<LogPosition> {
    if (this.#durable.index === this.#applied.index) return this.#durable;
    try {
      const isFull = !await this.#copyAside();
      const noted = this.#applied;
      await this.#parts.wal.syncData();
      this.#durable = (isFull ? null : this.#copyRest()) ?? noted;
      return this.#durable;
    } catch (error) {
      throw this.#failure(error, "Cannot checkpoint state");
    }
  }

  /**
   * Steps 1 and 2: lets the worker copy until little is left.
   *
   * @returns Whether there was room for it: pages that find none stay where they are,
   * and what is there can be made durable all the same.
   */
  async #copyAside(): Promise<boolean> {
    const { checkpointer, main } = this.#parts;
    if (checkpointer === null) return true;
    try {
      for (let round = 0; round < ROUNDS_MAX && this.#pagesLeft() > SLICE_PAGES; round++) {
        const { busy, log, checkpointed } = await checkpointer.checkpoint(this.path);
        await main.syncData();
        if (busy !== 0 || checkpointed < log) break; // Somebody reads an earlier moment.
      }
      return true;
    } catch (error) {
      if (isFullDisk(this.#failure(error, "Cannot copy pages"))) return false;
      throw error;
    }
  }

  /**
   * Step 4, if it is short.
   *
   * @returns The applied position, if all of it is in the main file now.
   */
  #copyRest(): LogPosition | null {
    if (this.#pagesLeft() > this.#slicePages()) return null;
    try {
      const { busy, log, checkpointed } = this.#copy.get() as unknown as CheckpointProgress;
      return busy === 0 && log === checkpointed ? this.#applied : null;
    } catch (error) {
      if (isFullDisk(this.#failure(error, "Cannot copy pages"))) return null;
      throw error;
    }
  }

  #slicePages(): number {
    if (this.#parts.checkpointer === null) return Infinity;
    const walBytes = this.#parts.wal.statSync().size;
    if (walBytes > WAL_BYTES_MAX) return Infinity;
    return walBytes > WAL_BYTES_KEPT ? LONG_SLICE_PAGES : SLICE_PAGES;
  }

  #pagesLeft(): number {
    const { log, checkpointed } = this.#pages.get() as unknown as CheckpointProgress;
    return log - checkpointed;
  }

  async #shut(): Promise<void> {
    try {
      await (this.#checkpoint ?? this.#makeDurable());
    } catch {
      // The log has what is missing.
    }
    try {
      this.#connection.close();
    } finally {
      this.#parts.wal.close();
      this.#parts.main.close();
    }
  }

  #failure(error: unknown, action: string): unknown {
    if (!this.#connection.isOpen) {
      return new StateError("closed", `${action}: it is closed`, { cause: error });
    }
    if (isSystemError(error)) {
      return new DiskError("io", `${action}: the disk failed`, { cause: error });
    }
    const failure = stateFailure(error, action);
    // SQLite calls it a failed disk if its index of the write-ahead file finds no room.
    if (failure instanceof DiskError && failure.kind === "io" && !hasRoom(this.path)) {
      return new DiskError("full", `${action}: the disk is full`, { cause: error });
    }
    return failure;
  }
}

/** What an installation of a snapshot does to files, with Deno and SQLite. */
export const STATE_FILES: StateFiles = {
  connect: (path) => new DatabaseSync(path),
  has: (path) => sizeOf(path) !== null,
  remove: (path) => {
    if (sizeOf(path) !== null) Deno.removeSync(path);
  },
  rename: (from, to) => Deno.renameSync(from, to),
  sync: syncFile,
  syncFolderOf: (path) => syncFile(dirname(path)),
};

/** Length of a file in bytes; `null` if it is not there. */
function sizeOf(path: string): number | null {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Opens a file for syncing; makes it where there is none. */
function openFile(path: string): { readonly file: Deno.FsFile; readonly isNew: boolean } {
  try {
    try {
      return { file: Deno.openSync(path, { read: true, write: true }), isNew: false };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      const file = Deno.openSync(path, { read: true, write: true, createNew: true });
      return { file, isNew: true };
    }
  } catch (error) {
    const isDenied = error instanceof Deno.errors.PermissionDenied ||
      error instanceof Deno.errors.NotCapable;
    const kind = isDenied ? "denied" : error instanceof Deno.errors.NotFound ? "missing" : "io";
    const why = kind === "missing" ? "there is no such folder" : "the file may not be opened";
    throw new DiskError(kind, `Cannot open ${path}: ${why}`, { cause: error });
  }
}

/** Makes a file or a folder last. */
function syncFile(path: string): void {
  using file = Deno.openSync(path);
  file.syncSync();
}

/** Whether the operating system said so. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && /\(os error \d+\)/.test(error.message);
}

function isFullDisk(error: unknown): boolean {
  return error instanceof DiskError && error.kind === "full";
}

/** Whether what SQLite asks for at once still fits on the disk; tried where it matters. */
function hasRoom(path: string): boolean {
  const probe = `${path}-room`;
  try {
    Deno.writeFileSync(probe, new Uint8Array(ROOM_BYTES));
    return true;
  } catch {
    return false;
  } finally {
    if (sizeOf(probe) !== null) Deno.removeSync(probe);
  }
}
