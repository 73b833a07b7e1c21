/**
 * A mean that forgets by time: `v' = v * w + x * (1 - w)`, `w = exp(-elapsed / decay)`.
 *
 * Unlike the peak estimate it does not fade when left alone: it says what is
 * usual, not what was seen lately.
 *
 * @module
 */

/** Plain exponentially weighted mean; the first sample sets it. */
export class DecayedMean {
  readonly #decaySeconds: number;
  #value = Number.NaN;
  #atSeconds = 0;

  /** Starts empty. `decaySeconds` is the time after which 63 % of an old value is gone. */
  constructor(decaySeconds: number) {
    this.#decaySeconds = decaySeconds;
  }

  /** Whether nothing was ever observed. */
  get empty(): boolean {
    return Number.isNaN(this.#value);
  }

  /** The mean; `NaN` while empty. */
  get value(): number {
    return this.#value;
  }

  /** Overwrites the mean; with `NaN` it is empty again. */
  reset(value: number, nowSeconds: number): void {
    this.#value = value;
    this.#atSeconds = nowSeconds;
  }

  /** Folds one sample in. A time at or before the last one gives it no weight. */
  observe(sample: number, nowSeconds: number): void {
    if (this.empty) {
      this.#value = sample;
      this.#atSeconds = nowSeconds;
      return;
    }
    const elapsedSeconds = nowSeconds - this.#atSeconds;
    if (elapsedSeconds <= 0) return;
    const weight = Math.exp(-elapsedSeconds / this.#decaySeconds);
    this.#value = this.#value * weight + sample * (1 - weight);
    this.#atSeconds = nowSeconds;
  }
}

/**
 * The lower median of the first `count` numbers, 0 where there are none.
 *
 * Sorts `values` in place: insertion sort, since pools are small and the array
 * is the caller's scratch space, used again at the next pick.
 */
export function lowerMedian(values: Float64Array, count: number): number {
  for (let i = 1; i < count; i++) {
    const value = values[i] ?? 0;
    let j = i - 1;
    for (; j >= 0 && (values[j] ?? 0) > value; j--) values[j + 1] = values[j] ?? 0;
    values[j + 1] = value;
  }
  return values[(count - 1) >> 1] ?? 0;
}
