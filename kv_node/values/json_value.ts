/**
 * Stored values in JSON, without loss: what is read back is the same value, or, where
 * JSON and the tags have no form for it, the same bytes.
 *
 * | value | form, beside those of `json_tag.ts` |
 * |---|---|
 * | undefined | `{"$undefined": true}` |
 * | Date | `{"$date": "1970-01-01T00:00:00.000Z"}`, `null` for an invalid one |
 * | RegExp | `{"$regexp": ["source", "flags"]}` |
 * | Map | `{"$map": [[key, value], …]}` |
 * | Set | `{"$set": [value, …]}` |
 * | stored as bytes | `{"$bytes": "base64"}` |
 * | stored as 64-bit number | `{"$u64": "12"}` |
 * | any other | `{"$raw": [encoding, "base64"]}` |
 *
 * Raw are errors, typed arrays, holes in arrays, wrapped primitives, and whatever holds
 * one object twice or itself.
 *
 * @module
 */
import { types } from "node:util";
import { type Encoding, ENCODING_BYTES, ENCODING_LE64, ENCODING_V8 } from "../types.ts";
import type { KvValue } from "../types.ts";
import {
  bigintToJson,
  bytesOf,
  bytesToJson,
  type JsonValue,
  numberToJson,
  scalarOf,
  type Tagged,
  taggedOf,
} from "./json_tag.ts";
import { decodeValue, encodeValue, isU64 } from "./value.ts";
import { KvU64 } from "./u64.ts";

/** Values nested deeper are written raw. */
const DEPTH_MAX = 200;

/** Tags that are known here; another may hold a word of the user's and is not repeated. */
const TAGS = new Set(["$undefined", "$date", "$regexp", "$map", "$set", "$u64", "$raw"]);

/** Thrown where only raw bytes will do; never leaves this module. */
const NO_FORM = Symbol("no form");

/** A stored value in JSON. */
export function valueToJson(value: KvValue): JsonValue {
  if (value.encoding === ENCODING_BYTES) return bytesToJson(value.data);
  try {
    const decoded = decodeValue(value);
    if (isU64(decoded)) return { $u64: decoded.value.toString() };
    // A bare tag of bytes would come back as plain bytes.
    if (!types.isUint8Array(decoded)) return formOf(decoded, new Set(), 0);
  } catch (error) {
    if (error !== NO_FORM && !(error instanceof TypeError)) throw error;
  }
  return { $raw: [value.encoding, value.data.toBase64()] };
}

/**
 * The stored value that JSON says.
 *
 * @throws {TypeError} If there is an unknown tag in it, or one with the wrong content.
 */
export function valueFromJson(json: unknown): KvValue {
  const tagged = typeof json === "object" && json !== null && !Array.isArray(json)
    ? taggedOf(json)
    : null;
  if (tagged?.tag === "$raw") return rawOf(tagged.content);
  if (tagged?.tag === "$u64") return encodeValue(u64Of(tagged.content));
  return encodeValue(valueIn(json, 0));
}

function formOf(value: unknown, seen: Set<object>, depth: number): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return numberToJson(value);
    case "bigint":
      return bigintToJson(value);
    case "undefined":
      return { $undefined: true };
    default:
      if (value === null) return null;
      // One object in two places must stay one, for which JSON has no form.
      if (typeof value !== "object" || depth >= DEPTH_MAX || seen.has(value)) throw NO_FORM;
      seen.add(value);
      return formOfObject(value, seen, depth + 1);
  }
}

