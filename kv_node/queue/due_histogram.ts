/**
 * How many messages are due when, in bounded memory.
 *
 * Times fall into buckets of one width. When there are too many buckets the width
 * doubles, so a queue that reaches far ahead is told less exactly: 4,096 buckets
 * are an hour by seconds or a month by quarters of an hour.
 *
 * @module
 */

const BUCKETS_MAX = 4_096;

/** Counts by time. The sum is exact, the split by a moment to within a bucket. */
export class DueHistogram {
  #widthMs = 1_000;
  #buckets = new Map<number, number>();
  #total = 0;

  /** All that was added and not removed. */
  get total(): number {
    return this.#total;
  }

  /** Width of a bucket, in milliseconds. */
  get widthMs(): number {
    return this.#widthMs;
  }

  /** Adds so many at a time; a negative number removes them. */
  add(timeMs: number, count: number): void {
    this.#total = Math.max(0, this.#total + count);
    const bucket = Math.floor(timeMs / this.#widthMs);
    const sum = (this.#buckets.get(bucket) ?? 0) + count;
    if (sum > 0) this.#buckets.set(bucket, sum);
    else this.#buckets.delete(bucket);
    while (this.#buckets.size > BUCKETS_MAX) this.#widen();
  }

  /** How many are at that time or before it, or in its bucket. */
  until(timeMs: number): number {
    const last = Math.floor(timeMs / this.#widthMs);
    let sum = 0;
    for (const [bucket, count] of this.#buckets) if (bucket <= last) sum += count;
    return Math.min(sum, this.#total);
  }

  #widen(): void {
    const wider = new Map<number, number>();
    for (const [bucket, count] of this.#buckets) {
      const half = Math.floor(bucket / 2);
      wider.set(half, (wider.get(half) ?? 0) + count);
    }
    this.#buckets = wider;
    this.#widthMs *= 2;
  }
}
