import assert from "node:assert/strict";
import { deserialize, serialize } from "node:v8";
import { StampOracle } from "../clock/stamps.ts";
import type { Check, Command, KvValue, Mutation, Outcome, SumBounds } from "../types.ts";
import { evaluate, failedChecks } from "./evaluate.ts";
import { MapState } from "./map_state_fixture.ts";

const NOW_MS = 1_790_000_000_000;
const STAMP = new StampOracle(1, null).next(NOW_MS);
const EARLIER = new StampOracle(1, null).next(NOW_MS - 1_000);
const NO_BOUNDS: SumBounds = { min: null, max: null, clamp: false };
const UINT64_MAX = 2n ** 64n - 1n;

const key = (text: string): Uint8Array => new TextEncoder().encode(`\0\0\0\x01${text}`);
const v8 = (value: unknown): KvValue => ({ data: new Uint8Array(serialize(value)), encoding: 1 });
const raw = (...data: number[]): KvValue => ({ data: Uint8Array.from(data), encoding: 3 });

function u64(value: bigint): KvValue {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, value, true);
  return { data, encoding: 2 };
}

function set(text: string, value: KvValue, expiresMs: number | null = null): Mutation {
  return { type: "set", key: key(text), value, expiresMs };
}

function sum(text: string, value: KvValue, bounds: Partial<SumBounds> = {}): Mutation {
  return { type: "sum", key: key(text), value, bounds: { ...NO_BOUNDS, ...bounds } };
}

function stateOf(...mutations: Mutation[]): MapState {
  const state = new MapState();
  assert.equal(evaluate(EARLIER, { checks: [], mutations }, state).type, "committed");
  state.writeCount = 0;
  return state;
}

function run(state: MapState, mutations: Mutation[], checks: Check[] = []): Outcome {
  return evaluate(STAMP, { checks, mutations }, state);
}

/** What a key holds, for people: `u64 5`, `number 1.5`, `bytes 0102`, or nothing. */
function textAt(state: MapState, text: string): string | null {
  const row = state.get(key(text));
  if (row === null) return null;
  const view = new DataView(row.data.buffer, row.data.byteOffset, row.data.length);
  if (row.encoding === 2) return `u64 ${view.getBigUint64(0, true)}`;
  if (row.encoding === 3) return `bytes ${row.data.toHex()}`;
  const value = deserialize(row.data);
  return `${typeof value} ${Object.is(value, -0) ? "-0" : value}`;
}

/** The refusal of mutations of which nothing may stay. */
function refusalOf(state: MapState, ...mutations: Mutation[]): string {
  const before = state.rows();
  const outcome = run(state, mutations);
  assert.deepEqual(state.rows(), before);
  assert.equal(state.writeCount, 0);
  assert.equal(outcome.type, "invalid");
  return outcome.type === "invalid" ? outcome.message : "";
}

Deno.test("evaluate sets rows with the stamp and expiry of the command, and deletes", () => {
  const state = stateOf(set("a", raw(1)), set("b", raw(2)));
  const outcome = run(state, [set("a", raw(3), NOW_MS + 5), { type: "delete", key: key("b") }]);
  assert.deepEqual(outcome, { type: "committed", stamp: STAMP });
  assert.deepEqual(state.rows(), [
    { key: key("a"), ...raw(3), stamp: STAMP, expiresMs: NOW_MS + 5 },
  ]);
});

Deno.test("evaluate names every failed check and writes nothing", () => {
  const state = stateOf(set("a", raw(1)), set("b", raw(2)));
  const other = EARLIER.map((byte, place) => place === 9 ? byte + 1 : byte);
  const checks: Check[] = [
    { key: key("a"), stamp: null },
    { key: key("a"), stamp: EARLIER },
    { key: key("b"), stamp: other },
    { key: key("c"), stamp: null },
    { key: key("c"), stamp: EARLIER },
    { key: key("a"), stamp: EARLIER.subarray(0, 9) },
  ];
  const outcome = run(state, [set("a", raw(9)), set("c", raw(9))], checks);
  assert.deepEqual(outcome, { type: "conflict", failedChecks: [0, 2, 4, 5] });
  assert.equal(state.writeCount, 0);
  assert.deepEqual(failedChecks(checks, NOW_MS, state), [0, 2, 4, 5]);
  assert.equal(failedChecks(checks.slice(3, 4), NOW_MS, state), null);
});

