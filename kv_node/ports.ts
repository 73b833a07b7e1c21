/**
 * What a node needs of the outside world: a folder, a log, a place for its state.
 *
 * The shells implement them with Deno and SQLite, the simulation with a disk
 * that loses what was not synced.
 *
 * @module
 */
import type { LogPosition, ReadRange, Row } from "./types.ts";

/** How a disk failed. */
export type DiskFailure = "full" | "io" | "missing" | "exists" | "denied";

/** A disk that did not do what it was told. */
export class DiskError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "DiskError";
  /** How it failed. */
  readonly kind: DiskFailure;

  /** Says what could not be done. */
  constructor(kind: DiskFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** An open file. Reads and writes go to the page cache; only `sync` makes them last. */
export interface DiskFile {
  /** Its length in bytes. */
  size(): number;
  /** Reads from `offset` into `bytes`; returns how many there were, fewer only at the end. */
  read(offset: number, bytes: Uint8Array): number;
  /**
   * Writes all of `bytes` at `offset`.
   *
   * @throws {DiskError} If not all could be written; what is there then is unknown.
   */
  write(offset: number, bytes: Uint8Array): void;
  /** Cuts or extends it. */
  truncate(sizeBytes: number): void;
  /**
   * Settles when its content, and the length to find it, are on the disk (`fdatasync`).
   *
   * @throws {DiskError} If that failed: what of the content is on disk is unknown, for good.
   */
  sync(): Promise<void>;
  /** Closes it, without syncing. */
  close(): void;
}

/** One flat folder. Every method throws a `DiskError` if it fails. */
export interface Disk {
  /** Names of the files in it, sorted. */
  list(): readonly string[];
  /** Opens a file; `create` makes a new one and fails where there is one. */
  open(name: string, mode: "read" | "write" | "create"): DiskFile;
  /** Renames, replacing what has the new name. */
  rename(from: string, to: string): void;
  /** Removes a file. */
  remove(name: string): void;
  /** Settles when what was created, renamed and removed will be found so after a power cut. */
  sync(): Promise<void>;
}

/** What a record of the log is about. */
export type RecordType = "entry" | "vote" | "truncate" | "snapshot" | "config";

/** One record of the log. */
export interface LogRecord extends LogPosition {
  /** What it is about. */
  readonly type: RecordType;
  /** The replication group it belongs to. */
  readonly group: number;
  /** What it says; the bytes belong to whoever gets the record. */
  readonly payload: Uint8Array;
}

/** A log that several groups share. */
export interface Log {
  /**
   * Adds records, in this order, behind all that were added before. Settles when
   * they are on disk; records added meanwhile go into the next group.
   *
   * @throws {KvError} `disk_full` if there is no room (nothing of them is in the log then),
   * `stopping` after `close`.
   */
  append(records: readonly LogRecord[]): Promise<void>;
  /**
   * Forgets what is no longer needed: segments in which no group has a record
   * above its index here. A group that is not named needs all it has.
   */
  cut(needed: ReadonlyMap<number, number>): Promise<void>;
  /** Waits for what was added, then closes its files. */
  close(): Promise<void>;
}

/** How far the log is in a state. */
export interface AppliedPosition extends LogPosition {
  /**
   * The last versionstamp that was given up to there, 10 bytes; `null` before the first.
   * Kept with the rows: after a restart with an empty log and a clock that went back,
   * nothing else would keep stamps rising.
   */
  readonly stamp: Uint8Array | null;
}

/** The applied state of one group: an ordered map of rows, and how far the log is in it. */
export interface State {
  /** The last entry in it. */
  readonly applied: AppliedPosition;
  /** The row under a key, expired or not. */
  get(key: Uint8Array): Row | null;
  /** Rows of a range in key order (or reversed), expired ones left out (`nowMs`). */
  scan(range: ReadRange, nowMs: number): readonly Row[];
  /** Complete keys of rows that expired by then, earliest first. */
  expired(nowMs: number, limit: number): readonly Uint8Array[];
  /**
   * Changes it: all that `run` writes, and the new position with its stamp, or nothing if
   * it throws.
   * Reads inside `run` see what was written before.
   *
   * @throws {DiskError} `full` where there is no room; nothing has changed then.
   */
  transact(position: AppliedPosition, run: (writer: StateWriter) => void): void;
  /**
   * Makes what was applied last. Settles with a position that will survive a power cut;
   * it may lie behind `applied`.
   */
  checkpoint(): Promise<LogPosition>;
  /** How much there is. */
  size(): StateSize;
  /** Closes it; what was not checkpointed may be lost, and is in the log. */
  close(): Promise<void>;
}

/** What changes a state. */
export interface StateWriter {
  /** The row under a key as it is now, expired or not. */
  get(key: Uint8Array): Row | null;
  /** Writes a row in place of an earlier one. */
  put(row: Row): void;
  /** Deletes a row, if it is there. */
  remove(key: Uint8Array): void;
}

/** How much a state holds. */
export interface StateSize {
  /** Rows. */
  readonly rows: number;
  /** Bytes on disk, its own log included. */
  readonly bytes: number;
}
