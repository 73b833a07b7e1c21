/**
 * One vector a text out of the vectors of its tokens.
 *
 * @module
 */
import type { Pooling } from "./model_layout.ts";
import type { TokenBatch } from "./model_tokens.ts";

/**
 * Pools a batch.
 *
 * @param states Token vectors: rows × columns × size, one after the other.
 * @returns One vector a row, not normalised.
 */
export function pool(
  states: Float32Array,
  batch: TokenBatch,
  pooling: Pooling,
): Float32Array<ArrayBuffer>[] {
  const { rows, columns, mask } = batch;
  const size = states.length / (rows * columns);
  return Array.from({ length: rows }, (_, row) => {
    const tokens = mask.subarray(row * columns, (row + 1) * columns);
    const vectors = states.subarray(row * columns * size, (row + 1) * columns * size);
    if (pooling === "mean") return meanOf(vectors, tokens, size);
    const column = pooling === "cls" ? 0 : tokens.lastIndexOf(1);
    return Float32Array.from(vectors.subarray(column * size, (column + 1) * size));
  });
}

function meanOf(
  vectors: Float32Array,
  tokens: Int32Array,
  size: number,
): Float32Array<ArrayBuffer> {
  const sums = new Float64Array(size);
  let count = 0;
  for (const [column, isToken] of tokens.entries()) {
    if (isToken === 0) continue;
    count++;
    for (let i = 0; i < size; i++) {
      sums[i] = (sums[i] ?? 0) + (vectors[column * size + i] ?? NaN);
    }
  }
  return Float32Array.from(sums, (sum) => sum / count);
}
