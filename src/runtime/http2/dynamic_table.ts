/**
 * The header fields that a peer has told this connection to remember.
 *
 * Source: RFC 7541, sections 2.3.2 and 4.
 *
 * @module
 */

import { ENTRY_OVERHEAD_BYTES, type HeaderField } from "./header_field.ts";

/** A queue of header fields, bounded by their size. */
export class DynamicTable {
  /** A ring: a power of two that is enough for the smallest entries. */
  readonly #ring: (HeaderField | null)[];
  readonly #mask: number;
  #oldest = 0;
  #count = 0;
  #sizeBytes = 0;
  #sizeBytesMax: number;
  #serial = 0;

  /** Empty; never holds more than `sizeBytesMax`, by HPACK's way of counting. */
  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
    let capacity = 1;
    while (capacity < sizeBytesMax / ENTRY_OVERHEAD_BYTES) capacity *= 2;
    this.#ring = new Array<HeaderField | null>(capacity).fill(null);
    this.#mask = capacity - 1;
  }

  /** Entries. */
  get count(): number {
    return this.#count;
  }

  /** Size of all entries. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Grows with every change: the same number means the same entries at the same places. */
  get serial(): number {
    return this.#serial;
  }

  /** The entry that was added so many entries before the newest, or `null`. */
  get(age: number): HeaderField | null {
    if (age >= this.#count) return null;
    return this.#ring[(this.#oldest + this.#count - 1 - age) & this.#mask] ?? null;
  }

  /** Adds an entry; the oldest ones make room. One that is too large empties the table. */
  add(field: HeaderField): void {
    this.#serial++;
    this.#evictTo(this.#sizeBytesMax - field.sizeBytes);
    if (field.sizeBytes > this.#sizeBytesMax) return;
    this.#ring[(this.#oldest + this.#count) & this.#mask] = field;
    this.#count++;
    this.#sizeBytes += field.sizeBytes;
  }

  /** Sets the limit, which may not be above the constructor's. */
  resize(sizeBytesMax: number): void {
    this.#serial++;
    this.#sizeBytesMax = sizeBytesMax;
    this.#evictTo(sizeBytesMax);
  }

  #evictTo(sizeBytes: number): void {
    while (this.#count > 0 && this.#sizeBytes > sizeBytes) {
      this.#sizeBytes -= this.#ring[this.#oldest]?.sizeBytes ?? 0;
      this.#ring[this.#oldest] = null;
      this.#oldest = (this.#oldest + 1) & this.#mask;
      this.#count--;
    }
  }
}
