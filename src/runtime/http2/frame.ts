/**
 * Frames as bytes: types, flags, heads, and the few that a server sends.
 *
 * Source: RFC 9113, sections 4.1 and 6.
 *
 * @module
 */

type Bytes = Uint8Array<ArrayBuffer>;

/** Frame types. */
export const FrameType = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

/** Flags; which of them mean something depends on the type. */
export const Flag = {
  none: 0x0,
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** Settings. */
export const Setting = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const;

/** What lies before every payload. */
export const FRAME_HEAD_BYTES = 9;
/** The longest payload that everybody takes, and that this server takes. */
export const FRAME_BYTES_MAX = 16_384;
/** The widest window. */
export const WINDOW_MAX = 0x7fff_ffff;
/** The window that streams and connections begin with. */
export const WINDOW_AT_FIRST = 65_535;

/** Writes the head of a frame at `at` and returns where its payload goes. */
export function putFrameHead(
  bytes: Bytes,
  at: number,
  sizeBytes: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  bytes[at] = sizeBytes >>> 16;
  bytes[at + 1] = sizeBytes >>> 8;
  bytes[at + 2] = sizeBytes;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  return putUint32(bytes, at + 5, streamId);
}

/** Writes four bytes, the highest first, and returns where the next one goes. */
export function putUint32(bytes: Bytes, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

/** Reads four bytes, the highest first. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return readUint31(bytes, at) + ((bytes[at] ?? 0) & 0x80) * 0x100_0000;
}

/** Reads four bytes without their highest bit, which is reserved. */
export function readUint31(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) & 0x7f) << 24) | ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
