/**
 * Frames: how messages follow one another on a connection.
 *
 *     frame = u32 length · u8 type · u32 request id · payload     little-endian
 *
 * `length` counts all that comes after it, so it is 5 for an empty payload. The
 * decoder owns the buffer that is received into and hands out views of it; the
 * encoder gathers frames, so that all of one turn leave in one write. Neither
 * trusts a length: memory grows with the bytes that have come, not with those
 * that were announced.
 *
 * @module
 */
import { KvError } from "../errors.ts";

/** Bytes of a frame in front of its payload. */
export const FRAME_HEADER_BYTES = 9;

/** Size of a buffer that is not needed for anything large, in bytes. */
const BUFFER_BYTES = 16 * 1024;
/** Least room that is offered for receiving, in bytes. */
const ROOM_BYTES = 4 * 1024;
/** A buffer above this is given back as soon as it is empty, in bytes. */
const KEPT_BYTES = 256 * 1024;

const NO_BYTES = new Uint8Array(0);

/**
 * Takes a stream of bytes apart. The frame that was read last stands in `type`,
 * `requestId` and `payload`.
 *
 *     decoder.filled(await conn.read(decoder.room()));
 *     while (decoder.next()) handle(decoder.type, decoder.requestId, decoder.payload);
 */
export class FrameDecoder {
  #buffer = new Uint8Array(BUFFER_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  /** Longest frame that is taken, in bytes; a stranger gets less than a known client. */
  frameBytesMax: number;
  /** Type of the last frame. */
  type = 0;
  /** Request id of the last frame. */
  requestId = 0;
  /** Payload of the last frame: a view that the next `room` makes invalid. */
  payload: Uint8Array = NO_BYTES;

  /** Refuses frames of more than `frameBytesMax` in all. */
  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  /** How many bytes have come that belong to no frame yet. */
  get restBytes(): number {
    return this.#end - this.#start;
  }

  /** Where to receive into. Views handed out before are not to be read any more. */
  room(): Uint8Array<ArrayBuffer> {
    this.payload = NO_BYTES;
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      if (this.#buffer.length > KEPT_BYTES) this.#replace(BUFFER_BYTES);
    } else if (this.#buffer.length - this.#end < ROOM_BYTES) {
      // Moving what is left to the front pays only where it frees a good part.
      if (this.#start >= this.#buffer.length / 2) this.#moveToFront();
      else this.#replace(this.#buffer.length * 2);
    }
    return this.#buffer.subarray(this.#end);
  }

  /** Says how many bytes were received into `room`. */
  filled(bytes: number): void {
    this.#end += bytes;
  }

  /** Forgets what has come and not been read. */
  drop(): void {
    this.#start = this.#end = 0;
    this.payload = NO_BYTES;
  }

  /**
   * Goes on to the next frame; `false` if it has not come whole.
   *
   * @throws {KvError} `bad_request` or `too_large` if what comes cannot be a frame;
   * nothing after it can be told apart then.
   */
  next(): boolean {
    const here = this.#end - this.#start;
    if (here < 4) return false;
    const length = this.#view.getUint32(this.#start, true);
    if (length < FRAME_HEADER_BYTES - 4) {
      throw new KvError("bad_request", `Cannot read a frame: a length of ${length} is too short`);
    }
    if (length + 4 > this.frameBytesMax) {
      throw new KvError(
        "too_large",
        `Cannot read a frame: ${length + 4} bytes are more than ${this.frameBytesMax}`,
      );
    }
    if (here < length + 4) return false;
    this.type = this.#view.getUint8(this.#start + 4);
    this.requestId = this.#view.getUint32(this.#start + 5, true);
    this.payload = this.#buffer.subarray(
      this.#start + FRAME_HEADER_BYTES,
      this.#start + 4 + length,
    );
    this.#start += length + 4;
    return true;
  }

  #moveToFront(): void {
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  #replace(sizeBytes: number): void {
    const buffer = new Uint8Array(sizeBytes);
    buffer.set(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer);
    this.#end -= this.#start;
    this.#start = 0;
  }
}

/**
 * Gathers frames until they are taken for writing. Two buffers take turns: one
 * is being written while the other one fills.
 */
export class FrameEncoder {
  #buffer = new Uint8Array(BUFFER_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #spare: Uint8Array<ArrayBuffer> | null = null;
  #end = 0;

  /** How much has been gathered. */
  get sizeBytes(): number {
    return this.#end;
  }

  /** Adds a frame; the payload is copied. */
  add(type: number, requestId: number, payload: Uint8Array): void {
    const start = this.#end;
    const sizeBytes = FRAME_HEADER_BYTES + payload.length;
    if (start + sizeBytes > this.#buffer.length) this.#grow(start + sizeBytes);
    this.#view.setUint32(start, sizeBytes - 4, true);
    this.#view.setUint8(start + 4, type);
    this.#view.setUint32(start + 5, requestId, true);
    this.#buffer.set(payload, start + FRAME_HEADER_BYTES);
    this.#end = start + sizeBytes;
  }

  /**
   * Hands out what has been gathered. It stays as it is until the second `take`
   * from now, so what was taken has to be written before the next one.
   */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#buffer.subarray(0, this.#end);
    const written = this.#buffer;
    this.#buffer = this.#spare ?? new Uint8Array(BUFFER_BYTES);
    this.#view = new DataView(this.#buffer.buffer);
    this.#spare = written.length > KEPT_BYTES ? null : written;
    this.#end = 0;
    return taken;
  }

  #grow(neededBytes: number): void {
    const buffer = new Uint8Array(Math.max(neededBytes, this.#buffer.length * 2));
    buffer.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer);
  }
}
