/**
 * A text with some fields in front, as values that a store takes.
 *
 *     head:  weir1 CHECK PARTS LENGTH \n FIELDS \n BODY
 *     parts: the body's bytes, if it does not fit into the head
 *
 * CHECK is a SHA-256 over everything that follows it and over the whole body: a
 * head whose parts are not all there, or not its own, or changed, is no document.
 *
 * @module
 */
import { createHash, hash } from "node:crypto";

/** A value takes 65,536 bytes; the rest is room for what a store adds. */
const VALUE_BYTES_MAX = 60 * 1024;
const MARK = "weir1";
/** 128 bits of the digest, in base64. */
const CHECK_LENGTH = 22;
const NEW_LINE = 10;
const LINE_END = Uint8Array.of(NEW_LINE);
/** Where the bytes begin that the digest is over. */
const CHECKED_FROM = MARK.length + 1 + CHECK_LENGTH + 1;

const ENCODER = new TextEncoder();
/** Keeps a byte order mark that is part of a text. */
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** A document as values. */
export interface EncodedDocument {
  /** What is written last, and read first. */
  readonly head: Uint8Array;
  /** The body's bytes; none if they are in the head. */
  readonly parts: readonly Uint8Array[];
}

/** What a head says. */
export interface DocumentHead {
  /** The fields, one line. */
  readonly fields: string;
  /** How many parts there are. */
  readonly partCount: number;
  /** Length of the whole body. */
  readonly bodyBytes: number;
  /** What the digest has to be. */
  readonly check: string;
  /** What of the head the digest is over. */
  readonly checked: Uint8Array;
  /** The body's bytes that are in the head. */
  readonly inline: Uint8Array;
}

/**
 * Divides a document into values.
 *
 * @param fields One line; `null` is returned if it does not fit into one value.
 */
export function encodeDocument(fields: string, body: string): EncodedDocument | null {
  const fieldBytes = ENCODER.encode(fields);
  const bodyBytes = ENCODER.encode(body);
  const room = VALUE_BYTES_MAX - fieldBytes.length - 80;
  if (room < 0) return null;
  const isInline = bodyBytes.length <= room;
  const parts: Uint8Array[] = [];
  if (!isInline) {
    for (let start = 0; start < bodyBytes.length; start += VALUE_BYTES_MAX) {
      parts.push(bodyBytes.subarray(start, start + VALUE_BYTES_MAX));
    }
  }
  const inline = isInline ? bodyBytes : new Uint8Array(0);
  const counts = ENCODER.encode(`${parts.length} ${bodyBytes.length}\n`);
  const checked = joined([counts, fieldBytes, LINE_END, inline]);
  const start = ENCODER.encode(`${MARK} ${checkOf(checked, parts)} `);
  return { head: joined([start, checked]), parts };
}

/** Reads a head; `null` if the value is none. */
export function decodeHead(value: unknown): DocumentHead | null {
  if (!(value instanceof Uint8Array)) return null;
  const firstEnd = value.indexOf(NEW_LINE);
  const fieldsEnd = value.indexOf(NEW_LINE, firstEnd + 1);
  if (firstEnd < 0 || firstEnd > 80 || fieldsEnd < 0) return null;
  const [mark, check, parts, length, ...more] = DECODER.decode(value.subarray(0, firstEnd)).split(
    " ",
  );
  const partCount = Number(parts);
  const bodyBytes = Number(length);
  if (mark !== MARK || check?.length !== CHECK_LENGTH || more.length > 0) return null;
  if (!Number.isSafeInteger(partCount) || !Number.isSafeInteger(bodyBytes)) return null;
  const inline = value.subarray(fieldsEnd + 1);
  if (inline.length !== (partCount === 0 ? bodyBytes : 0)) return null;
  if (partCount > 0 && Math.ceil(bodyBytes / VALUE_BYTES_MAX) !== partCount) return null;
  const fields = DECODER.decode(value.subarray(firstEnd + 1, fieldsEnd));
  const checked = value.subarray(CHECKED_FROM);
  return { fields, partCount, bodyBytes, check, checked, inline };
}

/** The body that belongs to a head; `null` unless every byte of both is as it was written. */
export function bodyOf(head: DocumentHead, parts: readonly unknown[]): string | null {
  if (parts.length !== head.partCount) return null;
  const pieces = parts.filter((part) => part instanceof Uint8Array);
  if (pieces.length !== parts.length || checkOf(head.checked, pieces) !== head.check) return null;
  return DECODER.decode(pieces.length === 0 ? head.inline : joined(pieces));
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let start = 0;
  for (const piece of pieces) {
    whole.set(piece, start);
    start += piece.length;
  }
  return whole;
}

function checkOf(checked: Uint8Array, parts: readonly Uint8Array[]): string {
  if (parts.length === 0) return hash("sha256", checked, "base64").slice(0, CHECK_LENGTH);
  const digest = createHash("sha256").update(checked);
  for (const part of parts) digest.update(part);
  return digest.digest("base64").slice(0, CHECK_LENGTH);
}
