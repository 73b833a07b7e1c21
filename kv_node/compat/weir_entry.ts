/**
 * Keys and values of a store as bytes, and back.
 *
 * @module
 */
import { decodeKey, encodeKey, type KeyPart } from "../keyspace/key_codec.ts";
import { KvU64 } from "../values/u64.ts";
import { decodeValue, encodeValue } from "../values/value.ts";
import type { KvValue, Row } from "../types.ts";
import type { StoreEntry, StoreEntryMaybe, StoreKey } from "./store.ts";

/** The runtime's own class of counts, where its key-value store is switched on. */
const MAKE_U64 = typeof Deno.KvU64 === "function"
  ? (value: bigint): unknown => new Deno.KvU64(value)
  : (value: bigint): unknown => new KvU64(value);

const DECODING = { makeU64: MAKE_U64 };

/**
 * A key's bytes.
 *
 * @throws {TypeError} If a part is of no type that keys are made of.
 */
export function keyBytesOf(key: StoreKey): Uint8Array {
  return encodeKey(key.map(partOf));
}

/**
 * A value as it is stored.
 *
 * @throws {TypeError} If it cannot be cloned.
 */
export function valueOf(value: unknown): KvValue {
  return encodeValue(value);
}

/** What is stored under a key. */
export function entryOf(key: StoreKey, row: Row | null | undefined): StoreEntryMaybe {
  if (row === null || row === undefined) return { key, value: null, versionstamp: null };
  return { key, value: decodeValue(row, DECODING), versionstamp: row.stamp.toHex() };
}

/** What stands in a row of a list. */
export function listedEntryOf(row: Row): StoreEntry {
  return {
    key: decodeKey(row.key),
    value: decodeValue(row, DECODING),
    versionstamp: row.stamp.toHex(),
  };
}

/**
 * A part of a key, unless it is a symbol.
 *
 * @throws {TypeError} If it is one.
 */
export function partOf(part: StoreKey[number]): KeyPart {
  if (typeof part !== "symbol") return part;
  throw new TypeError(
    "Cannot encode key: expected string, number, bigint, ArrayBufferView, boolean",
  );
}
