/**
 * Numbers and bigints in V8's serialization, read and written without V8: what a
 * sum needs, on a server that must not run a client's bytes through a deserializer.
 *
 * ```
 * ff version   header, version 13 to 16
 * 49 varint    'I': an int32, zigzag
 * 55 varint    'U': a uint32
 * 4e 8 bytes   'N': a double, little-endian
 * 5a varint n  'Z': a bigint; bit 0 of the varint is the sign, the rest is the number of
 *              bytes of digits, little-endian, in whole 64-bit words
 * ```
 *
 * Padding (00) may stand before a tag. Source: V8's `value-serializer.cc`.
 *
 * @module
 */
import { Buffer } from "node:buffer";

const HEADER = 0xff;
/** What `node:v8` writes; every Deno with a KV reads it. */
const VERSION = 15;
const VERSION_MIN = 13;
const VERSION_MAX = 16;

const PADDING = 0x00;
const INT32 = 0x49;
const UINT32 = 0x55;
const DOUBLE = 0x4e;
const BIGINT = 0x5a;

const WORD_BYTES = 8;
const HEADER_BYTES = 2;

const double = new DataView(new ArrayBuffer(8));

/**
 * The number or bigint that these bytes are.
 *
 * @returns `null` if they are anything else, or more than that.
 */
export function readV8Number(bytes: Uint8Array): number | bigint | null {
  const version = bytes[1] ?? 0;
  if (bytes[0] !== HEADER || version < VERSION_MIN || version > VERSION_MAX) return null;
  let at = HEADER_BYTES;
  while (bytes[at] === PADDING) at++;
  const tag = bytes[at++];
  if (tag === DOUBLE) return at + 8 === bytes.length ? doubleAt(bytes, at) : null;
  if (tag !== INT32 && tag !== UINT32 && tag !== BIGINT) return null;
  let value = 0;
  for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) return null;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (value > 0xffff_ffff) return null;
      if (tag === BIGINT) return bigintAt(bytes, at, value);
      if (at !== bytes.length) return null;
      return tag === UINT32 ? value : (value >>> 1) ^ -(value & 1);
    }
  }
  return null;
}

/** The bytes that V8 writes for a number or a bigint. */
export function writeV8Number(value: number | bigint): Uint8Array {
  if (typeof value === "bigint") return bigintBytes(value);
  if (Object.is(value, value | 0)) return int32Bytes(value);
  const bytes = withHeader(DOUBLE, 8);
  // One NaN for all, so that replicas write the same bytes.
  if (Number.isNaN(value)) double.setBigUint64(0, 0x7ff8n << 48n, true);
  else double.setFloat64(0, value, true);
  for (let index = 0; index < 8; index++) bytes[HEADER_BYTES + 1 + index] = double.getUint8(index);
  return bytes;
}

function withHeader(tag: number, contentBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + 1 + contentBytes);
  bytes[0] = HEADER;
  bytes[1] = VERSION;
  bytes[2] = tag;
  return bytes;
}

function int32Bytes(value: number): Uint8Array {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  const content: number[] = [];
  for (; rest >= 0x80; rest >>>= 7) content.push((rest & 0x7f) | 0x80);
  content.push(rest);
  const bytes = withHeader(INT32, content.length);
  bytes.set(content, HEADER_BYTES + 1);
  return bytes;
}

function bigintBytes(value: bigint): Uint8Array {
  const isNegative = value < 0n;
  const digits = value === 0n ? "" : (isNegative ? -value : value).toString(16);
  const size = Math.ceil(digits.length / (2 * WORD_BYTES)) * WORD_BYTES;
  const sizes: number[] = [];
  let rest = size * 2 + (isNegative ? 1 : 0);
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) sizes.push((rest & 0x7f) | 0x80);
  sizes.push(rest);
  const bytes = withHeader(BIGINT, sizes.length + size);
  bytes.set(sizes, HEADER_BYTES + 1);
  // By the whole, not byte by byte: a stored bigint may have 64 KiB.
  const bigEndian = Buffer.from(digits.padStart(size * 2, "0"), "hex");
  bytes.set(bigEndian.reverse(), HEADER_BYTES + 1 + sizes.length);
  return bytes;
}

function doubleAt(bytes: Uint8Array, at: number): number {
  for (let index = 0; index < 8; index++) double.setUint8(index, bytes[at + index] ?? 0);
  return double.getFloat64(0, true);
}

function bigintAt(bytes: Uint8Array, at: number, bitfield: number): bigint | null {
  const size = bitfield >>> 1;
  if (size % WORD_BYTES !== 0 || at + size !== bytes.length) return null;
  const digits = `0x0${Buffer.from(bytes.subarray(at)).reverse().toString("hex")}`;
  return (bitfield & 1) === 1 ? -BigInt(digits) : BigInt(digits);
}
