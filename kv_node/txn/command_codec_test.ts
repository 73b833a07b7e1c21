import assert from "node:assert/strict";
import fc from "fast-check";
import { KvError } from "../errors.ts";
import type { Command, Encoding, KvValue, Mutation } from "../types.ts";
import { decodeCommand, encodeCommand, encodeNoop, isNoop } from "./command_codec.ts";

const GARBAGE_COUNT = 100_000;

const STAMP = Uint8Array.from({ length: 10 }, (_, place) => place + 1);

const bytes = fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 300 }));
const stamp = fc.uint8Array({ minLength: 10, maxLength: 10 });
const value: fc.Arbitrary<KvValue> = fc.record({
  data: bytes,
  encoding: fc.constantFrom<Encoding>(1, 2, 3),
});
const expiresMs = fc.option(fc.oneof(
  fc.constantFrom(0, 127, 128, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
));
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    type: fc.constantFrom("set" as const, "set_suffixed" as const),
    key: bytes,
    value,
    expiresMs,
  }),
  fc.record({ type: fc.constantFrom("delete" as const, "expire" as const), key: bytes }),
  fc.record({
    type: fc.constantFrom("min" as const, "max" as const, "append" as const),
    key: bytes,
    value,
  }),
  fc.record({
    type: fc.constant("sum" as const),
    key: bytes,
    value,
    bounds: fc.record({ min: fc.option(bytes), max: fc.option(bytes), clamp: fc.boolean() }),
  }),
);
const command: fc.Arbitrary<Command> = fc.record({
  checks: fc.array(fc.record({ key: bytes, stamp: fc.option(stamp) }), { maxLength: 5 }),
  mutations: fc.array(mutation, { maxLength: 6 }),
});

/** Content alone: a part of a larger buffer is as good as an array of its own. */
function plain(command: Command): unknown {
  return JSON.parse(JSON.stringify(
    command,
    (_, part) => part instanceof Uint8Array ? part.toHex() : part,
  ));
}

/** Decodes, and says whether it was refused as it should be. */
function isRefused(payload: Uint8Array): boolean {
  try {
    const { stamp, command } = decodeCommand(payload);
    assert.deepEqual(encodeCommand(stamp, command), new Uint8Array(payload));
    return false;
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    assert.equal(error.code, "internal");
    assert.match(error.message, /^Cannot read a log entry: .+, at byte \d+$/);
    return true;
  }
}

