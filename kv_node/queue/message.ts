/**
 * A message as it lies in the queue, and its bytes.
 *
 * ```
 * u8 version (1) · u8 encoding of the payload · u8 flags (1 = has an origin) · u16 attempts
 * f64 enqueued at · [12 bytes of origin] · u16 count, then u32 each: waits
 * u16 count, then u16 length and bytes each: undelivered keys
 * u16 length and UTF-8: last error · the payload, up to the end
 * ```
 *
 * Numbers are big-endian. The waits are the whole schedule, so that the number of
 * attempts tells which one is next.
 *
 * @module
 */
import type { Encoding, KvValue } from "../types.ts";

/** Bytes of an origin: the versionstamp of the first commit and the place in it. */
export const ORIGIN_BYTES = 12;

/** A message in the queue, or among the dead letters. */
export interface StoredMessage {
  /** What was enqueued. */
  readonly payload: KvValue;
  /** Attempts that ended without success. */
  readonly attempts: number;
  /** Waits before each further attempt, in milliseconds. */
  readonly backoffMs: readonly number[];
  /** The client's keys that the payload is written to when all attempts have failed. */
  readonly undeliveredKeys: readonly Uint8Array[];
  /** When it was enqueued, in milliseconds since the Unix epoch. */
  readonly enqueuedMs: number;
  /** Its identity, kept over attempts; `null` where it is still told by its own key. */
  readonly origin: Uint8Array | null;
  /** Why the last attempt failed, or "". */
  readonly lastError: string;
}

const VERSION = 1;
const HAS_ORIGIN = 1;
const HEAD_BYTES = 13;
const COUNT_MAX = 0xffff;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A message as bytes.
 *
 * @throws {RangeError} If a list, key or text in it is longer than 65,535.
 */
export function encodeMessage(message: StoredMessage): Uint8Array {
  const { payload, backoffMs, undeliveredKeys, origin } = message;
  const error = encoder.encode(message.lastError);
  const keysBytes = undeliveredKeys.reduce((sum, key) => sum + 2 + key.length, 0);
  const originBytes = origin === null ? 0 : ORIGIN_BYTES;
  const bytes = new Uint8Array(
    HEAD_BYTES + originBytes + 6 + 4 * backoffMs.length + keysBytes + error.length +
      payload.data.length,
  );
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION;
  bytes[1] = payload.encoding;
  bytes[2] = origin === null ? 0 : HAS_ORIGIN;
  view.setUint16(3, count(message.attempts));
  view.setFloat64(5, message.enqueuedMs);
  let at = HEAD_BYTES;
  if (origin !== null) bytes.set(origin, at);
  at += originBytes;
  view.setUint16(at, count(backoffMs.length));
  at += 2;
  for (const waitMs of backoffMs) {
    view.setUint32(at, waitMs);
    at += 4;
  }
  view.setUint16(at, count(undeliveredKeys.length));
  at += 2;
  for (const key of undeliveredKeys) at = putShort(bytes, view, at, key);
  at = putShort(bytes, view, at, error);
  bytes.set(payload.data, at);
  return bytes;
}

/**
 * The message of these bytes; payload, keys and origin are views of them.
 *
 * @returns `null` if they are none that this program knows.
 */
export function decodeMessage(bytes: Uint8Array): StoredMessage | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const encoding = bytes[1];
  if (bytes[0] !== VERSION || !isEncoding(encoding)) return null;
  try {
    return decode(bytes, view, encoding);
  } catch (error) {
    // Reads behind the end: the bytes were cut.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function decode(bytes: Uint8Array, view: DataView, encoding: Encoding): StoredMessage {
  let at = HEAD_BYTES;
  let origin: Uint8Array | null = null;
  if (bytes[2] === HAS_ORIGIN) {
    origin = slice(bytes, at, ORIGIN_BYTES);
    at += ORIGIN_BYTES;
  }
  const waits = view.getUint16(at);
  at += 2;
  const backoffMs: number[] = [];
  for (let place = 0; place < waits; place++, at += 4) backoffMs.push(view.getUint32(at));
  const keys = view.getUint16(at);
  at += 2;
  const undeliveredKeys: Uint8Array[] = [];
  for (let place = 0; place < keys; place++) {
    const key = slice(bytes, at + 2, view.getUint16(at));
    undeliveredKeys.push(key);
    at += 2 + key.length;
  }
  const error = slice(bytes, at + 2, view.getUint16(at));
  at += 2 + error.length;
  return {
    payload: { data: bytes.subarray(at), encoding },
    attempts: view.getUint16(3),
    backoffMs,
    undeliveredKeys,
    enqueuedMs: view.getFloat64(5),
    origin,
    lastError: decoder.decode(error),
  };
}

function putShort(bytes: Uint8Array, view: DataView, at: number, part: Uint8Array): number {
  view.setUint16(at, count(part.length));
  bytes.set(part, at + 2);
  return at + 2 + part.length;
}

function slice(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > bytes.length) throw new RangeError("Cannot read message: it was cut");
  return bytes.subarray(at, at + length);
}

function count(value: number): number {
  if (value <= COUNT_MAX) return value;
  throw new RangeError(`Cannot encode message: ${value} is more than ${COUNT_MAX}`);
}

function isEncoding(value: number | undefined): value is Encoding {
  return value === 1 || value === 2 || value === 3;
}
