/**
 * Rows in, chunks of a snapshot out, one at a time.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { type Row, STAMP_BYTES } from "../types.ts";
import {
  CHECKED_FROM,
  CHUNK_BYTES,
  CHUNK_HEADER,
  CHUNK_OVERHEAD_BYTES,
  CHUNK_ROWS,
  CHUNK_TRAILER,
  EXPIRES_BIT,
  HASH_BYTES,
  ROW_OVERHEAD_BYTES,
  SNAPSHOT_FORMAT,
  SNAPSHOT_MAGIC,
  type SnapshotHeader,
  writeU64,
} from "./snapshot_format.ts";

/** A piece of a snapshot, in order. */
export interface SnapshotChunk {
  /** Its number, from 0. */
  readonly number: number;
  /** Its bytes; the first has the magic number before it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many rows are in it and those before it. */
  readonly rows: number;
}

/**
 * Encodes a snapshot; memory is that of one chunk.
 *
 * @param rows In key order, as many as the header says.
 * @throws {RangeError} If there are more or fewer.
 */
export function* encodeSnapshot(
  header: SnapshotHeader,
  rows: Iterable<Row>,
): Generator<SnapshotChunk, void, undefined> {
  const hash = createHash("sha256");
  let number = 0;
  let count = 0;
  yield seal(hash, encodeHeader(header), CHUNK_HEADER, number++, count);

  let chunk = new ChunkWriter();
  for (const row of rows) {
    if (chunk.isFullFor(row)) {
      yield seal(hash, chunk.take(), CHUNK_ROWS, number++, count);
      chunk = new ChunkWriter();
    }
    chunk.add(row);
    count++;
  }
  if (count !== header.rows) {
    throw new RangeError(`Cannot encode snapshot: ${count} rows came, not ${header.rows}`);
  }
  if (!chunk.isEmpty) yield seal(hash, chunk.take(), CHUNK_ROWS, number++, count);
  yield seal(hash, encodeTrailer(hash, count, number), CHUNK_TRAILER, number, count);
}

/** Rows of one chunk, behind room for what stands before the payload. */
class ChunkWriter {
  #bytes = new Uint8Array(CHUNK_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #at = CHUNK_OVERHEAD_BYTES;

  get isEmpty(): boolean {
    return this.#at === CHUNK_OVERHEAD_BYTES;
  }

  isFullFor(row: Row): boolean {
    return !this.isEmpty && this.#at + rowBytes(row) > CHUNK_BYTES;
  }

  add(row: Row): void {
    const { key, data, stamp, encoding, expiresMs } = row;
    const end = this.#at + rowBytes(row);
    if (end > this.#bytes.length) this.#grow(end); // One row alone.
    const view = this.#view;
    let at = this.#at;
    view.setUint16(at, key.length);
    view.setUint32(at + 2, data.length);
    view.setUint8(at + 6, expiresMs === null ? encoding : encoding | EXPIRES_BIT);
    this.#bytes.set(stamp, at + 7);
    at += ROW_OVERHEAD_BYTES;
    if (expiresMs !== null) {
      writeU64(view, at, expiresMs);
      at += 8;
    }
    this.#bytes.set(key, at);
    this.#bytes.set(data, at + key.length);
    this.#at = end;
  }

  /** The chunk, its front still to be filled. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  #grow(sizeBytes: number): void {
    this.#bytes = new Uint8Array(sizeBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }
}

function rowBytes({ key, data, expiresMs }: Row): number {
  return ROW_OVERHEAD_BYTES + (expiresMs === null ? 0 : 8) + key.length + data.length;
}

/** Fills the front of a chunk and adds it to the hash. */
function seal(
  hash: Hash,
  chunk: Uint8Array<ArrayBuffer>,
  type: number,
  number: number,
  rows: number,
): SnapshotChunk {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
  view.setUint32(0, chunk.length - CHUNK_OVERHEAD_BYTES);
  view.setUint32(8, number);
  view.setUint8(12, type);
  view.setUint32(4, crc32(chunk.subarray(CHECKED_FROM)));
  const bytes = number === 0 ? withMagic(chunk) : chunk;
  hash.update(bytes);
  return { number, bytes, rows };
}

function withMagic(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SNAPSHOT_MAGIC.length + chunk.length);
  bytes.set(SNAPSHOT_MAGIC);
  bytes.set(chunk, SNAPSHOT_MAGIC.length);
  return bytes;
}

function encodeHeader(header: SnapshotHeader): Uint8Array<ArrayBuffer> {
  const cluster = new TextEncoder().encode(header.cluster);
  const { term, index, stamp } = header.applied;
  const chunk = new Uint8Array(CHUNK_OVERHEAD_BYTES + 4 + cluster.length + 29 + STAMP_BYTES);
  const view = new DataView(chunk.buffer);
  let at = CHUNK_OVERHEAD_BYTES;
  view.setUint16(at, SNAPSHOT_FORMAT);
  view.setUint16(at + 2, cluster.length);
  chunk.set(cluster, at + 4);
  at += 4 + cluster.length;
  view.setUint32(at, header.group);
  writeU64(view, at + 4, term);
  writeU64(view, at + 12, index);
  view.setUint8(at + 20, stamp === null ? 0 : 1);
  if (stamp !== null) chunk.set(stamp, at + 21);
  writeU64(view, at + 21 + STAMP_BYTES, header.rows);
  return chunk;
}

function encodeTrailer(hash: Hash, rows: number, chunks: number): Uint8Array<ArrayBuffer> {
  const chunk = new Uint8Array(CHUNK_OVERHEAD_BYTES + 12 + HASH_BYTES);
  const view = new DataView(chunk.buffer);
  writeU64(view, CHUNK_OVERHEAD_BYTES, rows);
  view.setUint32(CHUNK_OVERHEAD_BYTES + 8, chunks);
  chunk.set(hash.copy().digest(), CHUNK_OVERHEAD_BYTES + 12);
  return chunk;
}
