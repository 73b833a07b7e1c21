/**
 * Decodes header blocks.
 *
 * A field that is referred to by an index costs an array access: its strings and
 * what is to be said about them were made when it came. Most clients repeat a
 * literal that they do not index, such as a token, in every request; the last
 * one of every name is kept with its bytes and compared before it is decoded.
 *
 * Source: RFC 7541.
 *
 * @module
 */

import { DynamicTable } from "./dynamic_table.ts";
import { ConnectionFault, ErrorCode } from "./error_code.ts";
import { HeaderField } from "./header_field.ts";
import { decodeHuffman, huffmanBoundBytes } from "./huffman.ts";
import { STATIC_TABLE } from "./static_table.ts";

/** Takes the fields of a block, one after the other. */
export interface FieldSink {
  /** Takes one; the same object may come again and again. */
  take(field: HeaderField): void;
}

/** The size of the dynamic table that every peer may use without being told. */
export const TABLE_BYTES = 4_096;

/** Longer literals are not kept, nor more than so many bytes of them: some 10 KB a connection. */
const KEPT_BYTES_MAX = 1_024;
const KEPT_BYTES_SUM_MAX = 4_096;
/** For texts while they are decoded; all connections use it, and longer ones get one of their own. */
const SCRATCH = new Uint8Array(2_048);
const EMPTY = new Uint8Array(0);
/** Pieces of text that are turned into a string at once. */
const TEXT_STEP_BYTES = 2_048;

interface Kept {
  /** The literal with its length and Huffman bit, as it came. */
  readonly bytes: Uint8Array;
  readonly field: HeaderField;
}

/** One direction's state of one connection. */
export class HpackDecoder {
  readonly #table = new DynamicTable(TABLE_BYTES);
  /** By index in the static table: the last literal with that name. */
  readonly #kept: (Kept | null)[] = new Array<Kept | null>(STATIC_TABLE.length + 1).fill(null);
  #keptBytes = 0;
  #bytes: Uint8Array = EMPTY;
  #at = 0;
  #end = 0;

  /** See {@linkcode DynamicTable.serial}. */
  get serial(): number {
    return this.#table.serial;
  }

  /** Size of the dynamic table's entries. */
  get tableBytes(): number {
    return this.#table.sizeBytes;
  }

  /**
   * Decodes a whole header block.
   *
   * @throws {ConnectionFault} If it is none; nothing can be decoded on this connection any more.
   */
  decode(bytes: Uint8Array, start: number, end: number, sink: FieldSink): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    let resizes = 0;
    let fields = 0;
    while (this.#at < end) {
      const first = bytes[this.#at] ?? 0;
      if (first >= 0x80) sink.take(this.#indexed(this.#integer(0x7f)));
      else if (first >= 0x40) sink.take(this.#remember(this.#literal(0x3f)));
      else if (first < 0x20) sink.take(this.#literal(0x0f));
      else {
        if (fields > 0 || ++resizes > 2) throw broken("a table size comes where none may");
        this.#resize(this.#integer(0x1f));
        continue;
      }
      fields++;
    }
    this.#bytes = EMPTY; // Not to keep what belongs to the caller.
  }

  #indexed(index: number): HeaderField {
    const field = index <= STATIC_TABLE.length
      ? STATIC_TABLE[index - 1]
      : this.#table.get(index - STATIC_TABLE.length - 1);
    if (field === null || field === undefined) throw broken("an index leads to no entry");
    return field;
  }

  #resize(sizeBytes: number): void {
    if (sizeBytes > TABLE_BYTES) throw broken("a table size is above the limit");
    this.#table.resize(sizeBytes);
  }

  #remember(field: HeaderField): HeaderField {
    this.#table.add(field);
    return field;
  }

  /** A literal with an indexed name, or with a literal one. */
  #literal(prefix: number): HeaderField {
    const index = this.#integer(prefix);
    if (index === 0) {
      const name = this.#text();
      return new HeaderField(name, this.#text());
    }
    const kept = this.#kept[index] ?? null;
    if (kept !== null && this.#startsWith(kept.bytes)) {
      this.#at += kept.bytes.length;
      return kept.field;
    }
    const { name } = this.#indexed(index);
    const start = this.#at;
    const field = new HeaderField(name, this.#text());
    if (index <= STATIC_TABLE.length) this.#keep(index, start, field);
    return field;
  }

  #keep(index: number, start: number, field: HeaderField): void {
    const sizeBytes = this.#at - start;
    if (sizeBytes > KEPT_BYTES_MAX) return;
    this.#keptBytes += sizeBytes - (this.#kept[index]?.bytes.length ?? 0);
    if (this.#keptBytes > KEPT_BYTES_SUM_MAX) {
      this.#kept.fill(null);
      this.#keptBytes = sizeBytes;
    }
    this.#kept[index] = { bytes: this.#bytes.slice(start, this.#at), field };
  }

  #startsWith(part: Uint8Array): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    if (this.#end - start < part.length) return false;
    for (let at = 0; at < part.length; at++) {
      if (bytes[start + at] !== part[at]) return false;
    }
    return true;
  }

  /** An integer whose first bits are those of `prefix`. */
  #integer(prefix: number): number {
    let value = (this.#bytes[this.#at++] ?? 0) & prefix;
    if (value < prefix) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) throw broken("a header block ends in the middle of an integer");
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw broken("an integer is too large");
  }

  #text(): string {
    if (this.#at >= this.#end) throw broken("a header block ends in the middle of a field");
    const isCoded = (this.#bytes[this.#at] ?? 0) >= 0x80;
    const sizeBytes = this.#integer(0x7f);
    const start = this.#at;
    const end = start + sizeBytes;
    if (end > this.#end) throw broken("a header block ends in the middle of a text");
    this.#at = end;
    if (!isCoded) return decodeText(this.#bytes, start, end);
    const bound = huffmanBoundBytes(sizeBytes);
    const scratch = bound <= SCRATCH.length ? SCRATCH : new Uint8Array(bound);
    const count = decodeHuffman(this.#bytes, start, end, scratch);
    if (count < 0) throw broken("a text is no Huffman code");
    return decodeText(scratch, 0, count);
  }
}

/** Bytes as text, one character a byte. */
function decodeText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at += TEXT_STEP_BYTES) {
    const step = bytes.subarray(at, Math.min(end, at + TEXT_STEP_BYTES));
    text += String.fromCharCode.apply(null, step as unknown as number[]);
  }
  return text;
}

function broken(why: string): ConnectionFault {
  return new ConnectionFault(ErrorCode.compressionError, why);
}
