/**
 * What a snapshot is made of: the bytes that its encoder and decoder agree on.
 *
 * ```
 * snapshot = "WEIRSNAP" chunk(header) chunk(rows)… chunk(trailer)
 * chunk    = u32 length · u32 crc32(rest of the chunk) · u32 number · u8 type · payload
 * header   = u16 format · u16 length · cluster · u32 group · u64 term · u64 index
 *            · u8 has stamp · 10 bytes stamp · u64 rows
 * rows     = (u16 key length · u32 value length · u8 encoding, +0x80 with expiry
 *            · 10 bytes stamp · [u64 expiry] · key · value)…
 * trailer  = u64 rows · u32 chunks before it · SHA-256 of all bytes before it
 * ```
 *
 * Numbers are big-endian; `length` is that of the payload. Keys rise strictly.
 * The checksum covers the number, so a chunk in the wrong place does not pass,
 * and a lost end is known by the missing trailer.
 *
 * The same rows give the same chunks, so a reader that was cut off goes on at a
 * chunk's number.
 *
 * @module
 */
import type { AppliedPosition } from "../ports.ts";

/** First bytes of a snapshot. */
export const SNAPSHOT_MAGIC: Uint8Array = new TextEncoder().encode("WEIRSNAP");
/** Version of the format. */
export const SNAPSHOT_FORMAT = 1;

/** Types of chunks. */
export const CHUNK_HEADER = 1;
/** Rows. */
export const CHUNK_ROWS = 2;
/** The end. */
export const CHUNK_TRAILER = 3;

/** Bytes of a chunk before its payload. */
export const CHUNK_OVERHEAD_BYTES = 13;
/** Where what the checksum covers begins, in bytes. */
export const CHECKED_FROM = 8;
/** A chunk of rows is closed before it would become longer, unless by one row alone, in bytes. */
export const CHUNK_BYTES = 256 * 1_024;
/** The longest chunk that is read: room for one row with a value far above the limit, in bytes. */
export const CHUNK_BYTES_MAX = 32 * 1_048_576;
/** Bytes of a row besides key, value and expiry. */
export const ROW_OVERHEAD_BYTES = 17;
/** Bit of the encoding that says that an expiry follows. */
export const EXPIRES_BIT = 0x80;
/** Length of a SHA-256 in bytes. */
export const HASH_BYTES = 32;

/** What a snapshot is of. */
export interface SnapshotHeader {
  /** Identity of the cluster, or of the lone node. */
  readonly cluster: string;
  /** The replication group. */
  readonly group: number;
  /** The moment in it: the last entry that is in the rows. */
  readonly applied: AppliedPosition;
  /** How many rows will come. */
  readonly rows: number;
}

/** A snapshot that cannot be read, with the place where that was found. */
export class SnapshotError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "SnapshotError";
  /** Number of the chunk. */
  readonly chunk: number;
  /** Where the chunk starts, in bytes. */
  readonly offset: number;

  /** Says where and why; `message` never holds a key or a value. */
  constructor(chunk: number, offset: number, message: string) {
    super(message);
    this.chunk = chunk;
    this.offset = offset;
  }
}

/** Writes a whole number up to 2^53 as u64. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value % 2 ** 32);
}

/** Reads a u64; above 2^53 it is not exact, which no whole number that was written is. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}
