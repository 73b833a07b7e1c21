/**
 * What goes wrong with a state file, told apart from what goes wrong with its disk.
 *
 * `node:sqlite` in Deno gives every failure the same code and says the rest in
 * the message, in SQLite's own fixed English words (sqlite3ErrStr in main.c), so
 * that is what the failures are told apart by.
 *
 * @module
 */
import { DiskError, type DiskFailure } from "../ports.ts";

/** Why a state cannot be used. */
export type StateFailure =
  | "missing" // there is no such file
  | "foreign" // not a state at all, or one of another cluster or group
  | "format" // written by a newer version
  | "damaged" // its file is not as it was written
  | "busy" // another process has it
  | "worker" // the worker that was to do it ended
  | "closed";

/** A state that cannot be used, or not any more. */
export class StateError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "StateError";
  /** Why. */
  readonly kind: StateFailure;

  /** Says what could not be done; `message` never holds a key or a value. */
  constructor(kind: StateFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** SQLite's words for failures of the disk. */
const DISK_FAILURES: ReadonlyArray<readonly [string, DiskFailure, string]> = [
  ["database or disk is full", "full", "the disk is full"],
  ["disk I/O error", "io", "the disk failed"],
  ["attempt to write a readonly database", "denied", "the file may not be written"],
  ["unable to open database file", "denied", "the file may not be opened"],
];

/** SQLite's words for failures of the file. */
const FILE_FAILURES: ReadonlyArray<readonly [string, StateFailure, string]> = [
  ["file is not a database", "foreign", "it is not a database"],
  ["database disk image is malformed", "damaged", "its pages are in disorder"],
  ["database is locked", "busy", "another process is using it"],
];

/**
 * Gives a failure of SQLite its name: {@linkcode DiskError} or {@linkcode StateError}.
 *
 * @param action What could not be done: "Cannot write state".
 * @returns The error itself where it is none of SQLite's.
 */
export function stateFailure(error: unknown, action: string): unknown {
  if (!(error instanceof Error)) return error;
  if (isOutOfRange(error)) {
    const why = "a number in it is longer than any that was written";
    return new StateError("damaged", `${action}: ${why}`, { cause: error });
  }
  if (!isSqlite(error)) return error;
  for (const [words, kind, why] of DISK_FAILURES) {
    if (error.message.includes(words)) {
      return new DiskError(kind, `${action}: ${why}`, { cause: error });
    }
  }
  for (const [words, kind, why] of FILE_FAILURES) {
    if (error.message.includes(words)) {
      return new StateError(kind, `${action}: ${why}`, { cause: error });
    }
  }
  return error;
}

/** Whether a failure came out of SQLite. */
function isSqlite(error: Error): boolean {
  return "code" in error && error.code === "ERR_SQLITE_ERROR";
}

/** Whether `node:sqlite` read an integer that JavaScript has no number for. */
function isOutOfRange(error: Error): boolean {
  return "code" in error && error.code === "ERR_OUT_OF_RANGE";
}
