import assert from "node:assert/strict";
import fc from "fast-check";
import { KvError } from "../errors.ts";
import type { Check, Encoding, Mutation, ReadRange, Row } from "../types.ts";
import { encodeFrame, FRAME_BYTES_MAX, FrameDecoder, keepAliveFrame } from "./frame.ts";
import { ITEMS_MAX } from "./proto_reader.ts";
import { decodeSnapshotRead, decodeSnapshotReadOutput, encodeReadDisabled } from "./read.ts";
import { encodeSnapshotRead, encodeSnapshotReadOutput } from "./read.ts";
import { decodeWatch, decodeWatchOutput, encodeWatch, encodeWatchDisabled } from "./watch.ts";
import { encodeWatchOutput, type WatchedKey } from "./watch.ts";
import { decodeAtomicWrite, decodeAtomicWriteOutput, encodeAtomicWrite } from "./write.ts";
import { encodeAtomicWriteOutput, type WriteOutput } from "./write.ts";

const BARE = new Uint8Array();
const SPACE = Uint8Array.of(0, 0, 0, 9);

/** Records as literals make them, which strict comparison tells from those without a prototype. */
function plain<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model).map((record): T => ({ ...record }));
}

const anyKey = fc.uint8Array({ minLength: 1, maxLength: 80 });
const anyStamp = fc.uint8Array({ minLength: 10, maxLength: 10 });
const anyTime = fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const anyValue = fc.oneof(
  plain({ data: fc.uint8Array({ maxLength: 400 }), encoding: fc.constantFrom<Encoding>(1, 3) }),
  plain({
    data: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    encoding: fc.constant<Encoding>(2),
  }),
);
const anyBound = fc.option(fc.uint8Array({ minLength: 1, maxLength: 12 }));
const anyCheck: fc.Arbitrary<Check> = plain({ key: anyKey, stamp: fc.option(anyStamp) });
const anyMutation: fc.Arbitrary<Mutation> = fc.oneof(
  plain({
    type: fc.constantFrom("set" as const, "set_suffixed" as const),
    key: anyKey,
    value: anyValue,
    expiresMs: anyTime,
  }),
  plain({ type: fc.constant("delete" as const), key: anyKey }),
  plain({
    type: fc.constantFrom("min" as const, "max" as const),
    key: anyKey,
    value: anyValue,
  }),
  plain({
    type: fc.constant("sum" as const),
    key: anyKey,
    value: anyValue,
    bounds: plain({ min: anyBound, max: anyBound, clamp: fc.boolean() }),
  }),
);
const anyWrite = plain({
  command: plain({
    checks: fc.array(anyCheck, { maxLength: 4 }),
    mutations: fc.array(anyMutation, { maxLength: 4 }),
  }),
  enqueues: fc.array(
    plain({
      payload: fc.uint8Array(),
      deadlineMs: fc.nat(2 ** 40),
      keysIfUndelivered: fc.array(anyKey, { maxLength: 3 }),
      backoffSchedule: fc.array(fc.nat(2 ** 32 - 1), { maxLength: 4 }),
    }),
    { maxLength: 2 },
  ),
});

/** A row in the space of the tests, and the same as a client sees it. */
const anyRow: fc.Arbitrary<Row> = fc.tuple(anyKey, anyValue, anyStamp).map((
  [key, value, stamp],
) => ({ key: Uint8Array.of(...SPACE, ...key), ...value, stamp, expiresMs: null }));

function asClient(row: Row): Row {
  return { ...row, key: row.key.slice(SPACE.length) };
}

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

/** A field that holds a message, its length worked out. */
function nested(tag: string, ...fields: string[]): string {
  const body = fields.join("").replaceAll(" ", "");
  assert.ok(body.length < 0x100);
  return `${tag}${(body.length / 2).toString(16).padStart(2, "0")}${body}`;
}

Deno.test("decodeAtomicWrite reads what the client of Deno 2.9.6 sent", () => {
  const body = hex(
    "0a110a03026300120a000000000000000a00010a050a03026400 12120a0302610012090a05ff102201761001" +
      "1801120b0a03026200120210031802 12150a03026e00120c0a08000000000000008010021803" +
      "12150a03026e00120c0a08010000000000000010021804 12150a03026e00120c0a080200000000000000" +
      "10021805120f0a0302730012060a02010010031809",
  );
  const u64 = (text: string) => ({ data: hex(text), encoding: 2 });
  const key = (letter: string) => hex(`00000009 02 ${letter} 00`);
  assert.deepEqual(decodeAtomicWrite(body, SPACE), {
    command: {
      checks: [
        { key: key("63"), stamp: hex("000000000000000a0001") },
        { key: key("64"), stamp: null },
      ],
      mutations: [
        {
          type: "set",
          key: key("61"),
          value: { data: hex("ff10220176"), encoding: 1 },
          expiresMs: null,
        },
        { type: "delete", key: key("62") },
        {
          type: "sum",
          key: key("6e"),
          value: u64("0000000000000080"),
          bounds: { min: null, max: null, clamp: false },
        },
        { type: "max", key: key("6e"), value: u64("0100000000000000") },
        { type: "min", key: key("6e"), value: u64("0200000000000000") },
        {
          type: "set_suffixed",
          key: key("73"),
          value: { data: hex("0100"), encoding: 3 },
          expiresMs: null,
        },
      ],
    },
    enqueues: [],
  });
});

