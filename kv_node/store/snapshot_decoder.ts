/**
 * Bytes of a snapshot in, in pieces of any length, rows out, all of it checked.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { type Encoding, type Row, STAMP_BYTES } from "../types.ts";
import { HeldBytes } from "./held_bytes.ts";
import {
  CHECKED_FROM,
  CHUNK_BYTES_MAX,
  CHUNK_HEADER,
  CHUNK_OVERHEAD_BYTES,
  CHUNK_ROWS,
  CHUNK_TRAILER,
  EXPIRES_BIT,
  HASH_BYTES,
  readU64,
  ROW_OVERHEAD_BYTES,
  SNAPSHOT_FORMAT,
  SNAPSHOT_MAGIC,
  SnapshotError,
  type SnapshotHeader,
} from "./snapshot_format.ts";

/** Bytes of a header's payload besides the name of the cluster. */
const HEADER_BYTES = 33 + STAMP_BYTES;

/** Reads a snapshot; memory is that of one chunk. */
export class SnapshotDecoder {
  readonly #hash = createHash("sha256");
  #held = new HeldBytes();
  #offset = 0;
  #number = 0;
  #rows = 0;
  #lastKey: Uint8Array | null = null;
  #header: SnapshotHeader | null = null;
  #hasEnded = false;

  /** What it is of; `null` before the first chunk is complete. */
  get header(): SnapshotHeader | null {
    return this.#header;
  }

  /** The number of the chunk that is read now: where to go on after a break. */
  get chunk(): number {
    return this.#number;
  }

  /** How many rows were read. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Forgets the part of a chunk that it holds, so that {@linkcode chunk} may be
   * sent again from its start after a break.
   */
  resume(): void {
    this.#held.drop(this.#held.length);
  }

