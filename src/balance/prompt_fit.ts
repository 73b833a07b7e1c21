/**
 * How first-token latency grows with the prompt, over a whole pool.
 *
 * A running least-squares line `ttft = a + b * p`, with `p` in tokens, whose
 * sums lose 0.2 % at each sample. Dividing a sample by its {@linkcode promptFactor}
 * makes long and short prompts comparable; without it one long prompt makes a
 * good backend look slow.
 *
 * The fit belongs to the pool, never to one backend: that would explain away
 * the very slowness we look for.
 *
 * @module
 */

/** A line through first-token latencies. */
export interface PromptLine {
  /** Latency of an empty prompt, in seconds: `a`. */
  readonly interceptSeconds: number;
  /** Seconds a token: `b`. */
  readonly slopeSeconds: number;
  /** Mean prompt length in tokens. */
  readonly meanTokens: number;
}

const KEEP = 0.998;
const SAMPLES_MIN = 20;
const INTERCEPT_SHARE_MIN = 0.05;
const FACTOR_MAX = 8;

/** How much longer this prompt may take than the mean one, within [1/8, 8]. */
export function promptFactor(line: PromptLine, promptTokens: number): number {
  const { interceptSeconds, slopeSeconds, meanTokens } = line;
  const mean = interceptSeconds + slopeSeconds * meanTokens;
  if (!(mean > 0)) return 1;
  const factor = (interceptSeconds + slopeSeconds * promptTokens) / mean;
  return Math.min(FACTOR_MAX, Math.max(1 / FACTOR_MAX, factor));
}

/** The running fit. */
export class PromptFit {
  #samples = 0;
  #weight = 0;
  #tokens = 0;
  #seconds = 0;
  #tokensSquared = 0;
  #tokensSeconds = 0;
  #line: PromptLine | null = null;

  /** Adds one first-token latency, not normalised. */
  add(promptTokens: number, seconds: number): void {
    this.#samples++;
    this.#weight = this.#weight * KEEP + 1;
    this.#tokens = this.#tokens * KEEP + promptTokens;
    this.#seconds = this.#seconds * KEEP + seconds;
    this.#tokensSquared = this.#tokensSquared * KEEP + promptTokens * promptTokens;
    this.#tokensSeconds = this.#tokensSeconds * KEEP + promptTokens * seconds;
    this.#line = null;
  }

  /** The line now, or `null` below 20 samples. */
  get line(): PromptLine | null {
    if (this.#samples < SAMPLES_MIN) return null;
    return this.#line ??= this.#fit();
  }

  /** Prompt factor of the line now; 1 below 20 samples. */
  factor(promptTokens: number): number {
    const line = this.line;
    return line === null ? 1 : promptFactor(line, promptTokens);
  }

  #fit(): PromptLine {
    const meanTokens = this.#tokens / this.#weight;
    const meanSeconds = this.#seconds / this.#weight;
    const variance = this.#tokensSquared / this.#weight - meanTokens * meanTokens;
    const covariance = this.#tokensSeconds / this.#weight - meanTokens * meanSeconds;
    // All prompts of one length say nothing about the slope; the guard is relative, for rounding.
    const known = variance > 1e-9 * meanTokens * meanTokens;
    const slopeSeconds = known ? Math.max(0, covariance / variance) : 0;
    const interceptMin = INTERCEPT_SHARE_MIN * meanSeconds;
    const interceptSeconds = meanSeconds - slopeSeconds * meanTokens;
    if (interceptSeconds >= interceptMin) return { interceptSeconds, slopeSeconds, meanTokens };
    // Turn the line around the mean point, so that the mean prompt keeps its factor of 1.
    return {
      interceptSeconds: interceptMin,
      slopeSeconds: (meanSeconds - interceptMin) / meanTokens,
      meanTokens,
    };
  }
}
