/**
 * Writing: `AtomicWrite` and `AtomicWriteOutput` of KV Connect, both ways.
 *
 * A server speaks of complete keys, a client of keys as it wrote them (see `read.ts`).
 *
 * Source: denokv, `proto/schema/datapath.proto`.
 *
 * @module
 */
import { type Check, type Command, type Mutation, STAMP_BYTES } from "../types.ts";
import {
  type Enqueue,
  putEnqueue,
  putPacked,
  sizeOfEnqueue,
  sizeOfPacked,
  takeEnqueue,
} from "./enqueue.ts";
import { putMutation, sizeOfMutation, takeMutation } from "./mutation.ts";
import { ProtoReader } from "./proto_reader.ts";
import { ProtoWriter, sizeOfBytes, sizeOfNumber, sizeOfPart } from "./proto_writer.ts";

const CHECKS = 1 << 3 | 2;
const MUTATIONS = 2 << 3 | 2;
const ENQUEUES = 3 << 3 | 2;
const CHECK_KEY = 1 << 3 | 2;
const CHECK_STAMP = 2 << 3 | 2;

const STATUS = 1 << 3;
const STAMP = 2 << 3 | 2;
const FAILED_PACKED = 4 << 3 | 2;
const FAILED_SINGLE = 4 << 3;

const WRITE_FIELDS = ["", "checks", "mutations", "enqueues"];
const CHECK_FIELDS = ["", "checks.key", "checks.versionstamp"];
const OUTPUT_FIELDS = ["", "status", "versionstamp", "", "failed_checks"];

/** `AtomicWriteStatus` of the schema. */
const SUCCESS = 1;
const CHECK_FAILURE = 2;
const WRITE_DISABLED = 5;

const NOTHING: Uint8Array = new Uint8Array();

/** What a client wants written. */
export interface AtomicWrite {
  /** Its checks and mutations. */
  readonly command: Command;
  /** Its messages for a queue. */
  readonly enqueues: readonly Enqueue[];
}

/** What came of a write, as a client is told. */
export type WriteOutput =
  | { readonly type: "committed"; readonly stamp: Uint8Array }
  | { readonly type: "conflict"; readonly failedChecks: readonly number[] }
  /** The database is closed for writing. */
  | { readonly type: "disabled" }
  /** The server did not say. */
  | { readonly type: "unspecified" };

/**
 * Server: what an `AtomicWrite` wants, with `prefix` in front of every key.
 *
 * Keys are copies, in memory that they may share; values, payloads and stamps are views
 * of `bytes`, which must not be changed any more.
 *
 * @throws {KvError} `bad_request` if it is malformed.
 */
export function decodeAtomicWrite(bytes: Uint8Array, prefix: Uint8Array): AtomicWrite {
  const reader = new ProtoReader(bytes, "AtomicWrite", "bad_request");
  const checks: Check[] = [];
  const mutations: Mutation[] = [];
  const enqueues: Enqueue[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === MUTATIONS) reader.add(mutations, takeMutation(reader, prefix), "mutations");
    else if (tag === CHECKS) reader.add(checks, takeCheck(reader, prefix), "checks");
    else if (tag === ENQUEUES) reader.add(enqueues, takeEnqueue(reader, prefix), "enqueues");
    else reader.skip(tag, WRITE_FIELDS);
  }
  return { command: { checks, mutations }, enqueues };
}

/** Server: an `AtomicWriteOutput`. */
export function encodeAtomicWriteOutput(output: WriteOutput): Uint8Array<ArrayBuffer> {
  if (output.type === "committed") {
    const writer = new ProtoWriter(2 + sizeOfBytes(output.stamp.length));
    writer.number(STATUS, SUCCESS);
    writer.field(STAMP, output.stamp, 0);
    return writer.bytes;
  }
  if (output.type === "conflict") {
    const writer = new ProtoWriter(2 + sizeOfBytes(sizeOfPacked(output.failedChecks)));
    writer.number(STATUS, CHECK_FAILURE);
    putPacked(writer, FAILED_PACKED, output.failedChecks);
    return writer.bytes;
  }
  const status = output.type === "disabled" ? WRITE_DISABLED : 0;
  const writer = new ProtoWriter(sizeOfNumber(status));
  writer.number(STATUS, status);
  return writer.bytes;
}

/**
 * Client: an `AtomicWrite`; keys as the client wrote them.
 *
 * @throws {KvError} `unsupported` for a change that has no form in KV Connect.
 */
export function encodeAtomicWrite(write: AtomicWrite): Uint8Array<ArrayBuffer> {
  const { command: { checks, mutations }, enqueues } = write;
  let size = 0;
  for (const check of checks) size += sizeOfPart(sizeOfCheck(check));
  for (const mutation of mutations) size += sizeOfPart(sizeOfMutation(mutation));
  for (const enqueue of enqueues) size += sizeOfPart(sizeOfEnqueue(enqueue));
  const writer = new ProtoWriter(size);
  for (const check of checks) {
    writer.open(CHECKS, sizeOfCheck(check));
    writer.field(CHECK_KEY, check.key, 0);
    writer.field(CHECK_STAMP, check.stamp ?? NOTHING, 0);
  }
  for (const mutation of mutations) {
    writer.open(MUTATIONS, sizeOfMutation(mutation));
    putMutation(writer, mutation);
  }
  for (const enqueue of enqueues) {
    writer.open(ENQUEUES, sizeOfEnqueue(enqueue));
    putEnqueue(writer, enqueue);
  }
  return writer.bytes;
}

/**
 * Client: what an `AtomicWriteOutput` says.
 *
 * @throws {KvError} `internal` if it is malformed.
 */
export function decodeAtomicWriteOutput(bytes: Uint8Array): WriteOutput {
  const reader = new ProtoReader(bytes, "AtomicWriteOutput", "internal");
  let status = 0;
  let stamp = NOTHING;
  const failedChecks: number[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === STATUS) status = reader.number("status", 0x7fff_ffff);
    else if (tag === STAMP) stamp = reader.view("versionstamp");
    else if (tag === FAILED_PACKED || tag === FAILED_SINGLE) {
      reader.numbers(tag, failedChecks, "failed_checks");
    } else reader.skip(tag, OUTPUT_FIELDS);
  }
  if (status === CHECK_FAILURE) return { type: "conflict", failedChecks };
  if (status === WRITE_DISABLED) return { type: "disabled" };
  if (status !== SUCCESS) return { type: "unspecified" };
  if (stamp.length !== STAMP_BYTES) reader.refuse(`versionstamp has not ${STAMP_BYTES} bytes`);
  return { type: "committed", stamp };
}

function takeCheck(reader: ProtoReader, prefix: Uint8Array): Check {
  let key: Uint8Array | null = null;
  let stamp = NOTHING;
  const outer = reader.enter("checks");
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === CHECK_KEY) key = reader.prefixed(prefix, "checks.key");
    else if (tag === CHECK_STAMP) stamp = reader.view("checks.versionstamp");
    else reader.skip(tag, CHECK_FIELDS);
  }
  reader.leave(outer);
  if (key === null || key.length === prefix.length) reader.refuse("checks.key is missing");
  if (stamp.length === 0) return { key, stamp: null };
  if (stamp.length !== STAMP_BYTES) reader.refuse("checks.versionstamp has neither 0 nor 10 bytes");
  return { key, stamp };
}

function sizeOfCheck(check: Check): number {
  return sizeOfBytes(check.key.length) + sizeOfBytes(check.stamp?.length ?? 0);
}
