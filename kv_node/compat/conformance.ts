/**
 * What every store has to do: cases that are run against each kind of it.
 *
 *     for (const { name, run } of CONFORMANCE) {
 *       Deno.test(`mine ${name}`, async () => {
 *         using store = await openMine();
 *         await run(store);
 *       });
 *     }
 *
 * Every case starts with an empty store and throws an assertion error if it is
 * not kept to.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Store, StoreKey, StoreListOptions, StoreSelector } from "./store.ts";

/** One case. */
export interface ConformanceCase {
  /** What a store does, to be read after its name. */
  readonly name: string;
  /** Checks it, on an empty store. */
  run(store: Store): Promise<void>;
}

/** All cases. */
export const CONFORMANCE: readonly ConformanceCase[] = [
  { name: "gives back every kind of value", run: givesBackValues },
  { name: "gives each commit a larger versionstamp", run: stampsRise },
  { name: "reads ten keys together and refuses eleven", run: readsMany },
  { name: "commits only if its checks hold", run: checks },
  { name: "lets one of many concurrent checks win", run: concurrentChecks },
  { name: "adds up concurrent sums", run: sums },
  { name: "keeps keys in the order of their types and values", run: orders },
  { name: "lists ranges, backwards, in pieces and from a cursor", run: lists },
  { name: "keeps what has not expired and refuses to expire in the past", run: expires },
  { name: "tells a watcher the value now and after a change", run: watches },
  { name: "takes values of 64 KiB and no more", run: limitsValues },
  { name: "takes keys of 2 KiB and no more", run: limitsKeys },
  { name: "takes commits of 800 KiB and of 1,000 mutations and no more", run: limitsCommits },
  { name: "ends its watches when closed, and answers nothing more", run: closes },
];

async function givesBackValues(store: Store): Promise<void> {
  const values = [
    null,
    true,
    -1.5,
    "grüße 👋",
    "\ud800 lone",
    12345678901234567890n,
    new Uint8Array([0, 255, 7]),
    [1, [2], { three: 3 }],
    new Map([["a", new Set([1])]]),
    new Date(86_400_000),
  ];
  for (const [i, value] of values.entries()) await store.set(["value", i], value);
  for (const [i, value] of values.entries()) {
    const entry = await store.get(["value", i]);
    assert.deepEqual(entry.value, value);
    assert.deepEqual(entry.key, ["value", i]);
  }
  assert.deepEqual(await store.get(["value", 99]), {
    key: ["value", 99],
    value: null,
    versionstamp: null,
  });
  await store.delete(["value", 1]);
  assert.equal((await store.get(["value", 1])).versionstamp, null);
  await store.delete(["value", 1]);
}

async function stampsRise(store: Store): Promise<void> {
  const stamps: string[] = [];
  for (let i = 0; i < 20; i++) stamps.push((await store.set(["k", i % 3], i)).versionstamp);
  assert.deepEqual(stamps, [...new Set(stamps)].sort());
  assert.match(stamps[0] ?? "", /^[0-9a-f]{20}$/);
  assert.equal((await store.get(["k", 1])).versionstamp, stamps[19]);

  const commit = await store.atomic().set(["a"], 1).set(["b"], 2).commit();
  assert.ok(commit.ok);
  const [a, b] = await store.getMany([["a"], ["b"]]);
  assert.equal(a?.versionstamp, commit.versionstamp);
  assert.equal(b?.versionstamp, commit.versionstamp);
}

async function readsMany(store: Store): Promise<void> {
  const keys = Array.from({ length: 10 }, (_, i) => ["many", i]);
  for (const key of keys.slice(0, 9)) await store.set(key, key[1]);
  const entries = await store.getMany(keys);
  assert.deepEqual(entries.map((entry) => entry.value), [0, 1, 2, 3, 4, 5, 6, 7, 8, null]);
  await assert.rejects(async () => await store.getMany([...keys, ["many", 10]]), TypeError);
}

