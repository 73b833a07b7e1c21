/**
 * Commits: all of one or nothing, under checks, in order.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ConformanceCase } from "../conformance.ts";
import type { Store, StoreKey } from "../store.ts";
import { fails, refuses } from "./refusal.ts";

/** Cases about commits. */
export const COMMIT_CASES: readonly ConformanceCase[] = [
  { name: "commits nothing, each time under a new versionstamp", run: commitsNothing },
  { name: "commits checks alone", run: checksAlone },
  { name: "changes nothing if one check of several fails", run: checksTogether },
  { name: "refuses a check against what is no versionstamp", run: refusesStamps },
  { name: "carries out changes of one key in their order", run: keepsOrder },
  { name: "gives all keys of a commit its versionstamp, old ones too", run: sharesStamp },
  { name: "counts up within a commit, from nothing and past 2^64", run: countsWithin },
  { name: "refuses a sum that meets something else", run: sumsMeet },
  { name: "refuses counts that are no counts", run: refusesCounts },
  { name: "keeps a balance over concurrent transfers", run: transfers },
];

async function commitsNothing(store: Store): Promise<void> {
  const one = await store.atomic().commit();
  const other = await store.atomic().commit();
  assert.ok(one.ok && other.ok);
  assert.ok(one.versionstamp < other.versionstamp);
  assert.ok((await store.set(["a"], 1)).versionstamp > other.versionstamp);
}

async function checksAlone(store: Store): Promise<void> {
  const absent = { key: ["k"], versionstamp: null };
  assert.ok((await store.atomic().check(absent).commit()).ok);
  const { versionstamp } = await store.set(["k"], 1);
  assert.equal((await store.atomic().check(absent).commit()).ok, false);
  assert.ok((await store.atomic().check({ key: ["k"], versionstamp }).commit()).ok);
  const wrong = `f${versionstamp.slice(1)}`;
  const commit = await store.atomic().check({ key: ["k"], versionstamp: wrong }).commit();
  assert.equal(commit.ok, false);
  assert.equal((await store.get(["k"])).versionstamp, versionstamp);
}

async function checksTogether(store: Store): Promise<void> {
  const [a, b] = [await store.set(["a"], 1), await store.set(["b"], 2)];
  const both = [{ key: ["a"], versionstamp: a.versionstamp }, {
    key: ["b"],
    versionstamp: b.versionstamp,
  }];
  const first = await store.atomic().check(...both).set(["a"], 3).delete(["b"]).commit();
  assert.ok(first.ok);
  // The first holds, the second does not any more.
  const mixed = await store.atomic()
    .check({ key: ["a"], versionstamp: first.versionstamp })
    .check({ key: ["b"], versionstamp: b.versionstamp })
    .set(["a"], 4).set(["new"], 1).sum(["sum"], 1n)
    .commit();
  assert.deepEqual(mixed.ok, false);
  const entries = await store.getMany([["a"], ["b"], ["new"], ["sum"]]);
  assert.deepEqual(entries.map(({ value }) => value), [3, null, null, null]);
  assert.equal(entries[0]?.versionstamp, first.versionstamp);

  const contrary = await store.atomic()
    .check({ key: ["a"], versionstamp: first.versionstamp }, { key: ["a"], versionstamp: null })
    .delete(["a"]).commit();
  assert.equal(contrary.ok, false);
}

async function refusesStamps(store: Store): Promise<void> {
  for (const versionstamp of ["", "0", "xx".repeat(10), "aa".repeat(11), "00".repeat(9)]) {
    await refuses(async () => {
      await store.atomic().check({ key: ["a"], versionstamp }).set(["a"], 1).commit();
    });
  }
  assert.equal((await store.get(["a"])).versionstamp, null);
}

async function keepsOrder(store: Store): Promise<void> {
  const key = ["k"];
  const valueAfter = async (commit: Promise<{ readonly ok: boolean }>): Promise<unknown> => {
    assert.ok((await commit).ok);
    return (await store.get(key)).value;
  };
  assert.equal(await valueAfter(store.atomic().set(key, 1).set(key, 2).commit()), 2);
  assert.equal(await valueAfter(store.atomic().set(key, 3).delete(key).commit()), null);
  assert.equal(await valueAfter(store.atomic().delete(key).set(key, 4).commit()), 4);
  assert.equal(await valueAfter(store.atomic().delete(key).delete(key).commit()), null);
  // Checks look at what was there before any of it.
  const absent = { key, versionstamp: null };
  assert.equal(await valueAfter(store.atomic().set(key, 5).check(absent).commit()), 5);
}