Deno.test("decodeSnapshotRead and decodeWatch read what the client of Deno 2.9.6 sent", () => {
  const many = hex(
    "0a0d0a0302610012040261000018010a1f0a0c02620021bff0000000000000120d0262" +
      "0021bff0000000000000001801",
  );
  const ranges: ReadRange[] = [
    { start: hex("000000090261 00"), end: hex("00000009026100 00"), limit: 1, reverse: false },
    {
      start: hex("00000009 02620021bff0000000000000"),
      end: hex("00000009 02620021bff0000000000000 00"),
      limit: 1,
      reverse: false,
    },
  ];
  assert.deepEqual(decodeSnapshotRead(many, SPACE), ranges);
  const list = hex("0a110a04027000001204027000ff18ac022001");
  assert.deepEqual(decodeSnapshotRead(list, BARE), [
    { start: hex("02700000"), end: hex("027000ff"), limit: 300, reverse: true },
  ]);
  const watch = hex("0a050a030261000a050a03026200");
  assert.deepEqual(decodeWatch(watch, SPACE), [hex("00000009026100"), hex("00000009026200")]);
});

Deno.test("decodeAtomicWrite reads back what encodeAtomicWrite wrote", () => {
  fc.assert(fc.property(anyWrite, (write) => {
    assert.deepEqual(decodeAtomicWrite(encodeAtomicWrite(write), BARE), write);
  }));
});

Deno.test("decodeSnapshotReadOutput reads back what encodeSnapshotReadOutput wrote", () => {
  const anyRanges = fc.array(fc.array(anyRow, { maxLength: 4 }), { maxLength: 4 });
  fc.assert(fc.property(anyRanges, fc.boolean(), (ranges, isStrong) => {
    assert.deepEqual(decodeSnapshotReadOutput(encodeSnapshotReadOutput(ranges, { isStrong })), {
      status: "success",
      isStrong,
      ranges: ranges.map((rows) => rows.map(asClient)),
    });
  }));
  assert.equal(decodeSnapshotReadOutput(encodeReadDisabled()).status, "disabled");
  assert.equal(decodeSnapshotReadOutput(hex("2001")).status, "unspecified");
});

Deno.test("decodeWatchOutput reads back what encodeWatchOutput wrote", () => {
  const anyWatched = fc.array(
    fc.oneof(anyRow, fc.constant(null), fc.constant("unchanged" as const)),
  );
  fc.assert(fc.property(anyWatched, (keys: WatchedKey[]) => {
    assert.deepEqual(decodeWatchOutput(encodeWatchOutput(keys)), {
      status: "success",
      keys: keys.map((key) => key === null || key === "unchanged" ? key : asClient(key)),
    });
  }));
  assert.equal(decodeWatchOutput(encodeWatchDisabled()).status, "disabled");
});

Deno.test("decodeSnapshotRead and decodeWatch read back what the client's encoders wrote", () => {
  const anyRange = plain({
    start: fc.uint8Array(),
    end: fc.uint8Array(),
    limit: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    reverse: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(anyRange), fc.array(fc.uint8Array()), (ranges, keys) => {
    assert.deepEqual(decodeSnapshotRead(encodeSnapshotRead(ranges), BARE), ranges);
    assert.deepEqual(decodeWatch(encodeWatch(keys), BARE), keys);
  }));
});

Deno.test("decodeAtomicWriteOutput reads back every outcome", () => {
  const outputs: WriteOutput[] = [
    { type: "committed", stamp: hex("00010203040506070809") },
    { type: "conflict", failedChecks: [] },
    { type: "conflict", failedChecks: [0, 7, 300, 2 ** 32 - 1] },
    { type: "disabled" },
    { type: "unspecified" },
  ];
  for (const output of outputs) {
    assert.deepEqual(decodeAtomicWriteOutput(encodeAtomicWriteOutput(output)), output);
  }
});

