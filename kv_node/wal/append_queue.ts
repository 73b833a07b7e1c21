/**
 * Appends that wait to be written, in order, and how much there is of them.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import type { LogRecord } from "../ports.ts";
import { checkRecord, recordBytes } from "./record.ts";

/** One append, from the call until it settles. */
export interface WaitingAppend {
  /** What is to be added. */
  readonly records: readonly LogRecord[];
  /** Its length in the log. */
  readonly sizeBytes: number;
  /** Whether it has no entries: what a node needs to step down in order. */
  readonly isUrgent: boolean;
  /** It is on disk. */
  resolve(): void;
  /** It is not, and never will be. */
  reject(error: unknown): void;
}

/** The most that appends may ask for. */
export interface QueueLimits {
  /** Bytes of all appends that have not settled. */
  readonly queueBytesMax: number;
  /** Bytes of one record in the log. */
  readonly recordBytesMax: number;
}

/** First in, first out. */
export class AppendQueue {
  readonly #limits: QueueLimits;
  #waiting: WaitingAppend[] = [];
  /** Those before it are gone already: `shift` of a long array moves all of it. */
  #head = 0;
  #bytes = 0;

  /** Begins empty. */
  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Bytes of appends that were added and are not settled. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  /** The one that waits longest. */
  get first(): WaitingAppend | undefined {
    return this.#waiting[this.#head];
  }

  /**
   * Adds an append; the promise is that of the caller.
   *
   * @throws {RangeError} If a number of a record cannot be stored.
   * @throws {KvError} `too_large` or `overloaded`.
   */
  add(records: readonly LogRecord[]): Promise<void> {
    const { queueBytesMax, recordBytesMax } = this.#limits;
    let sizeBytes = 0;
    let isUrgent = true;
    for (const record of records) {
      checkRecord(record);
      const size = recordBytes(record.payload.length);
      if (size > recordBytesMax) {
        const message = `Cannot write: a record of ${size} bytes is longer than ${recordBytesMax}`;
        throw new KvError("too_large", `${message}, the most that a segment of the log holds`);
      }
      sizeBytes += size;
      if (record.type === "entry") isUrgent = false;
    }
    if (sizeBytes > queueBytesMax) {
      const message = `Cannot write: ${sizeBytes} bytes at once are more than ${queueBytesMax}`;
      throw new KvError("too_large", `${message}, the most that may wait for the log`);
    }
    if (this.#bytes + sizeBytes > queueBytesMax) {
      const message = `Cannot write: ${this.#bytes} bytes wait for the log already`;
      throw new KvError("overloaded", `${message}, of at most ${queueBytesMax}`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ records, sizeBytes, isUrgent, resolve, reject });
    this.#bytes += sizeBytes;
    return promise;
  }

  /** Takes out the first; it counts until it settles. */
  take(): void {
    this.#head++;
    if (this.#head < this.#waiting.length) {
      if (this.#head < 1024 || this.#head * 2 < this.#waiting.length) return;
      this.#waiting.splice(0, this.#head);
    } else {
      this.#waiting = [];
    }
    this.#head = 0;
  }

  /** Tells that one was written. */
  resolve(append: WaitingAppend): void {
    this.#bytes -= append.sizeBytes;
    append.resolve();
  }

  /** Tells that one was not written. */
  reject(append: WaitingAppend, error: unknown): void {
    this.#bytes -= append.sizeBytes;
    append.reject(error);
  }

  /** Takes out, in order, all that a test chooses, and tells them. */
  rejectWaiting(error: unknown, isChosen: (append: WaitingAppend) => boolean): void {
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = waiting.filter((append) => !isChosen(append));
    this.#head = 0;
    for (const append of waiting) if (isChosen(append)) this.reject(append, error);
  }
}
