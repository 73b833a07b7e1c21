/**
 * The head of an HTTP/1.1 request: request line and header fields.
 *
 * Strict, because a server that reads a request otherwise than the proxy before
 * it can be made to answer a request that the proxy never saw. A line ends with
 * CR LF, the request line has single spaces, a name is a token that touches its
 * colon, nothing is folded, and the body's length is told once and one way:
 * `content-length` in digits or `transfer-encoding: chunked`, never both.
 *
 * The bytes are checked once and kept as one string with offsets; a value is
 * cut out only when somebody asks for it.
 *
 * Source: RFC 9112, sections 2 to 6; RFC 9110, sections 5.5, 5.6.2 and 7.2.
 *
 * @module
 */

import type { HeaderFields } from "../ports.ts";
import { checkHost, equalsName, RequestFraming } from "./http1_request_framing.ts";
import { malformed, RequestRefusal } from "./request_refusal.ts";

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const COLON = 58;
const HASH = 35;
const SLASH = 47;
const DELETE = 127;

/** More fields than any client sends; looking one up takes a walk over all. */
const FIELDS_MAX = 256;

/** 1 where a byte may stand in a method or field name (RFC 9110, section 5.6.2). */
const TOKEN = new Uint8Array(256);
/** 1 where a byte may stand in a field value: no control character but TAB. */
const TEXT = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const visible = byte > SPACE && byte < DELETE;
  TOKEN[byte] = visible && !'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(byte)) ? 1 : 0;
  TEXT[byte] = byte === TAB || (byte >= SPACE && byte !== DELETE) ? 1 : 0;
}

/** A checked request head. */
export class RequestHead implements HeaderFields {
  /** Method, as it was sent: methods are case-sensitive. */
  readonly method: string;
  /** Path and query, beginning with "/". */
  readonly target: string;
  /** The digit after `HTTP/1.`: 0 or 1. */
  readonly minorVersion: number;
  /** Host and port that the request is for; `null` where HTTP/1.0 left them out. */
  readonly host: string | null;
  /** What `content-length` says, or -1. */
  readonly lengthBytes: number;
  /** Whether the body comes in chunks. */
  readonly chunked: boolean;
  /** Whether the client wants to use the connection again. */
  readonly keepAlive: boolean;
  /** Whether the client waits for a 100 before it sends the body. */
  readonly expectsContinue: boolean;
  /** See {@linkcode HeaderFields.sizeBytes}. */
  readonly sizeBytes: number;
  readonly #text: string;
  /** Four offsets a field: name start, name end, value start, value end. */
  readonly #offsets: readonly number[];

  /** For {@linkcode parseRequestHead}, which has checked what it passes. */
  constructor(
    line: RequestLine,
    framing: RequestFraming,
    text: string,
    offsets: readonly number[],
  ) {
    this.method = line.method;
    this.target = line.target;
    this.minorVersion = line.minorVersion;
    this.host = line.authority ?? framing.host;
    this.lengthBytes = framing.lengthBytes;
    this.chunked = framing.chunked;
    this.keepAlive = framing.keepAlive;
    this.expectsContinue = framing.expectsContinue;
    this.sizeBytes = framing.sizeBytes;
    this.#text = text;
    this.#offsets = offsets;
  }

