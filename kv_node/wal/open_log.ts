/**
 * Opens the log in a folder, or makes one.
 *
 * @module
 */
import type { Disk } from "../ports.ts";
import { type LogSettings, SegmentLog } from "./log.ts";
import { readLog, type RecoveredLog, type ReplayListener } from "./recovery.ts";
import {
  checkIdentity,
  type LogIdentity,
  type SegmentHeader,
  segmentName,
  sequencesOf,
} from "./segment.ts";
import {
  makeSegment,
  removeIfThere,
  RESERVE_NAME,
  type SpareOptions,
  SpareSegments,
  UNFINISHED_NAME,
} from "./spare_segments.ts";
import { mendTail } from "./tail.ts";
import { TailWriter } from "./tail_writer.ts";

/** How a log is opened. */
export interface LogOptions extends LogIdentity, ReplayListener, Omit<LogSettings, "segmentBytes"> {
  /** Length of a new segment, 64 MiB by default; from 1 KiB to 1 GiB, a multiple of 8. */
  readonly segmentBytes?: number;
  /** Whether one segment's length is kept for a full disk; `true` by default. */
  readonly isReserved?: boolean;
  /** How long a new segment is not tried again after the disk was full; 2 s by default. */
  readonly retryMs?: number;
}

/** A log, and what was found. */
export interface OpenedLog {
  /** The log. */
  readonly log: SegmentLog;
  /** Whether it was made now: there was no segment in the folder. */
  readonly isNew: boolean;
  /** Records that were read. */
  readonly records: number;
  /** Sequence of the oldest segment. */
  readonly firstSequence: number;
  /** Where the end of the log was torn off and has been mended, or `null`. */
  readonly torn: { readonly file: string; readonly offset: number } | null;
}

const SEGMENT_BYTES = 64 << 20;
const SEGMENT_BYTES_MIN = 1 << 10;
const SEGMENT_BYTES_MAX = 1 << 30;
const RETRY_MS = 2_000;

/**
 * Opens the log in a folder of its own, and hands out each record of it in order.
 *
 * All records that were handed out are on disk when this settles, acknowledged
 * before or not. Until then nothing may be done on their account.
 *
 * @throws {LogCorruptError} If the log is damaged or not this node's; nothing was changed.
 * @throws {DiskError} If the disk failed.
 * @throws {RangeError} If an option is out of range.
 */
export async function openLog(disk: Disk, options: LogOptions): Promise<OpenedLog> {
  const { clusterId, nodeId, segmentBytes = SEGMENT_BYTES, isReserved = true } = options;
  const identity: LogIdentity = { clusterId, nodeId };
  checkIdentity(identity);
  checkSize(segmentBytes);
  const isNew = sequencesOf(disk.list()).length === 0;
  if (isNew) await makeSegment(disk, 1, { identity, segmentBytes }, () => false);
  const found = await readLog(disk, identity, options);
  const tail = found.segments.at(-1);
  const first = found.segments[0];
  if (tail === undefined || first === undefined) throw new Error("Cannot open the log: no tail");
  await mendSeal(disk, found);
  removeIfThere(disk, UNFINISHED_NAME);
  const spares = await keepSpares(disk, found.spares, segmentBytes);
  const file = disk.open(segmentName(tail.sequence), "write");
  let isTorn = false;
  try {
    isTorn = await mendTail(file, { ...found, sizeBytes: tail.sizeBytes });
  } catch (error) {
    file.close();
    throw error;
  }
  // What a killed process renamed last may not be on disk yet, and is going to be written on.
  await disk.sync();
  const log = assemble(disk, { ...options, segmentBytes }, found, {
    tail: new TailWriter(disk, tail, file, found.tailOffset),
    spares: new SpareSegments(disk, spareOptions(identity, segmentBytes, isReserved, options), {
      spares,
      nextSequence: (spares.at(-1) ?? tail.sequence) + 1,
      hasReserve: hasReserve(disk, isReserved, segmentBytes),
    }),
  });
  return {
    log,
    isNew,
    records: found.records,
    firstSequence: first.sequence,
    torn: isTorn ? { file: segmentName(tail.sequence), offset: found.tailOffset } : null,
  };
}

/** A tail without records leaves the last batch in the segment before it: see `mendTail`. */
async function mendSeal(disk: Disk, { sealedBatch }: RecoveredLog): Promise<void> {
  if (sealedBatch === null) return;
  const { sequence, start, end } = sealedBatch;
  const file = disk.open(segmentName(sequence), "write");
  try {
    await mendTail(file, {
      ...{ batchOffset: start, tailOffset: end, sizeBytes: end },
      isClean: true,
    });
  } finally {
    file.close();
  }
}

function assemble(
  disk: Disk,
  settings: LogSettings,
  found: RecoveredLog,
  parts: { readonly tail: TailWriter; readonly spares: SpareSegments },
): SegmentLog {
  const { segments, isMarked } = found;
  return new SegmentLog(disk, settings, { ...parts, segments, isMarked });
}

function spareOptions(
  identity: LogIdentity,
  segmentBytes: number,
  isReserved: boolean,
  options: LogOptions,
): SpareOptions {
  const nowMs = () => options.nowMs();
  return { identity, segmentBytes, isReserved, nowMs, retryMs: options.retryMs ?? RETRY_MS };
}

function checkSize(segmentBytes: number): void {
  const isInRange = segmentBytes >= SEGMENT_BYTES_MIN && segmentBytes <= SEGMENT_BYTES_MAX;
  if (!isInRange || segmentBytes % 8 !== 0) {
    const range = `a multiple of 8 from ${SEGMENT_BYTES_MIN} to ${SEGMENT_BYTES_MAX}`;
    throw new RangeError(`Cannot open the log: a segment of ${segmentBytes} bytes is not ${range}`);
  }
}

/**
 * Removes spares whose length is not the one that is wanted now, or that are cut
 * short, newest first so that no crash leaves a gap.
 */
async function keepSpares(
  disk: Disk,
  headers: readonly SegmentHeader[],
  segmentBytes: number,
): Promise<number[]> {
  const isGood = headers.map(({ sequence, sizeBytes }) => {
    const file = disk.open(segmentName(sequence), "read");
    const fileBytes = file.size();
    file.close();
    return sizeBytes === segmentBytes && fileBytes >= sizeBytes;
  });
  const firstBad = isGood.indexOf(false);
  if (firstBad < 0) return headers.map((header) => header.sequence);
  for (const header of headers.slice(firstBad).reverse()) {
    disk.remove(segmentName(header.sequence));
    await disk.sync();
  }
  return headers.slice(0, firstBad).map((header) => header.sequence);
}

function hasReserve(disk: Disk, isReserved: boolean, segmentBytes: number): boolean {
  if (!isReserved) {
    removeIfThere(disk, RESERVE_NAME);
    return false;
  }
  if (!disk.list().includes(RESERVE_NAME)) return false;
  const file = disk.open(RESERVE_NAME, "read");
  try {
    return file.size() === segmentBytes;
  } finally {
    file.close();
  }
}
