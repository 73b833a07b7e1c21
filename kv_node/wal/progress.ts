/**
 * How far a reader of a log has come, told about once a MiB.
 *
 * @module
 */
import type { Disk } from "../ports.ts";
import { segmentName } from "./segment.ts";

/** Whoever wants to know. */
export interface ProgressListener {
  /**
   * Called about once a MiB, and at the end, and waited for: here a caller may
   * let others run.
   */
  onProgress?(doneBytes: number, totalBytes: number): void | Promise<void>;
}

const STEP_BYTES = 1 << 20;

/** Counts the bytes of all segments. */
export class Progress {
  readonly #listener: ProgressListener;
  readonly #starts = new Map<number, number>();
  /** Bytes of all segments. */
  readonly totalBytes: number;
  #start = 0;
  #told = 0;

  /** Looks how long the segments are. */
  constructor(disk: Disk, sequences: readonly number[], listener: ProgressListener) {
    this.#listener = listener;
    let totalBytes = 0;
    for (const sequence of sequences) {
      this.#starts.set(sequence, totalBytes);
      const file = disk.open(segmentName(sequence), "read");
      totalBytes += file.size();
      file.close();
    }
    this.totalBytes = totalBytes;
  }

  /** Goes on with another segment. */
  enter(sequence: number): void {
    this.#start = this.#starts.get(sequence) ?? this.#start;
  }

  /** Whether it is time to tell that this offset of the segment was reached. */
  isDue(offset: number): boolean {
    return this.#start + offset - this.#told >= STEP_BYTES;
  }

  /** Tells it. */
  async tell(offset: number): Promise<void> {
    this.#told = this.#start + offset;
    await this.#listener.onProgress?.(this.#told, this.totalBytes);
  }

  /** Tells that all was read. */
  async end(): Promise<void> {
    await this.#listener.onProgress?.(this.totalBytes, this.totalBytes);
  }
}
