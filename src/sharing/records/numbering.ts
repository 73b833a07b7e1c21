/**
 * How the numbers of shared invalidations and of local ones fit into one order.
 *
 * The store numbers invalidations 1, 2, 3, … for all gateways. A gateway also makes
 * some of its own, at once, before the store has numbered them or while it is away.
 * A local sequence holds both: `shared · 2^20 + own since then`. So
 *
 * - what a gateway invalidates by itself comes after everything it had seen, and
 *   before anything it will see;
 * - an entry's shared number is that of the last shared invalidation which its
 *   gateway had seen when the request began, whatever that gateway counts besides.
 *
 * A million own invalidations between two shared ones are possible, and 2^33 shared.
 *
 * @module
 */

const OWN_MAX = 2 ** 20;
/** The highest shared number that a local sequence can hold. */
export const SHARED_NUMBER_MAX = Number.MAX_SAFE_INTEGER / OWN_MAX - 1;

/** The local sequence of a shared number. */
export function sequenceOf(sharedNumber: number): number {
  return sharedNumber * OWN_MAX;
}

/** The shared number that had been seen at a local sequence. */
export function sharedNumberOf(sequence: number): number {
  return Math.floor(sequence / OWN_MAX);
}
