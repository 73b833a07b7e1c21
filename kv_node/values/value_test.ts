import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Encoding, ENCODING_BYTES, ENCODING_LE64, ENCODING_V8 } from "../types.ts";
import { KvU64 } from "./u64.ts";
import { decodeValue, encodeValue, isU64 } from "./value.ts";

const cyclic: Record<string, unknown> = { name: "itself" };
cyclic["self"] = cyclic;

/** Values that Deno KV takes. */
const VALUES: Readonly<Record<string, unknown>> = {
  number: 1,
  double: -1.5,
  negativeZero: -0,
  nan: NaN,
  text: "two",
  wideText: "é中\u{1f600}",
  loneSurrogate: "a\ud800",
  undefined: undefined,
  null: null,
  bigint: -(2n ** 70n),
  boolean: false,
  date: new Date(5),
  invalidDate: new Date(NaN),
  regexp: /a\/b/giu,
  map: new Map<unknown, unknown>([[1, { a: 2 }], ["k", new Set([1n])]]),
  set: new Set(["x", undefined]),
  sparse: [1, , 3], // deno-lint-ignore no-sparse-arrays
  cyclic,
  nested: { bytes: new Uint8Array([1, 2]), list: [new Date(1)] },
  uint16: new Uint16Array([1, 2]),
  clamped: new Uint8ClampedArray([3]),
  float64: new Float64Array([1.5, NaN]),
  bigInt64: new BigInt64Array([-1n]),
  dataView: new DataView(new ArrayBuffer(4), 1, 2),
  buffer: new Uint8Array([9, 8]).buffer,
  error: new RangeError("out", { cause: { why: 1 } }),
  wrapped: new Number(4),
};

/** Values that no store can hold. */
const REFUSED: readonly unknown[] = [
  () => 1,
  Symbol("x"),
  new SharedArrayBuffer(1),
  Promise.resolve(),
  new WeakMap(),
  { deep: [() => 1] },
];

Deno.test("encodeValue and decodeValue keep every value that V8 can write", () => {
  for (const [name, value] of Object.entries(VALUES)) {
    const stored = encodeValue(value);
    assert.equal(stored.encoding, ENCODING_V8, name);
    assert.deepEqual(decodeValue(stored), value, name);
  }
});

Deno.test("encodeValue writes what Deno writes but for the version, and each reads the other", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/kv`;
    const kv = await Deno.openKv(path);
    for (const [name, value] of Object.entries(VALUES)) await kv.set([name], value);
    const database = new DatabaseSync(path);
    const select = database.prepare("select v, v_encoding from kv where k = ?");
    const update = database.prepare("update kv set v = ? where k = ?");
    for (const [name, value] of Object.entries(VALUES)) {
      const key = Uint8Array.of(2, ...new TextEncoder().encode(name), 0);
      const row = select.get(key);
      assert.ok(row?.["v"] instanceof Uint8Array, name);
      const theirs = { data: row["v"], encoding: Number(row["v_encoding"]) as Encoding };
      const ours = encodeValue(value);
      assert.equal(ours.data.subarray(2).toHex(), theirs.data.subarray(2).toHex(), name);
      assert.deepEqual(decodeValue(theirs), value, name);
      update.run(ours.data, key);
    }
    for (const [name, value] of Object.entries(VALUES)) {
      assert.deepEqual((await kv.get([name])).value, value, name);
    }
    database.close();
    kv.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("encodeValue stores bytes as bytes: a copy of the view, and of subclasses", async () => {
  const { Buffer } = await import("node:buffer");
  const bytes = Uint8Array.of(1, 2, 3, 4);
  const stored = encodeValue(bytes.subarray(1, 3));
  bytes[1] = 99;
  assert.deepEqual(stored, { data: Uint8Array.of(2, 3), encoding: ENCODING_BYTES });
  assert.deepEqual(decodeValue(stored), Uint8Array.of(2, 3));
  assert.deepEqual(encodeValue(Buffer.from("a")), {
    data: Uint8Array.of(97),
    encoding: ENCODING_BYTES,
  });
});

Deno.test("encodeValue stores 64-bit numbers of Deno and of this project alike", () => {
  const stored = { data: Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 128), encoding: ENCODING_LE64 };
  const number = 2n ** 63n + 256n;
  assert.deepEqual(encodeValue(new Deno.KvU64(number)), stored);
  assert.deepEqual(encodeValue(new KvU64(number)), stored);
  const decoded = decodeValue({ data: stored.data, encoding: ENCODING_LE64 });
  assert.ok(decoded instanceof KvU64 && decoded.value === number);
  const native = decodeValue({ data: stored.data, encoding: ENCODING_LE64 }, {
    makeU64: (value) => new Deno.KvU64(value),
  });
  assert.ok(native instanceof Deno.KvU64 && native.value === number);
  assert.ok(isU64(decoded) && isU64(native) && !isU64({ value: 1n }) && !isU64(1n));
});

Deno.test("KvU64 refuses what Deno.KvU64 refuses", () => {
  for (const value of [1, "1", -1n, 2n ** 64n, 2n ** 64n - 1n, 0n]) {
    const outcome = (make: () => { value: bigint }): string => {
      try {
        return String(make().value);
      } catch (error) {
        return `${error}`;
      }
    };
    const odd = value as bigint;
    assert.equal(outcome(() => new KvU64(odd)), outcome(() => new Deno.KvU64(odd)));
  }
});

Deno.test("encodeValue refuses what cannot be cloned", () => {
  for (const value of REFUSED) assert.throws(() => encodeValue(value), TypeError);
});

Deno.test("decodeValue refuses damaged bytes", () => {
  for (const text of ["", "ff", "ff0f", "ff0f22ff", "ff205f", "005f", "ff0f6f2201"]) {
    const data = Uint8Array.fromHex(text);
    assert.throws(() => decodeValue({ data, encoding: ENCODING_V8 }), TypeError, text);
    assert.throws(() => decodeValue({ data, encoding: ENCODING_LE64 }), TypeError, text);
  }
});

Deno.test("encodeValue() refuses objects of the platform, at any depth, in place of losing them", () => {
  const circle: Record<string, unknown> = { bytes: new Uint16Array(4) };
  circle["self"] = circle;
  assert.doesNotThrow(() => encodeValue(circle));
  for (const value of [new Blob(["x"]), new File([], "x"), new Headers(), new DOMException("x")]) {
    for (const held of [value, [{ deep: value }], new Map([["a", new Set([value])]])]) {
      assert.throws(() => encodeValue(held), TypeError);
    }
  }
});
