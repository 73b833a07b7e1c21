/**
 * Frames of a watch: four bytes of length, little-endian, then a message. An
 * empty one keeps the connection alive.
 *
 * @module
 */
import { KvError } from "../errors.ts";

/** The longest message in a frame, as stock clients take it. */
export const FRAME_BYTES_MAX = 16 * 2 ** 20;

const HEADER_BYTES = 4;
/** Room for a message before its bytes are there: a length alone costs no more than this. */
const ROOM_BYTES = 4_096;

/** A message in its frame. */
export function encodeFrame(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER_BYTES + message.length);
  for (let index = 0; index < HEADER_BYTES; index++) frame[index] = message.length >>> (8 * index);
  frame.set(message, HEADER_BYTES);
  return frame;
}

/** The frame that says nothing but that the watch is alive; a new one each time. */
export function keepAliveFrame(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(HEADER_BYTES);
}

/** Cuts a stream of bytes, in whatever pieces it comes, into messages. */
export class FrameDecoder {
  #header = 0;
  #headerBytes = 0;
  #message = new Uint8Array();
  #messageBytes = 0;

  /** Bytes of a frame that is not complete. */
  get pendingBytes(): number {
    return this.#headerBytes + this.#messageBytes;
  }

  /**
   * Takes a piece.
   *
   * @returns The messages that are complete with it, in order, empty ones included.
   * @throws {KvError} `internal` if a frame is too long; nothing can be read after it.
   */
  push(piece: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    let at = 0;
    while (at < piece.length) {
      if (this.#headerBytes < HEADER_BYTES) {
        this.#header += (piece[at++] ?? 0) * 2 ** (8 * this.#headerBytes++);
        if (this.#headerBytes < HEADER_BYTES) continue;
        if (this.#header > FRAME_BYTES_MAX) {
          throw new KvError("internal", "Cannot read watch: a frame is longer than 16 MiB");
        }
      } else {
        const taken = Math.min(this.#header - this.#messageBytes, piece.length - at);
        this.#reserve(this.#messageBytes + taken);
        this.#message.set(piece.subarray(at, at + taken), this.#messageBytes);
        this.#messageBytes += taken;
        at += taken;
      }
      if (this.#messageBytes === this.#header) messages.push(this.#take());
    }
    return messages;
  }

  #take(): Uint8Array {
    const message = this.#message.subarray(0, this.#header);
    this.#message = new Uint8Array();
    this.#messageBytes = 0;
    this.#header = 0;
    this.#headerBytes = 0;
    return message;
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#message.length) return;
    const room = Math.min(this.#header, Math.max(sizeBytes, ROOM_BYTES, 2 * this.#message.length));
    const wider = new Uint8Array(room);
    wider.set(this.#message.subarray(0, this.#messageBytes));
    this.#message = wider;
  }
}
