/**
 * One record of the log as bytes.
 *
 *     record = u32 length of body
 *            · u32 crc32(sequence ‖ offset ‖ batch ‖ body)
 *            · u32 batch
 *            · body                                  zeros up to a multiple of 8
 *     body   = u8 type · u32 group · u64 term · u64 index · payload
 *
 * Numbers are little-endian. Sequence (u64) and offset (u32) say where the record
 * stands and are not stored: bytes from another place never pass for a record.
 *
 * `batch` is the offset at which the write that brought the record began. All
 * before it was on disk by then, which is how a damaged record is told from one
 * that a power cut kept from ever being whole: see `recovery.ts`.
 *
 * A seal ends a segment that has a successor, a mark ends the log at a proper
 * close. Both are the log's own and have no payload.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { LogRecord, RecordType } from "../ports.ts";

/** What a stored record may be: what callers append, and the log's own. */
export type StoredType = RecordType | "seal" | "mark";

/** A record as it was read. */
export interface StoredRecord {
  /** What it is about. */
  readonly type: StoredType;
  /** The replication group it belongs to. */
  readonly group: number;
  /** Its term. */
  readonly term: number;
  /** Its index. */
  readonly index: number;
  /** What it says; a view of the bytes that it was read from. */
  readonly payload: Uint8Array;
}

/** Where a record stands. */
export interface RecordPlace {
  /** What {@linkcode seedOf} says for the sequence of its segment. */
  readonly seed: number;
  /** Its offset in the segment, a multiple of 8. */
  readonly offset: number;
  /** Offset at which its batch began. */
  readonly batch: number;
}

const HEAD_BYTES = 12;
const BODY_HEAD_BYTES = 21;
const OVERHEAD_BYTES = HEAD_BYTES + BODY_HEAD_BYTES;
const HIGH = 2 ** 32;

const NO_PAYLOAD = new Uint8Array(0);
const TYPES: readonly (StoredType | undefined)[] = [
  undefined,
  "entry",
  "vote",
  "truncate",
  "snapshot",
  "config",
  "seal",
  "mark",
];

/** Record positions are multiples of this. */
export const ALIGN_BYTES = 8;

/** The length of a record without a payload, such as a seal. */
export const EMPTY_RECORD_BYTES: number = recordBytes(0);

/** The length in a segment of a record whose payload has `payloadBytes`. */
export function recordBytes(payloadBytes: number): number {
  return (OVERHEAD_BYTES + payloadBytes + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
}

/** The part of a record's checksum that is the same in the whole segment. */
export function seedOf(sequence: number): number {
  const bytes = new Uint8Array(8);
  putNumber(new DataView(bytes.buffer), 0, sequence);
  return crc32(bytes);
}

/**
 * Sees to it that a record can be stored.
 *
 * @throws {RangeError} If a number of it cannot.
 */
export function checkRecord(record: LogRecord): void {
  const { group, term, index } = record;
  if (!Number.isInteger(group) || group < 0 || group >= HIGH) {
    throw new RangeError(`Cannot append a record: group ${group} is no unsigned 32-bit number`);
  }
  if (!Number.isSafeInteger(term) || term < 0) {
    throw new RangeError(`Cannot append a record: term ${term} is no safe integer from 0 on`);
  }
  if (!Number.isSafeInteger(index) || index < 0) {
    throw new RangeError(`Cannot append a record: index ${index} is no safe integer from 0 on`);
  }
}

/**
 * Writes a record at `at`, for a given place; there must be room for it.
 *
 * @returns Its length.
 */
export function encodeRecord(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  place: RecordPlace,
  record: LogRecord,
): number {
  return encode(bytes, view, at, place, record.type, record, record.payload);
}

/**
 * Writes a record of the log's own at `at`, for a given place.
 *
 * @returns Its length.
 */
export function encodeOwn(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  place: RecordPlace,
  type: "seal" | "mark",
): number {
  return encode(bytes, view, at, place, type, { group: 0, term: 0, index: 0 }, NO_PAYLOAD);
}

/**
 * How long the record at `at` would be, by a look at its head alone.
 *
 * @param offset Where it stands in the segment; `roomBytes` is what is left there.
 * @returns 0 if no record begins like that.
 */
export function plausibleBytes(
  view: DataView,
  at: number,
  offset: number,
  roomBytes: number,
): number {
  const length = view.getUint32(at, true);
  if (length < BODY_HEAD_BYTES || length > roomBytes - HEAD_BYTES) return 0;
  const batch = view.getUint32(at + 8, true);
  if (batch > offset || (batch & (ALIGN_BYTES - 1)) !== 0) return 0;
  if (TYPES[view.getUint8(at + HEAD_BYTES)] === undefined) return 0;
  const size = recordBytes(length - BODY_HEAD_BYTES);
  return size <= roomBytes ? size : 0;
}

/** Where the batch of the record at `at` began, valid or not. */
export function batchAt(view: DataView, at: number): number {
  return view.getUint32(at + 8, true);
}

/** Whether the record at `at`, all of which is in `view`, has the checksum for its place. */
export function isValid(
  view: DataView,
  at: number,
  seed: number,
  offset: number,
): boolean {
  const length = view.getUint32(at, true);
  const stored = view.getUint32(at + 4, true);
  const actual = checksum(view, at, length, seed, offset);
  view.setUint32(at + 4, stored, true);
  return stored === actual;
}

/**
 * Reads the record at `at`, whose checksum is known to be right.
 *
 * @returns `null` if its numbers are out of range all the same.
 */
export function decodeRecord(view: DataView, at: number): StoredRecord | null {
  const length = view.getUint32(at, true);
  const body = at + HEAD_BYTES;
  const type = TYPES[view.getUint8(body)];
  const term = numberAt(view, body + 5);
  const index = numberAt(view, body + 13);
  if (type === undefined || !Number.isSafeInteger(term) || !Number.isSafeInteger(index)) {
    return null;
  }
  return {
    type,
    group: view.getUint32(body + 1, true),
    term,
    index,
    payload: part(view, body + BODY_HEAD_BYTES, length - BODY_HEAD_BYTES),
  };
}

/** Writes a safe integer as u64. */
export function putNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / HIGH), true);
}

/** Reads a u64; one that is no safe integer comes out as some number that is none either. */
export function numberAt(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
}

function encode(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  place: RecordPlace,
  type: StoredType,
  position: { readonly group: number; readonly term: number; readonly index: number },
  payload: Uint8Array,
): number {
  const length = BODY_HEAD_BYTES + payload.length;
  const body = at + HEAD_BYTES;
  view.setUint32(at, length, true);
  view.setUint32(at + 8, place.batch, true);
  view.setUint8(body, TYPES.indexOf(type));
  view.setUint32(body + 1, position.group, true);
  putNumber(view, body + 5, position.term);
  putNumber(view, body + 13, position.index);
  bytes.set(payload, body + BODY_HEAD_BYTES);
  const size = recordBytes(payload.length);
  // The buffer is used again and again: what is left of earlier records must not be written.
  bytes.fill(0, body + length, at + size);
  view.setUint32(at + 4, checksum(view, at, length, place.seed, place.offset), true);
  return size;
}

/** One native call: the offset takes the place of the checksum while it is computed. */
function checksum(
  view: DataView,
  at: number,
  length: number,
  seed: number,
  offset: number,
): number {
  view.setUint32(at + 4, offset, true);
  return crc32(part(view, at + 4, HEAD_BYTES - 4 + length), seed);
}

/** A third of what `subarray` costs, and a twentieth of a copy. */
function part(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}