async function checks(store: Store): Promise<void> {
  const absent = { key: ["k"], versionstamp: null };
  const first = await store.atomic().check(absent).set(["k"], 1).commit();
  assert.ok(first.ok);
  const again = await store.atomic().check(absent).set(["k"], 2).set(["other"], 2).commit();
  assert.equal(again.ok, false);
  assert.equal((await store.get(["k"])).value, 1);
  assert.equal((await store.get(["other"])).versionstamp, null);

  const present = { key: ["k"], versionstamp: first.versionstamp };
  assert.ok((await store.atomic().check(present).delete(["k"]).commit()).ok);
  assert.equal((await store.atomic().check(present).set(["k"], 3).commit()).ok, false);
}

async function concurrentChecks(store: Store): Promise<void> {
  const tries = Array.from(
    { length: 20 },
    (_, i) => store.atomic().check({ key: ["lock"], versionstamp: null }).set(["lock"], i).commit(),
  );
  const winners = (await Promise.all(tries)).flatMap((commit, i) => commit.ok ? [i] : []);
  assert.equal(winners.length, 1);
  assert.equal((await store.get(["lock"])).value, winners[0]);

  await Promise.all(Array.from({ length: 4 }, () => countTo(store, ["count"], 10)));
  assert.equal((await store.get(["count"])).value, 40);
}

async function countTo(store: Store, key: StoreKey, n: number): Promise<void> {
  for (let done = 0; done < n;) {
    const { value, versionstamp } = await store.get(key);
    const next = (typeof value === "number" ? value : 0) + 1;
    if ((await store.atomic().check({ key, versionstamp }).set(key, next).commit()).ok) done++;
  }
}

async function sums(store: Store): Promise<void> {
  await Promise.all(
    Array.from({ length: 20 }, () => store.atomic().sum(["sum"], 3n).commit()),
  );
  assert.equal(countIn((await store.get(["sum"])).value), 60n);
  await store.atomic().sum(["sum"], 2n ** 64n - 1n).commit();
  assert.equal(countIn((await store.get(["sum"])).value), 59n);

  await store.set(["text"], "no count");
  await assert.rejects(async () => await store.atomic().sum(["text"], 1n).commit(), TypeError);
}

function countIn(value: unknown): unknown {
  return typeof value === "object" && value !== null && "value" in value ? value.value : value;
}

async function orders(store: Store): Promise<void> {
  const parts = [
    new Uint8Array([0]),
    new Uint8Array([1, 0]),
    "",
    "a",
    "a\0",
    "ä",
    -300n,
    -1n,
    0n,
    255n,
    256n,
    -1e300,
    -1,
    0,
    0.5,
    2,
    10,
    false,
    true,
  ];
  for (const part of parts.toReversed()) await store.set(["o", part], 0);
  assert.deepEqual(await partsOf(store, { prefix: ["o"] }), parts);
  await store.set(["o"], "not below itself");
  assert.equal((await partsOf(store, { prefix: ["o"] })).length, parts.length);
}

async function lists(store: Store): Promise<void> {
  for (let i = 0; i < 25; i++) await store.set(["l", i], i);
  await store.set(["m", 0], "another prefix");
  const all = Array.from({ length: 25 }, (_, i) => i);
  const from = (selector: StoreSelector, options?: StoreListOptions) =>
    partsOf(store, selector, options);

  assert.deepEqual(await from({ prefix: ["l"] }), all);
  assert.deepEqual(await from({ prefix: ["l"] }, { batchSize: 4 }), all);
  assert.deepEqual(await from({ prefix: ["l"] }, { batchSize: 500 }), all);
  assert.deepEqual(await from({ prefix: ["l"] }, { reverse: true }), all.toReversed());
  assert.deepEqual(await from({ prefix: ["l"], start: ["l", 20] }), all.slice(20));
  assert.deepEqual(await from({ prefix: ["l"], end: ["l", 3] }), [0, 1, 2]);
  assert.deepEqual(await from({ start: ["l", 5], end: ["l", 8] }), [5, 6, 7]);
  assert.deepEqual(
    await from({ start: ["l", 5], end: ["l", 20] }, { limit: 2, reverse: true }),
    [19, 18],
  );
  assert.deepEqual(await from({ prefix: ["none"] }), []);

  const pages: unknown[] = [];
  let cursor = "";
  do {
    const page = store.list({ prefix: ["l"] }, { limit: 7, ...(cursor === "" ? {} : { cursor }) });
    for await (const entry of page) pages.push(entry.value);
    cursor = page.cursor;
  } while (cursor !== "" && pages.length <= all.length);
  assert.deepEqual(pages, all);
}