Deno.test("decodeSnapshotRead keeps empty and highest bounds inside the space", () => {
  const [range] = decodeSnapshotRead(hex("0a021801"), SPACE);
  assert.deepEqual(range, { start: SPACE, end: SPACE, limit: 1, reverse: false });
  const [highest] = decodeSnapshotRead(hex("0a06 1202ffff 1801"), SPACE);
  assert.equal(highest?.end.toHex(), "00000009ffff");
});

Deno.test("decoders skip unknown fields of every wire type, before and behind known ones", () => {
  const key = "0a0161";
  const unknown = ["7801", "79 0102030405060708", "7d 01020304", "7a03 010203", "fa0f 01 00"];
  for (const field of unknown.map((text) => text.replaceAll(" ", ""))) {
    const body = hex(`${field}${nested("0a", field, key, field)}${field}`);
    const { command } = decodeAtomicWrite(body, BARE);
    assert.deepEqual(command.checks, [{ key: hex("61"), stamp: null }], field);
  }
});

Deno.test("decoders let the last of a single field hold, and merge a message that comes twice", () => {
  const fields = "0a0161 0a0162 1205 0a01ff 1001 1202 1003 1802 1801 2001 2002";
  const body = hex(nested("12", fields));
  assert.deepEqual(decodeAtomicWrite(body, BARE).command.mutations, [{
    type: "set",
    key: hex("62"),
    value: { data: hex("ff"), encoding: 3 },
    expiresMs: 2,
  }]);
});

Deno.test("decoders take repeated numbers packed, unpacked and mixed", () => {
  assert.deepEqual(decodeAtomicWriteOutput(hex("0802 2005 2202 0106 2007")), {
    type: "conflict",
    failedChecks: [5, 1, 6, 7],
  });
  const { enqueues } = decodeAtomicWrite(hex(nested("1a", "2005 2203 01ac02 2000")), BARE);
  assert.deepEqual(enqueues[0]?.backoffSchedule, [5, 1, 300, 0]);
});

const SET = "0a0161 12050a01ff1001";

/** Bodies of an `AtomicWrite` that are refused, and a word of the reason. */
const REFUSED: readonly (readonly [string, RegExp])[] = [
  ["0a", /checks is cut off/],
  ["0a05 0a0161", /checks is cut off/],
  [nested("0a", "0a0461"), /checks.key is cut off/],
  ["0a02 0a01 61", /checks.key is cut off/],
  ["0a00", /checks.key is missing/],
  [nested("0a", "0a00"), /checks.key is missing/],
  [nested("0a", "0a0161 1209 010203040506070809"), /checks.versionstamp/],
  [nested("0a", "0a0161 120b 0102030405060708090a0b"), /checks.versionstamp/],
  ["0800", /checks has the wrong wire type/],
  [nested("0a", "0801"), /checks.key has the wrong wire type/],
  [nested("0a", "09 0102030405060708"), /checks.key has the wrong wire type/],
  [nested("12", "0a0161 1801"), /mutations.value is missing/],
  [nested("12", "0a0161 1807"), /mutations.mutation_type is unknown/],
  [nested("12", "0a0161"), /mutations.mutation_type is unknown/],
  [nested("12", SET), /mutations.mutation_type is unknown/],
  [nested("12", SET, "1806"), /mutations.mutation_type is unknown/],
  [nested("12", SET, "1801 2080"), /mutations.expire_at_ms is cut off/],
  [nested("12", SET, "1801 20 ffffffffffffffffff01"), /mutations.expire_at_ms is negative/],
  [
    nested("12", SET, "1801 20 8080808080808010"),
    /mutations.expire_at_ms is above 9007199254740991/,
  ],
  [nested("12", SET, "1801 20 8080808080808080808001"), /expire_at_ms is a varint of more than/],
  [nested("12", SET, "1801 20 ffffffffffffffffff02"), /expire_at_ms is a varint of more than/],
  [nested("12", SET, "18 8180808010"), /mutations.mutation_type is above 2147483647/],
  [nested("12", "0a0161 1205 0a01ff 1004 1801"), /mutations.value.encoding is unknown/],
  [nested("12", "0a0161 1203 0a01ff 1801"), /mutations.value.encoding is unknown/],
  [nested("12", "0a0161 1205 0a01ff 1002 1801"), /has not 8 bytes/],
  [nested("12", "1205 0a01ff 1001 1801"), /mutations.key is missing/],
  [nested("1a", "1a00"), /enqueues.keys_if_undelivered has an empty key/],
  [nested("1a", "10 ffffffffffffffffff01"), /enqueues.deadline_ms is negative/],
  [nested("1a", "20 8080808010"), /enqueues.backoff_schedule is above 4294967295/],
  [nested("1a", "2201 80"), /enqueues.backoff_schedule is cut off/],
  ["00", /field number/],
  ["0700", /field number/],
  ["8000", /field number/],
  ["ffffffff7f01", /field number/],
  ["7b7c", /unknown wire type/],
  ["7a05 01", /unknown field is cut off/],
  ["79 01020304", /unknown field is cut off/],
  ["7880", /unknown field is cut off/],
];

