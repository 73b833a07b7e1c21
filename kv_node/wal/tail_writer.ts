/**
 * Writes batches at the end of the log's last segment in use.
 *
 * @module
 */
import type { Disk, DiskFile, LogRecord } from "../ports.ts";
import { BATCH_BYTES, BatchBuffer } from "./batch.ts";
import { EMPTY_RECORD_BYTES, recordBytes, seedOf } from "./record.ts";
import type { UsedSegment } from "./recovery.ts";
import { HEADER_BYTES, segmentName } from "./segment.ts";
import { eraseFrom } from "./zeros.ts";

/** A write failed, so that what stands behind the last batch is unknown. */
export class TailWriteError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "TailWriteError";
}

/** The end of a log. */
export class TailWriter {
  readonly #disk: Disk;
  readonly #buffer = new BatchBuffer();
  #segment: UsedSegment;
  #file: DiskFile;
  #seed: number;
  /** Where the next record goes, and where the batch began that it will be part of. */
  #offset: number;
  #batch: number;
  #records = 0;

  /** Goes on at `offset` of a segment whose content is on disk up to there. */
  constructor(disk: Disk, segment: UsedSegment, file: DiskFile, offset: number) {
    this.#disk = disk;
    this.#segment = segment;
    this.#file = file;
    this.#seed = seedOf(segment.sequence);
    this.#offset = offset;
    this.#batch = offset;
  }

  /** The segment that is written. */
  get segment(): UsedSegment {
    return this.#segment;
  }

  /** Where the next record goes. */
  get offset(): number {
    return this.#offset;
  }

  /** Records since the last sync. */
  get records(): number {
    return this.#records;
  }

  /** Bytes since the last sync. */
  get batchBytes(): number {
    return this.#offset - this.#batch;
  }

  /** Whether the segment has room for so much more, and for its seal. */
  hasRoom(sizeBytes: number): boolean {
    return hasRoom(this.#offset, sizeBytes, this.#segment.sizeBytes);
  }

  /**
   * Adds a record, for which there must be room.
   *
   * @throws {TailWriteError} If a full buffer could not be written.
   */
  add(record: LogRecord): void {
    const size = recordBytes(record.payload.length);
    if (this.#buffer.length > 0 && this.#buffer.length + size > BATCH_BYTES) this.write();
    this.#offset += this.#buffer.add(this.#place(), record);
    this.#records++;
    const { indexes } = this.#segment;
    const known = indexes.get(record.group);
    if (known === undefined || known < record.index) indexes.set(record.group, record.index);
  }

  /** Adds a record of the log's own. */
  addOwn(type: "seal" | "mark"): void {
    this.#offset += this.#buffer.addOwn(this.#place(), type);
  }

  /**
   * Gives what was added to the system.
   *
   * @throws {TailWriteError} If that failed.
   */
  write(): void {
    const { content } = this.#buffer;
    if (content.length === 0) return;
    try {
      this.#file.write(this.#offset - content.length, content);
    } catch (error) {
      throw new TailWriteError("Cannot write the log", { cause: error });
    }
    this.#buffer.clear();
  }

  /**
   * Settles when all that was written is on disk; then a new batch begins.
   *
   * @throws {DiskError} If nobody knows whether it is.
   */
  async sync(): Promise<void> {
    await this.#file.sync();
    this.#batch = this.#offset;
    this.#records = 0;
  }

  /**
   * Takes the batch back: zeros where it was, on disk.
   *
   * @throws {DiskError} If that failed too.
   */
  async undo(): Promise<void> {
    this.#buffer.clear();
    eraseFrom(this.#file, this.#batch, this.#offset);
    await this.#file.sync();
    this.#offset = this.#batch;
    this.#records = 0;
  }

  /** Goes on in another segment, after the seal of this one is on disk. */
  advance(segment: UsedSegment): void {
    const file = this.#disk.open(segmentName(segment.sequence), "write");
    this.#file.close();
    this.#file = file;
    this.#segment = segment;
    this.#seed = seedOf(segment.sequence);
    this.#offset = HEADER_BYTES;
    this.#batch = HEADER_BYTES;
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  #place(): { seed: number; offset: number; batch: number } {
    return { seed: this.#seed, offset: this.#offset, batch: this.#batch };
  }
}

/** Whether a segment of `segmentBytes` has room for so much at `offset`, and for its seal. */
export function hasRoom(offset: number, sizeBytes: number, segmentBytes: number): boolean {
  return offset + sizeBytes + EMPTY_RECORD_BYTES <= segmentBytes;
}
