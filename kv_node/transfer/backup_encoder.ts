/**
 * Snapshots in, a backup out, one frame at a time.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import {
  BACKUP_FORMAT,
  BACKUP_MAGIC,
  type BackupManifest,
  encodeManifest,
  FRAME_CHECKED_FROM,
  FRAME_MANIFEST,
  FRAME_OVERHEAD_BYTES,
  FRAME_SNAPSHOT,
  FRAME_TRAILER,
  PREAMBLE_BYTES,
  TRAILER_BYTES,
} from "./backup_format.ts";

/** The snapshot of one group. */
export interface BackupPart {
  /** The group. */
  readonly group: number;
  /** Its chunks, in order. */
  readonly chunks: AsyncIterable<{ readonly bytes: Uint8Array }>;
}

/**
 * Encodes a backup; memory is that of one chunk.
 *
 * @param parts One for each group of the manifest, in its order.
 */
export async function* encodeBackup(
  manifest: BackupManifest,
  parts: readonly BackupPart[],
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const frames = new FrameWriter();
  yield frames.preamble();
  yield frames.frame(FRAME_MANIFEST, 0, encodeManifest(manifest));
  for (const { group, chunks } of parts) {
    for await (const { bytes } of chunks) yield frames.frame(FRAME_SNAPSHOT, group, bytes);
  }
  yield frames.trailer();
}

/** Numbers frames and adds them to the hash. */
class FrameWriter {
  readonly #hash: Hash = createHash("sha256");
  #number = 0;
  #bytes = 0;

  preamble(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(PREAMBLE_BYTES);
    bytes.set(BACKUP_MAGIC);
    new DataView(bytes.buffer).setUint32(BACKUP_MAGIC.length, BACKUP_FORMAT);
    return this.#counted(bytes);
  }

  frame(type: number, group: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(FRAME_OVERHEAD_BYTES + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, payload.length);
    view.setUint32(8, this.#number++);
    view.setUint8(12, type);
    view.setUint32(13, group);
    bytes.set(payload, FRAME_OVERHEAD_BYTES);
    view.setUint32(4, crc32(bytes.subarray(FRAME_CHECKED_FROM)));
    return this.#counted(bytes);
  }

  trailer(): Uint8Array<ArrayBuffer> {
    const payload = new Uint8Array(TRAILER_BYTES);
    new DataView(payload.buffer).setBigUint64(0, BigInt(this.#bytes));
    payload.set(this.#hash.copy().digest(), 8);
    return this.frame(FRAME_TRAILER, 0, payload);
  }

  #counted(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    return bytes;
  }
}
