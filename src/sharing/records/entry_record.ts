/**
 * The written form of a cache entry.
 *
 * Entries come from a store that other gateways write to, perhaps of another
 * release: whatever is not exactly an entry is none.
 *
 * @module
 */
import type { AnswerRecord, CacheEntry } from "../../cache/types.ts";
import {
  bodyOf,
  decodeHead,
  type DocumentHead,
  type EncodedDocument,
  encodeDocument,
} from "./document.ts";
import { sequenceOf, SHARED_NUMBER_MAX, sharedNumberOf } from "./numbering.ts";

/** Most parts of one answer: 3.75 MiB. */
const PARTS_MAX = 64;

/** Turns answers into texts and back. */
export interface AnswerCodec {
  /** Writes an answer. */
  encode(answer: AnswerRecord): string;
  /** Reads one; `null` if the text is none. */
  decode(text: string): AnswerRecord | null;
}

/** Everything of an entry but its answer. */
export type EntryFields = Omit<CacheEntry, "answer">;

/** A head, read. */
export interface EntryHead {
  /** The entry's fields. */
  readonly fields: EntryFields;
  /** How its answer is kept. */
  readonly document: DocumentHead;
}

/** Writes an entry; `null` if it is too large to be kept. */
export function encodeEntry(entry: CacheEntry, codec: AnswerCodec): EncodedDocument | null {
  const { answer, sequence, ...fields } = entry;
  const head = JSON.stringify({ ...fields, sequence: sharedNumberOf(sequence) });
  const document = encodeDocument(head, codec.encode(answer));
  return document === null || document.parts.length > PARTS_MAX ? null : document;
}

/** Reads a head; `null` if the value is none. */
export function decodeEntryHead(value: unknown): EntryHead | null {
  const document = decodeHead(value);
  if (document === null || document.partCount > PARTS_MAX) return null;
  const fields = fieldsOf(document.fields);
  return fields === null ? null : { fields, document };
}

/** Reads the rest of an entry; `null` unless all of it is there, as it was written. */
export function decodeEntry(
  { fields, document }: EntryHead,
  parts: readonly unknown[],
  codec: AnswerCodec,
): CacheEntry | null {
  const body = bodyOf(document, parts);
  const answer = body === null ? null : codec.decode(body);
  return answer === null ? null : { ...fields, answer };
}

function fieldsOf(line: string): EntryFields | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null; // Not JSON, so no entry.
  }
  if (typeof parsed !== "object" || parsed === null) return null;
  const field = (name: string): unknown => Reflect.get(parsed, name);
  const { id, sequence } = { id: field("id"), sequence: field("sequence") };
  const [scope, exactKey, tenant, route] = ["scope", "exactKey", "tenant", "route"].map(field);
  const [storedMs, expiresMs, staleUntilMs] = ["storedMs", "expiresMs", "staleUntilMs"].map(field);
  const [canonicalKey, turn] = ["canonicalKey", "turn"].map(field);
  const [tags, sizeBytes] = ["tags", "sizeBytes"].map(field);
  if (!isCount(id) || id === 0 || !isCount(sequence) || sequence > SHARED_NUMBER_MAX) return null;
  if (!isText(scope) || !isText(exactKey) || !isText(tenant) || !isText(route)) return null;
  if (!isTextOrNull(canonicalKey) || !isTextOrNull(turn)) return null;
  if (!isTime(storedMs) || !isTime(expiresMs) || !isTime(staleUntilMs)) return null;
  if (!Array.isArray(tags) || !tags.every(isText)) return null;
  if (!isCount(sizeBytes) || sizeBytes === 0) return null;
  return {
    id,
    scope,
    exactKey,
    canonicalKey,
    tenant,
    route,
    turn,
    tags,
    sequence: sequenceOf(sequence),
    storedMs,
    expiresMs,
    staleUntilMs,
    sizeBytes,
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