Deno.test("evaluate judges checks before the changes of the same command", () => {
  const state = stateOf();
  const checks = [{ key: key("a"), stamp: null }];
  assert.equal(run(state, [set("a", raw(1))], checks).type, "committed");
  assert.equal(run(state, [set("a", raw(1))], checks).type, "conflict");
});

Deno.test("evaluate takes a row for absent from the very millisecond of its expiry", () => {
  for (const [expiresMs, isThere] of [[NOW_MS, false], [NOW_MS + 1, true]] as const) {
    const state = stateOf(set("a", u64(5n), expiresMs), set("text", v8("x"), expiresMs));
    assert.equal(
      run(state, [], [{ key: key("a"), stamp: EARLIER }]).type,
      isThere ? "committed" : "conflict",
    );
    run(state, [sum("a", u64(1n))]);
    assert.equal(textAt(state, "a"), isThere ? "u64 6" : "u64 1");
    const max: Mutation = { type: "max", key: key("text"), value: u64(1n) };
    assert.equal(run(state, [max]).type, isThere ? "invalid" : "committed");
  }
});

Deno.test("evaluate drops the expiry and takes the stamp when it sums, even if nothing changes", () => {
  const mutations: Mutation[] = [
    sum("a", u64(0n)),
    sum("a", v8(0n)),
    { type: "min", key: key("a"), value: u64(9n) },
    { type: "max", key: key("a"), value: u64(1n) },
  ];
  for (const mutation of mutations) {
    const state = stateOf(set("a", u64(5n), NOW_MS + 60_000));
    assert.equal(run(state, [mutation]).type, "committed");
    assert.deepEqual(state.rows(), [{ key: key("a"), ...u64(5n), stamp: STAMP, expiresMs: null }]);
  }
});

Deno.test("evaluate lets each mutation see the earlier ones", () => {
  const state = stateOf(set("a", v8("text")));
  const outcome = run(state, [
    { type: "delete", key: key("a") },
    sum("a", u64(1n)),
    sum("a", u64(2n)),
    { type: "max", key: key("a"), value: u64(7n) },
    set("b", u64(1n), NOW_MS),
    sum("b", u64(10n)),
    set("c", u64(1n)),
    sum("c", u64(1n)),
    { type: "delete", key: key("c") },
    set("d", v8(1n)),
    sum("d", v8(2n)),
    set("e", raw(1), NOW_MS),
    { type: "expire", key: key("e") },
  ]);
  assert.equal(outcome.type, "committed");
  const texts = ["a", "b", "c", "d", "e"].map((text) => textAt(state, text));
  assert.deepEqual(texts, ["u64 7", "u64 10", null, "bigint 3", null]);
  assert.equal(state.writeCount, 5);
});

Deno.test("evaluate leaves nothing of a command whose last mutation makes no sense", () => {
  const state = stateOf(set("text", v8("x")), set("a", u64(1n)));
  const message = refusalOf(
    state,
    set("new", raw(1)),
    { type: "delete", key: key("a") },
    sum("n", u64(1n)),
    { type: "append", key: key("log"), value: raw(1) },
    sum("text", u64(1n)),
  );
  assert.equal(
    message,
    "Cannot apply mutation 5 of 5: " +
      "Failed to perform 'sum' mutation on a non-U64 value in the database",
  );
});

Deno.test("evaluate sums unsigned numbers and wraps them at 2^64", () => {
  const cases = [[10n, 1n, 11n], [UINT64_MAX, 10n, 9n], [9n, UINT64_MAX, 8n], [255n, 1n, 256n]];
  for (const [one = 0n, other = 0n, result] of cases) {
    const state = stateOf(set("a", u64(one)));
    run(state, [sum("a", u64(other))]);
    assert.equal(textAt(state, "a"), `u64 ${result}`);
  }
});

