/**
 * Repeatable chance: hashes and seeded generators.
 *
 * Everything random in a simulated answer comes from here, so the same seed and
 * the same request give the same bytes and the same delays.
 *
 * Sources: FNV-1a (Fowler, Noll, Vo) with MurmurHash3's 32-bit finaliser;
 * SplitMix32 after G. Steele et al., "Fast splittable pseudorandom number
 * generators", OOPSLA 2014; Box-Muller for normal deviates.
 *
 * @module
 */

import type { Random } from "../ports.ts";

/** A 32-bit hash of `text`; different seeds give unrelated hashes. */
export function hash32(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return mixed(hash);
}

/** A generator of numbers in [0, 1) that starts anew from the same 32-bit seed. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return mixed(state) / 0x1_0000_0000;
  };
}

/**
 * A factor with median 1 whose logarithm is normal with deviation `sigma`.
 *
 * Latencies of real servers are skewed to the right, which this reproduces;
 * `sigma` 0 gives exactly 1.
 */
export function logNormalFactor(random: Random, sigma: number): number {
  if (sigma === 0) return 1;
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  return Math.exp(sigma * radius * Math.cos(2 * Math.PI * random()));
}

/** `digits` hexadecimal digits that depend on nothing but `seed` and `sequence`. */
export function hexDigits(seed: number, sequence: number, digits: number): string {
  let text = "";
  for (let part = 0; text.length < digits; part++) {
    text += hash32(`${sequence}.${part}`, seed).toString(16).padStart(8, "0");
  }
  return text.slice(0, digits);
}

function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
