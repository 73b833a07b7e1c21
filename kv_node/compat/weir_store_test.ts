import assert from "node:assert/strict";
import { LinkNode } from "../../tests/support/link_node.ts";
import { CONFORMANCE } from "./conformance.ts";
import { openStore } from "./mod.ts";
import { parseWeirAddress } from "./weir_address.ts";
import { WeirStore } from "./weir_store.ts";

/** Opens a store with the methods that only this kind has. */
function openWeir(url: string): Promise<WeirStore> {
  const settings = { token: null, deadlineMs: 5_000, connectMs: 1_000 };
  return WeirStore.open(parseWeirAddress(url), settings);
}

for (const { name, run } of CONFORMANCE) {
  Deno.test(`openStore weir: ${name}`, async () => {
    await using node = new LinkNode();
    using store = await openStore(node.url());
    await run(store);
    assert.deepEqual(node.faults, []);
  });
}

Deno.test("WeirStore changes nothing where one change of a commit makes no sense", async () => {
  await using node = new LinkNode();
  using store = await openStore(node.url());
  await store.set(["text"], "no count");
  await assert.rejects(async () => {
    await store.atomic().set(["a"], 1).sum(["text"], 1n).set(["b"], 1).commit();
  }, TypeError);
  assert.equal((await store.get(["a"])).versionstamp, null);
  assert.equal((await store.get(["text"])).value, "no count");
});

Deno.test("WeirStore keeps bytes as they were when they were set", async () => {
  await using node = new LinkNode();
  using store = await openStore(node.url());
  const bytes = new Uint8Array([1, 2, 3]);
  const key = new Uint8Array([4]);
  const atomic = store.atomic().set([key], bytes);
  bytes.fill(9);
  key.fill(9);
  await atomic.commit();
  assert.deepEqual((await store.get([new Uint8Array([4])])).value, new Uint8Array([1, 2, 3]));
});

Deno.test("WeirAtomic min, max, bounded sums and versionstamped keys work as in Deno.Kv", async () => {
  await using node = new LinkNode();
  using store = await openWeir(node.url());
  await store.atomic().max(["m"], 5n).min(["m"], 3n).max(["x"], 1n).commit();
  assert.deepEqual((await store.get(["m"])).value, new Deno.KvU64(3n));
  await store.atomic().sum(["n"], 5, { max: 7, clamp: true }).commit();
  await store.atomic().sum(["n"], 5, { max: 7, clamp: true }).commit();
  assert.equal((await store.get(["n"])).value, 7);
  await assert.rejects(() => store.atomic().sum(["n"], 1, { max: 7 }).commit(), TypeError);
  await store.atomic().sum(["b"], 2n, { min: 0n }).commit();
  assert.equal((await store.get(["b"])).value, 2n);

  const commit = await store.atomic().setVersionstamped(["log"], "entry").commit();
  assert.ok(commit.ok);
  assert.equal((await store.get(["log", commit.versionstamp])).value, "entry");
});

Deno.test("WeirStore gives what has expired to nobody", async () => {
  await using node = new LinkNode();
  using store = await openStore(node.url());
  await store.set(["a"], 1, { expireIn: 0 });
  assert.equal((await store.get(["a"])).versionstamp, null);
  await assert.rejects(() => store.set(["a"], 1, { expireIn: 1.5 }), TypeError);
});

Deno.test("WeirIterator gives entries in order to whoever asks for several at once", async () => {
  await using node = new LinkNode();
  using store = await openStore(node.url());
  for (let i = 0; i < 7; i++) await store.set(["l", i], i);
  const list = store.list({ prefix: ["l"] }, { batchSize: 3 });
  const results = await Promise.all(Array.from({ length: 9 }, () => list.next()));
  assert.deepEqual(results.map(({ value }) => value?.value), [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    undefined,
    undefined,
  ]);
  assert.equal(list.cursor, "");
});
