/**
 * Bytes of a backup in, in pieces of any length, snapshots out, all of it checked.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { HeldBytes } from "../store/held_bytes.ts";
import {
  BACKUP_FORMAT,
  BACKUP_MAGIC,
  backupDamage,
  type BackupError,
  type BackupManifest,
  decodeManifest,
  FRAME_BYTES_MAX,
  FRAME_CHECKED_FROM,
  FRAME_MANIFEST,
  FRAME_OVERHEAD_BYTES,
  FRAME_SNAPSHOT,
  FRAME_TRAILER,
  PREAMBLE_BYTES,
  TRAILER_BYTES,
} from "./backup_format.ts";

/** A chunk of the snapshot of a group. */
export interface BackupChunk {
  /** The group. */
  readonly group: number;
  /** Bytes of its snapshot: the reader's own. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where its frame starts in the file, in bytes. */
  readonly offset: number;
}

/** Reads the frames of a backup; memory is that of one. */
export class BackupDecoder {
  readonly #hash = createHash("sha256");
  #held = new HeldBytes();
  #offset = 0;
  #number = 0;
  #hasPreamble = false;
  #hasEnded = false;
  #manifest: BackupManifest | null = null;

  /** What it says of itself; `null` before that has come. */
  get manifest(): BackupManifest | null {
    return this.#manifest;
  }

  /** Where the frame starts that is read now, in bytes. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Takes the next bytes.
   *
   * @returns The chunks of all frames that are complete now.
   * @throws {BackupError} If anything in them is not as it was written.
   */
  push(bytes: Uint8Array): BackupChunk[] {
    this.#held.add(bytes);
    const chunks: BackupChunk[] = [];
    let at = this.#hasPreamble ? 0 : this.#takePreamble();
    while (this.#hasPreamble) {
      if (this.#hasEnded && at < this.#held.length) {
        throw this.#error("there are bytes behind its end");
      }
      const sizeBytes = this.#frameBytes(at);
      if (sizeBytes === null || at + sizeBytes > this.#held.length) break;
      this.#take(this.#held.bytes.slice(at, at + sizeBytes), chunks);
      at += sizeBytes;
    }
    this.#held.drop(at);
    return chunks;
  }

  /**
   * Says that nothing more comes.
   *
   * @throws {BackupError} If the trailer is missing.
   */
  end(): BackupManifest {
    if (!this.#hasEnded || this.#manifest === null) {
      throw this.#error("the file ends here, before its trailer: it was cut off");
    }
    return this.#manifest;
  }

  #takePreamble(): number {
    const { bytes } = this.#held;
    const magicBytes = Math.min(BACKUP_MAGIC.length, bytes.length);
    for (let at = 0; at < magicBytes; at++) {
      if (bytes[at] !== BACKUP_MAGIC[at]) throw this.#error("this is no backup");
    }
    if (bytes.length < PREAMBLE_BYTES) return 0;
    const format = new DataView(bytes.buffer).getUint32(BACKUP_MAGIC.length);
    if (format !== BACKUP_FORMAT) {
      throw this.#error(`its format is ${format}, and this version reads ${BACKUP_FORMAT} only`);
    }
    this.#hasPreamble = true;
    this.#count(bytes.subarray(0, PREAMBLE_BYTES));
    return PREAMBLE_BYTES;
  }

  /** Length of the frame that begins at `at`; `null` if not known yet. */
  #frameBytes(at: number): number | null {
    const { bytes } = this.#held;
    if (at + 4 > bytes.length) return null;
    const length = new DataView(bytes.buffer).getUint32(at);
    if (length > FRAME_BYTES_MAX) throw this.#error(`a length of ${length} cannot be right`);
    return FRAME_OVERHEAD_BYTES + length;
  }

  #take(frame: Uint8Array<ArrayBuffer>, chunks: BackupChunk[]): void {
    const view = new DataView(frame.buffer);
    if (crc32(frame.subarray(FRAME_CHECKED_FROM)) !== view.getUint32(4)) {
      throw this.#error("the checksum does not fit: it is damaged");
    }
    const number = view.getUint32(8);
    if (number !== this.#number) throw this.#error(`frame ${number} stands in place of another`);
    const type = view.getUint8(12);
    if ((number === 0) !== (type === FRAME_MANIFEST)) throw this.#error("a frame is out of place");
    const bytes = frame.subarray(FRAME_OVERHEAD_BYTES);
    if (type === FRAME_SNAPSHOT) {
      chunks.push({ group: view.getUint32(13), bytes, offset: this.#offset });
    } else if (type === FRAME_MANIFEST) {
      this.#manifest = decodeManifest(bytes);
      if (this.#manifest === null) throw this.#error("the manifest cannot be read");
    } else if (type === FRAME_TRAILER) this.#takeTrailer(bytes);
    else throw this.#error(`frame of unknown type ${type}`);
    this.#number++;
    this.#count(frame);
  }

  #takeTrailer(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.length !== TRAILER_BYTES) throw this.#error("the trailer is not of its length");
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    if (view.getBigUint64(0) !== BigInt(this.#offset)) {
      throw this.#error("the trailer is that of a file of another length");
    }
    if (!this.#hash.copy().digest().equals(bytes.subarray(8))) {
      throw this.#error("the hash of the whole does not fit");
    }
    this.#hasEnded = true;
  }

  #count(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#offset += bytes.length;
  }

  #error(reason: string): BackupError {
    return backupDamage(this.#offset, reason);
  }
}
