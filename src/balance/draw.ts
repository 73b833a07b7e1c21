/**
 * Power of two choices: draw two, take the cheaper.
 *
 * Comparing two random candidates instead of all keeps gateways that share
 * nothing from running to the same target at once.
 *
 * Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"
 * (1996); ties go to the first drawn as in `tower::balance::p2c`.
 *
 * @module
 */
import type { Random } from "../ports.ts";

/**
 * Draws an index with probability proportional to its weight.
 *
 * @param weights Above 0; read up to `count`.
 * @param count At least 1, or 2 where `without` is in range.
 * @param without An index left out; -1 for none.
 */
export function drawIndex(
  weights: Float64Array,
  count: number,
  without: number,
  random: Random,
): number {
  let total = 0;
  for (let i = 0; i < count; i++) if (i !== without) total += weights[i] ?? 0;
  let left = random() * total;
  let last = -1;
  for (let i = 0; i < count; i++) {
    if (i === without) continue;
    last = i;
    left -= weights[i] ?? 0;
    if (left < 0) return i;
  }
  return last; // Rounding only.
}
