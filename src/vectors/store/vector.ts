/**
 * Which vectors may be used: of the right length, finite, and of some length.
 *
 * The native library takes all of them. A vector that is not a number was then
 * the nearest neighbour of nearly every query, at distance 0; one of the wrong
 * length is read past its end.
 *
 * @module
 */

import { FLOAT_OF_HALF } from "./half.ts";

/** Why a vector cannot be used. */
export type Unfit = "dims" | "unusable";

/**
 * The vector scaled to length 1, or why there is none: `dims` for the wrong
 * number of components, `unusable` for one that is not finite or all zero.
 */
export function unitOf(vector: Float32Array, dims: number): Float32Array<ArrayBuffer> | Unfit {
  if (vector.length !== dims) return "dims";
  let sum = 0;
  for (let i = 0; i < dims; i++) sum += (vector[i] as number) ** 2;
  // A component that is not finite makes the sum so; squares of floats fit into a double.
  if (!Number.isFinite(sum) || sum === 0) return "unusable";
  const unit = new Float32Array(dims);
  const scale = 1 / Math.sqrt(sum);
  for (let i = 0; i < dims; i++) unit[i] = (vector[i] ?? 0) * scale;
  return unit;
}

/** Cosine of two vectors of length 1. */
export function cosineOf(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += (one[i] ?? 0) * (other[i] ?? 0);
  return Math.max(-1, Math.min(1, sum));
}

/** The same question for a row in half precision, as a file gives it. */
export function isUnitRow(halves: Uint16Array): boolean {
  let sum = 0;
  for (let i = 0; i < halves.length; i++) {
    sum += (FLOAT_OF_HALF[halves[i] as number] as number) ** 2;
  }
  return sum > 0.9 && sum < 1.1;
}
