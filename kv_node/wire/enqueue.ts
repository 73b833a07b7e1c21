/**
 * Messages for a queue inside an `AtomicWrite`: `Enqueue` of KV Connect, both ways.
 *
 * @module
 */
import type { ProtoReader } from "./proto_reader.ts";
import {
  type ProtoWriter,
  sizeOfBytes,
  sizeOfNumber,
  sizeOfPart,
  sizeOfVarint,
} from "./proto_writer.ts";

const PAYLOAD = 1 << 3 | 2;
const DEADLINE = 2 << 3;
const UNDELIVERED = 3 << 3 | 2;
const BACKOFF_PACKED = 4 << 3 | 2;
const BACKOFF_SINGLE = 4 << 3;
const FIELDS = [
  "",
  "enqueues.payload",
  "enqueues.deadline_ms",
  "enqueues.keys_if_undelivered",
  "enqueues.backoff_schedule",
];

/** A message to put into a queue. */
export interface Enqueue {
  /** V8's serialization of it. */
  readonly payload: Uint8Array;
  /** When to deliver it first, in milliseconds since the Unix epoch. */
  readonly deadlineMs: number;
  /** Keys that it is written to when all deliveries failed; complete ones on a server. */
  readonly keysIfUndelivered: readonly Uint8Array[];
  /** Milliseconds to wait before each further delivery; empty where none was given. */
  readonly backoffSchedule: readonly number[];
}

/** Reads an `Enqueue`; its payload is a view, its keys have `prefix` in front. */
export function takeEnqueue(reader: ProtoReader, prefix: Uint8Array): Enqueue {
  let payload: Uint8Array = new Uint8Array();
  let deadlineMs = 0;
  const keysIfUndelivered: Uint8Array[] = [];
  const backoffSchedule: number[] = [];
  const outer = reader.enter("enqueues");
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === PAYLOAD) payload = reader.view("enqueues.payload");
    else if (tag === DEADLINE) {
      deadlineMs = reader.number("enqueues.deadline_ms", Number.MAX_SAFE_INTEGER);
    } else if (tag === UNDELIVERED) {
      const key = reader.prefixed(prefix, "enqueues.keys_if_undelivered");
      if (key.length === prefix.length) {
        reader.refuse("enqueues.keys_if_undelivered has an empty key");
      }
      reader.add(keysIfUndelivered, key, "enqueues.keys_if_undelivered");
    } else if (tag === BACKOFF_PACKED || tag === BACKOFF_SINGLE) {
      reader.numbers(tag, backoffSchedule, "enqueues.backoff_schedule");
    } else reader.skip(tag, FIELDS);
  }
  reader.leave(outer);
  return { payload, deadlineMs, keysIfUndelivered, backoffSchedule };
}

/** Bytes of the fields of an `Enqueue`. */
export function sizeOfEnqueue(enqueue: Enqueue): number {
  let size = sizeOfBytes(enqueue.payload.length) + sizeOfNumber(deadlineOf(enqueue));
  for (const key of enqueue.keysIfUndelivered) size += sizeOfPart(key.length);
  return size + sizeOfBytes(sizeOfPacked(enqueue.backoffSchedule));
}

/** Writes the fields of an `Enqueue`; keys as they are. */
export function putEnqueue(writer: ProtoWriter, enqueue: Enqueue): void {
  writer.field(PAYLOAD, enqueue.payload, 0);
  writer.number(DEADLINE, deadlineOf(enqueue));
  for (const key of enqueue.keysIfUndelivered) writer.part(UNDELIVERED, key, 0);
  putPacked(writer, BACKOFF_PACKED, enqueue.backoffSchedule);
}

/** Bytes of numbers in their packed form, without tag and length. */
export function sizeOfPacked(numbers: readonly number[]): number {
  let size = 0;
  for (const number of numbers) size += sizeOfVarint(number);
  return size;
}

/** Writes numbers in their packed form, unless there are none. */
export function putPacked(writer: ProtoWriter, tag: number, numbers: readonly number[]): void {
  if (numbers.length === 0) return;
  writer.open(tag, sizeOfPacked(numbers));
  for (const number of numbers) writer.varint(number);
}

/** A time before 1970 is due at once, and so is 0. */
function deadlineOf(enqueue: Enqueue): number {
  return Math.max(0, Math.trunc(enqueue.deadlineMs));
}
