/**
 * What JSON has no form for, as an object with one member whose name begins with `$`.
 *
 * | value | form |
 * |---|---|
 * | bigint | `{"$bigint": "-12"}` |
 * | NaN, infinities, -0 | `{"$number": "NaN"}` |
 * | bytes | `{"$bytes": "base64"}` |
 *
 * A name of the user's own that begins with `$` gets one more in front.
 *
 * @module
 */

/** What JSON can say. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** A tagged form, taken apart. */
export interface Tagged {
  /** Its name, with the `$`. */
  readonly tag: string;
  /** What stands behind it. */
  readonly content: unknown;
}

/** A number, in plain JSON where that has it. */
export function numberToJson(number: number): JsonValue {
  if (Number.isFinite(number) && !Object.is(number, -0)) return number;
  return { $number: Object.is(number, -0) ? "-0" : String(number) };
}

/** A bigint. */
export function bigintToJson(number: bigint): JsonValue {
  return { $bigint: number.toString() };
}

/** Bytes. */
export function bytesToJson(bytes: Uint8Array): JsonValue {
  return { $bytes: bytes.toBase64() };
}

/** The tag of an object that has one; `null` for a plain one. */
export function taggedOf(object: object): Tagged | null {
  const names = Object.keys(object);
  const tag = names[0];
  if (names.length !== 1 || tag === undefined || !/^\$(?!\$)/.test(tag)) return null;
  return { tag, content: (object as Record<string, unknown>)[tag] };
}

/**
 * What a number, bigint or bytes were.
 *
 * @returns `undefined` if the tag is another.
 * @throws {TypeError} If the content does not fit the tag.
 */
export function scalarOf({ tag, content }: Tagged): number | bigint | Uint8Array | undefined {
  if (tag === "$number" && isOneOf(content, ["NaN", "Infinity", "-Infinity", "-0"])) {
    return Number(content);
  }
  if (tag === "$bigint" && typeof content === "string" && /^-?\d+$/.test(content)) {
    return BigInt(content);
  }
  if (tag === "$bytes" && typeof content === "string") return bytesOf(content);
  if (tag !== "$number" && tag !== "$bigint" && tag !== "$bytes") return undefined;
  throw new TypeError(`Cannot read JSON: what stands behind ${tag} does not fit`);
}

/**
 * The bytes of a base64 text.
 *
 * @throws {TypeError} If it is not one.
 */
export function bytesOf(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" });
  } catch (cause) {
    throw new TypeError("Cannot read JSON: bytes are not in base64", { cause });
  }
}

function isOneOf(value: unknown, texts: readonly string[]): boolean {
  return typeof value === "string" && texts.includes(value);
}
