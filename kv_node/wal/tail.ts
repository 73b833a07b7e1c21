/**
 * Makes the end of a log fit to be written on.
 *
 * @module
 */
import type { DiskFile } from "../ports.ts";
import { HEADER_BYTES } from "./segment.ts";

/** Where a log ends. */
export interface TailPlace {
  /** Where the last batch begins. */
  readonly batchOffset: number;
  /** Where the next record goes. */
  readonly tailOffset: number;
  /** Length of the segment. */
  readonly sizeBytes: number;
}

const SLICE_BYTES = 1 << 18;

/**
 * Writes the last batch once more, and zeros behind it, and syncs.
 *
 * The last batch may have been read from the page cache of a system whose sync
 * had failed, which takes such pages for clean and would never write them. Behind
 * it, whatever is left of records that were never whole would be valid again for
 * whoever opens the log next, once the gap in front of it is filled.
 *
 * @returns Whether there was anything but zeros behind the last batch.
 * @throws {DiskError} If that failed.
 */
export async function mendTail(file: DiskFile, place: TailPlace): Promise<boolean> {
  const { batchOffset, tailOffset, sizeBytes } = place;
  const slice = new Uint8Array(Math.min(SLICE_BYTES, sizeBytes));
  for (let offset = batchOffset; offset < tailOffset;) {
    const read = file.read(offset, slice.subarray(0, Math.min(slice.length, tailOffset - offset)));
    if (read === 0) break;
    file.write(offset, slice.subarray(0, read));
    offset += read;
  }
  let isTorn = file.size() < sizeBytes;
  for (let offset = Math.max(tailOffset, HEADER_BYTES); offset < sizeBytes;) {
    const room = slice.subarray(0, Math.min(slice.length, sizeBytes - offset));
    const read = file.read(offset, room);
    const isClean = dataIn(room, 0, read) === null;
    if (!isClean || read < room.length) file.write(offset, room.fill(0));
    isTorn ||= !isClean;
    offset += room.length;
  }
  await file.sync();
  return isTorn;
}

/** Overwrites a part of a file with zeros. */
export function eraseFrom(file: DiskFile, start: number, end: number): void {
  const zeros = new Uint8Array(Math.min(SLICE_BYTES, end - start));
  for (let offset = start; offset < end; offset += zeros.length) {
    file.write(offset, zeros.subarray(0, Math.min(zeros.length, end - offset)));
  }
}

/** Where the first byte from `start` to `end` is that is not zero, or `null`. */
export function dataIn(bytes: Uint8Array, start: number, end: number): number | null {
  let at = start;
  if ((bytes.byteOffset & 3) === 0) {
    // By words, for it is mostly zeros; the word that is none is looked at again below.
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    for (; at < end && (at & 3) !== 0; at++) if (bytes[at] !== 0) return at;
    while (at + 4 <= end && words[at >> 2] === 0) at += 4;
  }
  for (; at < end; at++) if (bytes[at] !== 0) return at;
  return null;
}
