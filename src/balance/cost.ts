/**
 * Slow start, decode speed and the cost of one more request.
 *
 * @module
 */

const SLOW_START_MIN = 0.1;
const DECODE_FACTOR_MAX = 10;

/** Share of its weight that a target has this long after joining or recovering: 0.1 to 1. */
export function slowStart(elapsedSeconds: number, slowStartSeconds: number): number {
  return Math.min(1, Math.max(SLOW_START_MIN, elapsedSeconds / slowStartSeconds));
}

/**
 * How much slower than usual a target decodes: 1 to 10, and 1 where it is not known.
 *
 * A backend that starts fast and then crawls loses traffic by this.
 *
 * @param tokenSeconds Its time a token; `NaN` where nothing was measured.
 * @param medianSeconds Lower median over the candidates; 0 where nothing was measured.
 */
export function decodeFactor(tokenSeconds: number, medianSeconds: number): number {
  if (!(tokenSeconds > 0 && medianSeconds > 0)) return 1;
  return Math.min(DECODE_FACTOR_MAX, Math.max(1, tokenSeconds / medianSeconds));
}

/** What a cost is computed from. */
export interface Load {
  /** Effective latency, in seconds. */
  readonly latencySeconds: number;
  /** Decode factor. */
  readonly decodeFactor: number;
  /** Attempts in flight. */
  readonly inFlight: number;
  /** Weight, already multiplied by slow start. */
  readonly weight: number;
}

/** Cost of one more request, in seconds: `L * D * (q + 1) / (weight * s)`. Lower is preferred. */
export function costSeconds(load: Load): number {
  return load.latencySeconds * load.decodeFactor * (load.inFlight + 1) / load.weight;
}

/**
 * First-token latency of an answer that came in one piece: what is left of its
 * time without its decoding; `null` where that is no use as a sample.
 *
 * @param tokenSeconds The backend's time a token; `NaN` where nothing was measured, which only
 * answers of at most one token can do without.
 */
export function wholeAnswerSample(
  answer: { readonly totalSeconds: number; readonly tokens: number },
  tokenSeconds: number,
): number | null {
  const decodeSeconds = answer.tokens > 1 ? (answer.tokens - 1) * tokenSeconds : 0;
  const sampleSeconds = answer.totalSeconds - decodeSeconds;
  return sampleSeconds >= SAMPLE_MIN_SECONDS ? sampleSeconds : null;
}

const SAMPLE_MIN_SECONDS = 0.02;
