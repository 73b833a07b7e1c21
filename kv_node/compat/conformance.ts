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
  { name: "reads one key several times in one reading, and no key at all", run: readsAgain },
  { name: "keeps what it was given, whatever becomes of that later", run: copies },
  { name: "commits only if its checks hold", run: checks },
  {
    name: "makes the changes of a commit in their order, or none, and commits of nothing",
    run: ordersChanges,
  },
  { name: "lets one of many concurrent checks win", run: concurrentChecks },
  { name: "adds up concurrent sums", run: sums },
  { name: "keeps keys in the order of their types and values", run: orders },
  { name: "lists ranges, backwards, in pieces and from a cursor", run: lists },
  { name: "goes on from a cursor backwards, in other pieces and after changes", run: resumes },
  { name: "refuses lists and checks that make no sense", run: refusesNonsense },
  { name: "keeps what has not expired and refuses to expire in the past", run: expires },
  { name: "tells a watcher the value now and after a change", run: watches },
  { name: "serves watchers of the same keys apart from one another", run: watchesApart },
  { name: "takes values of 64 KiB and no more", run: limitsValues },
  { name: "takes keys of 2 KiB and no more", run: limitsKeys },
  { name: "takes commits of 800 KiB and of 1,000 mutations and no more", run: limitsCommits },
  {
    name: "takes 100 checks, watches of 10 keys and batches of 1,000 and no more",
    run: limitsCounts,
  },
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

async function readsAgain(store: Store): Promise<void> {
  const { versionstamp } = await store.set(["a"], 1);
  const entries = await store.getMany([["a"], ["b"], ["a"]]);
  assert.deepEqual(entries, [
    { key: ["a"], value: 1, versionstamp },
    { key: ["b"], value: null, versionstamp: null },
    { key: ["a"], value: 1, versionstamp },
  ]);
  assert.deepEqual(await store.getMany([]), []);
  assert.equal((await store.get([])).versionstamp, null);
}

async function copies(store: Store): Promise<void> {
  // Bytes are another matter: the runtime's own store reads them at the commit.
  const list = [1];
  const atomic = store.atomic().set(["list"], list);
  const single = store.set(["single"], list);
  list.push(2);
  await single;
  await atomic.commit();
  assert.deepEqual((await store.get(["single"])).value, [1]);
  assert.deepEqual((await store.get(["list"])).value, [1]);

  await store.set(["bytes"], new Uint8Array([1, 2, 3]));
  const given = (await store.get(["bytes"])).value;
  assert.ok(given instanceof Uint8Array);
  given.fill(9);
  assert.deepEqual((await store.get(["bytes"])).value, new Uint8Array([1, 2, 3]));
}