  /**
   * Takes the next bytes.
   *
   * @returns The rows of all chunks that are complete now; their bytes are the caller's.
   * @throws {SnapshotError} If anything in them is not as it was written.
   */
  push(bytes: Uint8Array): Row[] {
    this.#held.add(bytes);
    const rows: Row[] = [];
    let at = 0;
    for (;;) {
      const sizeBytes = this.#chunkBytes(at);
      if (sizeBytes === null || at + sizeBytes > this.#held.length) break;
      this.#read(this.#held.bytes.slice(at, at + sizeBytes), rows);
      at += sizeBytes;
    }
    this.#held.drop(at);
    return rows;
  }

  /**
   * Says that nothing more comes.
   *
   * @throws {SnapshotError} If the trailer is missing, or something came after it.
   */
  end(): SnapshotHeader {
    if (!this.#hasEnded || this.#header === null) throw this.#error("it ends before its trailer");
    if (this.#held.length > 0) throw this.#error("there are bytes behind its trailer");
    return this.#header;
  }

  /** Length of the chunk that begins at `at`, magic number included; `null` if not known yet. */
  #chunkBytes(at: number): number | null {
    const before = this.#number === 0 ? SNAPSHOT_MAGIC.length : 0;
    const { bytes } = this.#held;
    const held = bytes.length - at;
    if (held > 0 && this.#hasEnded) throw this.#error("there are bytes behind its trailer");
    const magicBytes = Math.min(before, held);
    for (let i = 0; i < magicBytes; i++) {
      if (bytes[at + i] !== SNAPSHOT_MAGIC[i]) throw this.#error("this is no snapshot");
    }
    if (held < before + 4) return null;
    const length = new DataView(bytes.buffer).getUint32(at + before);
    if (length > CHUNK_BYTES_MAX) throw this.#error(`its length of ${length} cannot be right`);
    return before + CHUNK_OVERHEAD_BYTES + length;
  }

  /** Reads one chunk. */
  #read(bytes: Uint8Array<ArrayBuffer>, rows: Row[]): void {
    const chunk = this.#number === 0 ? bytes.subarray(SNAPSHOT_MAGIC.length) : bytes;
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    if (crc32(chunk.subarray(CHECKED_FROM)) !== view.getUint32(4)) {
      throw this.#error("its checksum does not fit");
    }
    const number = view.getUint32(8);
    if (number !== this.#number) throw this.#error(`chunk ${number} is in its place`);
    const type = view.getUint8(12);
    if ((number === 0) !== (type === CHUNK_HEADER)) throw this.#error("its type is out of place");
    if (type === CHUNK_HEADER) this.#header = this.#readHeader(chunk, view);
    else if (type === CHUNK_ROWS) this.#readRows(chunk, view, rows);
    else if (type === CHUNK_TRAILER) this.#readTrailer(chunk, view);
    else throw this.#error(`its type ${type} is unknown`);
    this.#hash.update(bytes);
    this.#offset += bytes.length;
    this.#number++;
  }

  #readHeader(chunk: Uint8Array, view: DataView): SnapshotHeader {
    let at = CHUNK_OVERHEAD_BYTES;
    if (chunk.length < at + 4) throw this.#error("its header is cut short");
    const format = view.getUint16(at);
    if (format !== SNAPSHOT_FORMAT) throw this.#error(`its format ${format} is unknown`);
    const clusterBytes = view.getUint16(at + 2);
    if (chunk.length !== at + HEADER_BYTES + clusterBytes) {
      throw this.#error("its header is not of its length");
    }
    const cluster = new TextDecoder().decode(chunk.subarray(at + 4, at + 4 + clusterBytes));
    at += 4 + clusterBytes;
    const hasStamp = view.getUint8(at + 20) === 1;
    const stamp = hasStamp ? chunk.slice(at + 21, at + 21 + STAMP_BYTES) : null;
    return {
      cluster,
      group: view.getUint32(at),
      applied: { term: readU64(view, at + 4), index: readU64(view, at + 12), stamp },
      rows: readU64(view, at + 21 + STAMP_BYTES),
    };
  }

  #readRows(chunk: Uint8Array, view: DataView, rows: Row[]): void {
    let at = CHUNK_OVERHEAD_BYTES;
    while (at < chunk.length) {
      const hasFront = at + ROW_OVERHEAD_BYTES <= chunk.length;
      const flags = hasFront ? view.getUint8(at + 6) : 0;
      const keyAt = at + ROW_OVERHEAD_BYTES + ((flags & EXPIRES_BIT) === 0 ? 0 : 8);
      const dataAt = hasFront ? keyAt + view.getUint16(at) : keyAt;
      const end = hasFront ? dataAt + view.getUint32(at + 2) : keyAt;
      if (end > chunk.length) throw this.#error("a row reaches beyond it");
      const encoding = this.#encodingOf(flags & ~EXPIRES_BIT);
      const key = chunk.subarray(keyAt, dataAt);
      if (this.#lastKey !== null && Buffer.compare(this.#lastKey, key) >= 0) {
        throw this.#error("its keys do not rise");
      }
      this.#lastKey = key;
      rows.push({
        key,
        data: chunk.subarray(dataAt, end),
        encoding,
        stamp: chunk.subarray(at + 7, at + 7 + STAMP_BYTES),
        expiresMs: (flags & EXPIRES_BIT) === 0 ? null : readU64(view, keyAt - 8),
      });
      this.#rows++;
      at = end;
    }
  }

  #encodingOf(value: number): Encoding {
    if (value === 1 || value === 2 || value === 3) return value;
    throw this.#error(`its encoding ${value} is unknown`);
  }

  #readTrailer(chunk: Uint8Array, view: DataView): void {
    const at = CHUNK_OVERHEAD_BYTES;
    if (chunk.length !== at + 12 + HASH_BYTES) throw this.#error("its trailer is cut short");
    const rows = readU64(view, at);
    if (rows !== this.#rows || rows !== this.#header?.rows) {
      throw this.#error(`${this.#rows} rows came, not ${rows}`);
    }
    const chunks = view.getUint32(at + 8);
    if (chunks !== this.#number) throw this.#error(`${this.#number} chunks came, not ${chunks}`);
    const hash = this.#hash.copy().digest();
    if (!hash.equals(chunk.subarray(at + 12))) throw this.#error("its hash does not fit");
    this.#hasEnded = true;
  }

  #error(why: string): SnapshotError {
    const [chunk, offset] = [this.#number, this.#offset];
    const message = `Cannot read snapshot: chunk ${chunk} at byte ${offset}: ${why}`;
    return new SnapshotError(chunk, offset, message);
  }
}