async function sharesStamp(store: Store): Promise<void> {
  await store.set(["old"], 1);
  const commit = await store.atomic().set(["old"], 1).set(["new"], 2).sum(["n"], 1n).commit();
  assert.ok(commit.ok);
  for (const key of [["old"], ["new"], ["n"]]) {
    assert.equal((await store.get(key)).versionstamp, commit.versionstamp);
  }
}

async function countsWithin(store: Store): Promise<void> {
  const key = ["n"];
  await store.atomic().sum(key, 0n).commit();
  assert.equal(await countAt(store, key), 0n);
  await store.atomic().sum(key, 1n).sum(key, 2n).sum(key, 3n).commit();
  assert.equal(await countAt(store, key), 6n);
  await store.atomic().delete(key).sum(key, 1n).sum(key, 2n).commit();
  assert.equal(await countAt(store, key), 3n);
  await store.atomic().sum(key, 2n ** 64n - 1n).sum(key, 2n ** 64n - 1n).commit();
  assert.equal(await countAt(store, key), 1n);
  await store.set(key, new Deno.KvU64(2n ** 64n - 1n));
  await store.atomic().sum(key, 1n).commit();
  assert.equal(await countAt(store, key), 0n);
  await store.atomic().sum(key, 5n).set(key, "text").commit();
  assert.equal((await store.get(key)).value, "text");
}

// What else stood in such a commit is not looked at: Deno's own store keeps what came before
// the sum (2.9.6), a node keeps nothing of it.
async function sumsMeet(store: Store): Promise<void> {
  for (const value of ["text", 5, 5n, new Uint8Array(8), { value: 5n }, null]) {
    const { versionstamp } = await store.set(["n"], value);
    await fails(async () => {
      await store.atomic().sum(["n"], 1n).set(["behind"], 1).commit();
    });
    const [n, behind] = await store.getMany([["n"], ["behind"]]);
    assert.deepEqual(n, { key: ["n"], value, versionstamp });
    assert.equal(behind?.versionstamp, null);
  }
  await store.delete(["n"]);
  await fails(async () => await store.atomic().set(["n"], 0n).sum(["n"], 2n).commit());
}

async function refusesCounts(store: Store): Promise<void> {
  for (const count of [-1n, 2n ** 64n]) {
    await fails(async () => await store.atomic().sum(["n"], count).commit());
  }
  assert.equal((await store.get(["n"])).versionstamp, null);
}

async function transfers(store: Store): Promise<void> {
  const accounts = [["a"], ["b"], ["c"]];
  for (const key of accounts) await store.set(key, 100);
  let conflicts = 0;
  const transfer = async (from: StoreKey, to: StoreKey, amount: number): Promise<void> => {
    for (;;) {
      const [source, target] = await store.getMany([from, to]);
      assert.ok(source !== undefined && target !== undefined);
      const commit = await store.atomic()
        .check({ key: from, versionstamp: source.versionstamp })
        .check({ key: to, versionstamp: target.versionstamp })
        .set(from, Number(source.value) - amount)
        .set(to, Number(target.value) + amount)
        .commit();
      if (commit.ok) return;
      conflicts++;
    }
  };
  const at = (place: number): StoreKey => accounts[place % 3] ?? [];
  await Promise.all(Array.from({ length: 12 }, (_, i) => transfer(at(i), at(i + 1), i)));
  const entries = await store.getMany(accounts);
  const balances = entries.map(({ value }) => Number(value));
  assert.deepEqual(
    balances,
    [0, 1, 2].map((account) => {
      let balance = 100;
      for (let i = 0; i < 12; i++) {
        if (i % 3 === account) balance -= i;
        if ((i + 1) % 3 === account) balance += i;
      }
      return balance;
    }),
  );
  assert.ok(conflicts > 0, "No two transfers met");
}

async function countAt(store: Store, key: StoreKey): Promise<bigint> {
  const { value } = await store.get(key);
  assert.ok(value instanceof Deno.KvU64);
  return value.value;
}
