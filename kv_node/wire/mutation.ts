/**
 * Changes inside an `AtomicWrite`: `Mutation` of KV Connect, both ways.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import type { KvValue, Mutation } from "../types.ts";
import { encodingOf } from "./entry.ts";
import type { ProtoReader } from "./proto_reader.ts";
import { type ProtoWriter, sizeOfBytes, sizeOfNumber, sizeOfPart } from "./proto_writer.ts";

const KEY = 1 << 3 | 2;
const VALUE = 2 << 3 | 2;
const TYPE = 3 << 3;
const EXPIRES = 4 << 3;
const SUM_MIN = 5 << 3 | 2;
const SUM_MAX = 6 << 3 | 2;
const SUM_CLAMP = 7 << 3;
const DATA = 1 << 3 | 2;
const ENCODING = 2 << 3;

const FIELDS = [
  "",
  "mutations.key",
  "mutations.value",
  "mutations.mutation_type",
  "mutations.expire_at_ms",
  "mutations.sum_min",
  "mutations.sum_max",
  "mutations.sum_clamp",
];
const VALUE_FIELDS = ["", "mutations.value.data", "mutations.value.encoding"];

const INT32_MAX = 0x7fff_ffff;

/** `MutationType` of the schema. */
const NUMBERS = { set: 1, delete: 2, sum: 3, max: 4, min: 5, set_suffixed: 9 } as const;

const NOTHING: Uint8Array = new Uint8Array();

/** Reads a `Mutation`; its key has `prefix` in front, its value is a view. */
export function takeMutation(reader: ProtoReader, prefix: Uint8Array): Mutation {
  let key: Uint8Array | null = null;
  let hasValue = false;
  let data = NOTHING;
  let encoding = 0;
  let type = 0;
  let expiresMs = 0;
  let min = NOTHING;
  let max = NOTHING;
  let clamp = false;
  const outer = reader.enter("mutations");
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === KEY) key = reader.prefixed(prefix, "mutations.key");
    else if (tag === VALUE) {
      // A message that is there twice is one with the fields of both.
      hasValue = true;
      const around = reader.enter("mutations.value");
      for (let inner = reader.tag(); inner !== 0; inner = reader.tag()) {
        if (inner === DATA) data = reader.view("mutations.value.data");
        else if (inner === ENCODING) {
          encoding = reader.number("mutations.value.encoding", INT32_MAX);
        } else reader.skip(inner, VALUE_FIELDS);
      }
      reader.leave(around);
    } else if (tag === TYPE) type = reader.number("mutations.mutation_type", INT32_MAX);
    else if (tag === EXPIRES) {
      expiresMs = reader.number("mutations.expire_at_ms", Number.MAX_SAFE_INTEGER);
    } else if (tag === SUM_MIN) min = reader.view("mutations.sum_min");
    else if (tag === SUM_MAX) max = reader.view("mutations.sum_max");
    else if (tag === SUM_CLAMP) clamp = reader.flag("mutations.sum_clamp");
    else reader.skip(tag, FIELDS);
  }
  reader.leave(outer);
  if (key === null || key.length === prefix.length) reader.refuse("mutations.key is missing");
  if (type === NUMBERS.delete) return { type: "delete", key };
  if (!hasValue) {
    if (nameOf(type) === null) reader.refuse("mutations.mutation_type is unknown");
    reader.refuse("mutations.value is missing");
  }
  const value = { data, encoding: encodingOf(reader, encoding, data, "mutations.value") };
  if (type === NUMBERS.sum) {
    const bounds = { min: boundOf(min), max: boundOf(max), clamp };
    return { type: "sum", key, value, bounds };
  }
  return mutationOf(reader, type, { key, value, expiresMs: expiresMs === 0 ? null : expiresMs });
}

/**
 * Bytes of the fields of a `Mutation`.
 *
 * @throws {KvError} `unsupported` for a change that has no form in KV Connect.
 */
export function sizeOfMutation(mutation: Mutation): number {
  const size = sizeOfBytes(mutation.key.length) + sizeOfNumber(numberOf(mutation));
  if (mutation.type === "delete" || mutation.type === "expire") return size;
  const withValue = size + sizeOfPart(sizeOfValue(mutation.value));
  if (mutation.type === "set" || mutation.type === "set_suffixed") {
    return withValue + sizeOfNumber(expiryOf(mutation.expiresMs));
  }
  if (mutation.type !== "sum") return withValue;
  const { min, max, clamp } = mutation.bounds;
  return withValue + sizeOfBytes(min?.length ?? 0) + sizeOfBytes(max?.length ?? 0) +
    (clamp ? 2 : 0);
}

/** Writes the fields of a `Mutation`; the key as it is. */
export function putMutation(writer: ProtoWriter, mutation: Mutation): void {
  writer.field(KEY, mutation.key, 0);
  if (mutation.type !== "delete" && mutation.type !== "expire") {
    writer.open(VALUE, sizeOfValue(mutation.value));
    writer.field(DATA, mutation.value.data, 0);
    writer.number(ENCODING, mutation.value.encoding);
  }
  writer.number(TYPE, numberOf(mutation));
  if (mutation.type === "set" || mutation.type === "set_suffixed") {
    writer.number(EXPIRES, expiryOf(mutation.expiresMs));
  } else if (mutation.type === "sum") {
    writer.field(SUM_MIN, mutation.bounds.min ?? NOTHING, 0);
    writer.field(SUM_MAX, mutation.bounds.max ?? NOTHING, 0);
    writer.number(SUM_CLAMP, mutation.bounds.clamp ? 1 : 0);
  }
}

function mutationOf(
  reader: ProtoReader,
  type: number,
  change: { key: Uint8Array; value: KvValue; expiresMs: number | null },
): Mutation {
  const { key, value, expiresMs } = change;
  if (type === NUMBERS.set) return { type: "set", key, value, expiresMs };
  if (type === NUMBERS.max) return { type: "max", key, value };
  if (type === NUMBERS.min) return { type: "min", key, value };
  if (type === NUMBERS.set_suffixed) return { type: "set_suffixed", key, value, expiresMs };
  return reader.refuse("mutations.mutation_type is unknown");
}

function boundOf(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === 0 ? null : bytes;
}

function nameOf(type: number): string | null {
  return Object.entries(NUMBERS).find(([, number]) => number === type)?.[0] ?? null;
}

function numberOf(mutation: Mutation): number {
  if (mutation.type === "append" || mutation.type === "expire") {
    throw new KvError("unsupported", `Cannot send ${mutation.type}: KV Connect has no form for it`);
  }
  return NUMBERS[mutation.type];
}

function sizeOfValue(value: KvValue): number {
  return sizeOfBytes(value.data.length) + sizeOfNumber(value.encoding);
}

/** Zero on the wire means never, so that a time before 1970 becomes its first millisecond. */
function expiryOf(expiresMs: number | null): number {
  return expiresMs === null ? 0 : Math.max(1, Math.trunc(expiresMs));
}
