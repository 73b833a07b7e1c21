/**
 * From body pieces to bytes on the wire: faults that strike by byte, HTTP framing,
 * and few writes.
 *
 * @module
 */

import type { Faults } from "../faults/faults.ts";
import { type Ending, type Piece, RESET_DELAY_MS } from "./pieces.ts";

/** One write. */
export interface Step {
  /** Wait before it, in milliseconds. */
  readonly waitMs: number;
  /** What is written; nothing for a pure wait. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many of the body's bytes are in it, framing aside. */
  readonly bodyBytes: number;
}

/** Everything that is sent for one request, and how it ends. */
export type Script = Iterator<Step, Ending>;

/** The response's beginning, and how its body is framed. */
export interface ResponseHead {
  /** HTTP status. */
  readonly status: number;
  /** Header names in lower case, framing and connection headers aside. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** The length to promise, in bytes; `null` for a body in chunks. */
  readonly lengthBytes: number | null;
  /** Whether the connection stays open afterwards. */
  readonly keepAlive: boolean;
  /** Whether the client speaks HTTP/1.0, which has no chunks. */
  readonly oldHttp: boolean;
}

const ENCODER = new TextEncoder();
const LINE_END = ENCODER.encode("\r\n");
const LAST_CHUNK = ENCODER.encode("0\r\n\r\n");
const BATCH_BYTES = 16_384;

const REASONS = new Map([
  [200, "OK"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [408, "Request Timeout"],
  [413, "Content Too Large"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Gateway Timeout"],
  [505, "HTTP Version Not Supported"],
  [529, "Overloaded"],
]);

/**
 * The script that sends `pieces` behind `head`.
 *
 * Pieces that wait for nothing share a write, up to 16 KiB. Byte offsets in
 * `faults` count the body before it is framed.
 */
export function framed(
  head: ResponseHead,
  pieces: Iterator<Piece, Ending>,
  faults: Faults,
): Script {
  const source = faults.bytewise === true
    ? bytewise(pieces)
    : faults.splitUtf8 === true
    ? splitCharacters(pieces)
    : pieces;
  const chunked = head.lengthBytes === null && !head.oldHttp;
  return batched(ENCODER.encode(headText(head, chunked)), chunked, limited(source, faults));
}

/** A script that sends nothing at all for `waitMs` and ends as `ending` says. */
export function* wordless(waitMs: number, ending: Ending): Generator<Step, Ending> {
  if (waitMs > 0) yield { waitMs, bytes: new Uint8Array(0), bodyBytes: 0 };
  return ending;
}

/** A script that waits for `waitMs` and then goes on as `script`. */
export function* delayed(waitMs: number, script: Script): Generator<Step, Ending> {
  yield { waitMs, bytes: new Uint8Array(0), bodyBytes: 0 };
  for (;;) {
    const next = script.next();
    if (next.done === true) return next.value;
    yield next.value;
  }
}

function headText(head: ResponseHead, chunked: boolean): string {
  let text = `HTTP/1.1 ${head.status} ${REASONS.get(head.status) ?? "Simulated"}\r\n`;
  for (const [name, value] of head.headers) text += `${name}: ${value}\r\n`;
  if (chunked) text += "transfer-encoding: chunked\r\n";
  if (head.lengthBytes !== null) text += `content-length: ${head.lengthBytes}\r\n`;
  return `${text}connection: ${head.keepAlive ? "keep-alive" : "close"}\r\n\r\n`;
}

function* batched(
  head: Uint8Array<ArrayBuffer>,
  chunked: boolean,
  pieces: Iterator<Piece, Ending>,
): Generator<Step, Ending> {
  let parts = [head];
  let sizeBytes = head.length;
  let bodyBytes = 0;
  let waitMs = 0;
  for (;;) {
    const next = pieces.next();
    if (next.done === true) {
      if (chunked && next.value === "complete") parts.push(LAST_CHUNK);
      if (parts.length > 0) yield { waitMs, bytes: joined(parts), bodyBytes };
      return next.value;
    }
    const piece = next.value;
    const apart = piece.waitMs > 0 || piece.solo === true || sizeBytes >= BATCH_BYTES;
    if (apart) {
      if (parts.length > 0) yield { waitMs, bytes: joined(parts), bodyBytes };
      parts = [];
      sizeBytes = 0;
      bodyBytes = 0;
      waitMs = piece.waitMs;
    }
    if (piece.bytes.length === 0) {
      yield { waitMs, bytes: piece.bytes, bodyBytes: 0 };
      waitMs = 0;
      continue;
    }
    if (chunked) parts.push(ENCODER.encode(`${piece.bytes.length.toString(16)}\r\n`));
    parts.push(piece.bytes);
    if (chunked) parts.push(LINE_END);
    sizeBytes += piece.bytes.length;
    bodyBytes += piece.bytes.length;
  }
}

function joined(parts: ReadonlyArray<Uint8Array<ArrayBuffer>>): Uint8Array<ArrayBuffer> {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Lets bytes through up to the offset of a cut, reset or stall. */
function* limited(pieces: Iterator<Piece, Ending>, faults: Faults): Generator<Piece, Ending> {
  const { cutBytes, rstBytes, stallBytes } = faults;
  let left = Math.min(cutBytes ?? Infinity, rstBytes ?? Infinity, stallBytes ?? Infinity);
  for (;;) {
    const next = pieces.next();
    if (next.done === true) return next.value;
    const piece = next.value;
    if (piece.bytes.length >= left) {
      yield { ...piece, bytes: piece.bytes.subarray(0, left) };
      break;
    }
    left -= piece.bytes.length;
    yield piece;
  }
  if (stallBytes !== undefined) {
    yield { waitMs: (faults.stallSeconds ?? 0) * 1_000, bytes: new Uint8Array(0) };
  }
  if (rstBytes === undefined) return "close";
  yield { waitMs: RESET_DELAY_MS, bytes: new Uint8Array(0) };
  return "reset";
}

function* bytewise(pieces: Iterator<Piece, Ending>): Generator<Piece, Ending> {
  for (;;) {
    const next = pieces.next();
    if (next.done === true) return next.value;
    const { waitMs, bytes } = next.value;
    if (bytes.length === 0) yield next.value;
    for (let i = 0; i < bytes.length; i++) {
      yield { waitMs: i === 0 ? waitMs : 0, bytes: bytes.subarray(i, i + 1), solo: true };
    }
  }
}

/** Cuts each piece behind the first byte of every multi-byte character in it. */
function* splitCharacters(pieces: Iterator<Piece, Ending>): Generator<Piece, Ending> {
  for (;;) {
    const next = pieces.next();
    if (next.done === true) return next.value;
    const { bytes } = next.value;
    let waitMs = next.value.waitMs;
    let start = 0;
    for (let i = 0; i < bytes.length; i++) {
      if ((bytes[i] ?? 0) < 0xc0) continue;
      yield { waitMs, bytes: bytes.subarray(start, i + 1), solo: true };
      start = i + 1;
      waitMs = 1; // Time apart, so that the halves do not meet again on the way.
    }
    yield { waitMs, bytes: bytes.subarray(start), solo: true };
  }
}
