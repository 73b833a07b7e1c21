/**
 * Keys, values and versionstamps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ConformanceCase } from "../conformance.ts";
import type { Store, StoreEntryMaybe, StoreKey } from "../store.ts";
import { fails, refuses } from "./refusal.ts";

/** Cases about entries. */
export const ENTRY_CASES: readonly ConformanceCase[] = [
  { name: "gives back what structured cloning keeps", run: clones },
  { name: "gives back an object that holds itself", run: cycles },
  { name: "gives back counts as counts", run: counts },
  { name: "refuses values that cannot be cloned and writes nothing", run: refusesValues },
  { name: "takes keys of every type, alone and in a row", run: takesKeys },
  { name: "refuses parts of keys that are of no type of theirs", run: refusesParts },
  { name: "refuses keys that are no arrays", run: refusesTexts },
  { name: "keeps numbers apart that are not the same", run: numbersApart },
  { name: "orders texts by their UTF-8 and bigints of any length", run: ordersWidely },
  { name: "reads keys in the order asked for, one twice as well", run: readsInOrder },
  { name: "overwrites and deletes, each time under a new versionstamp", run: overwrites },
  { name: "gives concurrent commits versionstamps of their own", run: stampsApart },
];

async function clones(store: Store): Promise<void> {
  const values = [
    undefined,
    NaN,
    -0,
    -Infinity,
    2 ** 31,
    -(2n ** 64n),
    2n ** 200n,
    "",
    "x".repeat(10_000),
    /a+b/giu,
    new Error("Cannot go on"),
    new RangeError("Cannot count so far", { cause: "far" }),
    [, 1, , 2],
    Object.assign([1, 2], { named: 3 }),
    new Set([new Map([[{ a: 1 }, [2n]]])]),
    new Uint8Array([1, 2, 3]).buffer,
    new Uint16Array([1, 65_535]),
    new Float64Array([0.1, -0]),
    new BigInt64Array([-1n, 1n]),
    new DataView(new Uint8Array([9, 8]).buffer),
    Object(true),
    { nested: { deep: [{ er: null }] }, "": undefined },
  ];
  for (const [place, value] of values.entries()) await store.set(["v", place], value);
  for (const [place, value] of values.entries()) {
    assert.deepEqual((await store.get(["v", place])).value, value);
  }
}

async function cycles(store: Store): Promise<void> {
  interface Node {
    readonly name: string;
    self: Node | null;
    readonly pair: readonly unknown[];
  }
  const shared = { shared: true };
  const node: Node = { name: "loop", self: null, pair: [shared, shared] };
  node.self = node;
  await store.set(["cycle"], node);
  const { value } = await store.get(["cycle"]);
  const found = value as Node;
  assert.equal(found.self, found);
  assert.equal(found.pair[0], found.pair[1]);
  assert.deepEqual(found.pair[0], shared);
}

async function counts(store: Store): Promise<void> {
  for (const count of [0n, 1n, 2n ** 64n - 1n]) {
    await store.set(["count"], new Deno.KvU64(count));
    const { value } = await store.get(["count"]);
    assert.ok(value instanceof Deno.KvU64);
    assert.equal(value.value, count);
  }
}

async function refusesValues(store: Store): Promise<void> {
  const values = [
    () => {},
    Symbol("no"),
    new WeakMap(),
    Promise.resolve(1),
    new SharedArrayBuffer(3),
    { inside: { a: () => {} } },
  ];
  for (const value of values) {
    await fails(() => store.set(["no"], value));
    await fails(async () => await store.atomic().set(["also"], 1).set(["no"], value).commit());
  }
  assert.deepEqual(await keysBelow(store, []), []);
}

async function takesKeys(store: Store): Promise<void> {
  const bytes = new Uint8Array([0, 255, 0, 1]);
  const keys: readonly StoreKey[] = [
    [""],
    ["a"],
    ["a\0b", "\0"],
    [0],
    [-1.5, Infinity],
    [0n],
    [-(2n ** 70n), 2n ** 70n],
    [true],
    [false, true],
    [new Uint8Array()],
    [bytes],
    ["many", bytes, 1, 1n, true, "parts", -3, false],
    Array.from({ length: 200 }, (_, place) => place),
  ];
  for (const [place, key] of keys.entries()) await store.set(key, place);
  for (const [place, key] of keys.entries()) {
    const entry = await store.get(key);
    assert.equal(entry.value, place);
    assert.deepEqual(entry.key, key);
  }
  assert.equal((await keysBelow(store, [])).length, keys.length);
}

