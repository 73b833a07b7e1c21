/**
 * Bodies that no client of a KV node would send: random ones, and good ones that
 * were changed.
 *
 * @module
 */
import { encodeKey } from "../../kv_node/keyspace/key_codec.ts";
import type { KvValue, Mutation } from "../../kv_node/types.ts";
import { encodeValue } from "../../kv_node/values/value.ts";
import { encodeSnapshotRead } from "../../kv_node/wire/read.ts";
import { encodeWatch } from "../../kv_node/wire/watch.ts";
import { encodeAtomicWrite } from "../../kv_node/wire/write.ts";
import type { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

/** Bodies of reads as clients send them. */
export function goodReads(): readonly Bytes[] {
  const [a, b] = [encodeKey(["a", 1]), encodeKey(["b", 2n, true])];
  const end = encodeKey(["z"]);
  const range = { start: a, end, limit: 100, reverse: false };
  return [
    encodeSnapshotRead([range]),
    encodeSnapshotRead([{ ...range, reverse: true, limit: 1 }, { ...range, start: b }]),
    encodeSnapshotRead(new Array(10).fill(range)),
  ];
}

/** Bodies of commits as clients send them. */
export function goodWrites(): readonly Bytes[] {
  const [a, b] = [encodeKey(["a", 1]), encodeKey(["b", new Uint8Array([0, 255]), -1.5])];
  const text = encodeValue({ text: "value", list: [1, 2n, new Date(0)] });
  const count: KvValue = { data: new Uint8Array(8).fill(1), encoding: 2 };
  const number = encodeValue(17);
  const bounds = { min: number.data, max: encodeValue(99).data, clamp: true };
  const none = { min: null, max: null, clamp: false };
  const commits: readonly (readonly Mutation[])[] = [
    [{ type: "set", key: a, value: text, expiresMs: null }],
    [{ type: "set", key: b, value: text, expiresMs: 4_000_000_000_000 }, {
      type: "delete",
      key: a,
    }],
    [{ type: "sum", key: encodeKey(["n"]), value: count, bounds: none }],
    [{ type: "sum", key: encodeKey(["m"]), value: number, bounds }],
    [{ type: "min", key: encodeKey(["n"]), value: count }],
    [{ type: "max", key: encodeKey(["n"]), value: count }],
    [{ type: "set_suffixed", key: encodeKey(["log"]), value: text, expiresMs: null }],
  ];
  const stamp = new Uint8Array(10).fill(3);
  const checks = [{ key: a, stamp }, { key: b, stamp: null }];
  return commits.flatMap((mutations) => [
    encodeAtomicWrite({ command: { checks: [], mutations }, enqueues: [] }),
    encodeAtomicWrite({ command: { checks, mutations }, enqueues: [] }),
  ]);
}

/** Bodies of watches as clients send them. */
export function goodWatches(): readonly Bytes[] {
  const keys = [encodeKey(["a", 1]), encodeKey(["b"])];
  return [encodeWatch(keys), encodeWatch(new Array(10).fill(keys[0]))];
}

/** JSON as bytes. */
export function jsonBody(value: unknown): Bytes {
  return encoder.encode(JSON.stringify(value));
}

/** Bodies of the metadata exchange. */
export function goodExchanges(): readonly Bytes[] {
  return [
    jsonBody({ supportedVersions: [1, 2, 3] }),
    jsonBody({ supportedVersions: [3], weir: true }),
    jsonBody({ supportedVersions: [2], more: { a: [null, true, 1e300] } }),
  ];
}

/** Bodies for the queue, by operation. */
export function goodQueueBodies(): Readonly<Record<string, readonly Bytes[]>> {
  const value = { data: "AAEC", encoding: 3 };
  const message = { value, delayMs: 5, backoffMs: [1, 2], undeliveredKeys: ["AmEA"] };
  return {
    enqueue: [
      jsonBody({ messages: [message] }),
      jsonBody({
        messages: [message, { value }],
        checks: [{ key: "AmEA", versionstamp: "0".repeat(20) }],
        mutations: [{ type: "sum", key: "AmEA", value, min: "AA==", clamp: true }],
      }),
    ],
    receive: [jsonBody({ messagesMax: 3, leaseMs: 30_000 })],
    settle: [
      jsonBody({ settlements: [{ receipt: "x", action: "fail", error: "e", final: true }] }),
    ],
    stats: [jsonBody({})],
    "dead/list": [jsonBody({ limit: 3, cursor: "AA==", reverse: true, values: true })],
    "dead/get": [jsonBody({ id: "x" })],
    "dead/requeue": [jsonBody({ ids: ["x", "y"], delayMs: 7 })],
    "dead/delete": [jsonBody({ ids: ["x"] })],
  };
}

/** Bodies of changes to a database, for operators. */
export function goodChanges(): readonly Bytes[] {
  return [
    jsonBody({ limits: { valueBytesMax: 1_000, checksMax: 3 }, readDisabled: false }),
    jsonBody({ writeDisabled: true }),
  ];
}

const INTERESTING = [0, 1, 2, 8, 10, 18, 26, 34, 127, 128, 255];

/** One hostile body: random every fourth time, else a good one that was changed. */
export function hostileBody(random: Random, good: readonly Bytes[]): Uint8Array {
  if (random.below(4) === 0) return randomBody(random, random.below(300));
  let body: Uint8Array = random.of(good);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    body = changed(body, random, good);
  }
  return body;
}

/** Random bytes, or random text that looks a little like JSON. */
export function randomBody(random: Random, sizeBytes: number): Bytes {
  const body = new Uint8Array(sizeBytes);
  const isText = random.below(3) === 0;
  const letters = '{}[]",:0123456789eE+-.truefalsnull \\u';
  for (let at = 0; at < sizeBytes; at++) {
    body[at] = isText ? letters.charCodeAt(random.below(letters.length)) : random.below(256);
  }
  return body;
}

function changed(body: Uint8Array, random: Random, good: readonly Bytes[]): Uint8Array {
  const at = random.below(body.length + 1);
  const copy = body.slice();
  switch (random.below(8)) {
    case 0: // A bit.
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
      return copy;
    case 1: // A byte.
      copy[at] = random.of(INTERESTING);
      return copy;
    case 2: // Cut.
      return copy.slice(0, at);
    case 3: // Its middle is missing.
      return joined(copy.subarray(0, at), copy.subarray(at + random.below(9)));
    case 4: // Something is there twice.
      return joined(copy, copy.subarray(at, at + random.below(64)));
    case 5: // Two in one.
      return joined(copy.subarray(0, at), random.of(good));
    case 6: // A length or a number that is very large.
      return joined(copy.subarray(0, at), LARGE, copy.subarray(at));
    default: // Something random in it.
      return joined(copy.subarray(0, at), randomBody(random, random.below(9)), copy.subarray(at));
  }
}

const LARGE = new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
