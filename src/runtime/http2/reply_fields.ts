/**
 * Header blocks of replies.
 *
 * Written without the dynamic table: a block then means the same on every
 * connection, and a header list that was sent before costs one copy of bytes.
 * Only the date and the length are written anew.
 *
 * Source: RFC 7541, sections 5 and 6; RFC 9113, section 8.3.2.
 *
 * @module
 */

import type { Clock, Reply } from "../../ports.ts";
import { putFieldText } from "../field_text.ts";
import { STATIC_TABLE, staticIndexOf } from "./static_table.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** There is no body and no word about its length: 204, 304, or a stream. */
export const NO_LENGTH = -1;

/** Room for status, date and length. */
const FIXED_BYTES_MAX = 96;
/** What a name or value takes besides its bytes, at most, with the byte before a name. */
const FIELD_OVERHEAD_BYTES = 12;
/** Header lists that are kept. */
const KEPT_MAX = 16;
const KEPT_BYTES_MAX = 1_024;

const STATUS_INDEX = staticIndexOf(":status");
const DATE_INDEX = staticIndexOf("date");
const LENGTH_INDEX = staticIndexOf("content-length");

/** Fields that are the server's to set, or mean something in HTTP/1.1 only. */
const FRAMING_NAMES: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** By name: its index in the static table. */
const INDEX_BY_NAME: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.map((field, at) => [field.name, at + 1] as const).reverse(),
);

interface Kept {
  readonly status: number;
  /** Names and values in turn. */
  readonly texts: readonly string[];
  readonly bytes: Bytes;
}

/** Writes header blocks for all connections of a server. */
export class ReplyFieldsEncoder {
  readonly #clock: Clock;
  readonly #kept: Kept[] = [];
  #next = 0;
  #second = -1;
  #date: Bytes = new Uint8Array(0);

  /** `clock` tells the date. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The most bytes that a reply's header block can take. */
  boundBytes(reply: Reply): number {
    let bound = FIXED_BYTES_MAX;
    for (const [name, value] of reply.headers) {
      bound += name.length + value.length + FIELD_OVERHEAD_BYTES;
    }
    return bound;
  }

  /**
   * Writes a header block at `at`.
   *
   * @param bytes Has at least {@linkcode boundBytes} of room.
   * @param lengthBytes The body's length, or {@linkcode NO_LENGTH}.
   * @returns Where the block ends.
   * @throws {TypeError} If a header holds a forbidden character, or if the status is none.
   */
  encode(bytes: Bytes, at: number, reply: Reply, lengthBytes: number): number {
    const kept = this.#find(reply);
    let end = at;
    if (kept !== null) {
      bytes.set(kept.bytes, at);
      end += kept.bytes.length;
    } else {
      end = putReply(bytes, at, reply);
      if (end - at <= KEPT_BYTES_MAX) this.#keep(reply, bytes.slice(at, end));
    }
    this.#renewDate();
    bytes.set(this.#date, end);
    end += this.#date.length;
    if (lengthBytes < 0) return end;
    return putText(bytes, putName(bytes, end, LENGTH_INDEX), String(lengthBytes));
  }

  #find(reply: Reply): Kept | null {
    for (const kept of this.#kept) {
      if (kept.status === reply.status && isSame(kept.texts, reply.headers)) return kept;
    }
    return null;
  }

  #keep(reply: Reply, bytes: Bytes): void {
    this.#kept[this.#next] = { status: reply.status, texts: reply.headers.flat(), bytes };
    this.#next = (this.#next + 1) % KEPT_MAX;
  }

  #renewDate(): void {
    const second = Math.floor(this.#clock.wallMs() / 1_000);
    if (second === this.#second) return;
    this.#second = second;
    const text = new Date(second * 1_000).toUTCString();
    const date = new Uint8Array(FIXED_BYTES_MAX);
    this.#date = date.slice(0, putText(date, putName(date, 0, DATE_INDEX), text));
  }
}

/** Writes the block of `:status` alone, for an interim reply. */
export function putStatus(bytes: Bytes, at: number, status: number): number {
  const known = STATIC_TABLE.findIndex(({ name, value }) =>
    name === ":status" && value === String(status)
  );
  if (known >= 0) {
    bytes[at] = 0x80 | known + 1;
    return at + 1;
  }
  return putText(bytes, putName(bytes, at, STATUS_INDEX), String(status));
}

function putReply(bytes: Bytes, start: number, reply: Reply): number {
  const { status } = reply;
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    throw new TypeError(`Cannot send reply: ${status} is no final status`);
  }
  let at = putStatus(bytes, start, status);
  for (const [anyName, value] of reply.headers) {
    const name = anyName.toLowerCase();
    if (FRAMING_NAMES.has(name)) continue;
    const index = INDEX_BY_NAME.get(name) ?? 0;
    at = putName(bytes, at, index);
    if (index === 0) at = putText(bytes, at, checkedName(name));
    at = putText(bytes, at, value);
  }
  return at;
}

/** The beginning of a literal that is not to be indexed. */
function putName(bytes: Bytes, at: number, index: number): number {
  return putInteger(bytes, at, index, 0x0f);
}

function putText(bytes: Bytes, start: number, text: string): number {
  return putFieldText(bytes, putInteger(bytes, start, text.length, 0x7f), text);
}

function putInteger(bytes: Bytes, start: number, value: number, prefix: number): number {
  let at = start;
  if (value < prefix) {
    bytes[at++] = value;
    return at;
  }
  bytes[at++] = prefix;
  let left = value - prefix;
  for (; left >= 0x80; left >>>= 7) bytes[at++] = left & 0x7f | 0x80;
  bytes[at++] = left;
  return at;
}

function checkedName(name: string): string {
  if (/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) return name;
  throw new TypeError("Cannot send reply: a header name holds a forbidden character");
}

function isSame(texts: readonly string[], headers: Reply["headers"]): boolean {
  if (texts.length !== headers.length * 2) return false;
  let at = 0;
  for (const [name, value] of headers) {
    if (texts[at] !== name || texts[at + 1] !== value) return false;
    at += 2;
  }
  return true;
}
