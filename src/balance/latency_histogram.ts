/**
 * Which latency is unusual: a percentile over the last 30 to 60 seconds.
 *
 * Logarithmic buckets from 1 ms, each 8 % wider than the one before, so a
 * percentile is at most 8 % too high at any scale. Two histograms are read
 * together and swapped every 30 s: old samples leave without a copy of each.
 *
 * Source: the rotating histogram of `tower::hedge`.
 *
 * @module
 */

const FIRST_SECONDS = 0.001;
const GROWTH = 1.08;
const LOG_GROWTH = Math.log(GROWTH);
const BUCKETS = 160; // Up to 222 s.
const ROTATION_SECONDS = 30;

/** The bucket of a latency; anything below 1 ms is in bucket 0. */
export function bucketOf(seconds: number): number {
  const bucket = Math.floor(Math.log(seconds / FIRST_SECONDS) / LOG_GROWTH);
  return Math.min(BUCKETS - 1, Math.max(0, bucket));
}

/** Upper edge of a bucket, in seconds. */
export function bucketEdgeSeconds(bucket: number): number {
  return FIRST_SECONDS * GROWTH ** (bucket + 1);
}

/** Rotating log histogram. */
export class LatencyHistogram {
  #current = new Uint32Array(BUCKETS);
  #previous = new Uint32Array(BUCKETS);
  #currentCount = 0;
  #previousCount = 0;
  #rotatedAtSeconds = Number.NEGATIVE_INFINITY;

  /** Adds one latency. */
  add(seconds: number, nowSeconds: number): void {
    this.#rotate(nowSeconds);
    const bucket = bucketOf(seconds);
    this.#current[bucket] = (this.#current[bucket] ?? 0) + 1;
    this.#currentCount++;
  }

  /** Samples that a percentile is taken from. */
  count(nowSeconds: number): number {
    this.#rotate(nowSeconds);
    return this.#currentCount + this.#previousCount;
  }

  /**
   * The latency that `share` of the samples do not exceed, as the upper edge of its bucket.
   *
   * @param share In (0, 1].
   * @param samplesMin `null` is returned below this many samples.
   */
  percentile(share: number, samplesMin: number, nowSeconds: number): number | null {
    const count = this.count(nowSeconds);
    if (count === 0 || count < samplesMin) return null;
    const rank = Math.ceil(share * count);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += (this.#current[bucket] ?? 0) + (this.#previous[bucket] ?? 0);
      if (seen >= rank) return bucketEdgeSeconds(bucket);
    }
    return bucketEdgeSeconds(BUCKETS - 1);
  }

  #rotate(nowSeconds: number): void {
    const elapsedSeconds = nowSeconds - this.#rotatedAtSeconds;
    if (elapsedSeconds < ROTATION_SECONDS) return;
    const emptied = this.#previous.fill(0);
    this.#previous = this.#current;
    this.#previousCount = this.#currentCount;
    this.#current = emptied;
    this.#currentCount = 0;
    if (elapsedSeconds >= 2 * ROTATION_SECONDS) {
      this.#previous.fill(0);
      this.#previousCount = 0;
    }
    this.#rotatedAtSeconds = nowSeconds;
  }
}
