/**
 * Reads fields of a JSON body, and says of a wrong one which it is and what it should be.
 *
 * Unknown fields are refused: a misspelt option that is passed over is found out
 * only when it was needed.
 *
 * @module
 */
import { KvError } from "../../errors.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** An object of a body, with the way to it for messages. */
export class Fields {
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #path: string;

  private constructor(fields: ReadonlyMap<string, unknown>, path: string) {
    this.#fields = fields;
    this.#path = path;
  }

  /**
   * The object that a body is; no body is an empty one.
   *
   * @throws {KvError} `bad_request` if it is no JSON, no object, or has other fields than these.
   */
  static ofBody(body: Uint8Array, names: readonly string[]): Fields {
    if (body.length === 0) return new Fields(new Map(), "");
    let value: unknown;
    try {
      value = JSON.parse(decoder.decode(body));
    } catch {
      throw new KvError("bad_request", "Cannot read body: it is no JSON");
    }
    return Fields.of(value, "", names);
  }

  /** An object in a body. */
  static of(value: unknown, path: string, names: readonly string[]): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw wrong(path === "" ? "it" : path, "an object");
    }
    const fields = new Map<string, unknown>(Object.entries(value));
    for (const name of fields.keys()) {
      if (names.includes(name)) continue;
      const known = names.length === 0 ? "there are none here" : `known are ${names.join(", ")}`;
      // The name is the client's and may be anything: it is not repeated.
      throw new KvError(
        "bad_request",
        `Cannot read body: ${path === "" ? "it" : path} has an unknown field; ${known}`,
      );
    }
    return new Fields(fields, path === "" ? "" : `${path}.`);
  }

  /** Whether a field is there and not `null`. */
  has(name: string): boolean {
    return (this.#fields.get(name) ?? null) !== null;
  }

  /** A whole number within bounds. */
  integer(name: string, least: number, most: number): number {
    const value = this.#fields.get(name);
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) {
      return value;
    }
    throw this.#wrong(name, `a whole number from ${least} to ${most}`);
  }

  /** A whole number within bounds, or `fallback` where there is none. */
  integerOr(name: string, least: number, most: number, fallback: number): number {
    return this.has(name) ? this.integer(name, least, most) : fallback;
  }

  /** `true` or `false`; `false` where there is none. */
  flag(name: string): boolean {
    const value = this.#fields.get(name) ?? false;
    if (typeof value === "boolean") return value;
    throw this.#wrong(name, "true or false");
  }

  /** A text. */
  text(name: string): string {
    const value = this.#fields.get(name);
    if (typeof value === "string") return value;
    throw this.#wrong(name, "a text");
  }

  /** Bytes, as base64. */
  bytes(name: string): Uint8Array {
    return bytesOf(this.#fields.get(name), this.#path + name);
  }

  /** Bytes, as base64, or `null`. */
  bytesOrNull(name: string): Uint8Array | null {
    return this.has(name) ? this.bytes(name) : null;
  }

  /** An object. */
  object(name: string, names: readonly string[]): Fields {
    return Fields.of(this.#fields.get(name), this.#path + name, names);
  }

  /** What `read` makes of each value of a list; an empty one where there is none. */
  list<T>(name: string, most: number, read: (value: unknown, path: string) => T): T[] {
    const value = this.#fields.get(name) ?? [];
    if (!Array.isArray(value)) throw this.#wrong(name, "a list");
    if (value.length > most) {
      throw new KvError(
        "limit_exceeded",
        `Cannot read body: ${this.#path}${name} is too long (max ${most}, given ${value.length})`,
      );
    }
    const path = this.#path + name;
    return value.map((item: unknown, at) => read(item, `${path}[${at}]`));
  }

  /** What is not as it should be. */
  wrong(name: string, expected: string): KvError {
    return this.#wrong(name, expected);
  }

  #wrong(name: string, expected: string): KvError {
    return wrong(this.#path + name, expected);
  }
}

/** Bytes, as base64. */
export function bytesOf(value: unknown, path: string): Uint8Array {
  if (typeof value === "string") {
    try {
      return Uint8Array.fromBase64(value);
    } catch {
      // Said below.
    }
  }
  throw wrong(path, "bytes as base64");
}

/** A text. */
export function textOf(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  throw wrong(path, "a text");
}

function wrong(what: string, expected: string): KvError {
  return new KvError("bad_request", `Cannot read body: ${what} has to be ${expected}`);
}
