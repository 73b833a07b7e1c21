/**
 * Keys in JSON: an array of their parts, in the tagged forms of `json_tag.ts` where
 * JSON has none.
 *
 * @module
 */
import {
  bigintToJson,
  bytesToJson,
  type JsonValue,
  numberToJson,
  scalarOf,
  taggedOf,
} from "./json_tag.ts";

/** A part of a key, as `kv_node/keyspace` reads it. */
type KeyPart = Uint8Array | string | number | bigint | boolean;

/**
 * A key's parts in JSON.
 *
 * All NaN are one here, though a key may hold one with a sign: who needs the very
 * bytes compares them and falls back to `rawKeyToJson`.
 */
export function keyToJson(parts: readonly KeyPart[]): JsonValue {
  return parts.map((part) => {
    if (typeof part === "number") return numberToJson(part);
    if (typeof part === "bigint") return bigintToJson(part);
    return typeof part === "object" ? bytesToJson(part) : part;
  });
}

/** A key that is not in Deno's layout: its bytes. */
export function rawKeyToJson(key: Uint8Array): JsonValue {
  return bytesToJson(key);
}

/**
 * What a key in JSON says: its parts, or the bytes of a raw one.
 *
 * @throws {TypeError} If it is not a key.
 */
export function keyFromJson(json: unknown): KeyPart[] | Uint8Array {
  if (Array.isArray(json)) return json.map(partOf);
  const part = partOf(json);
  if (part instanceof Uint8Array) return part;
  throw new TypeError("Cannot read JSON: a key is not an array");
}

function partOf(json: unknown): KeyPart {
  if (typeof json === "string" || typeof json === "number" || typeof json === "boolean") {
    return json;
  }
  const tagged = typeof json === "object" && json !== null ? taggedOf(json) : null;
  const part = tagged === null ? undefined : scalarOf(tagged);
  if (part === undefined) throw new TypeError("Cannot read JSON: unknown part of a key");
  return part;
}
