/**
 * The head of an HTTP/1.1 response, and the framing of chunks, as bytes.
 *
 * @module
 */

import type { Clock, Reply } from "../ports.ts";
import { putFieldText } from "./field_text.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How a reply's body is delimited, where it is not by its length in bytes. */
export const CHUNKED = -1;
/** The body ends with the connection. */
export const UNTIL_CLOSE = -2;
/** There is no body and no word about one (204, 304). */
export const BODILESS = -3;

/** The most bytes that {@linkcode startChunk} and {@linkcode endChunk} add. */
export const CHUNK_FRAME_BYTES = 12;

/** Room for status line, date, connection and length. */
const FIXED_BYTES_MAX = 256;

/** Fields that are the server's to set. */
const FRAMING_NAMES: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
]);

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  499: "Client Closed Request",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

/** The most bytes that a reply's head can take. */
export function headBoundBytes(reply: Reply): number {
  let bound = FIXED_BYTES_MAX;
  for (const [name, value] of reply.headers) bound += name.length + value.length + 4;
  return bound;
}

/** Writes heads; keeps the lines that are the same for a second. */
export class ReplyHeadEncoder {
  readonly #clock: Clock;
  readonly #idleSeconds: number;
  #second = -1;
  #kept: Bytes = new Uint8Array(0);
  #closing: Bytes = new Uint8Array(0);
  readonly #statusLines = new Map<number, Bytes>();

  /** `idleMs` is what kept connections are told of their life. */
  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#idleSeconds = Math.floor(idleMs / 1_000);
  }

  /**
   * Writes a head at the beginning of `bytes`.
   *
   * @param bytes At least {@linkcode headBoundBytes} long.
   * @param length The body's length in bytes, or a negative constant of this module.
   * @param keep Whether the connection stays open.
   * @returns How many bytes it took.
   * @throws {TypeError} If a header holds a control character or one above U+00FF, or if the
   * status is none.
   */
  encode(bytes: Bytes, reply: Reply, length: number, keep: boolean): number {
    let at = putBytes(bytes, 0, this.#statusLine(reply.status));
    for (const [name, value] of reply.headers) {
      if (FRAMING_NAMES.has(name)) continue;
      at = putFieldText(bytes, at, name);
      bytes[at++] = 58;
      bytes[at++] = 32;
      at = putLine(bytes, at, value);
    }
    if (length >= 0) {
      at = putLine(bytes, putFieldText(bytes, at, "content-length: "), String(length));
    } else if (length === CHUNKED) at = putLine(bytes, at, "transfer-encoding: chunked");
    this.#renew();
    return putBytes(bytes, at, keep ? this.#kept : this.#closing);
  }

  #statusLine(status: number): Bytes {
    const known = this.#statusLines.get(status);
    if (known !== undefined) return known;
    if (!Number.isInteger(status) || status < 200 || status > 999) {
      throw new TypeError(`Cannot send reply: ${status} is no final status`);
    }
    const line = encodeText(`HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n`);
    this.#statusLines.set(status, line);
    return line;
  }

  #renew(): void {
    const second = Math.floor(this.#clock.wallMs() / 1_000);
    if (second === this.#second) return;
    this.#second = second;
    const date = `date: ${new Date(second * 1_000).toUTCString()}\r\n`;
    const hint = `keep-alive: timeout=${this.#idleSeconds}\r\n`;
    this.#kept = encodeText(`${date}connection: keep-alive\r\n${hint}\r\n`);
    this.#closing = encodeText(`${date}connection: close\r\n\r\n`);
  }
}

/** Writes a chunk's size line at `at` and returns where its data goes. */
export function startChunk(bytes: Bytes, at: number, sizeBytes: number): number {
  return putLine(bytes, at, sizeBytes.toString(16));
}

/** Writes what ends a chunk at `at` and returns where the next one begins. */
export function endChunk(bytes: Bytes, at: number): number {
  bytes[at] = 13;
  bytes[at + 1] = 10;
  return at + 2;
}

function putLine(bytes: Bytes, start: number, text: string): number {
  return endChunk(bytes, putFieldText(bytes, start, text));
}

function putBytes(bytes: Bytes, start: number, part: Bytes): number {
  bytes.set(part, start);
  return start + part.length;
}

function encodeText(text: string): Bytes {
  return new TextEncoder().encode(text);
}
