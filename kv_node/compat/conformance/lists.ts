/**
 * Lists: what a selector selects, in which order, in which pieces.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ConformanceCase } from "../conformance.ts";
import type { Store, StoreKey, StoreListOptions, StoreSelector } from "../store.ts";
import { fails, refuses } from "./refusal.ts";

/** Cases about lists. */
export const LIST_CASES: readonly ConformanceCase[] = [
  { name: "lists below a prefix and not the prefix itself", run: prefixes },
  { name: "lists from a start and up to an end, both ways", run: bounds },
  { name: "lists ranges across prefixes, both ways", run: ranges },
  { name: "lists all there is below the empty prefix", run: lists },
  { name: "lists as many as the limit, in batches of any size", run: batches },
  { name: "goes on behind a cursor, both ways", run: cursors },
  { name: "gives cursors that every store reads alike", run: sameCursors },
  { name: "refuses selectors that make no sense", run: refusesSelectors },
  { name: "refuses limits and batch sizes that make no sense", run: refusesOptions },
  { name: "refuses cursors that are none", run: refusesCursors },
  { name: "lists what is there when a batch is fetched", run: changesMeanwhile },
  { name: "gives whole entries, and ends for good", run: entries },
  { name: "lets a list be left half way", run: leaves },
];

const LETTERS = ["a", "b", "c", "d", "e"];

async function fill(store: Store): Promise<string> {
  const atomic = store.atomic().set(["a"], "a").set(["b"], "b").set(["b", "a"], "b.a");
  for (const letter of LETTERS) atomic.set(["a", letter], `a.${letter}`);
  const commit = await atomic.commit();
  assert.ok(commit.ok);
  return commit.versionstamp;
}

async function prefixes(store: Store): Promise<void> {
  await fill(store);
  await store.set(["a", "c", 1], "a.c.1");
  await store.set(["aa", "a"], "aa.a");
  const below = ["a.a", "a.b", "a.c", "a.c.1", "a.d", "a.e"];
  assert.deepEqual(await valuesOf(store, { prefix: ["a"] }), below);
  assert.deepEqual(await valuesOf(store, { prefix: ["a"] }, BACKWARDS), below.toReversed());
  assert.deepEqual(await valuesOf(store, { prefix: ["a", "c"] }), ["a.c.1"]);
  assert.deepEqual(await valuesOf(store, { prefix: ["a", "a"] }), []);
  assert.deepEqual(await valuesOf(store, { prefix: ["none"] }), []);
  assert.deepEqual(await valuesOf(store, { prefix: ["none"] }, BACKWARDS), []);
}

async function bounds(store: Store): Promise<void> {
  await fill(store);
  const prefix = ["a"];
  const cases: readonly (readonly [StoreSelector, readonly string[]])[] = [
    [{ prefix, start: ["a", "c"] }, ["a.c", "a.d", "a.e"]],
    [{ prefix, start: ["a", "bb"] }, ["a.c", "a.d", "a.e"]],
    [{ prefix, start: ["a", "f"] }, []],
    [{ prefix, end: ["a", "c"] }, ["a.a", "a.b"]],
    [{ prefix, end: ["a", "a"] }, []],
    [{ prefix, end: ["a", true] }, LETTERS.map((letter) => `a.${letter}`)],
  ];
  for (const [selector, values] of cases) {
    assert.deepEqual(await valuesOf(store, selector), values);
    assert.deepEqual(await valuesOf(store, selector, BACKWARDS), values.toReversed());
    const two = await valuesOf(store, selector, { limit: 2, ...BACKWARDS });
    assert.deepEqual(two, values.toReversed().slice(0, 2));
  }
}

async function ranges(store: Store): Promise<void> {
  await fill(store);
  const cases: readonly (readonly [StoreKey, StoreKey, readonly string[]])[] = [
    [["a"], ["a", "c"], ["a", "a.a", "a.b"]],
    [["a", "d"], ["b", "a"], ["a.d", "a.e", "b"]],
    [["a", "b"], ["a", "d"], ["a.b", "a.c"]],
    [["a"], ["a"], []],
    [["x"], ["y"], []],
    [[new Uint8Array()], ["a", "a"], ["a"]],
    [["b"], [true], ["b", "b.a"]],
  ];
  for (const [start, end, values] of cases) {
    assert.deepEqual(await valuesOf(store, { start, end }), values);
    assert.deepEqual(await valuesOf(store, { start, end }, BACKWARDS), values.toReversed());
  }
}

async function lists(store: Store): Promise<void> {
  assert.deepEqual(await valuesOf(store, { prefix: [] }), []);
  await fill(store);
  const all = ["a", "a.a", "a.b", "a.c", "a.d", "a.e", "b", "b.a"];
  assert.deepEqual(await valuesOf(store, { prefix: [] }), all);
  assert.deepEqual(await valuesOf(store, { prefix: [] }, BACKWARDS), all.toReversed());
  const from = { prefix: [], start: ["a", "d"] };
  assert.deepEqual(await valuesOf(store, from), ["a.d", "a.e", "b", "b.a"]);
}

async function batches(store: Store): Promise<void> {
  const atomic = store.atomic();
  for (let i = 0; i < 240; i++) atomic.set(["n", i], i);
  await atomic.commit();
  const all = Array.from({ length: 240 }, (_, i) => i);
  const selector = { prefix: ["n"] };
  for (const batchSize of [undefined, 240, 80, 79]) {
    for (const limit of [undefined, 80, 240, 1_001]) {
      for (const reverse of [false, true]) {
        const options: StoreListOptions = {
          ...(batchSize === undefined ? {} : { batchSize }),
          ...(limit === undefined ? {} : { limit }),
          reverse,
        };
        const ordered = reverse ? all.toReversed() : all;
        assert.deepEqual(await valuesOf(store, selector, options), ordered.slice(0, limit));
      }
    }
  }
  assert.deepEqual(await valuesOf(store, selector, { batchSize: 1, limit: 3 }), [0, 1, 2]);
}