Deno.test("decodeAtomicWrite refuses what is malformed, by the name of the field", () => {
  for (const [body, reason] of REFUSED) {
    assert.throws(() => decodeAtomicWrite(hex(body), SPACE), (error) => {
      assert.ok(error instanceof KvError, body);
      assert.equal(error.code, "bad_request", body);
      assert.match(error.message, reason, body);
      assert.match(error.message, /^Cannot read AtomicWrite: /, body);
      return true;
    }, body);
  }
});

Deno.test("decodeSnapshotRead refuses limits that are none", () => {
  for (const limit of ["", "1800", "18ffffffffffffffffff01", "188080808008"]) {
    const size = (limit.length / 2).toString(16).padStart(2, "0");
    assert.throws(
      () => decodeSnapshotRead(hex(`0a${size}${limit}`), SPACE),
      /ranges\.limit/,
      limit,
    );
  }
});

Deno.test("decoders of requests refuse more items than anybody means", () => {
  const body = new Uint8Array(2 * (ITEMS_MAX + 1));
  for (let at = 0; at < body.length; at += 2) body[at] = 0x0a;
  assert.equal(decodeWatch(body.subarray(2), SPACE).length, ITEMS_MAX);
  assert.throws(() => decodeWatch(body, SPACE), { code: "limit_exceeded" });
});

Deno.test("encodeAtomicWrite refuses changes that KV Connect has no form for", () => {
  const mutations: Mutation[] = [{ type: "expire", key: hex("61") }];
  assert.throws(() => encodeAtomicWrite({ command: { checks: [], mutations }, enqueues: [] }), {
    code: "unsupported",
  });
});

Deno.test("no bytes make a decoder fail but with a KvError, or read beyond its message", () => {
  const decoders = [
    (bytes: Uint8Array) => decodeAtomicWrite(bytes, SPACE),
    (bytes: Uint8Array) => decodeSnapshotRead(bytes, SPACE),
    (bytes: Uint8Array) => decodeWatch(bytes, SPACE),
    decodeAtomicWriteOutput,
    decodeSnapshotReadOutput,
    decodeWatchOutput,
  ];
  const anyMutant = fc.tuple(anyWrite, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
    .map(([write, edits]) => {
      const bytes = encodeAtomicWrite(write);
      for (const [at, byte] of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), anyMutant), fc.nat(), (bytes, cut) => {
      const shorter = bytes.subarray(0, cut % (bytes.length + 1));
      // What lies behind the message in memory must not matter.
      const within = new Uint8Array(shorter.length + 40).fill(1);
      within.set(shorter);
      for (const decode of decoders) {
        const results = [shorter, within.subarray(0, shorter.length)].map((message) => {
          try {
            return decode(message);
          } catch (error) {
            if (!(error instanceof KvError)) throw error;
            return error.message;
          }
        });
        assert.deepEqual(results[0], results[1]);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("FrameDecoder finds the messages in whatever pieces they come", () => {
  const anyMessages = fc.array(fc.uint8Array({ maxLength: 300 }));
  const anyPieces = fc.infiniteStream(fc.integer({ min: 1, max: 50 }));
  fc.assert(fc.property(anyMessages, anyPieces, (messages, sizes) => {
    const stream = messages.flatMap((message) => [...encodeFrame(message)]);
    const decoder = new FrameDecoder();
    const found: Uint8Array[] = [];
    for (let at = 0; at < stream.length;) {
      const size = sizes.next().value ?? 1;
      found.push(...decoder.push(Uint8Array.from(stream.slice(at, at + size))));
      at += size;
    }
    assert.deepEqual(found, messages);
    assert.equal(decoder.pendingBytes, 0);
  }));
  assert.deepEqual(new FrameDecoder().push(keepAliveFrame()), [BARE]);
});

Deno.test("FrameDecoder refuses a frame that is too long, and takes the longest", () => {
  const decoder = new FrameDecoder();
  assert.deepEqual(decoder.push(hex("00000001")), []);
  assert.equal(decoder.push(new Uint8Array(FRAME_BYTES_MAX))[0]?.length, FRAME_BYTES_MAX);
  assert.throws(() => decoder.push(hex("01000001")), KvError);
  assert.throws(() => new FrameDecoder().push(hex("ffffffff")), KvError);
});