async function ordersChanges(store: Store): Promise<void> {
  const first = await store.atomic().set(["a"], 1).set(["a"], 2).delete(["b"]).set(["b"], 3)
    .set(["c"], 4).delete(["c"]).commit();
  assert.ok(first.ok);
  const entries = await store.getMany([["a"], ["b"], ["c"]]);
  assert.deepEqual(entries.map(({ value }) => value), [2, 3, null]);

  assert.ok((await store.atomic().sum(["count"], 2n).sum(["count"], 3n).commit()).ok);
  assert.equal(countIn((await store.get(["count"])).value), 5n);

  const nothing = await store.atomic().commit();
  assert.ok(nothing.ok);
  const { versionstamp } = await store.get(["a"]);
  const holds = { key: ["a"], versionstamp };
  assert.ok((await store.atomic().check(holds).commit()).ok);
  const fails = { key: ["b"], versionstamp: null };
  assert.equal((await store.atomic().check(holds, fails).set(["a"], 9).commit()).ok, false);
  assert.equal((await store.atomic().check(holds).check(fails).delete(["a"]).commit()).ok, false);
  assert.equal((await store.get(["a"])).versionstamp, versionstamp);
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
  // A TypeError, but for the runtime's client of a server, which has one class for all refusals.
  await assert.rejects(async () => await store.atomic().sum(["text"], 1n).commit());
  assert.equal((await store.get(["text"])).value, "no count");
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

async function resumes(store: Store): Promise<void> {
  for (let i = 0; i < 10; i++) await store.set(["l", i], i);
  const first = store.list({ prefix: ["l"] }, { limit: 4, reverse: true, batchSize: 3 });
  const given: unknown[] = [];
  for await (const { value } of first) given.push(value);
  assert.deepEqual(given, [9, 8, 7, 6]);

  // What the cursor stands on may go, and what lies before it may come.
  await store.delete(["l", 6]);
  await store.set(["l", 9.5], "late");
  await store.set(["l", 4.5], 4.5);
  const { cursor } = first;
  const rest = { reverse: true, cursor, batchSize: 2 };
  assert.deepEqual(await partsOf(store, { prefix: ["l"] }, rest), [5, 4.5, 4, 3, 2, 1, 0]);

  const one = store.list({ start: ["l", 2], end: ["l", 5] }, { batchSize: 1 });
  await one.next();
  const forwards = { cursor: one.cursor };
  assert.deepEqual(
    await partsOf(store, { start: ["l", 2], end: ["l", 5] }, forwards),
    [3, 4, 4.5],
  );

  // Leaving a list early ends it.
  const left = store.list({ prefix: ["l"] });
  for await (const _ of left) break;
  for await (const _ of store.list({ prefix: ["l"] }, { limit: 1 }));
}

async function refusesNonsense(store: Store): Promise<void> {
  await store.set(["a", 1], 1);
  const read = (selector: StoreSelector, options?: StoreListOptions) =>
    assert.rejects(async () => await partsOf(store, selector, options));
  await read({ start: ["b"], end: ["a"] });
  await read({ prefix: ["a"], start: ["b", 1] });
  await read({ prefix: ["a"], end: ["a"] });
  await read({ prefix: ["a"] }, { batchSize: 0 });
  await read({ prefix: ["a"] }, { limit: -1 });
  await read({ prefix: ["a"] }, { cursor: "no cursor" });
  const check = { key: ["a", 1], versionstamp: "short" };
  await assert.rejects(async () => await store.atomic().check(check).commit(), TypeError);
  await assert.rejects(async () => await store.set(["a", Symbol("part")], 1), TypeError);
  await assert.rejects(async () => await store.set(["a"], () => 1));
  await assert.rejects(async () => await store.atomic().sum(["n"], -1n).commit());
  await assert.rejects(async () => await store.atomic().set([], 1).commit(), TypeError);
  await assert.rejects(async () => await store.delete([]), TypeError);
  assert.deepEqual(await partsOf(store, { prefix: ["a"] }), [1]);
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

async function watchesApart(store: Store): Promise<void> {
  const one = store.watch([["a"]]).getReader();
  const other = store.watch([["b"], ["a"]]).getReader();
  const next = async (reader: typeof one): Promise<unknown> => {
    const { value } = await reader.read();
    return value?.map((entry) => entry.value);
  };
  assert.deepEqual(await next(one), [null]);
  assert.deepEqual(await next(other), [null, null]);
  await store.set(["a"], 1);
  assert.deepEqual(await next(one), [1]);
  assert.deepEqual(await next(other), [null, 1]);
  await one.cancel();
  await store.set(["b"], 2);
  assert.deepEqual(await next(other), [2, 1]);
  assert.equal((await one.read()).done, true);
  const { versionstamp } = await store.get(["b"]);
  const again = store.watch([["b"]]).getReader();
  assert.deepEqual((await again.read()).value, [{ key: ["b"], value: 2, versionstamp }]);
  await again.cancel();
  await other.cancel();
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

async function limitsCounts(store: Store): Promise<void> {
  const commit = (count: number) => {
    const atomic = store.atomic().set(["done", count], 1);
    for (let i = 0; i < count; i++) atomic.check({ key: ["c", i], versionstamp: null });
    return atomic.commit();
  };
  assert.ok((await commit(100)).ok);
  await assert.rejects(async () => await commit(101), TypeError);

  const keys = Array.from({ length: 11 }, (_, i) => ["w", i]);
  const reader = store.watch(keys.slice(1)).getReader();
  assert.equal((await reader.read()).value?.length, 10);
  await reader.cancel();
  await assert.rejects(async () => await store.watch(keys).getReader().read(), TypeError);

  assert.deepEqual(await partsOf(store, { prefix: ["done"] }, { batchSize: 1_000 }), [100]);
  const tooMany = { batchSize: 1_001 };
  await assert.rejects(
    async () => await partsOf(store, { prefix: ["done"] }, tooMany),
    TypeError,
  );
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
  await assert.rejects(async () => await store.set(["a"], 1));
  await assert.rejects(async () => await store.atomic().set(["a"], 1).commit());
  await assert.rejects(async () => await store.list({ prefix: [] }).next());
  await assert.rejects(async () => await store.watch([["a"]]).getReader().read());
}