  /** A field's value, repeated ones joined by ", ", or `null`. */
  get(name: string): string | null {
    const offsets = this.#offsets;
    let found: string | null = null;
    for (let at = 0; at < offsets.length; at += 4) {
      if (!this.#isName(at, name)) continue;
      const value = this.#text.slice(offsets[at + 2], offsets[at + 3]);
      found = found === null ? value : `${found}, ${value}`;
    }
    return found;
  }

  /** Whether the field is there. */
  has(name: string): boolean {
    for (let at = 0; at < this.#offsets.length; at += 4) {
      if (this.#isName(at, name)) return true;
    }
    return false;
  }

  #isName(at: number, name: string): boolean {
    const start = this.#offsets[at] ?? 0;
    return equalsName(this.#text, start, this.#offsets[at + 1] ?? 0, name);
  }
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** From a target in absolute form; it overrides the host header. */
  readonly authority: string | null;
  readonly minorVersion: number;
  /** Where the first field line begins. */
  readonly end: number;
}

/**
 * Whether a request can begin with this byte: what is no HTTP at all, such as
 * TLS, is refused at once instead of after a silence.
 */
export function isRequestStart(byte: number | undefined): boolean {
  return TOKEN[byte ?? 0] === 1;
}

/**
 * Looks for the end of a head.
 *
 * @param start Where the head begins.
 * @param from Up to where an earlier call has looked in vain, or `start`.
 * @returns The offset behind the empty line, or -1 if it is not there yet.
 */
export function findHeadEnd(bytes: Uint8Array, start: number, from: number, end: number): number {
  let at = Math.max(start + 3, from);
  while (at < end) {
    const byte = bytes[at] ?? 0;
    if (byte !== LF) {
      // A byte that is not in the pattern CR LF CR LF cannot be one of its last three either.
      at += byte === CR ? 1 : 4;
      continue;
    }
    if (bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1;
    at += 2;
  }
  return -1;
}

/** Whether a head that is not complete has a line that ends without CR. */
export function hasBareLineFeed(
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
): boolean {
  for (let at = bytes.indexOf(LF, from); at >= 0 && at < end; at = bytes.indexOf(LF, at + 1)) {
    if (at === start || bytes[at - 1] !== CR) return true;
  }
  return false;
}

/**
 * Reads a request head.
 *
 * @param bytes From `start` to `end` the head, the empty line that ends it included.
 * @throws {RequestRefusal} 400, 431, 501 or 505.
 */
export function parseRequestHead(bytes: Uint8Array, start: number, end: number): RequestHead {
  const text = decodeText(bytes, start, end);
  const line = parseRequestLine(text);
  const offsets: number[] = [];
  const framing = new RequestFraming(line.minorVersion);
  const fieldsEnd = end - start - 2;
  let at = line.end;
  while (at < fieldsEnd) {
    if (offsets.length === FIELDS_MAX * 4) {
      throw new RequestRefusal(431, `it has more than ${FIELDS_MAX} header fields`);
    }
    at = parseField(bytes, start, at, offsets);
    framing.take(text, offsets);
  }
  if (line.minorVersion === 1 && framing.host === null) {
    throw malformed("it has no host header");
  }
  return new RequestHead(line, framing, text, offsets);
}

/** `POST /path HTTP/1.1`, and where the next line begins. */
function parseRequestLine(text: string): RequestLine {
  let methodEnd = 0;
  while (TOKEN[text.charCodeAt(methodEnd)] === 1) methodEnd++;
  if (methodEnd === 0 || text.charCodeAt(methodEnd) !== SPACE) {
    throw malformed("its first line does not begin with a method");
  }
  let targetEnd = methodEnd + 1;
  for (;; targetEnd++) {
    const code = text.charCodeAt(targetEnd);
    if (code > SPACE && code < DELETE && code !== HASH) continue;
    if (code === SPACE) break;
    throw malformed("its target holds a forbidden character or no version follows it");
  }
  const minorVersion = parseVersion(text, targetEnd + 1);
  const method = text.slice(0, methodEnd);
  const raw = text.slice(methodEnd + 1, targetEnd);
  if (method === "CONNECT") throw new RequestRefusal(501, "the method CONNECT is not supported");
  const end = targetEnd + 11;
  if (raw.charCodeAt(0) === SLASH) {
    return { method, target: raw, authority: null, minorVersion, end };
  }
  const absolute = /^https?:\/\/([^/?]*)(\/.*|\?.*|)$/i.exec(raw);
  if (absolute === null) throw malformed("its target is neither a path nor an http URL");
  const authority = checkHost(absolute[1] ?? "");
  const path = absolute[2] ?? "";
  return { method, target: path.startsWith("/") ? path : `/${path}`, authority, minorVersion, end };
}

/** `HTTP/1.1` and its CR LF, from `at`. */
function parseVersion(text: string, at: number): number {
  const major = text.charCodeAt(at + 5) - 48;
  const minor = text.charCodeAt(at + 7) - 48;
  const shaped = text.startsWith("HTTP/", at) && text.startsWith(".", at + 6) &&
    text.startsWith("\r\n", at + 8) && major >= 0 && major <= 9 && minor >= 0 && minor <= 9;
  if (!shaped) throw malformed("its first line does not end with a version");
  if (major !== 1 || minor > 1) {
    throw new RequestRefusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  return minor;
}

/** Checks the field line at `at`, appends its offsets and returns where the next one begins. */
function parseField(bytes: Uint8Array, start: number, at: number, offsets: number[]): number {
  const lineStart = start + at;
  let nameEnd = lineStart;
  while (TOKEN[bytes[nameEnd] ?? 0] === 1) nameEnd++;
  if (nameEnd === lineStart || bytes[nameEnd] !== COLON) {
    throw malformed("a header line is folded or does not begin with a name and a colon");
  }
  let valueStart = nameEnd + 1;
  while (isBlank(bytes[valueStart])) valueStart++;
  let lineEnd = valueStart;
  while (TEXT[bytes[lineEnd] ?? 0] === 1) lineEnd++;
  if (bytes[lineEnd] !== CR || bytes[lineEnd + 1] !== LF) {
    throw malformed("a header value holds a control character or a bare line end");
  }
  let valueEnd = lineEnd;
  while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd--;
  offsets.push(at, nameEnd - start, valueStart - start, valueEnd - start);
  return lineEnd + 2 - start;
}

const decoder = new TextDecoder();

/** Bytes as text, one character a byte. */
function decodeText(bytes: Uint8Array, start: number, end: number): string {
  let all = 0;
  for (let at = start; at < end; at++) all |= bytes[at] ?? 0;
  if (all < 128) return decoder.decode(bytes.subarray(start, end));
  let text = "";
  for (let at = start; at < end; at += 1024) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 1024)));
  }
  return text;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}