Deno.test("evaluate orders unsigned numbers by their value", () => {
  for (const [one, other] of [[255n, 256n], [1n, UINT64_MAX], [7n, 7n]] as const) {
    for (const [stored, operand] of [[one, other], [other, one]] as const) {
      const state = stateOf(set("min", u64(stored)), set("max", u64(stored)));
      run(state, [{ type: "min", key: key("min"), value: u64(operand) }]);
      run(state, [{ type: "max", key: key("max"), value: u64(operand) }]);
      assert.equal(textAt(state, "min"), `u64 ${one}`);
      assert.equal(textAt(state, "max"), `u64 ${other}`);
    }
  }
});

Deno.test("evaluate sums V8 numbers and bigints with bounds", () => {
  const bytes = (value: unknown): Uint8Array => v8(value).data;
  const beyond = /would exceed its range limit$/;
  const cases: [unknown, unknown, Partial<SumBounds>, string | RegExp][] = [
    [1, 2, {}, "number 3"],
    [0.5, -1, {}, "number -0.5"],
    [2 ** 31 - 1, 1, {}, "number 2147483648"],
    [1n, -5n, {}, "bigint -4"],
    [UINT64_MAX, 1n, {}, "bigint 18446744073709551616"],
    [1, 2, { max: bytes(3) }, "number 3"],
    [1, 3, { max: bytes(3) }, beyond],
    [1, 3, { max: bytes(3), clamp: true }, "number 3"],
    [1, -3, { min: bytes(-2) }, "number -2"],
    [1, -4, { min: bytes(-2) }, beyond],
    [1, -4, { min: bytes(-2), clamp: true }, "number -2"],
    [1n, 9n, { min: bytes(0n), max: bytes(8n) }, beyond],
    [1n, 9n, { min: bytes(0n), max: bytes(8n), clamp: true }, "bigint 8"],
    [1n, -9n, { min: bytes(0n), max: bytes(8n), clamp: true }, "bigint 0"],
    [1, 0, { min: bytes(9), max: bytes(5), clamp: true }, "number 5"],
    [1, 0, { min: bytes(9), max: bytes(5) }, beyond],
    [1, 1, { min: new Uint8Array(0), max: new Uint8Array(0) }, "number 2"],
    [1, NaN, { min: bytes(0), max: bytes(1) }, "number NaN"],
  ];
  for (const [stored, operand, bounds, expected] of cases) {
    const state = stateOf(set("a", v8(stored)));
    const mutation = sum("a", v8(operand), bounds);
    if (typeof expected === "string") {
      assert.equal(run(state, [mutation]).type, "committed");
      assert.equal(textAt(state, "a"), expected);
    } else {
      assert.match(refusalOf(state, mutation), expected);
    }
  }
});

Deno.test("evaluate takes the operand as it is where there was nothing, bounds or not", () => {
  const state = stateOf();
  const max = v8(3).data;
  run(state, [sum("number", v8(9), { max })]);
  run(state, [sum("bigint", v8(9n))]);
  run(state, [sum("u64", u64(9n))]);
  run(state, [{ type: "min", key: key("min"), value: u64(9n) }]);
  run(state, [{ type: "max", key: key("max"), value: u64(9n) }]);
  const texts = ["number", "bigint", "u64", "min", "max"].map((text) => textAt(state, text));
  assert.deepEqual(texts, ["number 9", "bigint 9", "u64 9", "u64 9", "u64 9"]);
});

Deno.test("evaluate adds a plain bigint of 64 bits to an unsigned number", () => {
  const state = stateOf(set("a", u64(UINT64_MAX)));
  run(state, [sum("a", v8(3n))]);
  assert.equal(textAt(state, "a"), "u64 2");
});

