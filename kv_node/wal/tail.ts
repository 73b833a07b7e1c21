/**
 * Makes the end of a log fit to be written on.
 *
 * @module
 */
import type { DiskFile } from "../ports.ts";
import { HEADER_BYTES } from "./segment.ts";
import { dataIn, eraseFrom } from "./zeros.ts";

/** Where a log ends. */
export interface TailPlace {
  /** Where the last batch begins. */
  readonly batchOffset: number;
  /** Where the next record goes. */
  readonly tailOffset: number;
  /** Length of the segment. */
  readonly sizeBytes: number;
  /** Whether all that the file has behind the last batch is known to be zeros. */
  readonly isClean: boolean;
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
  // Zeros that the scan has read are not read again.
  const start = place.isClean && !isTorn ? sizeBytes : Math.max(tailOffset, HEADER_BYTES);
  for (let offset = start; offset < sizeBytes;) {
    const room = slice.subarray(0, Math.min(slice.length, sizeBytes - offset));
    const read = file.read(offset, room);
    const isClean = dataIn(room, 0, read) === null;
    if (!isClean || read < room.length) eraseFrom(file, offset, offset + room.length);
    isTorn ||= !isClean;
    offset += room.length;
  }
  await file.sync();
  return isTorn;
}
