/**
 * A row as a line of JSON Lines:
 *
 * ```json
 * {"key":["users",1],"value":{"name":"Ada"},"expires":"2027-01-01T00:00:00.000Z","versionstamp":"…"}
 * ```
 *
 * Keys and values are in the forms of `values/json_key.ts` and `json_value.ts`; `expires`
 * is left out for what lasts, `versionstamp` is told and not read.
 *
 * @module
 */
import { stampHex } from "../clock/stamps.ts";
import { bytesEqual } from "../keyspace/bytes.ts";
import { decodeKey, encodeKey } from "../keyspace/key_codec.ts";
import type { Row } from "../types.ts";
import { keyFromJson, keyToJson, rawKeyToJson } from "../values/json_key.ts";
import type { JsonValue } from "../values/json_tag.ts";
import { valueFromJson, valueToJson } from "../values/json_value.ts";
import type { ImportedRow } from "./write_batches.ts";

/** Names that a line may have. */
const NAMES: ReadonlySet<string> = new Set(["key", "value", "expires", "versionstamp"]);
/** Last moment that a `Date` knows. */
const DATE_MS_MAX = 8.64e15;

/** A row as a line, without its end. */
export function lineOf(row: Row): string {
  const { key, expiresMs, stamp } = row;
  return JSON.stringify({
    key: jsonOfKey(key),
    value: valueToJson(row),
    ...(expiresMs === null ? {} : { expires: jsonOfTime(expiresMs) }),
    versionstamp: stampHex(stamp),
  });
}

/**
 * The row of a line.
 *
 * @throws {TypeError} If it is none; the message holds nothing of the line.
 */
export function rowOfLine(line: string): ImportedRow {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new TypeError("Cannot read JSON: the line is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new TypeError("Cannot read JSON: the line is not an object");
  }
  if (!("key" in json) || !("value" in json)) {
    throw new TypeError("Cannot read JSON: key or value is missing");
  }
  if (Object.keys(json).some((name) => !NAMES.has(name))) {
    throw new TypeError(`Cannot read JSON: a line has ${[...NAMES].join(", ")} and nothing else`);
  }
  const key = keyFromJson(json.key);
  const bytes = key instanceof Uint8Array ? key : encodeKey(key);
  if (bytes.length === 0) throw new TypeError("Cannot read JSON: the key is empty");
  const expires = "expires" in json ? json.expires : null;
  return { key: bytes, ...valueFromJson(json.value), expiresMs: timeOf(expires) };
}

/** A key that JSON gives back byte for byte, or its bytes. */
function jsonOfKey(key: Uint8Array): JsonValue {
  try {
    const json = keyToJson(decodeKey(key));
    const back = keyFromJson(json);
    if (!(back instanceof Uint8Array) && bytesEqual(encodeKey(back), key)) return json;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  return rawKeyToJson(key);
}

function jsonOfTime(ms: number): string | number {
  return ms <= DATE_MS_MAX ? new Date(ms).toISOString() : ms;
}

function timeOf(json: unknown): number | null {
  if (json === null) return null;
  const ms = typeof json === "string" ? Date.parse(json) : json;
  if (typeof ms === "number" && Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new TypeError("Cannot read JSON: expires is not a time");
}
