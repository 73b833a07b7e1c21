/**
 * Values as Deno KV stores them: plain bytes for a `Uint8Array`, a little-endian
 * number for a `Deno.KvU64`, V8's serialization for everything else.
 *
 * The serializer is the plain one of V8, not `v8.serialize` of Node, whose own form
 * for typed arrays no native client can read.
 *
 * @module
 */
import { types } from "node:util";
import { Deserializer, Serializer } from "node:v8";
import { ENCODING_BYTES, ENCODING_LE64, ENCODING_V8, type KvValue } from "../types.ts";
import { KvU64 } from "./u64.ts";

/** Bytes of an unsigned 64-bit number. */
const U64_BYTES = 8;

/** What `Deno.KvU64` and `KvU64` call themselves. */
const U64_TAG = "Deno.KvU64";

/** What Deno marks the objects of its web interfaces with. */
const PLATFORM_BRAND = "[[webidl.brand]]";

/** How a value is to be read. */
export interface DecodeOptions {
  /** Makes what 64-bit numbers become; `KvU64` of this project unless given. */
  readonly makeU64?: (value: bigint) => unknown;
}

/**
 * A value as it is stored.
 *
 * @throws {TypeError} If it holds what cannot be cloned, such as a function, shared memory,
 * or an object of the platform (a `Blob`, a `CryptoKey`).
 */
export function encodeValue(value: unknown): KvValue {
  // Not by `instanceof`: bytes may come from another realm.
  if (types.isUint8Array(value)) {
    const data = new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
    return { data, encoding: ENCODING_BYTES };
  }
  if (isU64(value)) {
    const data = new Uint8Array(U64_BYTES);
    new DataView(data.buffer).setBigUint64(0, value.value, true);
    return { data, encoding: ENCODING_LE64 };
  }
  return { data: serialize(value), encoding: ENCODING_V8 };
}

/**
 * The value that was stored.
 *
 * @throws {TypeError} If the bytes cannot be read: damaged, of a newer V8, or an object of
 * Deno itself (a `Blob`, a `DOMException`), which only its own client can make again.
 */
export function decodeValue(value: KvValue, options: DecodeOptions = {}): unknown {
  const { data, encoding } = value;
  if (encoding === ENCODING_BYTES) return data.slice();
  if (encoding === ENCODING_V8) return deserialize(data);
  if (data.length !== U64_BYTES) throw new TypeError("Cannot decode value: not 64 bits");
  const number = new DataView(data.buffer, data.byteOffset, data.byteLength).getBigUint64(0, true);
  return options.makeU64 === undefined ? new KvU64(number) : options.makeU64(number);
}

/** Whether a value is a 64-bit number of Deno or of this project. */
export function isU64(value: unknown): value is { readonly value: bigint } {
  return typeof value === "object" && value !== null && Symbol.toStringTag in value &&
    value[Symbol.toStringTag] === U64_TAG && "value" in value && typeof value.value === "bigint";
}

/**
 * Refuses objects of the platform, such as a `Blob` or a `CryptoKey`, at any depth: V8 would
 * write them as empty objects, and what was in them would be lost without a word.
 */
function refusePlatformObjects(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const seen = new Set<object>([value]);
  for (const one of seen) {
    const symbols = Object.getOwnPropertySymbols(one);
    if (symbols.some(({ description }) => description === PLATFORM_BRAND)) {
      throw new TypeError("Cannot encode value: it holds an object of the platform");
    }
    if (ArrayBuffer.isView(one)) continue;
    const parts = one instanceof Map
      ? [...one.keys(), ...one.values()]
      : one instanceof Set
      ? [...one]
      : Object.values(one);
    for (const part of parts) if (typeof part === "object" && part !== null) seen.add(part);
  }
}

function serialize(value: unknown): Uint8Array {
  refusePlatformObjects(value);
  try {
    const serializer = new Serializer();
    serializer.writeHeader();
    serializer.writeValue(value);
    const bytes = serializer.releaseBuffer();
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (cause) {
    // V8's text names the value, which may be a secret.
    throw new TypeError("Cannot encode value: it holds what could not be cloned", { cause });
  }
}

function deserialize(data: Uint8Array): unknown {
  try {
    const deserializer = new Deserializer(data);
    deserializer.readHeader();
    return deserializer.readValue();
  } catch (cause) {
    throw new TypeError("Cannot decode value: V8 cannot read its bytes", { cause });
  }
}
