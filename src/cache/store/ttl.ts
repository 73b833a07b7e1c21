/**
 * How long an answer is fresh.
 *
 * @module
 */

const JITTER_SHARE = 0.1;

/**
 * A time to live within 10 % of the given one, in whole milliseconds.
 *
 * Answers that were stored together would otherwise expire together, and their
 * questions reach the backends in one burst.
 */
export function jitteredTtlMs(ttlMs: number, random: () => number): number {
  return Math.round(ttlMs * (1 - JITTER_SHARE + 2 * JITTER_SHARE * random()));
}
