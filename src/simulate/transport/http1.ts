/**
 * Reads HTTP/1.1 requests from the bytes of a connection.
 *
 * Strict where leniency would hide a client's fault: both framings at once, bare
 * line feeds and broken chunk sizes are refused.
 *
 * Source: RFC 9112.
 *
 * @module
 */

import { Refusal } from "../refusal.ts";

/** One whole request. */
export interface HttpRequest {
  /** Method, as sent. */
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  /** Header values by lower-case name; repeated ones joined by ", ". */
  readonly headers: ReadonlyMap<string, string>;
  /** The whole body. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Whether the client wants the connection kept. */
  readonly keepAlive: boolean;
  /** Whether the client speaks HTTP/1.0. */
  readonly oldHttp: boolean;
}

/** The largest request head accepted, in bytes. */
export const HEAD_BYTES_MAX = 65_536;
/** The largest body accepted, in bytes. */
export const BODY_BYTES_MAX = 64 * 1_024 * 1_024;

interface Head extends Omit<HttpRequest, "body"> {
  readonly length: number | "chunked";
  readonly expectsContinue: boolean;
}

const DECODER = new TextDecoder("latin1");
const EMPTY = new Uint8Array(0);

/** Collects bytes and hands out requests, one after the other. */
export class RequestReader {
  #buffer: Uint8Array<ArrayBuffer> = EMPTY;
  #arrived: Uint8Array<ArrayBuffer>[] = [];
  #arrivedBytes = 0;
  #head: Head | null = null;
  #continues = false;

  /** Adds bytes as they arrived; they must not change afterwards. */
  push(bytes: Uint8Array<ArrayBuffer>): void {
    this.#arrived.push(bytes);
    this.#arrivedBytes += bytes.length;
  }

  /**
   * The next request, or `null` if it has not arrived yet.
   *
   * @throws {Refusal} If what arrived is no request; the connection is then of no more use.
   */
  next(): HttpRequest | null {
    // A body of known length is put together once, when all of it is here.
    const wanted = this.#head?.length;
    if (typeof wanted === "number" && this.bufferedBytes < wanted) return null;
    this.#gather();
    const head = this.#head ?? this.#readHead();
    if (head === null) return null;
    this.#head = head;
    const body = head.length === "chunked" ? this.#readChunks() : this.#take(head.length);
    if (body === null) {
      if (this.bufferedBytes > 2 * BODY_BYTES_MAX) throw tooLarge();
      return null;
    }
    this.#head = null;
    return { ...head, body };
  }

  /** Whether the client waits for `100 Continue`; true once a request. */
  takeExpectation(): boolean {
    const expected = this.#continues && this.#head !== null;
    this.#continues = false;
    return expected;
  }

  /** Bytes that no request has been made of yet. */
  get bufferedBytes(): number {
    return this.#buffer.length + this.#arrivedBytes;
  }

  #gather(): void {
    if (this.#arrived.length === 0) return;
    const parts = this.#buffer.length === 0 ? this.#arrived : [this.#buffer, ...this.#arrived];
    const [only] = parts;
    const one = parts.length === 1 && only !== undefined;
    this.#buffer = one ? only : concatenated(parts, this.bufferedBytes);
    this.#arrived = [];
    this.#arrivedBytes = 0;
  }

