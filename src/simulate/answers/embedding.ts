/**
 * Deterministic embeddings: a random projection of the words in a text.
 *
 * Each word adds a vector drawn from its hash, so texts that share words point
 * in similar directions and a semantic cache has something to find.
 *
 * @module
 */

import { hash32, seededRandom } from "../chance.ts";

/**
 * A vector of unit length for `text`.
 *
 * @param text Case and punctuation do not matter; without a word, it counts as one empty word.
 * @param dimensions Length of the vector, at least 1.
 */
export function embeddingOf(text: string, dimensions: number): Float32Array<ArrayBuffer> {
  const sum = new Float64Array(dimensions);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [""]) {
    const random = seededRandom(hash32(word, dimensions));
    for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] ?? 0) + random() - 0.5;
  }
  const length = Math.hypot(...sum);
  return Float32Array.from(sum, (value) => value / length);
}

/** A vector as the `base64` encoding of the embeddings API: 32-bit floats, low byte first. */
export function base64Vector(vector: Float32Array<ArrayBuffer>): string {
  const view = new DataView(new ArrayBuffer(vector.length * 4));
  vector.forEach((value, i) => view.setFloat32(i * 4, value, true));
  return new Uint8Array(view.buffer).toBase64();
}
