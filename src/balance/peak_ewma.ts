/**
 * Peak EWMA: a latency estimate that rises at once and comes down slowly.
 *
 *     read     R(t) = v * exp(-(t - tv) / decay)            writes nothing
 *     observe  x > R(t) or nothing known   v' = x
 *              else                        v' = v * w + x * (1 - w)
 *              w = exp(-(t - tv) / decay),  then tv' = t
 *
 * A read that moved `tv`, as the published versions have it, would turn the
 * average into a decaying maximum: under frequent reads a lower sample would
 * weigh nothing. Here a hundred reads change nothing.
 *
 * An estimate nobody refreshes fades towards 0, so that a backend that was left
 * alone is tried again by itself: ten times slower and idle equals a healthy
 * one with one request in flight after `decay * ln 5`, 16.1 s.
 *
 * Source: `PeakEwma.scala` in twitter/finagle; pure reads as in `ewma` of
 * linkerd/linkerd2-proxy; {@linkcode failureSample} is ours.
 *
 * @module
 */

/** Decaying peak of one target's normalised first-token latencies, in seconds. */
export class PeakEwma {
  readonly #decaySeconds: number;
  #valueSeconds = Number.NaN;
  #atSeconds = 0;

  /** Starts empty. `decaySeconds` is the time after which 63 % of a peak is gone. */
  constructor(decaySeconds: number) {
    this.#decaySeconds = decaySeconds;
  }

  /** Whether nothing was ever observed. */
  get empty(): boolean {
    return Number.isNaN(this.#valueSeconds);
  }

  /** The value as last written, undecayed; `NaN` while empty. */
  get valueSeconds(): number {
    return this.#valueSeconds;
  }

  /** The estimate now; 0 while empty. A time before the last write reads the value as written. */
  read(nowSeconds: number): number {
    if (this.empty) return 0;
    return this.#valueSeconds * this.#weight(nowSeconds);
  }

  /** Folds one sample in. A slower one counts at once; a faster one by the time gone by. */
  observe(sampleSeconds: number, nowSeconds: number): void {
    const weight = this.#weight(nowSeconds);
    const read = this.#valueSeconds * weight;
    this.#valueSeconds = this.empty || sampleSeconds > read
      ? sampleSeconds
      : read + sampleSeconds * (1 - weight);
    this.#atSeconds = Math.max(this.#atSeconds, nowSeconds);
  }

  /** Overwrites the estimate, as when a breaker closes. */
  reset(valueSeconds: number, nowSeconds: number): void {
    this.#valueSeconds = valueSeconds;
    this.#atSeconds = nowSeconds;
  }

  /** Share of the old value that is left now; 1 for a time at or before the last write. */
  #weight(nowSeconds: number): number {
    const elapsedSeconds = nowSeconds - this.#atSeconds;
    return elapsedSeconds > 0 ? Math.exp(-elapsedSeconds / this.#decaySeconds) : 1;
  }
}

/** What {@linkcode failureSample} looks at; all in seconds, all normalised. */
export interface FailureEvidence {
  /** How long the failed attempt had waited, divided by its prompt factor. */
  readonly elapsedSeconds: number;
  /** Effective latency of the target before the failure. */
  readonly latencySeconds: number;
  /** Baseline of the pool. */
  readonly baselineSeconds: number;
  /** Upper bound of the sample. */
  readonly maxSeconds: number;
}

/**
 * The latency that a failure stands for: at least twice what was believed.
 *
 * Doubling is free of scale, so a fast failure cannot attract traffic: five in
 * a row make the target 32 times as expensive, and one stray error fades in
 * seconds. It goes into the estimate through {@linkcode PeakEwma.observe}.
 */
export function failureSample(evidence: FailureEvidence): number {
  const { elapsedSeconds, latencySeconds, baselineSeconds, maxSeconds } = evidence;
  return Math.min(maxSeconds, Math.max(elapsedSeconds, 2 * latencySeconds, 2 * baselineSeconds));
}
