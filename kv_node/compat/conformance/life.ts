/**
 * What goes on in time: expiry, watches, the end.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ConformanceCase } from "../conformance.ts";
import type { Store, StoreEntryMaybe, StoreKey } from "../store.ts";
import { fails, refuses } from "./refusal.ts";

/** Cases about time. */
export const LIFE_CASES: readonly ConformanceCase[] = [
  { name: "refuses times to live that are none", run: refusesExpiry },
  { name: "tells a watcher whole entries, of what is there first", run: tellsEntries },
  { name: "never tells a watcher half a commit", run: tellsWhole },
  { name: "tells a watcher of keys written and deleted under it", run: tellsDeleted },
  { name: "tells each of several watchers", run: tellsSeveral },
  { name: "tells no more once a watch is cancelled", run: cancels },
  { name: "refuses to watch what is no key", run: refusesWatches },
  { name: "refuses everything once closed", run: refusesAll },
];

async function refusesExpiry(store: Store): Promise<void> {
  const words = /expireIn must be a non-negative integer/;
  for (const expireIn of [-1, 1.5, NaN, Infinity]) {
    await refuses(() => store.set(["a"], 1, { expireIn }), words);
    await refuses(async () => await store.atomic().set(["a"], 1, { expireIn }).commit(), words);
  }
  const farthest = { expireIn: Number.MAX_SAFE_INTEGER };
  await refuses(() => store.set(["a"], 1, farthest), /expireIn is too large/);
  await refuses(async () => {
    await store.atomic().set(["a"], 1, farthest).commit();
  }, /expireIn is too large/);
  assert.equal((await store.get(["a"])).versionstamp, null);
  await store.set(["a"], 1, { expireIn: 100 * 365 * 86_400_000 });
  assert.equal((await store.get(["a"])).value, 1);
}

async function tellsEntries(store: Store): Promise<void> {
  const { versionstamp } = await store.set(["a"], { now: 1 });
  const reader = store.watch([["a"], ["b", 1]]).getReader();
  assert.deepEqual((await reader.read()).value, [
    { key: ["a"], value: { now: 1 }, versionstamp },
    { key: ["b", 1], value: null, versionstamp: null },
  ]);
  const later = await store.set(["b", 1], 2n);
  assert.deepEqual((await reader.read()).value, [
    { key: ["a"], value: { now: 1 }, versionstamp },
    { key: ["b", 1], value: 2n, versionstamp: later.versionstamp },
  ]);
  // The same value again is a change.
  const again = await store.set(["b", 1], 2n);
  assert.equal((await reader.read()).value?.[1]?.versionstamp, again.versionstamp);
  await reader.cancel();
}

async function tellsWhole(store: Store): Promise<void> {
  const keys: readonly StoreKey[] = [["a"], ["b"]];
  const last = 40;
  const reader = store.watch(keys).getReader();
  const watching = (async (): Promise<void> => {
    for (let before = -1; before < last;) {
      const [a, b] = (await reader.read()).value ?? [];
      assert.deepEqual([a?.value, a?.versionstamp], [b?.value, b?.versionstamp]);
      const value = Number(a?.value ?? -1);
      assert.ok(value >= before, "A watcher was told of an earlier commit after a later one");
      before = value;
    }
  })();
  for (let n = 0; n <= last; n++) await store.atomic().set(["a"], n).set(["b"], n).commit();
  await watching;
  await reader.cancel();
}

async function tellsDeleted(store: Store): Promise<void> {
  await store.set(["a"], 1);
  const reader = store.watch([["a"], ["a"]]).getReader();
  assert.deepEqual(await told(reader), [1, 1]);
  await store.delete(["a"]);
  assert.deepEqual(await told(reader), [null, null]);
  await store.atomic().sum(["a"], 3n).commit();
  const entries = (await reader.read()).value ?? [];
  assert.ok(entries.every(({ value }) => value instanceof Deno.KvU64 && value.value === 3n));
  await reader.cancel();
}

async function tellsSeveral(store: Store): Promise<void> {
  const readers = [[["a"]], [["a"], ["b"]], [["b"]]].map((keys) => store.watch(keys).getReader());
  const [a, both, b] = readers;
  assert.ok(a !== undefined && both !== undefined && b !== undefined);
  assert.deepEqual(await Promise.all(readers.map(told)), [[null], [null, null], [null]]);
  await store.set(["a"], 1);
  assert.deepEqual([await told(a), await told(both)], [[1], [1, null]]);
  await a.cancel();
  await store.set(["b"], 2);
  assert.deepEqual([await told(both), await told(b)], [[1, 2], [2]]);
  for (const reader of readers) await reader.cancel();
}

async function cancels(store: Store): Promise<void> {
  const reader = store.watch([["a"]]).getReader();
  assert.deepEqual(await told(reader), [null]);
  const pending = reader.read();
  await reader.cancel();
  assert.equal((await pending).done, true);
  await store.set(["a"], 1);
  assert.equal((await reader.read()).done, true);
  // Others are not disturbed.
  const other = store.watch([["a"]]).getReader();
  assert.deepEqual(await told(other), [1]);
  await other.cancel();
}

async function refusesWatches(store: Store): Promise<void> {
  for (const part of [null, {}, undefined]) {
    const key = [part] as unknown as StoreKey;
    await fails(async () => await store.watch([key]).getReader().read());
  }
}

async function refusesAll(store: Store): Promise<void> {
  await store.set(["a"], 1);
  const begun = store.atomic().set(["a"], 2);
  store.close();
  await fails(() => store.get(["a"]));
  await fails(() => store.getMany([["a"]]));
  await fails(() => store.set(["a"], 2));
  await fails(() => store.delete(["a"]));
  await fails(() => store.list({ prefix: [] }).next());
  await fails(async () => await begun.commit());
  await fails(async () => await store.atomic().set(["a"], 2).commit());
  // What `using` does once more is no mistake.
  store[Symbol.dispose]();
}

async function told(
  reader: ReadableStreamDefaultReader<readonly StoreEntryMaybe[]>,
): Promise<unknown[]> {
  const { value } = await reader.read();
  return (value ?? []).map((entry) => entry.value);
}
