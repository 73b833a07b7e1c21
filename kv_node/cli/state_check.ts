/**
 * Reads the state of a group from end to end: pages and indexes as SQLite checks
 * them, the checksum of every row, and every row for what no node would have written.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { createProgress } from "../../src/cli/progress.ts";
import { META_GROUP } from "../assembly/storage.ts";
import { compareStamps } from "../clock/stamps.ts";
import { partsOfSpace } from "../keyspace/spaces.ts";
import { readMeta, type StateMeta } from "../store/state_file.ts";
import { problemsOf } from "../store/state_report.ts";
import { StateError, stateFailure } from "../store/state_error.ts";
import { ENCODING_LE64, type Row, STAMP_BYTES } from "../types.ts";

/** A state that was read. */
export interface StateFindings {
  /** What the file says of itself; `null` if it does not open. */
  readonly meta: StateMeta | null;
  /** What is wrong with it, in words. */
  readonly problems: readonly string[];
}

const LE64_BYTES = 8;

/** Reads a state; the file is not changed, nor the ones beside it. */
export function checkState(path: string, group: number): StateFindings {
  let connection: DatabaseSync | null = null;
  let meta: StateMeta | null = null;
  try {
    connection = new DatabaseSync(path, { readOnly: true });
    meta = readMeta(connection, path);
    if (meta === null) return { meta, problems: ["it is empty"] };
    const problems = [...checkRows(connection, path, meta)];
    if (meta.group !== group) problems.push(`it is of group ${meta.group}`);
    return { meta, problems };
  } catch (error) {
    const failure = stateFailure(error, `Cannot read ${path}`);
    if (failure instanceof StateError) return { meta, problems: [failure.message] };
    throw failure;
  } finally {
    connection?.close();
  }
}

function checkRows(connection: DatabaseSync, path: string, meta: StateMeta): readonly string[] {
  const progress = createProgress(`reading group ${meta.group}`, meta.rows);
  try {
    return problemsOf(connection, path, (row) => {
      progress.step(1);
      return rowFault(row, meta);
    }).problems;
  } finally {
    progress.end();
  }
}

/** What no node would have written in a row; `null` if it may be right. */
export function rowFault(row: Row, { group, applied }: StateMeta): string | null {
  const { key, stamp, encoding, data } = row;
  try {
    partsOfSpace(key);
  } catch {
    return "its key is in no space that there is";
  }
  if (stamp.length !== STAMP_BYTES) return "its versionstamp has not 10 bytes";
  if (applied.stamp === null || compareStamps(stamp, applied.stamp) > 0) {
    return "its versionstamp is above the last one that was given";
  }
  if (![1, 2, 3].includes(encoding)) return "its value has no known encoding";
  if (encoding === ENCODING_LE64 && data.length !== LE64_BYTES) {
    return "its value is said to be a 64-bit number, and is none";
  }
  return group === META_GROUP && !isJson(data) ? "its value cannot be read" : null;
}

function isJson(data: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
    return true;
  } catch {
    return false;
  }
}
