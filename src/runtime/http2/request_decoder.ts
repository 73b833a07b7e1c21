/**
 * Header blocks as requests; a block that came before costs a comparison.
 *
 * A client that asks for the same again sends the same bytes, once its fields
 * are in the dynamic table. What they meant then they mean now, as long as
 * nothing was added to the table: so the last few blocks are kept with what they
 * said, and forgotten with the table's next change.
 *
 * @module
 */

import { HpackDecoder } from "./hpack_decoder.ts";
import { RequestFields } from "./request_fields.ts";
import type { TrailerCheck } from "./trailer_check.ts";

/** Blocks that are kept: reads and writes of a few sizes and paths. */
const KEPT_MAX = 8;
const KEPT_BYTES_MAX = 512;

interface Kept {
  readonly bytes: Uint8Array;
  readonly fields: RequestFields;
}

/** Decodes the requests of one connection. */
export class RequestDecoder {
  readonly #hpack = new HpackDecoder();
  readonly #listBytesMax: number;
  readonly #kept: Kept[] = [];
  #next = 0;
  /** The table's serial that all kept blocks belong to. */
  #serial = 0;

  /** `listBytesMax` is the most that the fields of a request may be, by HPACK's way of counting. */
  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /**
   * Decodes a whole header block. Requests with the same block may get the same object.
   *
   * @throws {ConnectionFault} If it cannot be decoded.
   */
  decode(bytes: Uint8Array, start: number, end: number): RequestFields {
    const known = this.#find(bytes, start, end);
    if (known !== null) return known;
    const fields = new RequestFields(this.#listBytesMax);
    this.#hpack.decode(bytes, start, end, fields);
    fields.finish();
    this.#keep(bytes, start, end, fields);
    return fields;
  }

  /**
   * Decodes a block that is no request: trailers.
   *
   * @throws {ConnectionFault} If it cannot be decoded.
   */
  skip(bytes: Uint8Array, start: number, end: number, check: TrailerCheck): void {
    this.#hpack.decode(bytes, start, end, check);
  }

  #find(bytes: Uint8Array, start: number, end: number): RequestFields | null {
    if (this.#serial !== this.#hpack.serial) return null;
    for (const kept of this.#kept) {
      if (kept.bytes.length === end - start && isSame(kept.bytes, bytes, start)) return kept.fields;
    }
    return null;
  }

  #keep(bytes: Uint8Array, start: number, end: number, fields: RequestFields): void {
    const { serial } = this.#hpack;
    if (serial !== this.#serial) {
      // This block changed the table, so it would mean something else the next time.
      this.#serial = serial;
      this.#kept.length = 0;
      this.#next = 0;
      return;
    }
    if (end - start > KEPT_BYTES_MAX) return;
    this.#kept[this.#next] = { bytes: bytes.slice(start, end), fields };
    this.#next = (this.#next + 1) % KEPT_MAX;
  }
}

function isSame(kept: Uint8Array, bytes: Uint8Array, start: number): boolean {
  // From the back: what differs between two requests of a client lies there.
  for (let at = kept.length - 1; at >= 0; at--) {
    if (kept[at] !== bytes[start + at]) return false;
  }
  return true;
}
