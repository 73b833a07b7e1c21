/**
 * How the fields of an answer are looked at, whatever API it is in.
 *
 * An answer comes from outside: nothing here may throw, whatever it holds.
 *
 * @module
 */
import type { JsonObject } from "../types.ts";

/** Deepest nesting of what is kept from an answer; deeper values are not worth their risk. */
const DEPTH_MAX = 32;

/** Narrows to a JSON object: neither `null` nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Narrows to a string with something in it. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** Parses a JSON object; `null` for anything else. */
export function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Whether something would be lost by leaving a value out. `null`, `false`, empty
 * strings and lists say nothing, nor do objects of nothing else: servers fill the
 * fields they have no use for with them.
 */
export function carriesData(value: unknown, depth: number = DEPTH_MAX): boolean {
  if (typeof value !== "object") return value !== undefined && value !== false && value !== "";
  if (value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (depth === 0) return true;
  return Object.values(value).some((member) => carriesData(member, depth - 1));
}

/** Whether a value nests no deeper than can be written and read again without care. */
export function isShallow(value: unknown, depth: number = DEPTH_MAX): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth === 0) return false;
  return Object.values(value).every((member) => isShallow(member, depth - 1));
}

/**
 * Whether an event, or a whole answer, reports an error: `{"error": {…}}`,
 * `{"error": "text"}`, `{"type": "error"}`, `{"object": "error"}`, or anything
 * under the event name `error`.
 *
 * @param event The event's name; `null` for none, and for whole answers.
 */
export function isError(json: JsonObject, event: string | null): boolean {
  return isObject(json.error) || isText(json.error) || json.type === "error" ||
    json.object === "error" || event === "error";
}
