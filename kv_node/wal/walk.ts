/**
 * Goes through a log that may be damaged, to its end, whatever is in the way.
 *
 * Behind a damaged place the next valid record is looked for at every position:
 * its checksum says that it stands where it was written. The end of the log is
 * judged as in `recovery.ts`, so what a crash leaves there is no damage.
 *
 * @module
 */
import { type Disk, DiskError, type DiskFile, type LogRecord } from "../ports.ts";
import { Progress, type ProgressListener } from "./progress.ts";
import { damageAt, gapIn, isAppended, missingAfter } from "./recovery.ts";
import { SegmentScanner } from "./scan.ts";
import {
  damage,
  LogCorruptError,
  type LogIdentity,
  readHeader,
  type SegmentHeader,
  segmentName,
  sequencesOf,
} from "./segment.ts";

/** A place in a log that is not as it was written. */
export interface LogProblem {
  /** The file. */
  readonly file: string;
  /** Where in it, in bytes. */
  readonly offset: number;
  /** What is wrong there. */
  readonly reason: string;
}

/** What is found on the way. */
export interface LogVisitor extends ProgressListener {
  /** A valid record; waited for if it says so. */
  record(record: LogRecord): void | Promise<void>;
  /** A damaged place; the records on both sides of it are visited. */
  problem(problem: LogProblem): void;
  /** The header of a segment that has a good one. */
  header?(header: SegmentHeader): void;
}

/** What there was. */
export interface LogExtent {
  /** Segments, spares included. */
  readonly segments: number;
  /** Bytes of the files. */
  readonly bytes: number;
  /** Sequence of the oldest segment, or `null` if there is none. */
  readonly firstSequence: number | null;
  /** Sequence of the newest. */
  readonly lastSequence: number | null;
  /** Where a crash tore off the end, which opening the log mends; or `null`. */
  readonly torn: LogProblem | null;
}

/**
 * Visits every record and every damaged place, in order. Changes nothing.
 *
 * @throws {DiskError} If the folder cannot be read; a file that cannot be is a problem.
 */
export async function walkLog(disk: Disk, visitor: LogVisitor): Promise<LogExtent> {
  const sequences = sequencesOf(disk.list());
  const progress = new Progress(disk, sequences, visitor);
  let torn: LogProblem | null = null;
  let isEnded = false;
  for (const [at, sequence] of sequences.entries()) {
    const gap = gapIn(sequences.slice(Math.max(at - 1, 0), at + 1));
    if (gap !== null) tell(visitor, gap);
    progress.enter(sequence);
    const later = sequences.slice(at + 1);
    const file = disk.open(segmentName(sequence), "read");
    try {
      const header = headerOf(file, sequence, visitor);
      const scanner = new SegmentScanner(file, sequence, header?.sizeBytes ?? file.size());
      if (isEnded) continue;
      const end = await visitSegment(disk, sequence, scanner, { visitor, progress, later });
      if (end === "sealed") continue;
      isEnded = true;
      torn = end;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      tell(visitor, damage(segmentName(sequence), 0, "the file cannot be read to its end"));
    } finally {
      file.close();
    }
  }
  if (!isEnded && sequences.length > 0) tell(visitor, missingAfter(sequences));
  await progress.end();
  return {
    segments: sequences.length,
    bytes: progress.totalBytes,
    firstSequence: sequences[0] ?? null,
    lastSequence: sequences.at(-1) ?? null,
    torn,
  };
}

interface Surroundings {
  readonly visitor: LogVisitor;
  readonly progress: Progress;
  readonly later: readonly number[];
}

/** Visits one segment; says whether the log goes on behind it, or where and how it ends. */
async function visitSegment(
  disk: Disk,
  sequence: number,
  scanner: SegmentScanner,
  { visitor, progress, later }: Surroundings,
): Promise<"sealed" | LogProblem | null> {
  const file = segmentName(sequence);
  for (;;) {
    const record = scanner.next();
    if (record === null) {
      const { offset } = scanner;
      const reason = damageAt(disk, scanner, later);
      if (reason === null) return tornAt(file, scanner);
      visitor.problem({ file, offset, reason });
      const next = scanner.findRecord(offset, -1);
      if (next === null) return "sealed";
      scanner.seek(next);
    } else if (record.type === "seal") {
      return "sealed";
    } else if (isAppended(record)) {
      await visitor.record(record);
    }
    if (progress.isDue(scanner.offset)) await progress.tell(scanner.offset);
  }
}

function tornAt(file: string, scanner: SegmentScanner): LogProblem | null {
  const { offset } = scanner;
  if (scanner.findData(offset) === null) return null;
  return { file, offset, reason: "the last write was not finished; opening the log mends it" };
}

function headerOf(file: DiskFile, sequence: number, visitor: LogVisitor): SegmentHeader | null {
  try {
    const header = readHeader(file, sequence);
    visitor.header?.(header);
    return header;
  } catch (error) {
    if (!(error instanceof LogCorruptError)) throw error;
    tell(visitor, error);
    return null;
  }
}

function tell(visitor: LogVisitor, { file, offset, reason }: LogCorruptError): void {
  visitor.problem({ file, offset, reason });
}

/** Whether two headers are of one log. */
export function isSameOwner(one: LogIdentity, other: LogIdentity): boolean {
  return isSameId(one.clusterId, other.clusterId) && isSameId(one.nodeId, other.nodeId);
}

function isSameId(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
