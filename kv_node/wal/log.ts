/**
 * The write-ahead log of a node: one for all its groups, so that one sync serves them all.
 *
 * While one sync is under way, what is appended gathers; then all of it is written
 * at once and synced. Nothing settles before its sync has.
 *
 *     append ──▶ queue ──▶ buffer ──▶ write ──▶ sync ──▶ settled, in order
 *                  │          │         │         └─ failed: nobody knows what is on
 *                  │          │         │            disk. Nothing settles any more
 *                  │          │         └─ failed, no room: zeros over it, synced;
 *                  │          │            `disk_full`. Failed otherwise: as a sync
 *                  │          └─ segment full: seal, sync, next spare
 *                  └─ no spare: make one now; no room: `disk_full`, nothing written
 *
 * With an append that finds no room, all that wait behind it are refused too, in
 * the same turn: entries behind a missing one must not get into the log.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { type Disk, DiskError, type Log, type LogRecord } from "../ports.ts";
import { AppendQueue, type WaitingAppend } from "./append_queue.ts";
import { BATCH_BYTES } from "./batch.ts";
import { EMPTY_RECORD_BYTES, recordBytes } from "./record.ts";
import type { UsedSegment } from "./recovery.ts";
import { HEADER_BYTES, segmentName } from "./segment.ts";
import { removeIfThere, type SpareSegments } from "./spare_segments.ts";
import { hasRoom, TailWriteError, type TailWriter } from "./tail_writer.ts";

/** One batch that was brought to disk. */
export interface SyncReport {
  /** Records in it. */
  readonly records: number;
  /** Its length in bytes. */
  readonly bytes: number;
  /** How long the write and the sync took. */
  readonly seconds: number;
}

/** What a log works with. */
export interface LogSettings {
  /** Length of a new segment. */
  readonly segmentBytes: number;
  /** Bytes that may wait for the disk. */
  readonly queueBytesMax: number;
  /** A monotonic clock, in milliseconds. */
  nowMs(): number;
  /**
   * Called once, when nobody knows any more what is on disk. Every append fails
   * from then on; the process should end, and read the log afresh.
   */
  onFatal(error: Error): void;
  /** Called after every batch. */
  onSync?(report: SyncReport): void;
}

/** How much a log holds. */
export interface LogSize {
  /** Segments, spares included. */
  readonly segments: number;
  /** Bytes from the oldest record to the newest. */
  readonly bytes: number;
  /** Bytes of appends that have not settled. */
  readonly waitingBytes: number;
  /** Whether the last attempt to make a segment failed for want of space. */
  readonly isFull: boolean;
}

/** A log in segments. Made by `openLog`. */
export class SegmentLog implements Log {
  readonly #disk: Disk;
  readonly #settings: LogSettings;
  readonly #segments: UsedSegment[];
  readonly #tail: TailWriter;
  readonly #spares: SpareSegments;
  readonly #queue: AppendQueue;
  /** Appends whose records are written, or about to be, and not synced; the last may be half. */
  #taken: WaitingAppend[] = [];
  /** Whether a part of the last one taken is on disk, in an earlier segment. */
  #isSplit = false;
  #isMarked: boolean;
  #writing: Promise<void> | null = null;
  #cutting: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #fatal: KvError | null = null;

