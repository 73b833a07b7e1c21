/**
 * Checked access to the fields of a JSON body.
 *
 * Every reader throws a {@linkcode Refusal} with status 400 that names the field.
 *
 * @module
 */

import { Refusal } from "../refusal.ts";

/** A JSON object whose fields nobody has checked yet. */
export type JsonObject = { readonly [key: string]: unknown };

/** Whether `value` is a JSON object (not an array, not null). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The refusal for a field that is wrong. */
export function wrongField(param: string, why: string, code = "invalid_value"): Refusal {
  return new Refusal(400, `Cannot accept "${param}": ${why}`, { param, code });
}

/** A field that has to be there. */
export function required(body: JsonObject, key: string): unknown {
  const value = body[key];
  if (value === undefined || value === null) {
    throw wrongField(key, "it is required but missing", "missing_required_parameter");
  }
  return value;
}

/** A string that has to be there and hold something. */
export function requiredString(body: JsonObject, key: string): string {
  const value = required(body, key);
  if (typeof value !== "string") throw wrongType(key, "a string", value);
  if (value === "") throw wrongField(key, "it is empty");
  return value;
}

/** An object that may be missing. */
export function optionalObject(body: JsonObject, key: string): JsonObject | null {
  const value = body[key] ?? null;
  if (value === null || isObject(value)) return value;
  throw wrongType(key, "an object", value);
}

/** A list that may be missing; missing reads as empty. */
export function optionalList(body: JsonObject, key: string): readonly unknown[] {
  const value = body[key] ?? [];
  if (!Array.isArray(value)) throw wrongType(key, "a list", value);
  return value;
}

/** A truth value that may be missing; missing reads as false. */
export function optionalBoolean(body: JsonObject, key: string): boolean {
  const value = body[key] ?? false;
  if (typeof value !== "boolean") throw wrongType(key, "true or false", value);
  return value;
}

/** A number within bounds that may be missing. */
export function optionalNumber(
  body: JsonObject,
  key: string,
  bounds: { readonly min: number; readonly max: number; readonly whole?: boolean },
): number | null {
  const value = body[key] ?? null;
  if (value === null) return null;
  if (typeof value !== "number") throw wrongType(key, "a number", value);
  const { min, max } = bounds;
  if (value < min || value > max || (bounds.whole === true && !Number.isInteger(value))) {
    const kind = bounds.whole === true ? "a whole number" : "a number";
    throw wrongField(key, `${value} is not ${kind} from ${min} to ${max}`);
  }
  return value;
}

/** Strings given as one string or a list of them; missing reads as empty. */
export function optionalStrings(body: JsonObject, key: string): readonly string[] {
  const value = body[key] ?? [];
  if (typeof value === "string") return [value];
  if (!Array.isArray(value)) throw wrongType(key, "a string or a list of strings", value);
  return value.map((item: unknown, i) => {
    if (typeof item !== "string") throw wrongType(`${key}[${i}]`, "a string", item);
    return item;
  });
}

/** The refusal for a value of the wrong JSON type. */
export function wrongType(param: string, wanted: string, value: unknown): Refusal {
  const type = Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
  return wrongField(param, `expected ${wanted} but got ${type}`, "invalid_type");
}
