/**
 * Which target a session prefers: weighted rendezvous hashing with bounded load.
 *
 * Each pair of key and target has a number `u` in (0, 1); the target with the
 * highest `-weight / ln u` is preferred, the next one is its stand-in. A target
 * that joins or leaves moves only its own share of the keys. The bound keeps a
 * hot key from holding more than 1.25 times the fair share of a target.
 *
 * Source: weighted rendezvous hashing (Schindelhauer and Schomaker 2005);
 * bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018).
 *
 * @module
 */

/** A 32-bit hash of a text (FNV-1a over UTF-16 units); not for secrets. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

/** The pair's number in (0, 1), from the hashes of key and target (finaliser of murmur3). */
export function pairUnit(keyHash: number, targetHash: number): number {
  let hash = Math.imul(keyHash, 0x9e3779b1) ^ targetHash;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 2 ** 32;
}

/** How much the key prefers the target; higher is preferred. */
export function rendezvousScore(weight: number, unit: number): number {
  return -weight / Math.log(unit);
}

/** Load that a bound is computed from. */
export interface AffinityLoad {
  /** Attempts in flight on all candidates. */
  readonly inFlight: number;
  /** Weight of the target. */
  readonly weight: number;
  /** Weight of all candidates. */
  readonly weightTotal: number;
}

/** Attempts that affinity may have in flight on a target, the new one included. */
export function loadBound(load: AffinityLoad, factor: number): number {
  return Math.ceil(factor * (load.inFlight + 1) * load.weight / load.weightTotal);
}
