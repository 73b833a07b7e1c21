/**
 * What an embedder gives is checked before anybody compares it.
 *
 * One vector of NaN is everybody's nearest neighbour, one of another length
 * corrupts an index: neither gets past this point.
 *
 * @module
 */
import { EmbedError } from "../ports.ts";

/**
 * A vector of length 1 in the same direction.
 *
 * @param values What came; left as it is.
 * @throws {EmbedError} Kind `dims` if it has not `dims` values, `unusable` if one is not a finite
 * number in 32 bits or all are zero.
 */
export function unitVector(values: ArrayLike<unknown>, dims: number): Float32Array {
  if (values.length !== dims) {
    throw new EmbedError(
      "dims",
      `Cannot use vector: it has ${values.length} dimensions, not ${dims}`,
    );
  }
  const vector = new Float32Array(dims);
  let squares = 0;
  for (let i = 0; i < dims; i++) {
    const given = values[i];
    const value = typeof given === "number" ? Math.fround(given) : NaN;
    vector[i] = value;
    squares += value * value;
  }
  if (!Number.isFinite(squares)) {
    throw new EmbedError("unusable", "Cannot use vector: it is not made of finite numbers");
  }
  if (squares === 0) throw new EmbedError("unusable", "Cannot use vector: all of it is zero");
  const norm = Math.sqrt(squares);
  for (let i = 0; i < dims; i++) vector[i] = (vector[i] ?? 0) / norm;
  return vector;
}
