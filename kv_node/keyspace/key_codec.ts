/**
 * Keys as bytes: the tuple layout of FoundationDB as Deno KV uses it, so that the
 * order of bytes is the order of keys.
 *
 * ```
 * bytes    01 … 00          a 00 inside is written 00 ff
 * string   02 … 00          UTF-8, likewise
 * bigint   0c-13 | 14 | 15-1c   14 ± the number of bytes, then they, big-endian;
 *                           negative ones with every bit turned
 *          0b | 1d          more than 8 bytes: their number (turned likewise) in a byte, then they
 * number   21 …             8 bytes of the double, big-endian: the sign bit turned,
 *                           of negative ones every bit
 * false 26, true 27
 * ```
 *
 * Source: FoundationDB's `design/tuple.md`; that Deno writes the same bytes is
 * proven by the tests, against its own database files.
 *
 * @module
 */

/** A part of a key. */
export type KeyPart = Uint8Array | string | number | bigint | boolean;

/** Most bytes of a bigint in a key; as in Deno KV. */
export const BIGINT_BYTES_MAX = 255;

const BYTES = 0x01;
const STRING = 0x02;
const NEGATIVE_LONG = 0x0b;
const ZERO = 0x14;
const POSITIVE_LONG = 0x1d;
const DOUBLE = 0x21;
const FALSE = 0x26;
const TRUE = 0x27;
const ESCAPE = 0xff;
/** A bigint of more bytes has their number written out. */
const SHORT_BYTES_MAX = 8;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const double = new DataView(new ArrayBuffer(8));

const SCRATCH_BYTES = 4_096;
const SCRATCH_BYTES_KEPT = 65_536;

/** Where keys are put together before they are copied out; widened for a long one. */
let scratch = new Uint8Array(SCRATCH_BYTES);

/**
 * A key's bytes.
 *
 * As in Deno KV a view other than a `Uint8Array` counts as its bytes, half a
 * surrogate pair becomes U+FFFD, and all NaN of a sign are one.
 *
 * @throws {TypeError} If a part is of another type, or a bigint has more than 255 bytes.
 */
export function encodeKey(parts: readonly KeyPart[]): Uint8Array {
  if (!Array.isArray(parts)) throw new TypeError("Cannot encode key: expected an array");
  let at = 0;
  for (const part of parts) {
    if (typeof part === "string") at = putString(part, at);
    else if (typeof part === "number") at = putNumber(part, at);
    else if (typeof part === "bigint") at = putBigint(part, at);
    else if (typeof part === "boolean") {
      reserve(at + 1);
      scratch[at++] = part ? TRUE : FALSE;
    } else if (ArrayBuffer.isView(part)) {
      at = putBytes(BYTES, new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    } else {
      throw new TypeError(
        "Cannot encode key: expected string, number, bigint, ArrayBufferView, boolean",
      );
    }
  }
  const key = scratch.slice(0, at);
  if (scratch.length > SCRATCH_BYTES_KEPT) scratch = new Uint8Array(SCRATCH_BYTES);
  return key;
}

/**
 * A key's parts.
 *
 * @throws {TypeError} If these are not the bytes of a key.
 */
export function decodeKey(bytes: Uint8Array): KeyPart[] {
  const parts: KeyPart[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at++] ?? 0;
    if (tag === STRING || tag === BYTES) {
      const end = endOfText(bytes, at);
      const text = unescaped(bytes, at, end);
      parts.push(tag === BYTES ? text : stringOf(text));
      at = end + 1;
    } else if (tag === DOUBLE) {
      parts.push(numberAt(bytes, at));
      at += 8;
    } else if (tag >= NEGATIVE_LONG && tag <= POSITIVE_LONG) {
      const isLong = tag === NEGATIVE_LONG || tag === POSITIVE_LONG;
      const isNegative = tag < ZERO;
      const turned = isNegative ? 0xff : 0;
      const size = isLong
        ? (bytes[at++] ?? broken("ends too soon")) ^ turned
        : Math.abs(tag - ZERO);
      parts.push(bigintAt(bytes, at, size, isNegative));
      at += size;
    } else if (tag === TRUE || tag === FALSE) parts.push(tag === TRUE);
    else broken("unknown type of part");
  }
  return parts;
}

function broken(why: string): never {
  throw new TypeError(`Cannot decode key: ${why}`);
}

