/**
 * Limits, each with what just passes and the words in which one more is refused.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ConformanceCase } from "../conformance.ts";
import type { Store } from "../store.ts";
import { refuses } from "./refusal.ts";

/** Cases about limits. */
export const LIMIT_CASES: readonly ConformanceCase[] = [
  { name: "limits keys of writes and reads, in bytes as written", run: limitsKeys },
  { name: "limits values, in bytes as written", run: limitsValues },
  { name: "limits keys of a read and of a watch", run: limitsReads },
  { name: "limits checks and changes of a commit", run: limitsParts },
  { name: "limits bytes of a commit and of its keys", run: limitsBytes },
];

async function limitsKeys(store: Store): Promise<void> {
  const longest = [new Uint8Array(2_046).fill(1)];
  const longer = [new Uint8Array(2_047).fill(1)];
  const longerStill = [new Uint8Array(2_048).fill(1)];
  const { versionstamp } = await store.set(longest, 1);
  assert.deepEqual(await store.get(longest), { key: longest, value: 1, versionstamp });
  const write = /Key too large for write \(max 2048 bytes\)/;
  await refuses(() => store.set(longer, 1), write);
  await refuses(() => store.delete(longer), write);
  await refuses(async () => await store.atomic().sum(longer, 1n).commit(), write);
  await refuses(async () => {
    await store.atomic().check({ key: longer, versionstamp: null }).commit();
  }, write);
  const read = /Key too large for read \(max 2049 bytes\)/;
  await refuses(() => store.get(longerStill), read);
  await refuses(() => store.getMany([["a"], longerStill]), read);
  // A zero inside is written as two bytes.
  await store.set([new Uint8Array(1_023)], 1);
  await refuses(() => store.set([new Uint8Array(1_024)], 1), write);
  await store.set(["é".repeat(1_023)], 1);
  await refuses(() => store.set(["é".repeat(1_024)], 1), write);
}

async function limitsValues(store: Store): Promise<void> {
  const words = /Value too large \(max 65536 bytes\)/;
  await store.set(["bytes"], new Uint8Array(65_536));
  await refuses(() => store.set(["more"], new Uint8Array(65_537)), words);
  await refuses(async () => {
    await store.atomic().set(["less"], 1).set(["more"], new Uint8Array(65_537)).commit();
  }, words);
  // A text has a few bytes around it; beyond Latin-1 a letter has two.
  await store.set(["text"], "x".repeat(65_500));
  await refuses(() => store.set(["more"], "x".repeat(65_537)), words);
  await store.set(["wide"], "ж".repeat(32_700));
  await refuses(() => store.set(["more"], "ж".repeat(32_768)), words);
  assert.deepEqual((await store.get(["wide"])).value, "ж".repeat(32_700));
  const [less, more] = await store.getMany([["less"], ["more"]]);
  assert.deepEqual([less?.versionstamp, more?.versionstamp], [null, null]);
}

async function limitsReads(store: Store): Promise<void> {
  const keys = Array.from({ length: 11 }, (_, place) => ["k", place]);
  assert.equal((await store.getMany(keys.slice(0, 10))).length, 10);
  await refuses(() => store.getMany(keys), /Too many ranges \(max 10\)/);
  const reader = store.watch(keys.slice(0, 10)).getReader();
  assert.equal((await reader.read()).value?.length, 10);
  await reader.cancel();
  await refuses(async () => {
    await store.watch(keys).getReader().read();
  }, /Too many keys \(max 10\)/);
}

async function limitsParts(store: Store): Promise<void> {
  const keys = Array.from({ length: 1_001 }, (_, place) => ["k", place]);
  const commit = async (checks: number, changes: number): Promise<boolean> => {
    const atomic = store.atomic();
    for (const key of keys.slice(0, checks)) atomic.check({ key, versionstamp: null });
    for (const key of keys.slice(0, changes)) atomic.delete(key);
    return (await atomic.commit()).ok;
  };
  assert.ok(await commit(100, 1_000));
  await refuses(() => commit(101, 1), /Too many checks \(max 100\)/);
  await refuses(() => commit(0, 1_001), /Too many mutations \(max 1000\)/);
}

async function limitsBytes(store: Store): Promise<void> {
  const commit = async (count: number, key: string, bytes: number): Promise<boolean> => {
    const atomic = store.atomic();
    for (let place = 0; place < count; place++) {
      atomic.set([key, place], new Uint8Array(bytes));
    }
    return (await atomic.commit()).ok;
  };
  assert.ok(await commit(12, "k", 65_536));
  const words = /Total mutation size too large \(max 819200 bytes\)/;
  await refuses(() => commit(13, "k", 65_536), words);
  await refuses(() => commit(1_000, "k", 3_000), words);
  const long = "k".repeat(1_100);
  assert.ok(await commit(70, long, 1));
  await refuses(() => commit(80, long, 1), /Total key size too large \(max 81920 bytes\)/);
  assert.equal((await store.get([long, 75])).versionstamp, null);
}
