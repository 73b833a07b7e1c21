/**
 * Arguments for a tool call, made up from the tool's JSON Schema.
 *
 * @module
 */

import { isObject, type JsonObject } from "../requests/fields.ts";

const DEPTH_MAX = 6;

/**
 * JSON text of arguments that fit `schema` as far as types, `enum`, `const`,
 * `default`, `minimum`, `minItems` and `properties` say.
 *
 * The same schema gives the same text.
 */
export function toolArguments(schema: unknown): string {
  const value = sample(schema, "", DEPTH_MAX);
  return JSON.stringify(isObject(value) ? value : {});
}

function sample(schema: unknown, name: string, depth: number): unknown {
  if (!isObject(schema) || depth === 0) return null;
  if (schema["const"] !== undefined) return schema["const"];
  if (schema["default"] !== undefined) return schema["default"];
  const choices = schema["enum"];
  if (Array.isArray(choices) && choices.length > 0) return choices[0];
  const variants = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(variants)) return sample(variants[0], name, depth - 1);
  const type = Array.isArray(schema["type"]) ? schema["type"][0] : schema["type"];
  switch (type) {
    case "string":
      return sampleText(name);
    case "integer":
    case "number":
      return typeof schema["minimum"] === "number" ? schema["minimum"] : 7;
    case "boolean":
      return true;
    case "array":
      return sampleList(schema, name, depth);
    case "null":
      return null;
    default:
      return sampleObject(schema, depth);
  }
}

function sampleText(name: string): string {
  if (/city|location|place|where/i.test(name)) return "Zürich";
  if (/date|day|when/i.test(name)) return "2031-05-17";
  return name === "" ? "text" : `some ${name}`;
}

function sampleList(schema: JsonObject, name: string, depth: number): unknown[] {
  const least = typeof schema["minItems"] === "number" ? Math.min(schema["minItems"], 16) : 1;
  return Array.from({ length: Math.max(1, least) }, () => sample(schema["items"], name, depth - 1));
}

function sampleObject(schema: JsonObject, depth: number): JsonObject {
  const properties = schema["properties"];
  if (!isObject(properties)) return {};
  const entries = Object.entries(properties);
  return Object.fromEntries(entries.map(([key, inner]) => [key, sample(inner, key, depth - 1)]));
}
