/**
 * Opening a log: what is in it, where it ends, and whether that end is one.
 *
 * Segments are in use one after the other. A segment gets its seal with the last
 * batch in it, and that is on disk before anything is written into the next one;
 * a spare is on disk, under its name, before the segment in front of it is
 * sealed. So, after any crash, in order of sequence: sealed segments, one that is
 * not sealed (the tail), spares of nothing but zeros; and no header is bad.
 *
 * In the tail the records end at the first bad one. A power cut may have kept any
 * sectors of the last batch and lost the others, so valid records of that same
 * batch may follow, and are nothing: none of that batch was acknowledged. But a
 * valid record whose batch began *behind* the bad one was written when the bad
 * one had been synced: then it is damaged, not torn. The same holds if anything
 * at all stands in a later segment. A bad record in the last batch of all cannot
 * be told from a torn one, unless the log was closed properly, which leaves a
 * mark in a batch of its own.
 *
 * Sources: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based
 * Storage", FAST 2018, on telling crashes from corruption; Rebello et al., "Can
 * Applications Recover from fsync Failures?", ATC 2020, on what was read back
 * after a failed sync.
 *
 * @module
 */
import type { Disk, LogRecord } from "../ports.ts";
import { Progress, type ProgressListener } from "./progress.ts";
import type { StoredRecord } from "./record.ts";
import { SegmentScanner } from "./scan.ts";
import {
  checkOwner,
  damage,
  HEADER_BYTES,
  type LogCorruptError,
  type LogIdentity,
  readHeader,
  type SegmentHeader,
  segmentName,
  sequencesOf,
} from "./segment.ts";

/** What whoever opens a log wants to hear. */
export interface ReplayListener extends ProgressListener {
  /** Called with each record, in order. */
  onRecord?(record: LogRecord): void;
}

/** A segment that holds records. */
export interface UsedSegment {
  /** Its place in the log. */
  readonly sequence: number;
  /** Its length in bytes. */
  readonly sizeBytes: number;
  /** For each group in it, its greatest index here. */
  readonly indexes: Map<number, number>;
}