function reserve(sizeBytes: number): void {
  if (sizeBytes <= scratch.length) return;
  const wider = new Uint8Array(Math.max(sizeBytes, scratch.length * 2));
  wider.set(scratch);
  scratch = wider;
}

function putString(text: string, from: number): number {
  // Every UTF-16 unit takes up to 3 bytes; a NUL takes 2.
  reserve(from + text.length * 3 + 2);
  const into = scratch;
  let at = from;
  into[at++] = STRING;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return putBytes(STRING, utf8.encode(text), from);
    into[at++] = unit;
    if (unit === 0) into[at++] = ESCAPE;
  }
  into[at++] = 0;
  return at;
}

function putBytes(tag: number, bytes: Uint8Array, from: number): number {
  reserve(from + bytes.length * 2 + 2);
  const into = scratch;
  let at = from;
  into[at++] = tag;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0;
    into[at++] = byte;
    if (byte === 0) into[at++] = ESCAPE;
  }
  into[at++] = 0;
  return at;
}

function putNumber(value: number, at: number): number {
  reserve(at + 9);
  double.setFloat64(0, value);
  const isNegative = (double.getUint8(0) & 0x80) !== 0;
  if (Number.isNaN(value)) double.setBigUint64(0, isNegative ? 0xfff8n << 48n : 0x7ff8n << 48n);
  scratch[at] = DOUBLE;
  scratch[at + 1] = double.getUint8(0) ^ (isNegative ? 0xff : 0x80);
  for (let index = 1; index < 8; index++) {
    scratch[at + 1 + index] = double.getUint8(index) ^ (isNegative ? 0xff : 0);
  }
  return at + 9;
}

function putBigint(value: bigint, from: number): number {
  const isNegative = value < 0n;
  const digits = (isNegative ? -value : value).toString(16);
  const size = value === 0n ? 0 : (digits.length + 1) >> 1;
  if (size > BIGINT_BYTES_MAX) {
    throw new TypeError(`Cannot encode key: bigint of more than ${BIGINT_BYTES_MAX} bytes`);
  }
  reserve(from + size + 2);
  const turned = isNegative ? 0xff : 0;
  let at = from;
  if (size > SHORT_BYTES_MAX) {
    scratch[at++] = isNegative ? NEGATIVE_LONG : POSITIVE_LONG;
    scratch[at++] = size ^ turned;
  } else scratch[at++] = isNegative ? ZERO - size : ZERO + size;
  for (let index = 0; index < size; index++) {
    const end = digits.length - 2 * (size - 1 - index);
    scratch[at + index] = parseInt(digits.slice(Math.max(end - 2, 0), end), 16) ^ turned;
  }
  return at + size;
}

/** Where the 00 is that ends a text; one followed by ff is a part of it. */
function endOfText(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0, from); at >= 0; at = bytes.indexOf(0, at + 2)) {
    if (bytes[at + 1] !== ESCAPE) return at;
  }
  return broken("ends too soon");
}

function unescaped(bytes: Uint8Array, from: number, end: number): Uint8Array {
  const text = bytes.slice(from, end);
  let size = text.indexOf(0);
  if (size < 0) return text;
  for (let index = size; index < text.length; index++) {
    const byte = text[index] ?? 0;
    text[size++] = byte;
    if (byte === 0) index++;
  }
  return text.slice(0, size);
}

function stringOf(text: Uint8Array): string {
  try {
    return fromUtf8.decode(text);
  } catch (cause) {
    throw new TypeError("Cannot decode key: a text is not UTF-8", { cause });
  }
}

function numberAt(bytes: Uint8Array, at: number): number {
  if (at + 8 > bytes.length) broken("ends too soon");
  const isNegative = ((bytes[at] ?? 0) & 0x80) === 0;
  for (let index = 0; index < 8; index++) {
    double.setUint8(index, (bytes[at + index] ?? 0) ^ (isNegative ? 0xff : index === 0 ? 0x80 : 0));
  }
  return double.getFloat64(0);
}

function bigintAt(bytes: Uint8Array, at: number, size: number, isNegative: boolean): bigint {
  if (at + size > bytes.length) broken("ends too soon");
  let digits = "0x0";
  for (let index = at; index < at + size; index++) {
    const byte = (bytes[index] ?? 0) ^ (isNegative ? 0xff : 0);
    digits += byte.toString(16).padStart(2, "0");
  }
  return isNegative ? -BigInt(digits) : BigInt(digits);
}
