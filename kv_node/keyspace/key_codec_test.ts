import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { compareBytes } from "./bytes.ts";
import { decodeKey, encodeKey, type KeyPart } from "./key_codec.ts";

const anyBigint = fc.oneof(
  fc.bigInt(),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.tuple(fc.integer({ min: 0, max: 2_039 }), fc.bigInt({ min: -2n, max: 2n }), fc.boolean())
    .map(([bits, near, isNegative]) => (isNegative ? -1n : 1n) * ((1n << BigInt(bits)) + near)),
);

const anyPart: fc.Arbitrary<KeyPart> = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.uint8Array({ max: 3 }),
  fc.uint8Array(),
  fc.double(),
  fc.constantFrom(-0, 0, NaN, Infinity, -Infinity, 5e-324, -5e-324),
  fc.boolean(),
  anyBigint,
);

const anyKey = fc.array(anyPart, { minLength: 1, maxLength: 5 });

/** A NaN with its sign bit set, if the engine keeps it. */
const NEGATIVE_NAN = new Float64Array(Uint8Array.of(1, 0, 0, 0, 0, 0, 0xf8, 0xff).buffer)[0] ?? 0;

Deno.test("encodeKey writes the bytes that were captured from Deno", () => {
  const key = encodeKey(["u", 1, 1n, true, Uint8Array.of(0, 0xff), -1.5]);
  assert.equal(key.toHex(), "02750021bff000000000000015012701" + "00ffff0021" + "4007ffffffffffff");
});

Deno.test("encodeKey writes what Deno writes into its own file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const keys = [
      ...fc.sample(anyKey, { numRuns: 400, seed: 1 }),
      ...[0n, 1n, -1n, 255n, 256n, -255n, -256n].map((part) => [part]),
      ...[(1n << 64n) - 1n, 1n << 64n, -(1n << 64n), 1n - (1n << 64n)].map((part) => [part]),
      ...[(1n << 2_040n) - 1n, 1n - (1n << 2_040n)].map((part) => [part]),
      ...[["\ud800"], ["a\udc00b"], ["\0"], ["\0ÿ\0"], [NEGATIVE_NAN], [NaN], [-0], [""]],
    ];
    const path = `${folder}/kv`;
    const kv = await Deno.openKv(path);
    for (let from = 0; from < keys.length; from += 100) {
      const commit = kv.atomic();
      keys.slice(from, from + 100).forEach((key, index) => {
        commit.set(key, Uint8Array.of((from + index) >> 8, from + index));
      });
      await commit.commit();
    }
    const database = new DatabaseSync(path, { readOnly: true });
    const rows = database.prepare("select k, v from kv order by k").all();
    database.close();
    kv.close();
    assert.equal(rows.length, new Set(keys.map((key) => encodeKey(key).toHex())).size);
    for (const { k, v } of rows) {
      assert.ok(k instanceof Uint8Array && v instanceof Uint8Array);
      const key = keys[(v[0] ?? 0) * 256 + (v[1] ?? 0)] ?? [];
      assert.equal(encodeKey(key).toHex(), k.toHex());
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("decodeKey reads what encodeKey wrote", () => {
  fc.assert(fc.property(anyKey, (key) => {
    assert.deepEqual(decodeKey(encodeKey(key)), key);
  }));
});

Deno.test("decodeKey gives the parts, and the bytes the order, that Deno lists", async () => {
  const keys = fc.sample(anyKey, { numRuns: 300, seed: 2 });
  const kv = await Deno.openKv(":memory:");
  try {
    for (let from = 0; from < keys.length; from += 100) {
      const commit = kv.atomic();
      for (const key of keys.slice(from, from + 100)) commit.set(key, 1);
      await commit.commit();
    }
    const theirs: Deno.KvKey[] = [];
    for await (const entry of kv.list({ prefix: [] })) theirs.push(entry.key);
    const ours = keys.map((key) => encodeKey(key)).sort(compareBytes)
      .filter((key, index, all) => index === 0 || compareBytes(key, all[index - 1] ?? key) !== 0)
      .map((key) => decodeKey(key));
    assert.deepEqual(ours, theirs);
  } finally {
    kv.close();
  }
});

Deno.test("encodeKey takes a long key, and a short one after it", () => {
  const long = "x".repeat(200_000);
  assert.deepEqual(decodeKey(encodeKey([long, 1])), [long, 1]);
  assert.deepEqual(decodeKey(encodeKey(["a", new Uint8Array(5_000), "ü".repeat(5_000)])), [
    "a",
    new Uint8Array(5_000),
    "ü".repeat(5_000),
  ]);
  assert.equal(encodeKey([true]).toHex(), "27");
  assert.equal(encodeKey([]).length, 0);
});

Deno.test("encodeKey refuses what Deno refuses and takes what it takes", async () => {
  const odd: unknown[] = [
    ...[null, undefined, Symbol("x"), {}, [1], new Date(0), () => 1, new ArrayBuffer(1)],
    ...[new Uint16Array([1, 2]), new DataView(new ArrayBuffer(3), 1), new Float64Array(1)],
    ...[1n << 2_040n, -(1n << 2_040n), (1n << 2_040n) - 1n],
  ];
  const kv = await Deno.openKv(":memory:");
  try {
    for (const part of odd) {
      const theirs = await kv.set([part as KeyPart], 1).then(() => "taken", (error) => error.name);
      let ours = "taken";
      try {
        encodeKey([part as KeyPart]);
      } catch (error) {
        ours = error instanceof Error ? error.name : "?";
      }
      assert.equal(ours, theirs, typeof part);
    }
  } finally {
    kv.close();
  }
  assert.throws(() => encodeKey("key" as unknown as KeyPart[]), TypeError);
});

Deno.test("decodeKey refuses what is not a key, and never fails otherwise", () => {
  const broken = ["00", "03", "1e", "28", "ff", "0261", "0100ff", "21", "2180000000000000"];
  for (const hex of [...broken, "15", "1d", "1d09ff", "0b", "0bf5", "02ff00", "02c32800"]) {
    assert.throws(() => decodeKey(Uint8Array.fromHex(hex)), TypeError, hex);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40, max: 0x2a }), (bytes) => {
    try {
      assert.deepEqual(decodeKey(encodeKey(decodeKey(bytes))), decodeKey(bytes));
    } catch (error) {
      assert.ok(error instanceof TypeError, String(error));
    }
  }));
});