  #readHead(): Head | null {
    const end = headEnd(this.#buffer);
    if (end < 0) {
      if (this.#buffer.length > HEAD_BYTES_MAX) {
        throw new Refusal(431, `Cannot read request: its head exceeds ${HEAD_BYTES_MAX} bytes`);
      }
      return null;
    }
    const head = parseHead(DECODER.decode(this.#buffer.subarray(0, end)));
    this.#buffer = this.#buffer.subarray(end + 4);
    this.#continues = head.expectsContinue;
    return head;
  }

  #take(length: number): Uint8Array<ArrayBuffer> | null {
    if (this.#buffer.length < length) return null;
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }

  #readChunks(): Uint8Array<ArrayBuffer> | null {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let sizeBytes = 0;
    let at = 0;
    for (;;) {
      const lineEnd = indexOfLineEnd(this.#buffer, at);
      if (lineEnd < 0) return null;
      const line = DECODER.decode(this.#buffer.subarray(at, lineEnd));
      const digits = /^([0-9a-f]{1,8})[ \t]*(?:;|$)/i.exec(line)?.[1];
      if (digits === undefined) {
        throw new Refusal(400, `Cannot read request: "${line.slice(0, 20)}" is no chunk size`);
      }
      const size = parseInt(digits, 16);
      const start = lineEnd + 2;
      if (size === 0) {
        const end = trailerEnd(this.#buffer, start);
        if (end < 0) return null;
        this.#buffer = this.#buffer.subarray(end);
        return concatenated(parts, sizeBytes);
      }
      sizeBytes += size;
      if (sizeBytes > BODY_BYTES_MAX) throw tooLarge();
      if (this.#buffer.length < start + size + 2) return null;
      parts.push(this.#buffer.subarray(start, start + size));
      at = start + size + 2;
    }
  }
}

function parseHead(text: string): Head {
  const [line = "", ...fields] = text.split("\r\n");
  const start = /^([A-Z]+) (\S+) HTTP\/1\.([01])$/.exec(line);
  const [, method, target, minor] = start ?? [];
  if (method === undefined || target === undefined) {
    throw new Refusal(400, `Cannot read request: "${line.slice(0, 60)}" is no request line`);
  }
  const headers = new Map<string, string>();
  for (const field of fields) {
    const colon = field.indexOf(":");
    const name = field.slice(0, Math.max(colon, 0)).toLowerCase();
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) {
      throw new Refusal(400, `Cannot read request: "${field.slice(0, 60)}" is no header`);
    }
    const value = field.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const connection = (headers.get("connection") ?? "").toLowerCase();
  const oldHttp = minor === "0";
  return {
    method,
    path: target.split("?", 1)[0] ?? target,
    headers,
    keepAlive: oldHttp ? connection.includes("keep-alive") : !connection.includes("close"),
    oldHttp,
    length: bodyLength(headers),
    expectsContinue: (headers.get("expect") ?? "").toLowerCase() === "100-continue",
  };
}

function bodyLength(headers: ReadonlyMap<string, string>): number | "chunked" {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== undefined) {
    if (length !== undefined) {
      throw new Refusal(400, "Cannot read request: it has both content-length and chunks");
    }
    if (coding.toLowerCase() !== "chunked") {
      throw new Refusal(501, `Cannot read request: transfer coding "${coding}" is not known`);
    }
    return "chunked";
  }
  if (length === undefined) return 0;
  if (!/^\d{1,15}$/.test(length)) {
    throw new Refusal(400, `Cannot read request: "${length}" is no content length`);
  }
  if (Number(length) > BODY_BYTES_MAX) throw tooLarge();
  return Number(length);
}

function tooLarge(): Refusal {
  return new Refusal(413, `Cannot read request: its body exceeds ${BODY_BYTES_MAX} bytes`);
}

function headEnd(buffer: Uint8Array): number {
  for (let at = buffer.indexOf(13); at >= 0; at = buffer.indexOf(13, at + 1)) {
    if (buffer[at + 1] === 10 && buffer[at + 2] === 13 && buffer[at + 3] === 10) return at;
  }
  return -1;
}

function indexOfLineEnd(buffer: Uint8Array, from: number): number {
  for (let at = buffer.indexOf(13, from); at >= 0; at = buffer.indexOf(13, at + 1)) {
    if (buffer[at + 1] === 10) return at;
  }
  return -1;
}

/** Where the trailer that begins at `from` is over, or -1. */
function trailerEnd(buffer: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const lineEnd = indexOfLineEnd(buffer, at);
    if (lineEnd < 0) return -1;
    if (lineEnd === at) return lineEnd + 2;
    at = lineEnd + 2;
  }
}

function concatenated(
  parts: ReadonlyArray<Uint8Array<ArrayBuffer>>,
  sizeBytes: number,
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