Deno.test("evaluate refuses types that do not go together, in words that Deno's tests know", () => {
  const bytes = (value: unknown): Uint8Array => v8(value).data;
  const broken: KvValue = { data: new Uint8Array(7), encoding: 2 };
  const parameters = "Some of the parameters are not valid V8 values";
  const differ = "Min/max parameters have different types than the operand";
  const cases: [KvValue, Mutation, string][] = [
    [v8("x"), sum("a", v8(1)), "unsupported value type"],
    [raw(1), sum("a", v8(1)), "unsupported value type"],
    [v8(1), sum("a", v8("x")), parameters],
    [v8(1), sum("a", raw(1)), parameters],
    [v8(1), sum("a", { data: new Uint8Array(0), encoding: 1 }), parameters],
    [v8(1), sum("a", v8(1), { min: bytes("x") }), parameters],
    [v8(1), sum("a", v8(1), { max: bytes("x") }), parameters],
    [v8(1), sum("a", v8(1), { min: bytes(1n) }), differ],
    [v8(1n), sum("a", v8(1n), { max: bytes(1) }), differ],
    [v8(1), sum("a", v8(1n)), "Cannot sum Number with BigInt"],
    [v8(1n), sum("a", v8(1)), "Cannot sum BigInt with Number"],
    [u64(1n), sum("a", v8(1)), "Cannot sum KvU64 with Number"],
    [u64(1n), sum("a", v8(-1n)), "Cannot sum KvU64 with BigInt"],
    [u64(1n), sum("a", v8(2n ** 64n)), "Cannot sum KvU64 with BigInt"],
    [u64(1n), sum("a", v8(1n), { clamp: true }), "Cannot sum KvU64 with BigInt"],
    [u64(1n), sum("a", v8(1n), { max: bytes(9n) }), "Cannot sum KvU64 with BigInt"],
    [
      u64(1n),
      sum("a", u64(1n), { max: bytes(9n) }),
      "Cannot use min/max parameters with KvU64 operands",
    ],
    [u64(1n), sum("a", broken), "Failed to perform 'sum' mutation on a non-U64 operand"],
    ...(["sum", "min", "max"] as const).map((type): [KvValue, Mutation, string] => [
      v8(1),
      type === "sum" ? sum("a", u64(1n)) : { type, key: key("a"), value: u64(1n) },
      `Failed to perform '${type}' mutation on a non-U64 value in the database`,
    ]),
    ...(["min", "max"] as const).map((type): [KvValue, Mutation, string] => [
      u64(1n),
      { type, key: key("a"), value: v8(1) },
      `Failed to perform '${type}' mutation on a non-U64 operand`,
    ]),
  ];
  for (const [stored, mutation, phrase] of cases) {
    const message = refusalOf(stateOf(set("a", stored)), mutation);
    assert.ok(message.startsWith("Cannot apply mutation 1 of 1: "), message);
    assert.ok(message.includes(phrase), `${message} has not: ${phrase}`);
  }
  // The operand is judged even where nothing is stored.
  assert.match(refusalOf(stateOf(), sum("a", v8("x"))), /not valid V8 values/);
  assert.match(refusalOf(stateOf(), { type: "min", key: key("a"), value: v8(1) }), /non-U64/);
});

Deno.test("evaluate appends the stamp to a key as a string part, or raw with the place", () => {
  const state = stateOf();
  run(state, [
    { type: "set_suffixed", key: key("s"), value: raw(1), expiresMs: NOW_MS + 9 },
    ...Array.from({ length: 257 }, () => ({ type: "delete", key: key("x") }) as const),
    { type: "append", key: key("q"), value: raw(2) },
  ]);
  const suffixed = key("s").toHex() + "02" + new TextEncoder().encode(STAMP.toHex()).toHex() + "00";
  const appended = key("q").toHex() + STAMP.toHex() + "0102";
  assert.deepEqual(
    state.rows().map((row) => [row.key.toHex(), row.data.toHex(), row.expiresMs]),
    [[appended, "02", null], [suffixed, "01", NOW_MS + 9]],
  );
});

Deno.test("evaluate expires a row only once its time has passed", () => {
  const state = stateOf(
    set("due", raw(1), NOW_MS),
    set("later", raw(1), NOW_MS + 1),
    set("never", raw(1)),
  );
  const texts = ["due", "later", "never", "absent"];
  run(state, texts.map((text) => ({ type: "expire", key: key(text) }) as const));
  assert.deepEqual(texts.map((text) => textAt(state, text)), [null, "bytes 01", "bytes 01", null]);
  assert.equal(state.writeCount, 1);
});

Deno.test("evaluate commits a command with nothing in it", () => {
  const nothing: Command = { checks: [], mutations: [] };
  assert.equal(evaluate(STAMP, nothing, new MapState()).type, "committed");
});