async function refusesParts(store: Store): Promise<void> {
  const parts: readonly unknown[] = [
    null,
    undefined,
    {},
    new Date(0),
    new ArrayBuffer(3),
    ["a"],
    Symbol("a"),
    () => {},
  ];
  for (const part of parts) {
    const key = ["before", part] as StoreKey;
    await fails(() => store.set(key, 1));
    await fails(() => store.get(key));
    await fails(() => store.getMany([["a"], key]));
    await fails(() => store.delete(key));
  }
  for (const write of [() => store.set([], 1), () => store.delete([])]) await fails(write);
  assert.deepEqual(await keysBelow(store, []), []);
}

async function refusesTexts(store: Store): Promise<void> {
  const key = "text" as unknown as StoreKey;
  await refuses(() => store.get(key));
  await refuses(() => store.getMany([key]));
  await refuses(() => store.set(key, 1));
  await refuses(() => store.delete(key));
  await refuses(async () => await store.atomic().set(key, 1).commit());
  await refuses(async () => await store.atomic().check({ key, versionstamp: null }).commit());
}

async function numbersApart(store: Store): Promise<void> {
  const parts = [-Infinity, -1, -Number.MIN_VALUE, -0, 0, Number.MIN_VALUE, 1, Infinity, NaN];
  for (const part of parts.toReversed()) await store.set(["n", part], part);
  const found: unknown[] = [];
  for await (const { key, value } of store.list({ prefix: ["n"] })) {
    assert.ok(Object.is(key[1], value));
    found.push(value);
  }
  assert.deepEqual(found, parts);
  assert.equal((await store.get(["n", 1n])).versionstamp, null);
}

async function ordersWidely(store: Store): Promise<void> {
  const parts = [
    "",
    "\0",
    "\0a",
    "A",
    "a",
    "a\0",
    "a\0\0",
    "aa",
    "z",
    "é",
    "\uffff",
    // In UTF-16 it would stand before the one above.
    "😀",
    -(2n ** 128n),
    -(2n ** 64n),
    -(2n ** 64n) + 1n,
    -256n,
    -255n,
    -1n,
    0n,
    1n,
    255n,
    256n,
    2n ** 64n - 1n,
    2n ** 64n,
    2n ** 128n,
  ];
  for (const [place, part] of parts.entries()) await store.set(["o", part], place);
  assert.deepEqual((await keysBelow(store, ["o"])).map((key) => key[1]), parts);
}

async function readsInOrder(store: Store): Promise<void> {
  assert.deepEqual(await store.getMany([]), []);
  await store.atomic().set(["a"], 1).set(["b"], 2).commit();
  const entries = await store.getMany([["b"], ["none"], ["a"], ["b"]]);
  assert.deepEqual(entries.map(({ key }) => key), [["b"], ["none"], ["a"], ["b"]]);
  assert.deepEqual(entries.map(({ value }) => value), [2, null, 1, 2]);
  assert.equal(entries[1]?.versionstamp, null);
}

async function overwrites(store: Store): Promise<void> {
  const seen: StoreEntryMaybe[] = [];
  for (const value of ["same", "same", "other"]) {
    const { versionstamp } = await store.set(["k"], value);
    const entry = await store.get(["k"]);
    assert.deepEqual(entry, { key: ["k"], value, versionstamp });
    seen.push(entry);
  }
  assert.equal(new Set(seen.map(({ versionstamp }) => versionstamp)).size, 3);
  await store.delete(["k"]);
  assert.deepEqual(await store.get(["k"]), { key: ["k"], value: null, versionstamp: null });
  const { versionstamp } = await store.set(["k"], null);
  assert.deepEqual(await store.get(["k"]), { key: ["k"], value: null, versionstamp });
  assert.ok(versionstamp > (seen[2]?.versionstamp ?? ""));
}

async function stampsApart(store: Store): Promise<void> {
  const before = (await store.set(["first"], 0)).versionstamp;
  const commits = await Promise.all(
    Array.from({ length: 50 }, (_, place) => store.set(["c", place], place)),
  );
  const stamps = commits.map(({ versionstamp }) => versionstamp);
  assert.equal(new Set(stamps).size, 50);
  assert.ok(stamps.every((stamp) => stamp > before));
  for (const [place, stamp] of stamps.entries()) {
    assert.equal((await store.get(["c", place])).versionstamp, stamp);
  }
  const after = (await store.set(["last"], 0)).versionstamp;
  assert.ok(stamps.every((stamp) => stamp < after));
}

async function keysBelow(store: Store, prefix: StoreKey): Promise<StoreKey[]> {
  const keys: StoreKey[] = [];
  for await (const { key } of store.list({ prefix })) keys.push(key);
  return keys;
}