Deno.test("decodeCommand gives back what encodeCommand was given, as parts of the payload", () => {
  fc.assert(
    fc.property(stamp, command, (stamp, command) => {
      const payload = encodeCommand(stamp, command);
      const decoded = decodeCommand(payload);
      assert.deepEqual(decoded.stamp, stamp);
      assert.deepEqual(plain(decoded.command), plain(command));
      assert.equal(decoded.stamp.buffer, payload.buffer);
      for (const { key } of decoded.command.mutations) assert.equal(key.buffer, payload.buffer);
      assert.equal(isNoop(payload), false);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("decodeCommand reads a payload that lies inside a larger buffer", () => {
  const payload = encodeCommand(STAMP, { checks: [], mutations: [{ type: "delete", key: STAMP }] });
  const larger = new Uint8Array(payload.length + 20).fill(0xee);
  larger.set(payload, 7);
  const { command } = decodeCommand(larger.subarray(7, 7 + payload.length));
  assert.deepEqual(plain(command), {
    checks: [],
    mutations: [{ type: "delete", key: STAMP.toHex() }],
  });
});

Deno.test("encodeCommand keeps the bytes that logs already hold", () => {
  const payload = encodeCommand(STAMP, {
    checks: [{ key: Uint8Array.of(0xaa), stamp: STAMP }, { key: Uint8Array.of(0xbb), stamp: null }],
    mutations: [
      { type: "set", key: Uint8Array.of(1), value: le64(Uint8Array.of(9)), expiresMs: 300 },
      { type: "delete", key: Uint8Array.of(2) },
      {
        type: "sum",
        key: Uint8Array.of(3),
        value: { data: Uint8Array.of(8), encoding: 1 },
        bounds: { min: null, max: Uint8Array.of(7), clamp: true },
      },
      { type: "min", key: Uint8Array.of(4), value: le64(Uint8Array.of(6)) },
      { type: "max", key: Uint8Array.of(5), value: le64(Uint8Array.of(6)) },
      {
        type: "set_suffixed",
        key: Uint8Array.of(6),
        value: { data: new Uint8Array(0), encoding: 3 },
        expiresMs: null,
      },
      { type: "append", key: Uint8Array.of(7), value: le64(Uint8Array.of(5)) },
      { type: "expire", key: Uint8Array.of(8) },
    ],
  });
  const expected = [
    "0101" + "0102030405060708090a",
    "02" + "03aa" + "0102030405060708090a" + "02bb",
    "08" + "6101010109ac02" + "020102" + "d3010301080002" + "07",
    "2401040106" + "2501050106" + "36010600" + "2701070105" + "080108",
  ];
  assert.equal(payload.toHex(), expected.join(""));
});

Deno.test("decodeCommand refuses every payload that ends early, goes on, or has an unknown head", () => {
  const payload = encodeCommand(STAMP, {
    checks: [{ key: STAMP, stamp: STAMP }],
    mutations: [
      { type: "set", key: STAMP, value: le64(STAMP), expiresMs: 5 },
      {
        type: "sum",
        key: STAMP,
        value: le64(STAMP),
        bounds: { min: STAMP, max: STAMP, clamp: false },
      },
    ],
  });
  for (let size = 0; size < payload.length; size++) {
    assert.throws(() => decodeCommand(payload.subarray(0, size)), /: it ends too early, at byte/);
  }
  assert.ok(isRefused(Uint8Array.of(...payload, 0)));
  const head = "0101" + STAMP.toHex();
  const wrong = {
    "version 0": "0001" + STAMP.toHex() + "0000",
    "version 2": "0201" + STAMP.toHex() + "0000",
    "kind 2": "0102" + STAMP.toHex() + "0000",
    "a long zero": head + "800000",
    "a number of nine bytes": head + "ffffffffffffffffff",
    "a number above 2^53": head + "8080808080808010" + "00",
    "65,537 mutations": head + "00" + "818004",
    "type 0": head + "0001" + "100100" + "00",
    "type 9": head + "0001" + "190100" + "00",
    "a set with bounds": head + "0001" + "910100" + "00",
    "a min with a flag": head + "0001" + "540100" + "00",
    "a delete with an encoding": head + "0001" + "120100",
    "a delete with a flag": head + "0001" + "420100",
    "a set without encoding": head + "0001" + "010100" + "00",
    "a sum with two missing bounds": head + "0001" + "930100" + "00" + "0000",
  };
  for (const [name, hex] of Object.entries(wrong)) {
    assert.ok(isRefused(Uint8Array.fromHex(hex)), name);
  }
});

Deno.test("decodeCommand answers 100,000 mutated payloads with a command or its own error", () => {
  const seeds = fc.sample(fc.tuple(stamp, command), { numRuns: 200, seed: 5 })
    .map(([stamp, command]) => encodeCommand(stamp, command));
  let state = 1;
  const below = (limit: number): number => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
  let refusedCount = 0;
  for (let count = 0; count < GARBAGE_COUNT; count++) {
    const seed = seeds[count % seeds.length] ?? new Uint8Array(0);
    const payload = new Uint8Array(below(8) === 0 ? below(seed.length + 1) : seed.length);
    payload.set(seed.subarray(0, payload.length));
    for (let flips = below(4); flips >= 0 && payload.length > 0; flips--) {
      payload[below(payload.length)] = below(3) === 0 ? 0xff : below(256);
    }
    if (isRefused(payload)) refusedCount++;
  }
  assert.ok(refusedCount > GARBAGE_COUNT / 4, `only ${refusedCount} refused`);
  assert.ok(refusedCount < GARBAGE_COUNT, "none decoded");
});

Deno.test("encodeCommand refuses what it has no form for", () => {
  const set = (value: KvValue, expiresMs: number | null): Command => ({
    checks: [],
    mutations: [{ type: "set", key: STAMP, value, expiresMs }],
  });
  const unknown = { data: STAMP, encoding: 4 as Encoding };
  const tooMany = Array.from({ length: 65_537 }, () => ({ type: "delete", key: STAMP }) as const);
  const shortStamp = { key: STAMP, stamp: new Uint8Array(9) };
  assert.throws(() => encodeCommand(new Uint8Array(9), set(le64(STAMP), null)), RangeError);
  assert.throws(() => encodeCommand(STAMP, set(le64(STAMP), -1)), RangeError);
  assert.throws(() => encodeCommand(STAMP, set(le64(STAMP), 1.5)), RangeError);
  assert.throws(() => encodeCommand(STAMP, set(le64(STAMP), 2 ** 53)), RangeError);
  assert.throws(() => encodeCommand(STAMP, set(unknown, null)), RangeError);
  assert.throws(() => encodeCommand(STAMP, { checks: [], mutations: tooMany }), RangeError);
  assert.throws(() => encodeCommand(STAMP, { checks: [shortStamp], mutations: [] }), RangeError);
});

Deno.test("isNoop knows a no-op, and refuses what is none of ours", () => {
  assert.equal(isNoop(encodeNoop()), true);
  assert.ok(isRefused(encodeNoop()));
  for (const payload of [[], [1], [0, 0], [2, 0], [1, 2], [1, 0, 0]]) {
    assert.throws(() => isNoop(Uint8Array.from(payload)), { name: "KvError", code: "internal" });
  }
});

function le64(data: Uint8Array): KvValue {
  return { data, encoding: 2 };
}
