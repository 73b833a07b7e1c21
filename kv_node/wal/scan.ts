/**
 * Reads a segment record by record, with a window of the file in memory.
 *
 * A record that is longer than the window gets a wider one; nothing else depends
 * on the length of the file. Payloads are views of a window, which is not used
 * again: copying each costs more than all else. Whoever keeps one payload keeps
 * its window, a quarter of a MiB.
 *
 * @module
 */
import type { DiskFile } from "../ports.ts";
import {
  ALIGN_BYTES,
  batchAt,
  decodeRecord,
  EMPTY_RECORD_BYTES,
  isValid,
  plausibleBytes,
  recordBytes,
  seedOf,
  type StoredRecord,
} from "./record.ts";
import { HEADER_BYTES } from "./segment.ts";
import { dataIn } from "./zeros.ts";

/** What a scan leaves behind stays resident until there is garbage to collect, so it is little. */
const WINDOW_BYTES = 1 << 18;

/** Goes through one segment. Reading fails with a `DiskError` if the file cannot be read. */
export class SegmentScanner {
  readonly #file: DiskFile;
  readonly #seed: number;
  readonly #sizeBytes: number;
  readonly #windowBytes: number;
  #bytes: Uint8Array;
  #view: DataView;
  /** What of the file is in the window. */
  #start = 0;
  #end = 0;
  #offset = HEADER_BYTES;
  #batch = HEADER_BYTES;
  /** From here on to the segment's end there are only zeros, as far as is known. */
  #zerosFrom = Infinity;
  /** Whether payloads of records that were handed out lie in the window. */
  #isShared = false;

  /** Begins behind the header; `sizeBytes` is the segment's length by its header. */
  constructor(file: DiskFile, sequence: number, sizeBytes: number, windowBytes = WINDOW_BYTES) {
    this.#file = file;
    this.#seed = seedOf(sequence);
    this.#sizeBytes = Math.min(sizeBytes, file.size());
    this.#windowBytes = Math.max(Math.min(windowBytes, sizeBytes), EMPTY_RECORD_BYTES);
    this.#bytes = new Uint8Array(this.#windowBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Where the next record should stand. */
  get offset(): number {
    return this.#offset;
  }

  /** Where the batch of the last record that was read began. */
  get batch(): number {
    return this.#batch;
  }

  /** Goes on at another place. */
  seek(offset: number): void {
    this.#offset = offset;
  }

  /** The record here, and on to the next; `null`, and no step, where there is no valid one. */
  next(): StoredRecord | null {
    if (!this.#isRecordAt(this.#offset, -1)) return null;
    const at = this.#offset - this.#start;
    const record = decodeRecord(this.#view, at);
    if (record === null) return null;
    this.#isShared = true;
    this.#batch = batchAt(this.#view, at);
    this.#offset += recordBytes(record.payload.length);
    return record;
  }

  /**
   * The first place from `from` on at which a valid record stands, whose batch
   * began behind `batchAbove`; `null` if there is none to the segment's end.
   * Every place that could be one's is looked at.
   */
  findRecord(from: number, batchAbove: number): number | null {
    // Most of what is searched is zeros, nearly always all of it; no record begins with them.
    const data = this.findData(from);
    if (data === null) return null;
    const last = this.#sizeBytes - EMPTY_RECORD_BYTES;
    for (let offset = data - data % ALIGN_BYTES; offset <= last; offset += ALIGN_BYTES) {
      const isZero = offset >= this.#start && offset + ALIGN_BYTES <= this.#end &&
        this.#view.getUint32(offset - this.#start, true) === 0;
      if (!isZero && this.#isRecordAt(offset, batchAbove)) return offset;
    }
    return null;
  }

  /** The first byte from `from` on that is not zero; `null` if there is none. */
  findData(from: number): number | null {
    if (from >= this.#zerosFrom) return null;
    for (let offset = from; offset < this.#sizeBytes; offset = this.#end) {
      if (!this.#load(offset, 1)) return null;
      const data = dataIn(this.#bytes, offset - this.#start, this.#end - this.#start);
      if (data !== null) return this.#start + data;
    }
    this.#zerosFrom = from;
    return null;
  }

  #isRecordAt(offset: number, batchAbove: number): boolean {
    if (!this.#load(offset, EMPTY_RECORD_BYTES)) return false;
    const size = plausibleBytes(
      this.#view,
      offset - this.#start,
      offset,
      this.#sizeBytes - offset,
    );
    if (size === 0 || batchAt(this.#view, offset - this.#start) <= batchAbove) return false;
    // This may move the window, and with it where the record stands in it.
    return this.#load(offset, size) &&
      isValid(this.#view, offset - this.#start, this.#seed, offset);
  }

  /** Sees to it that these bytes of the file are in the window, if the segment has them. */
  #load(offset: number, sizeBytes: number): boolean {
    if (offset >= this.#start && offset + sizeBytes <= this.#end) return true;
    if (offset + sizeBytes > this.#sizeBytes) return false;
    if (this.#isShared || sizeBytes > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(sizeBytes, this.#windowBytes));
      this.#view = new DataView(this.#bytes.buffer);
      this.#isShared = false;
    }
    const room = Math.min(this.#bytes.length, this.#sizeBytes - offset);
    const read = this.#file.read(offset, this.#bytes.subarray(0, room));
    this.#start = offset;
    this.#end = offset + read;
    return read >= sizeBytes;
  }
}
