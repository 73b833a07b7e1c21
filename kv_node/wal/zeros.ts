/**
 * Zeros: told from data, and written. Most of a segment that is opened is zeros.
 *
 * One native comparison for a whole piece. A loop in the language takes ten times
 * as long, and for the 64 MiB of a segment the runtime would load its optimizing
 * compilers: 7 MB that every node would keep for nothing.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { DiskFile } from "../ports.ts";

/** One for all who fill files; never written to, so the system gives it no memory. */
const ZEROS = new Uint8Array(1 << 20);

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

/** Overwrites a part of a file with zeros. */
export function eraseFrom(file: DiskFile, start: number, end: number): void {
  for (let offset = start; offset < end; offset += ZEROS.length) {
    file.write(offset, ZEROS.subarray(0, Math.min(ZEROS.length, end - offset)));
  }
}

/** Bytes are all zero if the first is, and each is like the one before it. */
function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 2) return end <= start || bytes[start] === 0;
  if (bytes[start] !== 0) return false;
  return Buffer.compare(bytes.subarray(start, end - 1), bytes.subarray(start + 1, end)) === 0;
}