function formOfObject(value: object, seen: Set<object>, depth: number): JsonValue {
  if (Array.isArray(value)) {
    // JSON has neither holes nor members beside the items.
    if (Object.keys(value).length !== value.length || hasHole(value)) throw NO_FORM;
    return value.map((item) => formOf(item, seen, depth));
  }
  if (value instanceof Date) {
    return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
  }
  if (value instanceof RegExp) return { $regexp: [value.source, value.flags] };
  if (value instanceof Set) return { $set: [...value].map((item) => formOf(item, seen, depth)) };
  if (value instanceof Map) {
    return {
      $map: [...value].map(([key, item]) => [formOf(key, seen, depth), formOf(item, seen, depth)]),
    };
  }
  if (types.isUint8Array(value)) {
    const { buffer } = value;
    const isWhole = buffer instanceof ArrayBuffer && !buffer.resizable && !seen.has(buffer) &&
      buffer.byteLength === value.byteLength;
    if (!isWhole) throw NO_FORM;
    seen.add(buffer);
    return bytesToJson(value);
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) throw NO_FORM;
  const object: Record<string, JsonValue> = {};
  for (const [name, member] of Object.entries(value)) {
    define(object, name.startsWith("$") ? `$${name}` : name, formOf(member, seen, depth));
  }
  return object;
}

function hasHole(items: readonly unknown[]): boolean {
  for (let index = 0; index < items.length; index++) if (!Object.hasOwn(items, index)) return true;
  return false;
}

function valueIn(json: unknown, depth: number): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (depth > 2 * DEPTH_MAX) throw new TypeError("Cannot read JSON: it is nested too deep");
  if (Array.isArray(json)) return json.map((item) => valueIn(item, depth + 1));
  const tagged = taggedOf(json);
  if (tagged !== null) return scalarOf(tagged) ?? taggedValue(tagged, depth + 1);
  const object: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(json)) {
    if (name.startsWith("$") && !name.startsWith("$$")) unfit(name);
    define(object, name.startsWith("$$") ? name.slice(1) : name, valueIn(member, depth + 1));
  }
  return object;
}

function taggedValue({ tag, content }: Tagged, depth: number): unknown {
  if (tag === "$undefined" && content === true) return undefined;
  if (tag === "$date") return dateOf(content);
  if (!Array.isArray(content)) return unfit(tag);
  if (tag === "$set") return new Set(content.map((item) => valueIn(item, depth)));
  if (tag === "$map") return new Map(content.map((pair) => pairOf(pair, depth)));
  const [source, flags] = content;
  if (tag !== "$regexp" || typeof source !== "string" || typeof flags !== "string") unfit(tag);
  try {
    return new RegExp(source, flags);
  } catch (cause) {
    throw new TypeError("Cannot read JSON: $regexp is not a regular expression", { cause });
  }
}

function pairOf(pair: unknown, depth: number): [unknown, unknown] {
  if (!Array.isArray(pair) || pair.length !== 2) return unfit("$map");
  return [valueIn(pair[0], depth), valueIn(pair[1], depth)];
}

function dateOf(content: unknown): Date {
  if (content === null) return new Date(NaN);
  const date = typeof content === "string" ? new Date(content) : null;
  return date === null || Number.isNaN(date.getTime()) ? unfit("$date") : date;
}

function u64Of(content: unknown): KvU64 {
  const number = typeof content === "string" && /^\d{1,20}$/.test(content) ? BigInt(content) : -1n;
  return number < 0n || number >= 2n ** 64n ? unfit("$u64") : new KvU64(number);
}

function rawOf(content: unknown): KvValue {
  const [encoding, data] = Array.isArray(content) ? content : [];
  if (!isEncoding(encoding) || typeof data !== "string") return unfit("$raw");
  return { data: bytesOf(data), encoding };
}

function isEncoding(number: unknown): number is Encoding {
  return number === ENCODING_V8 || number === ENCODING_LE64 || number === ENCODING_BYTES;
}

/** Not by assignment: `__proto__` may be the name of a member. */
function define(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

function unfit(tag: string): never {
  throw new TypeError(
    TAGS.has(tag)
      ? `Cannot read JSON: what stands behind ${tag} does not fit`
      : "Cannot read JSON: unknown tag",
  );
}
