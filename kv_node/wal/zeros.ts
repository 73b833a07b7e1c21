/**
 * Tells zeros from data: most of a segment that is opened is zeros.
 *
 * One native comparison for a whole piece. A loop in the language takes ten times
 * as long, and for the 64 MiB of a segment the runtime would load its optimizing
 * compilers: 7 MB that every node would keep for nothing.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Where the first byte from `start` to `end` is that is not zero, or `null`. */
export function dataIn(bytes: Uint8Array, start: number, end: number): number | null {
  if (isZero(bytes, start, end)) return null;
  let [first, last] = [start, end];
  while (last - first > 1) {
    const middle = first + ((last - first) >> 1);
    if (isZero(bytes, first, middle)) first = middle;
    else last = middle;
  }
  return first;
}

/** Bytes are all zero if the first is, and each is like the one before it. */
function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 2) return end <= start || bytes[start] === 0;
  if (bytes[start] !== 0) return false;
  return Buffer.compare(bytes.subarray(start, end - 1), bytes.subarray(start + 1, end)) === 0;
}
