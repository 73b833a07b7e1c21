/**
 * The head of an HTTP/1.1 response: status line and header fields.
 *
 * Strict, as a connection that is used again has to be: a line ends with CR LF,
 * a name is a token, nothing is folded (RFC 9112, sections 4 and 5). The lines
 * are checked once, byte by byte, and kept as offsets; a value becomes a string
 * only when somebody asks for it.
 *
 * @module
 */

import { UpstreamError } from "../ports.ts";

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const COLON = 58;
const ZERO = 48;

/** 1 where a byte may stand in a field name (RFC 9110, section 5.6.2). */
const TOKEN = new Uint8Array(256);
for (let byte = 33; byte < 127; byte++) {
  TOKEN[byte] = '"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(byte)) ? 0 : 1;
}

/** A checked response head. */
export class ResponseHead {
  /** HTTP status, 100 to 999. */
  readonly status: number;
  /** The digit after `HTTP/1.`. */
  readonly minorVersion: number;
  readonly #section: Uint8Array;
  /** Four offsets a field: name start, name end, value start, value end. */
  readonly #offsets: readonly number[];

  /** For {@linkcode parseResponseHead}, which has checked what it passes. */
  constructor(
    status: number,
    minorVersion: number,
    section: Uint8Array,
    offsets: readonly number[],
  ) {
    this.status = status;
    this.minorVersion = minorVersion;
    this.#section = section;
    this.#offsets = offsets;
  }

  /** The value of a field by its lower-case name, repeated ones joined by ", ", or `null`. */
  header(name: string): string | null {
    let found: string | null = null;
    const offsets = this.#offsets;
    for (let at = 0; at < offsets.length; at += 4) {
      const start = offsets[at] ?? 0;
      if (!isName(this.#section, start, offsets[at + 1] ?? 0, name)) continue;
      const value = decodeLatin1(this.#section, offsets[at + 2] ?? 0, offsets[at + 3] ?? 0);
      found = found === null ? value : `${found}, ${value}`;
    }
    return found;
  }
}

/**
 * Reads a response head.
 *
 * @param section The head from its first byte to the CR LF of its last line, without the empty
 * line that ends it; must not be changed afterwards.
 * @throws {UpstreamError} `protocol`, if a line is not as RFC 9112 wants it.
 */
export function parseResponseHead(section: Uint8Array): ResponseHead {
  const firstEnd = section.indexOf(LF) + 1;
  const { status, minorVersion } = parseStatusLine(section, firstEnd);
  const offsets: number[] = [];
  let at = firstEnd;
  while (at < section.length) at = parseField(section, at, offsets);
  return new ResponseHead(status, minorVersion, section, offsets);
}

/**
 * Whether bytes may be the beginning of a response: what is not HTTP at all is
 * refused at its first byte instead of after a silence.
 */
export function isResponseStart(bytes: Uint8Array, start: number, end: number): boolean {
  const prefix = "HTTP/1.";
  const last = Math.min(end - start, prefix.length);
  for (let at = 0; at < last; at++) {
    if (bytes[start + at] !== prefix.charCodeAt(at)) return false;
  }
  return true;
}

/** Bytes as text, one character a byte. */
export function decodeLatin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

/** `HTTP/1.1 200 OK`; the reason, and the space before it, may be missing. */
function parseStatusLine(
  section: Uint8Array,
  end: number,
): { status: number; minorVersion: number } {
  const minorVersion = digit(section[7]);
  const hundreds = digit(section[9]);
  const tens = digit(section[10]);
  const ones = digit(section[11]);
  const after = section[12];
  const ok = end >= 14 && isResponseStart(section, 0, end) && minorVersion >= 0 &&
    section[8] === SPACE && hundreds >= 1 && tens >= 0 && ones >= 0 &&
    (after === SPACE || after === CR) && isText(section, 12, end - 2);
  if (!ok) throw malformed("the status line is malformed");
  return { status: hundreds * 100 + tens * 10 + ones, minorVersion };
}

/** Checks one field line, appends its offsets and returns where the next line starts. */
function parseField(section: Uint8Array, start: number, offsets: number[]): number {
  let nameEnd = start;
  while (TOKEN[section[nameEnd] ?? 0] === 1) nameEnd++;
  if (nameEnd === start || section[nameEnd] !== COLON) {
    throw malformed("a header line is folded or has no valid name");
  }
  const lineEnd = section.indexOf(LF, nameEnd);
  let valueStart = nameEnd + 1;
  let valueEnd = lineEnd - 1;
  if (!isText(section, valueStart, valueEnd)) {
    throw malformed("a header value holds a control character");
  }
  while (valueStart < valueEnd && isBlank(section[valueStart])) valueStart++;
  while (valueEnd > valueStart && isBlank(section[valueEnd - 1])) valueEnd--;
  offsets.push(start, nameEnd, valueStart, valueEnd);
  return lineEnd + 1;
}

function isName(section: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let at = 0; at < name.length; at++) {
    const byte = section[start + at] ?? 0;
    const lower = byte >= 65 && byte <= 90 ? byte + 32 : byte;
    if (lower !== name.charCodeAt(at)) return false;
  }
  return true;
}

function isText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if ((byte < SPACE && byte !== TAB) || byte === 127) return false;
  }
  return true;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

/** The digit's value, or -1. */
function digit(byte: number | undefined): number {
  const value = (byte ?? 0) - ZERO;
  return value >= 0 && value <= 9 ? value : -1;
}

function malformed(why: string): UpstreamError {
  return new UpstreamError("protocol", `Cannot read response: ${why}`);
}
