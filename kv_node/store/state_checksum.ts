/**
 * Checksums over what a state holds, since SQLite has none of its own: a bit that turns
 * in a row, on the disk or on the way from it, would be served otherwise.
 *
 * ```
 * row  = crc32(key · value), beginning with
 *        mixed(length of key · encoding · has expiry · expiry · stamp)
 * meta = mixed(term · index · rows · has stamp · stamp), beginning with
 *        crc32(cluster), beginning with mixed(group · length)
 * ```
 *
 * The length of the key belongs to it: bytes that moved from one column into the next
 * would leave the same ones in a row. A call of `crc32` costs as much as two thousand
 * bytes in it, so the short parts of a row go into its start value without one: each
 * step of mixing makes different numbers of different ones, and so does CRC-32 with its
 * start values. Nothing is copied.
 *
 * A checksum shows every single turned bit of a row, and a row that stands under the
 * key of another. It cannot show a row that is not found: one bit in a key, or in
 * what SQLite finds rows by, can hide some. `kv verify` reads every row and sees that.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { AppliedPosition } from "../ports.ts";
import type { Encoding, Row } from "../types.ts";
import type { SqlValue } from "./sql_connection.ts";

/** Columns of a row, as they are read and written: the value is last, see `state_table.ts`. */
export const ROW_COLUMNS = "key, stamp, encoding, expires, checksum, value";

/** A row as SQLite gives it; of a damaged one any column may be anything. */
export type RowTuple = readonly [
  key: SqlValue,
  stamp: SqlValue,
  encoding: SqlValue,
  expires: SqlValue,
  checksum: SqlValue,
  value: SqlValue,
];

/** Start and odd factor of the hash FNV with 32 bits. */
const MIX_START = 0x811c9dc5;
const MIX_FACTOR = 0x01000193;
const HIGH = 2 ** 32;

/** The checksum of a row, as an unsigned 32-bit number. */
export function checksumOf({ key, stamp, encoding, expiresMs, data }: Row): number {
  return rowChecksum(key, stamp, encoding, expiresMs, data);
}

/** The row in a tuple; `null` if it is not as it was written. */
export function intactRow(tuple: RowTuple): Row | null {
  // By place: taking it apart as a pattern costs more.
  const key = tuple[0];
  const stamp = tuple[1];
  const encoding = tuple[2];
  const expiresMs = tuple[3];
  const data = tuple[5];
  if (
    // A turned bit can make a text of bytes, and bytes of a number.
    !(key instanceof Uint8Array) || !(stamp instanceof Uint8Array) ||
    !(data instanceof Uint8Array) || !isWhole(encoding) ||
    (expiresMs !== null && !isWhole(expiresMs)) ||
    rowChecksum(key, stamp, encoding, expiresMs, data) !== tuple[4]
  ) return null;
  return { key, stamp, encoding: encoding as Encoding, expiresMs, data };
}

/** The part of a state's checksum that is the same for as long as it lives. */
export function identitySeed(cluster: string, group: number): number {
  const text = new TextEncoder().encode(cluster);
  return crc32(text, mixed(mixedLong(MIX_START, group), text.length) >>> 0);
}

/** The checksum of how far the log is in a state, and of how many rows there are. */
export function metaChecksum(seed: number, applied: AppliedPosition, rows: number): number {
  const { term, index, stamp } = applied;
  let sum = mixedLong(seed, term);
  sum = mixedLong(sum, index);
  sum = mixedLong(sum, rows);
  sum = mixed(sum, stamp === null ? 0 : 1);
  return (stamp === null ? sum : mixedBytes(sum, stamp)) >>> 0;
}

function isWhole(value: SqlValue): value is number {
  return typeof value === "number" && Number.isInteger(value);
}

function rowChecksum(
  key: Uint8Array,
  stamp: Uint8Array,
  encoding: number,
  expiresMs: number | null,
  data: Uint8Array,
): number {
  let start = mixed(MIX_START, key.length);
  start = mixedLong(start, encoding);
  start = mixed(start, expiresMs === null ? 0 : 1);
  if (expiresMs !== null) start = mixedLong(start, expiresMs);
  start = mixedBytes(start, stamp);
  return crc32(data, crc32(key, start >>> 0));
}

function mixedBytes(start: number, bytes: Uint8Array): number {
  let sum = start;
  for (let place = 0; place < bytes.length; place++) sum = mixed(sum, bytes[place] ?? 0);
  return sum;
}

/** Takes a whole number of up to 64 bits in. */
function mixedLong(start: number, value: number): number {
  return mixed(mixed(start, value), Math.floor(value / HIGH));
}

/**
 * Takes the low 32 bits of a whole number in. The shift brings high bits down, where the
 * next factor spreads them: without it two of them in two numbers would cancel out.
 */
function mixed(start: number, value: number): number {
  const product = Math.imul(start + (value | 0), MIX_FACTOR);
  return product ^ (product >>> 15);
}