/** A batch with which a segment ends. */
export interface SealedBatch {
  /** The segment. */
  readonly sequence: number;
  /** Where it begins. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
}

/** A log that was read to its end. */
export interface RecoveredLog {
  /** Segments with records, oldest first; the last is the tail. */
  readonly segments: readonly UsedSegment[];
  /** Spares behind the tail, whatever their length. */
  readonly spares: readonly SegmentHeader[];
  /** The last batch of the segment in front of a tail without records, or `null`. */
  readonly sealedBatch: SealedBatch | null;
  /** Where the next record goes in the tail. */
  readonly tailOffset: number;
  /** Where the last batch in the tail begins, if there is one. */
  readonly batchOffset: number;
  /** Whether there is nothing but zeros behind the last record. */
  readonly isClean: boolean;
  /** Whether the last record is the mark of a proper close. */
  readonly isMarked: boolean;
  /** Records read. */
  readonly records: number;
}

/** Where a segment's records end. */
interface SegmentEnd {
  readonly isSealed: boolean;
  readonly isMarked: boolean;
}

/**
 * Reads a log with at least one segment; changes nothing.
 *
 * @throws {LogCorruptError} If no crash can have left it like this.
 * @throws {DiskError} If it cannot be read.
 */
export async function readLog(
  disk: Disk,
  owner: LogIdentity,
  listener: ReplayListener,
): Promise<RecoveredLog> {
  const sequences = sequencesOf(disk.list());
  const gap = gapIn(sequences);
  if (gap !== null) throw gap;
  const progress = new Progress(disk, sequences, listener);
  const segments: UsedSegment[] = [];
  let records = 0;
  let sealed: SealedBatch | null = null;
  for (const [at, sequence] of sequences.entries()) {
    using opened = openSegment(disk, sequence, owner);
    const { scanner, header } = opened;
    progress.enter(sequence);
    const indexes = new Map<number, number>();
    segments.push({ sequence, sizeBytes: header.sizeBytes, indexes });
    const end = await scanRecords(scanner, progress, (record) => {
      records++;
      const known = indexes.get(record.group);
      if (known === undefined || known < record.index) indexes.set(record.group, record.index);
      listener.onRecord?.(record);
    });
    if (end.isSealed) {
      sealed = { sequence, start: scanner.batch, end: scanner.offset };
      continue;
    }
    const reason = damageAt(disk, scanner, sequences.slice(at + 1));
    if (reason !== null) throw damage(segmentName(sequence), scanner.offset, reason);
    const spares = sequences.slice(at + 1).map((spare) => {
      using other = openSegment(disk, spare, owner);
      return other.header;
    });
    await progress.end();
    const { batch: batchOffset, offset: tailOffset } = scanner;
    const sealedBatch = tailOffset === HEADER_BYTES ? sealed : null;
    return {
      ...{ segments, spares, sealedBatch, tailOffset, batchOffset, records },
      isClean: scanner.findData(tailOffset) === null,
      isMarked: end.isMarked,
    };
  }
  throw missingAfter(sequences);
}

/** The error for a log whose last segment says that there is another one. */
export function missingAfter(sequences: readonly number[]): LogCorruptError {
  const last = sequences.at(-1) ?? 0;
  const reason = `the segment is missing: ${segmentName(last)} says that it has a successor`;
  return damage(segmentName(last + 1), 0, reason);
}

/**
 * What proves that the segment's records cannot end where the scanner stands.
 *
 * @param later Sequences of the segments behind the scanner's.
 * @returns `null` if they may: the rest is what a crash leaves.
 */
export function damageAt(
  disk: Disk,
  scanner: SegmentScanner,
  later: readonly number[],
): string | null {
  const end = scanner.offset;
  const proof = scanner.findRecord(end, end);
  if (proof !== null) {
    return `the record is damaged: a later one, at byte ${proof}, was written when it was on disk`;
  }
  for (const other of later) {
    const file = disk.open(segmentName(other), "read");
    try {
      if (new SegmentScanner(file, other, file.size()).findData(HEADER_BYTES) === null) continue;
    } finally {
      file.close();
    }
    const name = segmentName(other);
    return `the segment has no proper end from here on, although ${name} holds records`;
  }
  return null;
}

/** A segment, opened for reading. */
interface OpenedSegment extends Disposable {
  /** Its header. */
  readonly header: SegmentHeader;
  /** Stands at its first record. */
  readonly scanner: SegmentScanner;
}

function openSegment(disk: Disk, sequence: number, owner: LogIdentity): OpenedSegment {
  const file = disk.open(segmentName(sequence), "read");
  try {
    const header = readHeader(file, sequence);
    checkOwner(header, owner);
    const scanner = new SegmentScanner(file, sequence, header.sizeBytes);
    return { header, scanner, [Symbol.dispose]: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}

async function scanRecords(
  scanner: SegmentScanner,
  progress: Progress,
  onRecord: (record: LogRecord) => void,
): Promise<SegmentEnd> {
  let isMarked = false;
  for (let record = scanner.next(); record !== null; record = scanner.next()) {
    isMarked = record.type === "mark";
    if (record.type === "seal") return { isSealed: true, isMarked };
    if (isAppended(record)) onRecord(record);
    if (progress.isDue(scanner.offset)) await progress.tell(scanner.offset);
  }
  return { isSealed: false, isMarked };
}

/** Whether a record is one that was appended, not one of the log's own. */
export function isAppended(record: StoredRecord): record is StoredRecord & LogRecord {
  return record.type !== "seal" && record.type !== "mark";
}

/** The first gap between segments, or `null`. */
export function gapIn(sequences: readonly number[]): LogCorruptError | null {
  for (const [at, sequence] of sequences.entries()) {
    const before = sequences[at - 1];
    if (before === undefined || before + 1 === sequence) continue;
    const reason = `the segment is missing: there are ${segmentName(before)} and ${
      segmentName(sequence)
    }`;
    return damage(segmentName(before + 1), 0, reason);
  }
  return null;
}
