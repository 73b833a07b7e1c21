/**
 * A snapshot made into a state, in place of the one that is there.
 *
 * The new file grows under another name, without a journal: until it is renamed
 * nobody reads it, and a crash leaves only something to be thrown away. It is
 * renamed when all of the snapshot has been checked and the file is synced.
 *
 * SQLite would apply a write-ahead file of the old state to the new one, since
 * it is found by name alone. So the old state is brought to rest first: all of
 * it in its main file, no other file beside it. At each moment there is the old
 * state, whole, or the new one.
 *
 * @module
 */
import type { AppliedPosition } from "../ports.ts";
import { SnapshotDecoder } from "./snapshot_decoder.ts";
import type { SnapshotHeader } from "./snapshot_format.ts";
import { StateError, stateFailure } from "./state_error.ts";
import { createIndex, createTables, PAGE_BYTES, type StateIdentity } from "./state_file.ts";
import type { SqlConnection } from "./sql_connection.ts";
import { StateTable } from "./state_table.ts";

/** A connection that can be closed. */
export interface ClosableConnection extends SqlConnection {
  /** Closes it. */
  close(): void;
}

/** What an installation does to files; each throws if it fails. */
export interface StateFiles {
  /** Opens a database, and makes it where there is none. */
  connect(path: string): ClosableConnection;
  /** Whether there is a file. */
  has(path: string): boolean;
  /** Removes a file, if it is there. */
  remove(path: string): void;
  /** Renames a file, replacing what has the new name. */
  rename(from: string, to: string): void;
  /** Makes a file's content last. */
  sync(path: string): void;
  /** Makes what was renamed and removed beside this file last. */
  syncFolderOf(path: string): void;
}

/** What is installed. */
export interface InstallOptions extends StateIdentity {
  /** Whether a snapshot of another cluster is taken as well, as when a backup is restored. */
  readonly fromAnyCluster: boolean;
}

/** How far an installation is. */
export interface InstallProgress {
  /** Rows written. */
  readonly rows: number;
  /** Rows in all; `null` before the first chunk is complete. */
  readonly rowsTotal: number | null;
}

/** What was installed. */
export interface InstalledState {
  /** Its position. */
  readonly applied: AppliedPosition;
  /** Its rows. */
  readonly rows: number;
}

/** Page cache while rows are written, in KiB. */
const CACHE_KIB = 16 * 1_024;

/** Makes a state of the bytes of a snapshot. */
export class StateInstaller {
  readonly #files: StateFiles;
  readonly #path: string;
  readonly #newPath: string;
  readonly #options: InstallOptions;
  readonly #connection: ClosableConnection;
  readonly #table: StateTable;
  readonly #decoder = new SnapshotDecoder();
  #isChecked = false;
  #isOpen = true;

  /**
   * Begins, and throws away what an earlier one left.
   *
   * @param path The state's file; nobody may have it open when `finish` is called.
   */
  constructor(files: StateFiles, path: string, options: InstallOptions) {
    this.#files = files;
    this.#path = path;
    this.#newPath = `${path}.installing`;
    this.#options = options;
    removeAll(files, this.#newPath);
    this.#connection = files.connect(this.#newPath);
    this.#connection.exec(`
      PRAGMA page_size = ${PAGE_BYTES};
      PRAGMA journal_mode = OFF;
      PRAGMA synchronous = OFF;
      PRAGMA cache_size = ${-CACHE_KIB};
      BEGIN IMMEDIATE;
    `);
    const { cluster, group } = options;
    const applied = { term: 0, index: 0, stamp: null };
    createTables(this.#connection, { cluster, group, applied, rows: 0 });
    this.#table = new StateTable(this.#connection, { path: this.#newPath, cluster, group });
  }

  /**
   * Takes the next bytes, in pieces of any length.
   *
   * @throws {SnapshotError} If they are not as they were written.
   * @throws {StateError} `foreign` if they are of another group or cluster.
   * @throws {DiskError} If there is no room.
   */
  push(bytes: Uint8Array): InstallProgress {
    const rows = this.#decoder.push(bytes);
    const { header } = this.#decoder;
    if (header !== null && !this.#isChecked) this.#check(header);
    try {
      for (const row of rows) this.#table.put(row);
    } catch (error) {
      throw stateFailure(error, "Cannot install snapshot");
    }
    return { rows: this.#decoder.rows, rowsTotal: header?.rows ?? null };
  }

  /**
   * Puts the new state in place of the old one. It is durable when this returns.
   *
   * @throws {SnapshotError} If the snapshot is not complete.
   * @throws {StateError} `busy` if the old state is open.
   */
  finish(): InstalledState {
    const { applied, rows } = this.#decoder.end();
    try {
      createIndex(this.#connection);
      this.#table.move(applied, rows);
      this.#connection.exec("COMMIT; PRAGMA journal_mode = WAL");
      this.#connection.close();
      this.#isOpen = false;
      this.#files.sync(this.#newPath);
      layToRest(this.#files, this.#path);
      this.#files.rename(this.#newPath, this.#path);
      this.#files.syncFolderOf(this.#path);
    } catch (error) {
      throw stateFailure(error, "Cannot install snapshot");
    }
    return { applied, rows };
  }

  /** Throws away what has not been put in place. */
  abandon(): void {
    if (this.#isOpen) this.#connection.close();
    this.#isOpen = false;
    removeAll(this.#files, this.#newPath);
  }

  #check({ cluster, group }: SnapshotHeader): void {
    this.#isChecked = true;
    if (group !== this.#options.group) {
      const message = `Cannot install snapshot: it is of group ${group}`;
      throw new StateError("foreign", `${message}, not of ${this.#options.group}`);
    }
    if (cluster !== this.#options.cluster && !this.#options.fromAnyCluster) {
      throw new StateError("foreign", "Cannot install snapshot: it is of another cluster");
    }
  }
}

/** Brings an old state into its main file alone. */
function layToRest(files: StateFiles, path: string): void {
  if (files.has(path)) {
    try {
      const connection = files.connect(path);
      try {
        connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      } finally {
        connection.close();
      }
      // The last connection removes it.
      if (files.has(`${path}-wal`)) {
        throw new StateError("busy", "Cannot install snapshot: the old state is open");
      }
    } catch (error) {
      const failure = stateFailure(error, "Cannot install snapshot");
      const isBeyondUse = failure instanceof StateError &&
        (failure.kind === "foreign" || failure.kind === "damaged");
      if (!isBeyondUse) throw failure;
    }
  }
  files.remove(`${path}-wal`);
  files.remove(`${path}-shm`);
  files.syncFolderOf(path);
}

/** Removes a database with the files beside it. */
function removeAll(files: StateFiles, path: string): void {
  for (const suffix of ["-journal", "-wal", "-shm", ""]) files.remove(`${path}${suffix}`);
}
