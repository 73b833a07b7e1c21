/**
 * Goes through the log of a node that does not run, and finds what of it a node
 * could apply: entries that can be read and follow on without a gap.
 *
 * @module
 */
import { join } from "node:path";
import { createProgress } from "../../src/cli/progress.ts";
import { openFolder } from "../disk/folder.ts";
import type { LogRecord } from "../ports.ts";
import { decodeCommand, isNoop } from "../txn/command_codec.ts";
import type { SegmentHeader } from "../wal/segment.ts";
import { type LogExtent, type LogProblem, walkLog } from "../wal/walk.ts";

/** Entries that are not there. */
export interface EntryGap {
  /** First index that is missing. */
  readonly fromIndex: number;
  /** Last index that is missing. */
  readonly toIndex: number;
}

/** What a log holds of one group. */
export interface GroupEntries {
  /** Entries that can be read. */
  count: number;
  /** Index of the first of them; `null` if there is none. */
  firstIndex: number | null;
  /** Index of the last of them. */
  lastIndex: number | null;
  /** Where entries are missing between others. */
  readonly gaps: EntryGap[];
}

/** Told of what is found. */
export interface EntryVisitor {
  /** The next entry of a group that follows on, or begins the log. */
  entry?(record: LogRecord): void;
  /** A damaged place. */
  problem(problem: LogProblem): void;
  /** The header of a segment. */
  header?(header: SegmentHeader): void;
}

const PER_STEP = 1_000;

/**
 * Reads the log below a data directory, and does not stop at damage. Changes nothing.
 *
 * @throws {DiskError} If the folder cannot be read.
 */
export async function readEntries(
  folder: string,
  visitor: EntryVisitor,
): Promise<{ readonly extent: LogExtent; readonly groups: ReadonlyMap<number, GroupEntries> }> {
  const groups = new Map<number, GroupEntries>();
  const progress = createProgress("reading the log", PER_STEP);
  let told = 0;
  try {
    const extent = await walkLog(openFolder(join(folder, "wal")), {
      record: (record) => take(record, groups, visitor),
      problem: (problem) => visitor.problem({ ...problem, file: join("wal", problem.file) }),
      header: (header) => visitor.header?.(header),
      onProgress: (doneBytes, totalBytes) => {
        const done = totalBytes === 0 ? PER_STEP : Math.floor(PER_STEP * doneBytes / totalBytes);
        progress.step(done - told);
        told = done;
      },
    });
    return { extent, groups };
  } finally {
    progress.end();
  }
}

function take(
  record: LogRecord,
  groups: Map<number, GroupEntries>,
  visitor: EntryVisitor,
): void {
  if (record.type !== "entry") return;
  const { group, index } = record;
  const entries = groups.get(group) ?? { count: 0, firstIndex: null, lastIndex: null, gaps: [] };
  groups.set(group, entries);
  if (!isReadable(record.payload)) {
    const reason = `entry ${index} of group ${group} has a good checksum and no meaning`;
    return visitor.problem({ file: "wal", offset: 0, reason });
  }
  if (entries.lastIndex !== null && index > entries.lastIndex + 1) {
    entries.gaps.push({ fromIndex: entries.lastIndex + 1, toIndex: index - 1 });
  }
  entries.count++;
  entries.firstIndex ??= index;
  entries.lastIndex = index;
  visitor.entry?.(record);
}

function isReadable(payload: Uint8Array): boolean {
  try {
    if (!isNoop(payload)) decodeCommand(payload);
    return true;
  } catch {
    return false;
  }
}
