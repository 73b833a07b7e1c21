/**
 * The body of one request, as far as it has come.
 *
 * What comes before anybody asks for it is kept: the client's window bounds it.
 *
 * @module
 */

import type { Slab } from "../slab.ts";
import { WINDOW_AT_FIRST } from "./frame.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of bodies that all connections hold together. */
export interface HeldBytes {
  /** How many. */
  count: number;
}

/** A body of known length is given its room at once up to here: an announced length is a claim. */
const ROOM_BYTES_MIN = 65_536;
/** One of unknown length is likely to be short. */
const UNKNOWN_ROOM_BYTES_MIN = 16_384;
const EMPTY: Bytes = new Uint8Array(0);

/** Collects one body. */
export class StreamBody {
  readonly #slab: Slab;
  readonly #held: HeldBytes;
  /** What `content-length` says, or -1. */
  readonly #lengthBytes: number;
  #room: Bytes = EMPTY;
  #roomBytes = 0;
  #receivedBytes = 0;
  #bytesMax = -1;
  #complete = false;
  #unwanted = false;
  #waiting: PromiseWithResolvers<Bytes | null> | null = null;

  /** Nothing has come yet. */
  constructor(lengthBytes: number, slab: Slab, held: HeldBytes) {
    this.#lengthBytes = lengthBytes;
    this.#slab = slab;
    this.#held = held;
  }

  /** Whether its last byte has come. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Whether somebody waits for it. */
  get wanted(): boolean {
    return this.#waiting !== null;
  }

  /** How much has come. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** The most that it can become, as far as that is known: announced, or allowed. */
  get expectedBytes(): number {
    return this.#lengthBytes >= 0 ? this.#lengthBytes : this.#bytesMax + 1;
  }

  /** Whether it is, or seems to be, longer than the window that streams begin with. */
  get isLong(): boolean {
    if (this.#lengthBytes >= 0) return this.#lengthBytes > WINDOW_AT_FIRST;
    return this.#receivedBytes > WINDOW_AT_FIRST / 2;
  }

  /** Asks for the whole; see `ServerRequest.bytes`. */
  ask(bytesMax: number): Promise<Bytes | null> {
    if (this.#bytesMax >= 0) {
      return Promise.reject(new TypeError("Cannot read body: it was read before"));
    }
    if (this.#unwanted) return Promise.reject(new Error("Cannot read body: the request is over"));
    this.#bytesMax = bytesMax;
    if (this.#lengthBytes > bytesMax || this.#roomBytes > bytesMax) {
      this.#forget();
      return Promise.resolve(null);
    }
    if (this.#complete) return Promise.resolve(this.#takeRoom());
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /**
   * Takes the next piece.
   *
   * @returns Whether it fits what was announced.
   */
  take(data: Bytes, isLast: boolean): boolean {
    this.#receivedBytes += data.length;
    if (this.#lengthBytes >= 0) {
      if (this.#receivedBytes > this.#lengthBytes) return false;
      if (isLast && this.#receivedBytes < this.#lengthBytes) return false;
    }
    this.#complete = isLast;
    if (this.#unwanted || data.length === 0) {
      if (isLast) this.#settle();
      return true;
    }
    if (this.#bytesMax >= 0 && this.#receivedBytes > this.#bytesMax) {
      const waiting = this.#waiting;
      this.#forget();
      waiting?.resolve(null);
      return true;
    }
    this.#append(data, isLast);
    if (isLast) this.#settle();
    return true;
  }

  /** Lets who waits know that it will not come, and forgets it. */
  abandon(why: string): void {
    const waiting = this.#waiting;
    this.#forget();
    if (waiting === null) return;
    // Whoever asked may have gone on without it.
    waiting.promise.catch(ignore);
    waiting.reject(new Error(`Cannot read body: ${why}`));
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(this.#takeRoom());
  }

  #append(data: Bytes, isLast: boolean): void {
    if (this.#roomBytes === 0 && (isLast || data.length === this.#lengthBytes)) {
      this.#setRoom(this.#slab.copy(data, 0, data.length));
      this.#roomBytes = data.length;
      return;
    }
    if (this.#roomBytes + data.length > this.#room.length) this.#grow(data.length);
    this.#room.set(data, this.#roomBytes);
    this.#roomBytes += data.length;
  }

  /** Makes room, for no more than can come. */
  #grow(count: number): void {
    const needed = this.#roomBytes + count;
    const isKnown = this.#lengthBytes >= 0;
    const least = isKnown ? ROOM_BYTES_MIN : UNKNOWN_ROOM_BYTES_MIN;
    const wanted = Math.max(needed, least, this.#room.length * 2);
    const larger = new Uint8Array(isKnown ? Math.min(wanted, this.#lengthBytes) : wanted);
    larger.set(this.#room.subarray(0, this.#roomBytes));
    this.#setRoom(larger);
  }

  #setRoom(room: Bytes): void {
    this.#held.count += room.length - this.#room.length;
    this.#room = room;
  }

  #takeRoom(): Bytes {
    const room = this.#room;
    const roomBytes = this.#roomBytes;
    this.#forget();
    return roomBytes === room.length ? room : room.subarray(0, roomBytes);
  }

  #forget(): void {
    this.#setRoom(EMPTY);
    this.#roomBytes = 0;
    this.#unwanted = true;
    this.#waiting = null;
  }
}

function ignore(): void {}
