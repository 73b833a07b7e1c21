import assert from "node:assert/strict";
import {
  assertWhole,
  EMBEDDER,
  makeEntry,
  makeVector,
} from "../../tests/support/shared_gateways.ts";
import { inWorld } from "../../tests/support/shared_world.ts";
import { LAYOUT } from "./records/layout.ts";
import { sequenceOf } from "./records/numbering.ts";

const EVEN = { type: "tag", tag: "tag:even" } as const;

Deno.test("SharedCache gives an entry to another gateway by both keys, whole, long or short", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    const { gateway: other } = world.gateway();
    const short = one.store(1);
    const long = one.store(2, { textLength: 900_000 });
    await world.written(one, 2);
    assert.deepEqual(await other.read(1), short);
    assert.deepEqual(await other.read(1, "canonical"), short);
    assert.deepEqual(await other.read(2, "canonical"), long);
    assert.equal(await other.read(3), null);
    const { hit, miss } = other.shared.stats().reads;
    assert.deepEqual({ hit, miss }, { hit: 3, miss: 1 });
  });
});

Deno.test("SharedCache brings what one gateway stores into the others, with its vector", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    const { gateway: other } = world.gateway();
    await world.until("both listen", () => world.ways.every((way) => way.watching === 1));
    for (let id = 1; id <= 300; id++) one.store(id, {}, id % 2 === 1);
    await world.until("all are there", () => other.pulled.size === 300);
    assert.deepEqual(other.pulled.get(7), makeVector(7));
    assert.equal(other.pulled.get(8), null);
    assert.equal(one.pulled.size, 0);
    assert.notEqual(await other.serve(7), null);
    assert.equal(other.shared.stats().feed.entries, 300);

    other.store(1_001);
    await world.until("the way back works too", () => one.pulled.has(1_001));
  });
});

Deno.test("SharedCache serves no entry whose parts or head are not all there", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    const { gateway: other } = world.gateway();
    const { exactKey, id } = one.store(2, { textLength: 200_000 });
    const small = one.store(3);
    await world.written(one, 2);

    const part = (await world.store.get(LAYOUT.part(id, 1))).value;
    assert.ok(part instanceof Uint8Array);
    await world.store.delete(LAYOUT.part(id, 1));
    assert.equal(await other.read(2), null);
    await world.store.set(LAYOUT.part(id, 1), part.toReversed());
    assert.equal(await other.read(2), null);
    await world.store.set(LAYOUT.part(id, 1), part);
    assertWhole(await other.read(2) ?? makeEntry(0));

    await world.store.set(LAYOUT.head(exactKey), "of another release");
    assert.equal(await other.read(2), null);
    const head = (await world.store.get(LAYOUT.head(small.exactKey))).value;
    await world.store.set(LAYOUT.head(exactKey), head);
    assert.equal(await other.read(2), null, "it is another one's entry");
    await world.store.set(LAYOUT.canonical("canonical-2"), small.exactKey);
    assert.equal(await other.read(2, "canonical"), null, "it leads to another one's entry");
    assert.equal(other.shared.stats().reads.unusable, 5);
  });
});

Deno.test("SharedCache keeps expired entries from being served, and stale ones not", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    const { gateway: other } = world.gateway();
    one.store(1, { expiresMs: 10_000, staleUntilMs: 20_000 });
    await world.written(one, 1);
    await world.pass(15_000);
    assert.equal((await other.read(1))?.expiresMs, 10_000);
    await world.pass(5_000);
    assert.equal(await other.read(1), null);
    assert.equal(other.shared.stats().reads.expired, 1);
  });
});

Deno.test("SharedCache loads everything after a restart: entries, vectors, invalidations", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    for (let id = 1; id <= 250; id++) {
      one.store(id, { textLength: id % 50 === 0 ? 100_000 : 50 }, id % 3 !== 0);
    }
    one.store(900, { expiresMs: 100, staleUntilMs: 100 });
    await world.written(one, 251);
    await one.invalidate(EVEN);
    one.store(252);
    await world.written(one, 252);
    const garbled = makeEntry(1).exactKey;
    await world.store.set(LAYOUT.head(garbled), new Uint8Array(99));
    await world.store.set(LAYOUT.vector(EMBEDDER.id, makeEntry(5).exactKey, 5), new Uint8Array(3));
    await world.close(one);
    await world.pass(1_000);

    const { gateway: again } = world.gateway();
    const vectors = new Map<number, Float32Array | null>();
    const loaded = await again.shared.load((entry, vector) => {
      assertWhole(entry);
      assert.ok(again.local.put(entry, world.time.wallMs()).stored);
      vectors.set(entry.id, vector);
    });
    const odd = Array.from({ length: 125 }, (_, i) => 2 * i + 1).filter((id) => id !== 1);
    assert.deepEqual([...vectors.keys()].toSorted((a, b) => a - b), [...odd, 252]);
    for (const [id, vector] of vectors) {
      const hasVector = id === 252 || (id % 3 !== 0 && id !== 5);
      assert.deepEqual(vector, hasVector ? makeVector(id) : null, `vector of ${id}`);
    }
    const counted = [...vectors.values()].filter((vector) => vector !== null).length;
    assert.deepEqual(loaded, {
      entries: 125,
      vectors: counted,
      outdated: 126,
      unusable: 1,
      complete: true,
    });
    assert.equal(again.local.sequence, sequenceOf(1));
    assert.equal(again.pulled.size, 0);
  });
});

Deno.test("SharedCache.remove takes an entry out, waiting or written, but no other in its place", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    one.store(1, { textLength: 100_000 });
    one.store(2);
    assert.equal(await one.shared.remove(2), false);
    await world.written(one, 1);
    assert.equal(await one.read(2), null);
    assert.equal(await one.shared.remove(1), true);
    assert.equal(await one.read(1), null);
    assert.equal((await world.store.get(LAYOUT.part(1, 0))).value, null);
    assert.equal(await one.shared.remove(1), false);

    one.store(3);
    await world.written(one, 2);
    const { exactKey } = makeEntry(3);
    one.store(4, { exactKey });
    await world.written(one, 3);
    assert.equal(await one.shared.remove(3), false);
    assert.equal((await one.read(3))?.id, 4);
  });
});

Deno.test("SharedCache keeps learnt texts of any length, the last one whole", async () => {
  await inWorld(async (world) => {
    const { gateway: one, way } = world.gateway();
    const { gateway: other } = world.gateway();
    assert.equal(await other.shared.loadState("learnt"), null);
    for (const length of [10, 1_000_000, 200_000, 0]) {
      assert.equal(await one.shared.saveState("learnt", "é".repeat(length)), true);
      assert.equal(await other.shared.loadState("learnt"), "é".repeat(length));
    }
    const parts = world.store.list({ prefix: LAYOUT.statePart("learnt", "", 0).slice(0, 5) });
    assert.equal((await parts.next()).done, true, "nothing of the old ones is left");
    way.health = "failing";
    assert.equal(await one.shared.saveState("learnt", "lost"), false);
    assert.equal(await one.shared.loadState("learnt"), null);
    assert.equal(await other.shared.loadState("learnt"), "");
  });
});
