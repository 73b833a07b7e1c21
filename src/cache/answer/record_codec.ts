/**
 * The written form of an answer record, and what a record occupies.
 *
 * Records come back from storage that other gateways write to, perhaps of another
 * release: whatever is not exactly a record, and one that may be stored, is none.
 *
 * @module
 */
import type { AnswerRecord, CachedSurface, JsonObject } from "../types.ts";
import { isObject, isShallow, isText, parseObject } from "./fields.ts";
import { isKept, REASONING_FIELDS, STORED_FINISHES } from "./surface_facts.ts";
import { arePieces } from "./text_pieces.ts";

/** Version of the written form; others are not read. */
const VERSION = 1;

/** An object with eleven members, and the strings and arrays it points to. */
const OVERHEAD_BYTES = 320;
const PIECE_BYTES = 8;
/** What a parsed object occupies for each byte of its JSON, roughly. */
const PARSED_RATIO = 2;

const KEYS = [
  "version",
  "surface",
  "text",
  "pieces",
  "reasoning",
  "finish",
  "stopSequence",
  "model",
  "usage",
  "extra",
];

/** Writes a record as one line of JSON. */
export function encodeRecord(record: AnswerRecord): string {
  const { surface, text, pieces, reasoning, finish, stopSequence, model, usage, extra } = record;
  return JSON.stringify({
    version: VERSION,
    surface,
    text,
    pieces,
    reasoning: reasoning === null ? null : { field: reasoning.field, text: reasoning.text },
    finish,
    stopSequence,
    model,
    usage,
    extra,
  });
}

/** Reads what {@linkcode encodeRecord} wrote; `null` for anything else. */
export function decodeRecord(text: string): AnswerRecord | null {
  const json = parseObject(text);
  if (json === null || !hasExactly(json, KEYS) || json.version !== VERSION) return null;
  const { surface, finish, stopSequence, model, pieces, usage, extra, reasoning } = json;
  if (!isSurface(surface) || typeof model !== "string") return null;
  if (!isText(json.text) || !Array.isArray(pieces) || !arePieces(json.text, pieces)) return null;
  if (typeof finish !== "string" || !STORED_FINISHES[surface].includes(finish)) return null;
  if (stopSequence !== null && (surface !== "messages" || typeof stopSequence !== "string")) {
    return null;
  }
  if (!isReasoning(reasoning) || (reasoning !== null && surface !== "chat")) return null;
  if ((usage !== null && !isObject(usage)) || !isShallow(usage)) return null;
  if (!isObject(extra) || !isShallow(extra)) return null;
  if (!Object.entries(extra).every(([name, value]) => isKept(surface, name, value))) return null;
  return {
    surface,
    text: json.text,
    pieces,
    reasoning,
    finish,
    stopSequence,
    model,
    usage,
    extra,
  };
}

/** What a record is reckoned to occupy in memory, in bytes. */
export function recordBytes(record: AnswerRecord): number {
  const { text, pieces, reasoning, model, stopSequence, usage, extra } = record;
  return OVERHEAD_BYTES + textBytes(text) + PIECE_BYTES * pieces.length +
    (reasoning === null ? 0 : textBytes(reasoning.text)) + textBytes(model) +
    textBytes(stopSequence ?? "") +
    PARSED_RATIO * (textBytes(JSON.stringify(usage)) + textBytes(JSON.stringify(extra)));
}

/** The engine keeps a text in single bytes as long as all of it is Latin-1. */
function textBytes(text: string): number {
  return /[\u0100-\uffff]/.test(text) ? 2 * text.length : text.length;
}

function isSurface(value: unknown): value is CachedSurface {
  return typeof value === "string" && Object.hasOwn(STORED_FINISHES, value);
}

function isReasoning(value: unknown): value is AnswerRecord["reasoning"] {
  if (value === null) return true;
  return isObject(value) && hasExactly(value, ["field", "text"]) && isText(value.text) &&
    typeof value.field === "string" && REASONING_FIELDS.includes(value.field);
}

function hasExactly(json: JsonObject, keys: readonly string[]): boolean {
  return Object.keys(json).length === keys.length && keys.every((key) => Object.hasOwn(json, key));
}
