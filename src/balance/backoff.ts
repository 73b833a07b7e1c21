/**
 * How long to wait: before a retry, while a breaker is open, after a 429.
 *
 * All three grow by doubling and are jittered, so that gateways which failed
 * together do not come back together.
 *
 * Source: full and equal jitter as in "Exponential Backoff And Jitter", AWS
 * Architecture Blog.
 *
 * @module
 */

const RETRY_BASE_SECONDS = 0.05;
const RETRY_MAX_SECONDS = 2;

/**
 * Wait before the n-th retry of a request: full jitter, `u * min(2, 0.05 * 2^n)`.
 *
 * @param retry Counts from 1.
 * @param chance In [0, 1).
 */
export function backoffSeconds(retry: number, chance: number): number {
  return chance * Math.min(RETRY_MAX_SECONDS, RETRY_BASE_SECONDS * 2 ** retry);
}

/**
 * A doubling time with equal jitter: `min(max, base * 2^(n - 1)) * (0.5 + 0.5 u)`.
 *
 * Used for the time a breaker stays open (base 2, max 15) and for cooldowns
 * without a Retry-After (base 1, max 30).
 *
 * @param nth Counts from 1.
 * @param bounds First step and upper bound, in seconds.
 * @param chance In [0, 1).
 */
export function doublingSeconds(
  nth: number,
  bounds: { readonly baseSeconds: number; readonly maxSeconds: number },
  chance: number,
): number {
  const seconds = Math.min(bounds.maxSeconds, bounds.baseSeconds * 2 ** (nth - 1));
  return seconds * (0.5 + 0.5 * chance);
}
