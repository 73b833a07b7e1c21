/**
 * JSON schemas that two vendors call strict, by different rules.
 *
 * Both want `additionalProperties: false` on every object. OpenAI wants every
 * property required as well, and refuses the whole request otherwise; Anthropic
 * does not.
 *
 * @module
 */
import { isObject, listOf } from "./json_value.ts";

/**
 * Whether OpenAI would take a schema as strict.
 *
 * @param schema A JSON schema, or any value inside one.
 */
export function isStrictSchema(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.every(isStrictSchema);
  if (!isObject(schema)) return true;
  const properties = schema["properties"];
  if (isObject(properties)) {
    const required = new Set(listOf(schema["required"]));
    if (schema["additionalProperties"] !== false) return false;
    if (Object.keys(properties).some((name) => !required.has(name))) return false;
    if (!Object.values(properties).every(isStrictSchema)) return false;
  }
  return Object.entries(schema).every(([key, value]) =>
    key === "properties" || isStrictSchema(value)
  );
}
