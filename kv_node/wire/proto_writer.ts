/**
 * Writing protobuf (proto3): sizes first, then everything into one buffer of exactly
 * that size. All fields of KV Connect have numbers below 16, so every tag is a byte.
 *
 * Fields that hold their default (0, false, empty) are left out, as in proto3.
 *
 * @module
 */

/** Up to this length a loop copies faster than `set` over a view. */
const LOOP_BYTES_MAX = 48;

/** Bytes of a whole number from 0 to 2^53 - 1. */
export function sizeOfVarint(number: number): number {
  if (number < 0x80) return 1;
  let size = 2;
  for (let rest = number / 0x4000; rest >= 1; rest /= 0x80) size++;
  return size;
}

/** Bytes of a numeric field with its tag; none for 0. */
export function sizeOfNumber(number: number): number {
  return number === 0 ? 0 : 1 + sizeOfVarint(number);
}

/** Bytes of a field of this many bytes with tag and length, be it empty or not. */
export function sizeOfPart(length: number): number {
  return 1 + sizeOfVarint(length) + length;
}

/** Bytes of a field of bytes with tag and length; none for an empty one. */
export function sizeOfBytes(length: number): number {
  return length === 0 ? 0 : sizeOfPart(length);
}

/** Fills a buffer from front to end. */
export class ProtoWriter {
  /** What was written; complete once all announced bytes are. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  /** Makes room for exactly this many bytes. */
  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
  }

  /** Writes the tag and the length of a message; its fields follow. */
  open(tag: number, sizeBytes: number): void {
    this.bytes[this.#at++] = tag;
    this.varint(sizeBytes);
  }

  /** Writes a numeric field, unless it is 0. */
  number(tag: number, number: number): void {
    if (number === 0) return;
    this.bytes[this.#at++] = tag;
    this.varint(number);
  }

  /** Writes a field of bytes, those of `source` from `from` on, unless there are none. */
  field(tag: number, source: Uint8Array, from: number): void {
    if (source.length > from) this.part(tag, source, from);
  }

  /** Writes a field of bytes, those of `source` from `from` on, be it empty or not. */
  part(tag: number, source: Uint8Array, from: number): void {
    const length = Math.max(source.length - from, 0);
    this.open(tag, length);
    const into = this.bytes;
    const at = this.#at;
    this.#at = at + length;
    if (length > LOOP_BYTES_MAX) into.set(from === 0 ? source : source.subarray(from), at);
    else for (let index = 0; index < length; index++) into[at + index] = source[from + index] ?? 0;
  }

  /** Writes a whole number from 0 to 2^53 - 1, without a tag. */
  varint(number: number): void {
    let rest = number;
    while (rest >= 0x80) {
      this.bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.#at++] = rest;
  }
}
