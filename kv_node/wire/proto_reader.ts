/**
 * Reading protobuf (proto3) without a schema compiler: one pass, one object a message.
 *
 * Strict where it costs nothing: what is cut off, runs over its message, has the
 * wrong wire type or does not fit is refused by the field's name. Unknown fields
 * are skipped, of repeated single fields the last one holds, as the format demands.
 *
 * Source: the encoding chapter of the Protocol Buffers documentation.
 *
 * @module
 */
import { KvError, type KvErrorCode } from "../errors.ts";

/** The most items of one repeated field; limits of a database are far below. */
export const ITEMS_MAX = 65_536;

/** Up to this length a loop copies faster than `set` over a view. */
const LOOP_BYTES_MAX = 48;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** Longest varint: 64 bits, 7 a byte. */
const VARINT_BYTES_MAX = 10;

/**
 * Memory for keys. A `Uint8Array` of its own costs some 20 times as much as a view,
 * so that many keys share one, in the way of `Buffer.allocUnsafe`.
 */
const SLAB_BYTES = 8_192;
const SLAB_SHARE_MAX = 1_024;
let slab = new Uint8Array(SLAB_BYTES);
let slabAt = 0;

function room(sizeBytes: number): Uint8Array {
  if (sizeBytes > SLAB_SHARE_MAX) return new Uint8Array(sizeBytes);
  if (slabAt + sizeBytes > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabAt = 0;
  }
  const from = slabAt;
  slabAt = from + sizeBytes;
  return slab.subarray(from, slabAt);
}

/** Walks through the bytes of one message and those in it. */
export class ProtoReader {
  /** Where the message that is being read ends. */
  #end: number;
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #message: string;
  readonly #code: KvErrorCode;

  /** Reads `bytes`; errors name `message` and carry `code`. */
  constructor(bytes: Uint8Array, message: string, code: KvErrorCode) {
    this.#bytes = bytes;
    this.#end = bytes.length;
    this.#message = message;
    this.#code = code;
  }

  /** The next tag (field number · 8 + wire type), or 0 at the end of the message. */
  tag(): number {
    if (this.#at >= this.#end) return 0;
    const byte = this.#bytes[this.#at] ?? 0;
    if (byte < 0x80 && byte > 7) {
      this.#at++;
      return byte;
    }
    const tag = this.#wide("tag");
    if (tag < 8 || tag > 0xffff_ffff) this.#fail("a field number is out of range");
    return tag;
  }

  /** Goes into a message in this one; returns what `leave` needs. */
  enter(name: string): number {
    const length = this.#length(name);
    const outer = this.#end;
    this.#end = this.#at + length;
    return outer;
  }

  /** Comes back from a message that was read to its end. */
  leave(outer: number): void {
    this.#end = outer;
  }

  /** Bytes, as a view of what is being read. */
  view(name: string): Uint8Array {
    const length = this.#length(name);
    const from = this.#at;
    this.#at = from + length;
    return this.#bytes.subarray(from, this.#at);
  }

  /**
   * Bytes with `prefix` in front, copied once. Short ones are cut from memory that they
   * share with others: for keys that live as long as a request, not for years.
   */
  prefixed(prefix: Uint8Array, name: string): Uint8Array {
    const length = this.#length(name);
    const bytes = this.#bytes;
    const front = prefix.length;
    const copy = room(front + length);
    for (let index = 0; index < front; index++) copy[index] = prefix[index] ?? 0;
    const from = this.#at;
    this.#at = from + length;
    if (length > LOOP_BYTES_MAX) copy.set(bytes.subarray(from, from + length), front);
    else {for (let index = 0; index < length; index++) {
        copy[front + index] = bytes[from + index] ?? 0;
      }}
    return copy;
  }

  /** A whole number from 0 to `max`, which may be up to 2^53 - 1. */
  number(name: string, max: number): number {
    const byte = this.#bytes[this.#at] ?? 0;
    if (byte < 0x80 && this.#at < this.#end && byte <= max) {
      this.#at++;
      return byte;
    }
    const number = this.#wide(name);
    if (number > max) {
      // Negative numbers come as their two's complement in 64 bits.
      this.#fail(number >= 2 ** 63 ? `${name} is negative` : `${name} is above ${max}`);
    }
    return number;
  }

  /** A truth value; every number but 0 is true. */
  flag(name: string): boolean {
    return this.#wide(name) !== 0;
  }

  /**
   * Reads a field of unsigned 32-bit numbers in either of its forms: one number
   * behind the tag of a varint, all of them behind a length.
   */
  numbers(tag: number, into: number[], name: string): void {
    if ((tag & 7) === VARINT) {
      this.#room(into, name);
      into.push(this.number(name, 0xffff_ffff));
      return;
    }
    const outer = this.enter(name);
    while (this.#at < this.#end) {
      this.#room(into, name);
      into.push(this.number(name, 0xffff_ffff));
    }
    this.leave(outer);
  }

  /** Adds to a repeated field, within reason. */
  add<Item>(into: Item[], item: Item, name: string): void {
    this.#room(into, name);
    into.push(item);
  }

  /**
   * Skips a field that nobody knows. `known` holds the names of the fields that are
   * known by their numbers: one of them can only be here with a wrong wire type.
   */
  skip(tag: number, known: readonly string[]): void {
    const name = known[tag >>> 3];
    if (name !== undefined && name !== "") this.#fail(`${name} has the wrong wire type`);
    const wireType = tag & 7;
    if (wireType === VARINT) this.#wide("unknown field");
    else if (wireType === LENGTH_DELIMITED) {
      // Not `+=`, which would take the place from before the length was read.
      const length = this.#length("unknown field");
      this.#at += length;
    } else if (wireType === FIXED64 || wireType === FIXED32) {
      const size = wireType === FIXED64 ? 8 : 4;
      if (size > this.#end - this.#at) this.#fail("unknown field is cut off");
      this.#at += size;
    } else this.#fail("unknown field has an unknown wire type");
  }

  /** Refuses the message; `problem` begins with the field. */
  refuse(problem: string): never {
    this.#fail(problem);
  }

  #length(name: string): number {
    const byte = this.#bytes[this.#at] ?? 0x80;
    let length = byte;
    if (byte < 0x80 && this.#at < this.#end) this.#at++;
    else length = this.#wide(name);
    if (length > this.#end - this.#at) this.#fail(`${name} is cut off`);
    return length;
  }

  /** A varint of any width; inexact from 2^53 on, but never too small then. */
  #wide(name: string): number {
    let number = 0;
    let scale = 1;
    for (let count = 1; count <= VARINT_BYTES_MAX; count++) {
      if (this.#at >= this.#end) this.#fail(`${name} is cut off`);
      const byte = this.#bytes[this.#at++] ?? 0;
      if (count === VARINT_BYTES_MAX && byte > 1) break;
      number += (byte & 0x7f) * scale;
      if (byte < 0x80) return number;
      scale *= 128;
    }
    return this.#fail(`${name} is a varint of more than 64 bits`);
  }

  #room(into: readonly unknown[], name: string): void {
    if (into.length < ITEMS_MAX) return;
    throw new KvError(
      this.#code === "bad_request" ? "limit_exceeded" : this.#code,
      `Cannot read ${this.#message}: more than ${ITEMS_MAX} of ${name}`,
    );
  }

  #fail(problem: string): never {
    throw new KvError(this.#code, `Cannot read ${this.#message}: ${problem}`);
  }
}
