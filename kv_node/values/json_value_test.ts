import assert from "node:assert/strict";
import fc from "fast-check";
import { type Encoding, ENCODING_BYTES, ENCODING_LE64, ENCODING_V8 } from "../types.ts";
import type { KvValue } from "../types.ts";
import { keyFromJson, keyToJson, rawKeyToJson } from "./json_key.ts";
import { valueFromJson, valueToJson } from "./json_value.ts";
import { decodeValue, encodeValue } from "./value.ts";

const { value: anyTree } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.string({ unit: "binary" }),
    fc.constantFrom("\ud800", "$", "$bigint", null, undefined, -0, NaN, -Infinity, true),
    fc.double(),
    fc.integer(),
    fc.bigInt(),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array(),
    fc.constantFrom(/a\/b\n/giu, new RegExp(""), /[$]/v),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(tie("value"), { maxLength: 3 }).map((items) => new Set(items)),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((all) => new Map(all)),
    fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom("$bigint", "$$x", "$", "__proto__", "toString")),
      tie("value"),
      { maxKeys: 3, noNullPrototype: true },
    ),
  ),
}));

/** Through JSON text and back. */
function through(value: KvValue): KvValue {
  return valueFromJson(JSON.parse(JSON.stringify(valueToJson(value))));
}

function isRaw(value: KvValue): boolean {
  return JSON.stringify(valueToJson(value)).startsWith('{"$raw"');
}

Deno.test("valueFromJson gives back the value, through JSON text", () => {
  fc.assert(fc.property(anyTree, (value) => {
    const stored = encodeValue(value);
    const back = through(stored);
    assert.equal(back.encoding, stored.encoding);
    assert.deepEqual(decodeValue(back), decodeValue(stored));
  }));
});

Deno.test("valueToJson keeps to plain JSON where it can", () => {
  const plain = { a: [1, "x", null, true, { b: {} }], "": 1.5e300, __proto: [] };
  assert.deepEqual(valueToJson(encodeValue(plain)), plain);
});

Deno.test("valueToJson tags what JSON has no form for", () => {
  const value = {
    big: -12n,
    bytes: Uint8Array.of(255),
    date: new Date(0),
    never: new Date(NaN),
    map: new Map<unknown, unknown>([["a", 1], [2n, undefined]]),
    set: new Set([NaN, -0]),
    regexp: /x/g,
    $money: 1,
    $$: 2,
  };
  assert.deepEqual(valueToJson(encodeValue(value)), {
    big: { $bigint: "-12" },
    bytes: { $bytes: "/w==" },
    date: { $date: "1970-01-01T00:00:00.000Z" },
    never: { $date: null },
    map: { $map: [["a", 1], [{ $bigint: "2" }, { $undefined: true }]] },
    set: { $set: [{ $number: "NaN" }, 0] },
    regexp: { $regexp: ["x", "g"] },
    $$money: 1,
    $$$: 2,
  });
  assert.deepEqual(valueToJson(encodeValue(Uint8Array.of(1))), { $bytes: "AQ==" });
  assert.deepEqual(valueToJson(encodeValue(new Deno.KvU64(7n))), { $u64: "7" });
});

Deno.test("valueToJson falls back to the very bytes where a value would lose something", () => {
  const shared = { a: 1 };
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const odd = [1];
  Object.assign(odd, { name: 1 });
  const buffer = new ArrayBuffer(8);
  let deep: unknown = 1;
  for (let depth = 0; depth < 1_000; depth++) deep = [deep];
  const values = [
    ...[new Error("x"), new Uint16Array(2), new Number(1), [1, , 2], [shared, shared], cyclic], // deno-lint-ignore no-sparse-arrays
    ...[odd, Object.assign([, 1], { a: 1 }), { view: new Uint8Array(buffer, 2, 2) }, deep], // deno-lint-ignore no-sparse-arrays
    ...[[new Uint8Array(buffer), new Uint8Array(buffer)], new ArrayBuffer(1)],
  ];
  for (const [index, value] of values.entries()) {
    const stored = encodeValue(value);
    assert.ok(isRaw(stored), `value ${index}`);
    assert.deepEqual(through(stored), stored, `value ${index}`);
  }
});

Deno.test("valueToJson keeps bytes that nobody can read", () => {
  const anyStored = fc.record({
    data: fc.uint8Array(),
    encoding: fc.constantFrom<Encoding>(ENCODING_V8, ENCODING_LE64, ENCODING_BYTES),
  }).map((record) => ({ ...record }));
  fc.assert(fc.property(anyStored, (stored) => {
    assert.deepEqual(through(stored), stored);
  }));
  // V8's form of a Uint8Array, which Deno would have stored as bytes.
  const stored: KvValue = {
    data: Uint8Array.fromHex("ff0f42010556420001" + "00"),
    encoding: ENCODING_V8,
  };
  assert.deepEqual(decodeValue(stored), Uint8Array.of(5));
  assert.deepEqual(through(stored), stored);
});

Deno.test("valueFromJson refuses tags that it does not know or that do not fit", () => {
  const refused = [
    ...[{ $what: 1 }, { a: { $u64: "1" } }, [{ $raw: [1, ""] }], { $bigint: 1 }, { $date: "x" }],
    ...[{ $bigint: "1.5" }, { $u64: "-1" }, { $u64: "18446744073709551616" }, { $raw: [4, ""] }],
    ...[{ $bytes: "%" }, { $map: [[1]] }, { $regexp: ["(", ""] }, { $set: {} }, { $a: 1, b: 2 }],
    ...[{ $number: "1" }, { $undefined: false }, { $raw: "" }, { $regexp: ["a"] }],
  ];
  for (const json of refused) {
    assert.throws(() => valueFromJson(json), TypeError, JSON.stringify(json));
  }
});

Deno.test("keyFromJson gives back the parts of a key, through JSON text", () => {
  const anyPart = fc.oneof(
    fc.string(),
    fc.double(),
    fc.bigInt(),
    fc.boolean(),
    fc.uint8Array(),
    fc.constantFrom(-0, NaN, Infinity),
  );
  fc.assert(fc.property(fc.array(anyPart), (key) => {
    assert.deepEqual(keyFromJson(JSON.parse(JSON.stringify(keyToJson(key)))), key);
  }));
  assert.deepEqual(keyToJson(["u", 1n, Uint8Array.of(1), -0, true]), [
    "u",
    { $bigint: "1" },
    { $bytes: "AQ==" },
    { $number: "-0" },
    true,
  ]);
  assert.deepEqual(keyFromJson(rawKeyToJson(Uint8Array.of(3, 4))), Uint8Array.of(3, 4));
});

Deno.test("keyFromJson refuses what is no key", () => {
  for (const json of [null, "a", 1, {}, [null], [[1]], [{ $date: null }], [{ $bigint: "x" }]]) {
    assert.throws(() => keyFromJson(json), TypeError, JSON.stringify(json));
  }
});