  /** Takes over what was found; the last of `segments` is that of the tail. */
  constructor(
    disk: Disk,
    settings: LogSettings,
    parts: {
      readonly segments: readonly UsedSegment[];
      readonly tail: TailWriter;
      readonly spares: SpareSegments;
      readonly isMarked: boolean;
    },
  ) {
    this.#disk = disk;
    this.#settings = settings;
    this.#segments = [...parts.segments];
    this.#tail = parts.tail;
    this.#spares = parts.spares;
    this.#isMarked = parts.isMarked;
    this.#queue = new AppendQueue({
      queueBytesMax: settings.queueBytesMax,
      recordBytesMax: settings.segmentBytes - HEADER_BYTES - EMPTY_RECORD_BYTES,
    });
    this.#spares.refill();
  }

  /** How much there is. */
  size(): LogSize {
    let bytes = this.#tail.offset;
    for (const segment of this.#segments) {
      if (segment !== this.#tail.segment) bytes += segment.sizeBytes;
    }
    return {
      segments: this.#segments.length + this.#spares.count,
      bytes,
      waitingBytes: this.#queue.sizeBytes,
      isFull: this.#spares.isFull,
    };
  }

  /**
   * Adds records behind all that were added before; settles when they are on disk.
   * Their payloads must not be touched until then.
   *
   * @throws {KvError} `disk_full` if there is no room, `overloaded` if too much waits,
   * `too_large` for what no segment holds, `stopping` after `close` or a failed sync.
   * @throws {RangeError} If a number of a record cannot be stored.
   */
  async append(records: readonly LogRecord[]): Promise<void> {
    if (this.#fatal !== null) throw this.#fatal;
    if (this.#closing !== null) throw new KvError("stopping", "Cannot write: the log is closed");
    const settled = this.#queue.add(records);
    this.#writing ??= this.#writeAll();
    await settled;
  }

  /**
   * Removes leading segments in which no group has a record above its index here.
   *
   * @throws {DiskError} If one could not be removed; those before it are.
   */
  cut(needed: ReadonlyMap<number, number>): Promise<void> {
    const cut = this.#cutting.then(() => this.#cut(needed));
    this.#cutting = cut.catch(() => {});
    return cut;
  }

  /** Waits for what was added, then closes the files. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #writeAll(): Promise<void> {
    // What others append in this turn comes along.
    await undefined;
    while (this.#queue.first !== undefined && this.#fatal === null) {
      try {
        await this.#writeBatch();
      } catch (error) {
        await this.#retreat(error);
      }
    }
    this.#writing = null;
  }

  async #writeBatch(): Promise<void> {
    let gatheredBytes = 0;
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      const spares = this.#sparesFor(next);
      if (spares > this.#spares.count) {
        // What there is room for is not kept waiting.
        if (this.#taken.length > 0) break;
        if (!await this.#spares.ensure(spares, next.isUrgent)) return this.#refuse(next);
      }
      this.#queue.take();
      this.#taken.push(next);
      await this.#add(next);
      gatheredBytes += next.sizeBytes;
      if (gatheredBytes >= BATCH_BYTES) break;
    }
    await this.#commit();
    for (const append of this.#taken.splice(0)) this.#queue.resolve(append);
    this.#isSplit = false;
    this.#spares.refill();
  }

  async #add(append: WaitingAppend): Promise<void> {
    for (const record of append.records) {
      if (!this.#tail.hasRoom(recordBytes(record.payload.length))) {
        await this.#advance(append);
        this.#isSplit = record !== append.records[0];
      }
      this.#tail.add(record);
    }
  }

  /** Ends the segment, with all that is in it on disk, and goes on in the next. */
  async #advance(begun: WaitingAppend): Promise<void> {
    this.#tail.addOwn("seal");
    await this.#commit();
    for (const append of this.#taken.splice(0)) {
      if (append !== begun) this.#queue.resolve(append);
    }
    this.#taken.push(begun);
    const sequence = this.#spares.take();
    if (sequence === undefined) throw new Error("Cannot write: a spare segment has vanished");
    const { segmentBytes } = this.#settings;
    const segment = { sequence, sizeBytes: segmentBytes, indexes: new Map<number, number>() };
    this.#tail.advance(segment);
    this.#segments.push(segment);
  }

  async #commit(): Promise<void> {
    const { records, batchBytes: bytes } = this.#tail;
    if (bytes === 0) return;
    this.#isMarked = false;
    const startMs = this.#settings.nowMs();
    this.#tail.write();
    await this.#tail.sync();
    const seconds = (this.#settings.nowMs() - startMs) / 1000;
    this.#settings.onSync?.({ records, bytes, seconds });
  }

  /** How many spares must be there before anything of an append is written. */
  #sparesFor(append: WaitingAppend): number {
    const { segmentBytes } = this.#settings;
    let { offset } = this.#tail;
    let { sizeBytes } = this.#tail.segment;
    let spares = 0;
    if (!hasRoom(offset, append.sizeBytes, sizeBytes)) {
      for (const record of append.records) {
        const size = recordBytes(record.payload.length);
        if (!hasRoom(offset, size, sizeBytes)) {
          spares++;
          offset = HEADER_BYTES;
          sizeBytes = segmentBytes;
        }
        offset += size;
      }
    } else {
      offset += append.sizeBytes;
    }
    // Entries leave room at the end of the last segment for what steps down.
    const isRoomLeft = append.isUrgent || hasRoom(offset, stepDownBytes(sizeBytes), sizeBytes);
    return isRoomLeft ? spares : spares + 1;
  }

  /** No room for an append: it fails, and with it all entries that wait behind it. */
  #refuse(first: WaitingAppend): void {
    const error = new KvError("disk_full", "Cannot write: the disk has no room for the log");
    this.#queue.rejectWaiting(error, (append) => append === first || !append.isUrgent);
  }

  /** After a failure in the middle of a batch. */
  async #retreat(error: unknown): Promise<void> {
    const isFull = error instanceof TailWriteError && error.cause instanceof DiskError &&
      error.cause.kind === "full";
    if (!isFull || this.#isSplit) return this.#fail(error);
    try {
      await this.#tail.undo();
    } catch (undoError) {
      return this.#fail(undoError);
    }
    const refusal = new KvError("disk_full", "Cannot write: the disk has no room for the log");
    for (const append of this.#taken.splice(0)) this.#queue.reject(append, refusal);
    this.#queue.rejectWaiting(refusal, (append) => !append.isUrgent);
  }

  #fail(error: unknown): void {
    if (this.#fatal !== null) return;
    const message = "Cannot write: the log failed, and the node has to be started again";
    this.#fatal = new KvError("stopping", message, { cause: error });
    for (const append of this.#taken.splice(0)) this.#queue.reject(append, this.#fatal);
    this.#queue.rejectWaiting(this.#fatal, () => true);
    const cause = error instanceof TailWriteError ? error.cause : error;
    this.#settings.onFatal(cause instanceof Error ? cause : new Error(String(cause)));
  }

  async #cut(needed: ReadonlyMap<number, number>): Promise<void> {
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      if (this.#fatal !== null) throw this.#fatal;
      if (first === this.#tail.segment || !isCovered(first, needed)) return;
      removeIfThere(this.#disk, segmentName(first.sequence));
      this.#segments.shift();
      try {
        // One by one: a crash may undo any removals that were not synced, and the
        // log must not get a gap.
        await this.#disk.sync();
      } catch (error) {
        this.#fail(error);
        throw error;
      }
      this.#spares.retry();
    }
  }

  async #close(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    await this.#cutting;
    await this.#spares.stop();
    try {
      await this.#mark();
    } finally {
      this.#tail.close();
    }
  }

  /** Says that all before it was on disk; see `recovery.ts`. A help, so a failure does no harm. */
  async #mark(): Promise<void> {
    if (this.#fatal !== null || this.#isMarked || !this.#tail.hasRoom(EMPTY_RECORD_BYTES)) return;
    try {
      this.#tail.addOwn("mark");
      this.#tail.write();
      await this.#tail.sync();
    } catch (error) {
      if (!(error instanceof DiskError) && !(error instanceof TailWriteError)) throw error;
    }
  }
}

function isCovered(segment: UsedSegment, needed: ReadonlyMap<number, number>): boolean {
  for (const [group, index] of segment.indexes) {
    const known = needed.get(group);
    if (known === undefined || known < index) return false;
  }
  return true;
}

function stepDownBytes(segmentBytes: number): number {
  return Math.min(4096, segmentBytes >> 3);
}
