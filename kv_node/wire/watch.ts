/**
 * Watching: `Watch` and `WatchOutput` of KV Connect, both ways.
 *
 * @module
 */
import { type Row, SPACE_BYTES } from "../types.ts";
import { putEntry, sizeOfEntry, takeEntry } from "./entry.ts";
import { ProtoReader } from "./proto_reader.ts";
import { ProtoWriter, sizeOfBytes, sizeOfNumber, sizeOfPart } from "./proto_writer.ts";
import { READ_CLOSED, READ_SUCCESS } from "./read.ts";

const KEYS = 1 << 3 | 2;
const KEY = 1 << 3 | 2;

const STATUS = 1 << 3;
const OUTPUT_KEYS = 2 << 3 | 2;
const CHANGED = 1 << 3;
const ENTRY = 2 << 3 | 2;

const WATCH_FIELDS = ["", "keys"];
const KEY_FIELDS = ["", "keys.key"];
const OUTPUT_FIELDS = ["", "status", "keys"];
const OUTPUT_KEY_FIELDS = ["", "keys.changed", "keys.entry_if_changed"];

/** What a watched key came to: its row, `null` where it has none, or still the same. */
export type WatchedKey = Row | null | "unchanged";

/** One message of a watch, as a client gets it. */
export interface WatchOutput {
  /** `disabled`: the database is closed for reading. */
  readonly status: "success" | "disabled" | "unspecified";
  /** The keys, in the order of the request. */
  readonly keys: readonly WatchedKey[];
}

/**
 * Server: the complete keys to watch, in order.
 *
 * @throws {KvError} `bad_request` if it is malformed.
 */
export function decodeWatch(bytes: Uint8Array, prefix: Uint8Array): Uint8Array[] {
  const reader = new ProtoReader(bytes, "Watch", "bad_request");
  const keys: Uint8Array[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === KEYS) reader.add(keys, takeKey(reader, prefix), "keys");
    else reader.skip(tag, WATCH_FIELDS);
  }
  return keys;
}

/** Server: a `WatchOutput`, without a frame; spaces are taken off the keys. */
export function encodeWatchOutput(keys: readonly WatchedKey[]): Uint8Array<ArrayBuffer> {
  let size = sizeOfNumber(READ_SUCCESS);
  for (const key of keys) size += sizeOfPart(sizeOfKey(key));
  const writer = new ProtoWriter(size);
  writer.number(STATUS, READ_SUCCESS);
  for (const key of keys) {
    writer.open(OUTPUT_KEYS, sizeOfKey(key));
    if (key === "unchanged") continue;
    writer.number(CHANGED, 1);
    if (key === null) continue;
    writer.open(ENTRY, sizeOfEntry(key, SPACE_BYTES));
    putEntry(writer, key, SPACE_BYTES);
  }
  return writer.bytes;
}

/** Server: a `WatchOutput` that says that the database is closed for reading. */
export function encodeWatchDisabled(): Uint8Array<ArrayBuffer> {
  const writer = new ProtoWriter(sizeOfNumber(READ_CLOSED));
  writer.number(STATUS, READ_CLOSED);
  return writer.bytes;
}

/** Client: a `Watch`; keys as the client wrote them. */
export function encodeWatch(keys: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const key of keys) size += sizeOfPart(sizeOfBytes(key.length));
  const writer = new ProtoWriter(size);
  for (const key of keys) {
    writer.open(KEYS, sizeOfBytes(key.length));
    writer.field(KEY, key, 0);
  }
  return writer.bytes;
}

/**
 * Client: what a `WatchOutput` says; rows are views of `bytes`.
 *
 * @throws {KvError} `internal` if it is malformed.
 */
export function decodeWatchOutput(bytes: Uint8Array): WatchOutput {
  const reader = new ProtoReader(bytes, "WatchOutput", "internal");
  const keys: WatchedKey[] = [];
  let status = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === STATUS) status = reader.number("status", 0x7fff_ffff);
    else if (tag === OUTPUT_KEYS) reader.add(keys, takeWatchedKey(reader), "keys");
    else reader.skip(tag, OUTPUT_FIELDS);
  }
  if (status === READ_CLOSED) return { status: "disabled", keys };
  return { status: status === READ_SUCCESS ? "success" : "unspecified", keys };
}

function takeKey(reader: ProtoReader, prefix: Uint8Array): Uint8Array {
  let key: Uint8Array | null = null;
  const outer = reader.enter("keys");
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === KEY) key = reader.prefixed(prefix, "keys.key");
    else reader.skip(tag, KEY_FIELDS);
  }
  reader.leave(outer);
  // A watch may last for days: its keys must not keep a request's memory alive.
  return (key ?? prefix).slice();
}

function takeWatchedKey(reader: ProtoReader): WatchedKey {
  let isChanged = false;
  let row: Row | null = null;
  const outer = reader.enter("keys");
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === CHANGED) isChanged = reader.flag("keys.changed");
    else if (tag === ENTRY) row = takeEntry(reader, "keys.entry_if_changed");
    else reader.skip(tag, OUTPUT_KEY_FIELDS);
  }
  reader.leave(outer);
  return isChanged ? row : "unchanged";
}

function sizeOfKey(key: WatchedKey): number {
  if (key === "unchanged") return 0;
  return key === null ? 2 : 2 + sizeOfPart(sizeOfEntry(key, SPACE_BYTES));
}