async function partsOf(
  store: Store,
  selector: StoreSelector,
  options: StoreListOptions = {},
): Promise<unknown[]> {
  const parts: unknown[] = [];
  for await (const { key } of store.list(selector, options)) parts.push(key[1]);
  return parts;
}

// How soon an expired value goes differs from store to store: up to a minute with SQLite.
async function expires(store: Store): Promise<void> {
  await store.set(["long"], 1, { expireIn: 3_600_000 });
  await store.atomic().set(["atomic"], 1, { expireIn: 3_600_000 }).commit();
  assert.equal((await store.get(["long"])).value, 1);
  assert.equal((await store.get(["atomic"])).value, 1);
  await assert.rejects(async () => await store.set(["k"], 1, { expireIn: -1 }), TypeError);
}

async function watches(store: Store): Promise<void> {
  await store.set(["a"], "before");
  const reader = store.watch([["a"], ["b"]]).getReader();
  const next = async (): Promise<unknown[]> => {
    const { value } = await reader.read();
    return (value ?? []).map((entry) => entry.value);
  };
  assert.deepEqual(await next(), ["before", null]);
  await store.set(["b"], 1);
  assert.deepEqual(await next(), ["before", 1]);
  await store.set(["c"], "nobody watches it");
  await store.atomic().delete(["a"]).set(["b"], 2).commit();
  assert.deepEqual(await next(), [null, 2]);

  // Values in between may be left out, the last one may not.
  for (let i = 0; i <= 50; i++) await store.set(["b"], i);
  let last: unknown = null;
  while (last !== 50) last = (await next())[1];
  await reader.cancel();
}

async function limitsValues(store: Store): Promise<void> {
  const largest = new Uint8Array(65_536).fill(7);
  await store.set(["v"], largest);
  assert.deepEqual((await store.get(["v"])).value, largest);
  await assert.rejects(async () => await store.set(["v"], new Uint8Array(65_537)), TypeError);
  assert.deepEqual((await store.get(["v"])).value, largest);
}

async function limitsKeys(store: Store): Promise<void> {
  // A string costs its bytes and two marks.
  const longest = ["k".repeat(2_046)];
  await store.set(longest, 1);
  assert.equal((await store.get(longest)).value, 1);
  await assert.rejects(async () => await store.set(["k".repeat(2_047)], 1), TypeError);
  await assert.rejects(async () => await store.set([], 1), TypeError);
}

async function limitsCommits(store: Store): Promise<void> {
  const part = new Uint8Array(65_000);
  const commit = (count: number, value: unknown) => {
    const atomic = store.atomic();
    for (let i = 0; i < count; i++) atomic.set(["c", i], value);
    return atomic.commit();
  };
  assert.ok((await commit(12, part)).ok);
  await assert.rejects(async () => await commit(13, part), TypeError);
  assert.ok((await commit(1_000, 1)).ok);
  await assert.rejects(async () => await commit(1_001, 2), TypeError);
  assert.equal((await store.get(["c", 0])).value, 1);
}

async function closes(store: Store): Promise<void> {
  const reader = store.watch([["a"]]).getReader();
  await reader.read();
  const end = reader.read();
  store.close();
  // It ends, or says that it was broken off.
  const ended = await end.then(({ done }) => done, (error: unknown) => error instanceof Error);
  assert.equal(ended, true);
  await assert.rejects(async () => await store.get(["a"]));
}