async function cursors(store: Store): Promise<void> {
  await fill(store);
  const selectors: readonly StoreSelector[] = [
    { prefix: ["a"] },
    { prefix: [] },
    { prefix: ["a"], start: ["a", "b"] },
    { prefix: ["a"], end: ["a", "d"] },
    { start: ["a", "b"], end: ["z"] },
  ];
  for (const selector of selectors) {
    for (const reverse of [false, true]) {
      const all = await valuesOf(store, selector, { reverse });
      for (let count = 1; count < all.length; count++) {
        const part = store.list(selector, { limit: count, reverse });
        const values: unknown[] = [];
        for await (const { value } of part) values.push(value);
        const rest = await valuesOf(store, selector, { cursor: part.cursor, reverse });
        assert.deepEqual([...values, ...rest], all);
        assert.equal(values.length, count);
      }
    }
  }
  // It holds where its entry is gone meanwhile, and where others came.
  const list = store.list({ prefix: ["a"] }, { limit: 2 });
  for await (const _ of list);
  await store.atomic().delete(["a", "b"]).set(["a", "aa"], "new").set(["a", "bb"], "newer")
    .commit();
  const rest = await valuesOf(store, { prefix: ["a"] }, { cursor: list.cursor });
  assert.deepEqual(rest, ["newer", "a.c", "a.d", "a.e"]);
}

async function sameCursors(store: Store): Promise<void> {
  await fill(store);
  const behind = async (options: StoreListOptions): Promise<string> => {
    const list = store.list({ prefix: ["a"] }, options);
    for await (const _ of list);
    return list.cursor;
  };
  // Base64 of the key behind the prefix: a text part, and the zero that ends it.
  assert.equal(await behind({ limit: 2 }), "AmIA");
  assert.equal(await behind({ limit: 2, reverse: true }), "AmQA");
}

async function refusesSelectors(store: Store): Promise<void> {
  await fill(store);
  const outside = /Start key is not in the keyspace defined by prefix/;
  const endOutside = /End key is not in the keyspace defined by prefix/;
  const refused = (selector: unknown, words?: RegExp): Promise<void> =>
    refuses(() => valuesOf(store, selector as StoreSelector), words);
  await refused({ prefix: ["a"], start: ["a"] }, outside);
  await refused({ prefix: ["b"], start: ["a"] }, outside);
  await refused({ prefix: ["a"], start: ["aa"] }, outside);
  await refused({ prefix: ["a"], end: ["a"] }, endOutside);
  await refused({ prefix: ["a"], end: ["b"] }, endOutside);
  await refused({ start: ["b"], end: ["a"] }, /Start key is greater than end key/);
  await refused({ prefix: ["a"], start: ["a", "b"], end: ["a", "c"] });
  await refused({ start: ["a"] });
  await refused({ end: ["a"] });
  await refused({});
}

async function refusesOptions(store: Store): Promise<void> {
  await fill(store);
  const listed = (options: StoreListOptions): Promise<unknown> =>
    valuesOf(store, { prefix: ["a"] }, options);
  for (const limit of [0, -1, 0.5, 2.3]) {
    await fails(() => listed({ limit }), /Limit must be a positive integer/);
  }
  for (const batchSize of [0, -1, 2.3]) {
    await fails(() => listed({ batchSize }), /batchSize must be a positive integer/);
  }
  await refuses(() => listed({ batchSize: 1_001 }), /Too many entries \(max 1000\)/);
  assert.equal((await valuesOf(store, { prefix: ["a"] }, { batchSize: 1_000 })).length, 5);
}

async function refusesCursors(store: Store): Promise<void> {
  await fill(store);
  for (const cursor of [".", "!!!!"]) {
    await fails(() => valuesOf(store, { prefix: ["a"] }, { cursor }));
  }
}

async function changesMeanwhile(store: Store): Promise<void> {
  await fill(store);
  const values: unknown[] = [];
  for await (const { value } of store.list({ prefix: ["a"] }, { batchSize: 1 })) {
    values.push(value);
    if (value === "a.b") {
      await store.atomic().delete(["a", "c"]).set(["a", "a"], "late").set(["a", "dd"], "new")
        .commit();
    }
  }
  assert.deepEqual(values, ["a.a", "a.b", "a.d", "new", "a.e"]);
}

async function entries(store: Store): Promise<void> {
  const versionstamp = await fill(store);
  const list = store.list({ prefix: ["b"] });
  assert.deepEqual(await list.next(), {
    done: false,
    value: { key: ["b", "a"], value: "b.a", versionstamp },
  });
  for (let i = 0; i < 3; i++) assert.equal((await list.next()).done, true);
}

async function leaves(store: Store): Promise<void> {
  await fill(store);
  for await (const { value } of store.list({ prefix: ["a"] }, { batchSize: 2 })) {
    if (value === "a.c") break;
  }
  const list = store.list({ prefix: ["a"] }, { batchSize: 1 });
  await list.next();
  await store.set(["a", "b"], "still taken");
  assert.equal((await list.next()).value?.value, "still taken");
}

const BACKWARDS = { reverse: true } as const;

async function valuesOf(
  store: Store,
  selector: StoreSelector,
  options: StoreListOptions = {},
): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const { value } of store.list(selector, options)) values.push(value);
  return values;
}
