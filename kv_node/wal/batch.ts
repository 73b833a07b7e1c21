/**
 * The buffer in which a batch of records is put together, used again by every batch.
 *
 * @module
 */
import type { LogRecord } from "../ports.ts";
import {
  EMPTY_RECORD_BYTES,
  encodeOwn,
  encodeRecord,
  recordBytes,
  type RecordPlace,
} from "./record.ts";

const FIRST_BYTES = 1 << 16;

/** From this length on a buffer is written out before it would grow, and not kept. */
export const BATCH_BYTES = 4 << 20;

/** Records that follow one another in a segment and are not written yet. */
export class BatchBuffer {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** All of them; to be used before anything else is added. */
  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Adds a record for this place; returns its length. */
  add(place: RecordPlace, record: LogRecord): number {
    this.#reserve(recordBytes(record.payload.length));
    const size = encodeRecord(this.#bytes, this.#view, this.#length, place, record);
    this.#length += size;
    return size;
  }

  /** Adds a record of the log's own; returns its length. */
  addOwn(place: RecordPlace, type: "seal" | "mark"): number {
    this.#reserve(EMPTY_RECORD_BYTES);
    const size = encodeOwn(this.#bytes, this.#view, this.#length, place, type);
    this.#length += size;
    return size;
  }

  /** Forgets what is in it. */
  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > BATCH_BYTES) this.#resize(FIRST_BYTES);
  }

  #reserve(sizeBytes: number): void {
    const needed = this.#length + sizeBytes;
    if (needed > this.#bytes.length) this.#resize(Math.max(needed, 2 * this.#bytes.length));
  }

  #resize(capacityBytes: number): void {
    const bytes = new Uint8Array(capacityBytes);
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
