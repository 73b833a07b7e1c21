/**
 * One text for each JSON value, whatever order its fields came in.
 *
 * Two values have the same text only if they are the same: every string is
 * quoted and escaped, every container is closed, and half a surrogate pair is
 * escaped too, so that UTF-8 cannot make two texts of it equal. Numbers are
 * compared as the doubles that JSON readers make of them (RFC 8259 section 6):
 * `1e3` is `1000`, but `-0` is not `0`.
 *
 * @module
 */

/**
 * The canonical text of a value from `JSON.parse`.
 *
 * @param value Fields that are `undefined` count as absent.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? canonicalArray(value) : canonicalObject(value);
    default:
      return "null";
  }
}

function canonicalArray(values: readonly unknown[]): string {
  let text = "[";
  for (let index = 0; index < values.length; index++) {
    text += index === 0 ? canonicalJson(values[index]) : "," + canonicalJson(values[index]);
  }
  return text + "]";
}

function canonicalObject(value: object): string {
  const fields = value as Readonly<Record<string, unknown>>;
  let text = "";
  for (const name of Object.keys(fields).sort()) {
    const field = fields[name];
    if (field === undefined) continue;
    text += (text === "" ? "{" : ",") + JSON.stringify(name) + ":" + canonicalJson(field);
  }
  return text === "" ? "{}" : text + "}";
}
