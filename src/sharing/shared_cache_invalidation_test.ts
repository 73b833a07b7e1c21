import assert from "node:assert/strict";
import { assertWhole, makeEntry } from "../../tests/support/shared_gateways.ts";
import { inWorld } from "../../tests/support/shared_world.ts";
import { encodeCounter, encodeInvalidations } from "./records/invalidation_record.ts";
import { LAYOUT } from "./records/layout.ts";
import { sequenceOf } from "./records/numbering.ts";

const EVEN = { type: "tag", tag: "tag:even" } as const;
const ODD = { type: "tag", tag: "tag:odd" } as const;
const ALL = { type: "all" } as const;

Deno.test("SharedCache makes an invalidation void shared and local entries of every gateway", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    const { gateway: other } = world.gateway();
    for (let id = 1; id <= 4; id++) one.store(id);
    await world.until("they are everywhere", () => other.pulled.size === 4);

    assert.equal(await one.invalidate(EVEN), sequenceOf(1));
    // The other one has not heard of it yet, and judges by the store's counter.
    assert.equal(await other.read(2), null);
    assertWhole(await other.read(1) ?? makeEntry(0));
    assert.ok(other.hasHeard(EVEN));
    assert.deepEqual([await other.serve(2), await other.serve(4)], [null, null]);
    assert.notEqual(await other.serve(3), null);

    await other.invalidate({ type: "id", id: 3 });
    assert.equal(await one.read(3), null);
    assert.equal(one.local.get(3), null);
    assert.equal(await other.invalidate(ALL), sequenceOf(3));
    await world.until("it is told", () => one.hasHeard(ALL));
    assert.equal(one.local.get(1), null);
    assert.equal(await one.read(1), null);

    // What is asked afterwards is valid again.
    one.store(2);
    await world.written(one, 5);
    assert.equal((await other.read(2))?.sequence, sequenceOf(3));
  });
});

Deno.test("SharedCache tells invalidations in order, each once, to whoever was away too", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway();
    const { gateway: other, way } = world.gateway();
    await world.until("the other listens", () => way.watching === 1);
    way.health = "split";
    for (let i = 0; i < 5; i++) await one.invalidate({ type: "tag", tag: `tag:${i % 3}` });
    await world.pass(10_000);
    assert.equal(other.heard.length, 0);
    assert.equal(other.shared.stats().up, false);
    way.health = "well";
    await world.until("it has caught up", () => other.heard.length === 3);
    assert.deepEqual(other.heard.map(([sequence]) => sequence), [3, 4, 5].map(sequenceOf));
    assert.deepEqual(other.heard.map(([, { type }]) => type), ["tag", "tag", "tag"]);
    assert.equal(one.heard.length, 0, "who made them knows them from the call");

    way.health = "split";
    const many = Array.from(
      { length: 600 },
      (_, i) => one.invalidate({ type: "tag", tag: `t${i}` }),
    );
    await Promise.all(many);
    way.health = "well";
    await world.until(
      "the last is told",
      () => other.heard.at(-1)?.[0] === one.local.sequence,
    );
    const [first] = other.heard.slice(3);
    assert.deepEqual(first?.[1], ALL, "the oldest no longer fit into the record");
    const numbers = other.heard.map(([sequence]) => sequence);
    assert.deepEqual(numbers, [...new Set(numbers)].toSorted((a, b) => a - b));
  });
});

Deno.test("SharedCache gives concurrent invalidations of all gateways numbers of their own", async () => {
  await inWorld(async (world) => {
    const gateways = [1, 2, 3, 4].map(() => world.gateway().gateway);
    const numbers: (number | null)[] = [];
    for (const [g, gateway] of gateways.entries()) {
      for (let i = 0; i < 10; i++) {
        const selector = { type: "tag", tag: `${g}.${i}` } as const;
        void gateway.invalidate(selector).then((number) => numbers.push(number));
      }
    }
    await world.until("all have a number", () => numbers.length === 40);
    assert.deepEqual(
      numbers.toSorted((a, b) => Number(a) - Number(b)),
      Array.from({ length: 40 }, (_, i) => sequenceOf(i + 1)),
    );
    await world.until(
      "everybody knows of each",
      () => gateways.every(({ heard }) => heard.length === 30),
    );
  });
});

Deno.test("SharedCache counts an invalidation at once while the store is away, and sends it later", async () => {
  await inWorld(async (world) => {
    const { gateway: one, way } = world.gateway();
    const { gateway: other } = world.gateway();
    one.store(2);
    await world.until("it is everywhere", () => other.pulled.size === 1);
    way.health = "failing";
    assert.equal(await one.invalidate(EVEN), null);
    assert.equal(one.shared.stats().invalidations.unsent, 1);
    way.health = "well";
    // Not sent yet: the other still reads it. Here it is void already.
    assert.notEqual(await other.read(2), null);
    assert.equal(await one.read(2), null);
    assert.equal(one.shared.stats().invalidations.unsent, 1);
    await world.until("it is sent", () => one.shared.stats().invalidations.unsent === 0);
    await world.until("the other knows", () => other.hasHeard(EVEN));
    assert.equal(await other.serve(2), null);
    assert.ok(one.hasHeard(EVEN), "its number could not be returned");

    // What began here before the number came is not taken for newer than it is.
    assert.equal(one.local.sequence, sequenceOf(1));
  });
});

Deno.test("SharedCache never shares an answer as newer than an invalidation it had not seen", async () => {
  await inWorld(async (world) => {
    // It hears of nothing before it writes: no heartbeat, and a watch that is lost.
    const { gateway: one, way } = world.gateway({ heartbeatMs: 1e9 });
    const { gateway: other } = world.gateway();
    await world.until("both listen", () => world.ways.every((each) => each.watching === 1));
    way.breakWatches();
    way.health = "failing";
    // Own invalidations, never to be numbered before the other's, raise the local sequence.
    for (let i = 0; i < 5; i++) await one.invalidate(ODD);
    const began = one.local.sequence;
    await other.invalidate(EVEN);
    way.health = "well";
    one.store(2, { sequence: began });
    await world.written(one, 1);
    assert.equal(one.heard.length, 0);
    assert.equal(await other.read(2), null);
  });
});

Deno.test("SharedCache writes nothing that was invalidated while it waited", async () => {
  await inWorld(async (world) => {
    const { gateway: one, way } = world.gateway();
    way.health = "failing";
    one.store(1);
    one.store(2);
    await world.pass(100);
    way.health = "well";
    await one.invalidate(EVEN);
    await world.written(one, 1);
    assert.equal(one.shared.stats().writes.outdated, 1);
    assert.equal((await world.store.get(LAYOUT.head(makeEntry(2).exactKey))).value, null);
  });
});

Deno.test("SharedCache.refresh hears of everything made so far, or says that it could not", async () => {
  await inWorld(async (world) => {
    const { gateway: one } = world.gateway({ heartbeatMs: 1e9 });
    const { gateway: other, way } = world.gateway({ heartbeatMs: 1e9 });
    await world.until("both listen", () => world.ways.every((each) => each.watching === 1));
    way.breakWatches();
    await one.invalidate(EVEN);
    assert.equal(other.heard.length, 0);
    assert.equal(await other.shared.refresh(world.time.nowMs() + 15), sequenceOf(1));
    assert.ok(other.hasHeard(EVEN));

    way.health = "hanging";
    const asked = other.shared.refresh(world.time.nowMs() + 15);
    world.time.runUntil(world.time.nowMs() + 15);
    assert.equal(await asked, null);
    assert.equal(await other.shared.refresh(world.time.nowMs()), null);
  });
});

Deno.test("SharedCache invalidates everything when the store was emptied or went back", async () => {
  for (const loss of ["emptied", "garbled", "restored", "replaced"] as const) {
    await inWorld(async (world) => {
      const { gateway: one } = world.gateway();
      const { gateway: other } = world.gateway();
      await one.invalidate(ODD);
      const before = await world.store.getMany([LAYOUT.invalidations, LAYOUT.counter]);
      for (let i = 0; i < 3; i++) await one.invalidate(EVEN);
      one.store(2);
      await world.until("it is everywhere", () => other.pulled.size === 1);
      await world.until("the other knows", () => other.heard.length > 0);

      if (loss === "restored") {
        for (const { key, value } of before) await world.store.set(key, value);
      } else if (loss === "replaced") {
        const recent = [{ number: 99, selector: ODD }];
        const record = { lineage: "other", number: 99, floor: 0, recent };
        await world.store.set(LAYOUT.invalidations, encodeInvalidations(record));
        await world.store.set(LAYOUT.counter, encodeCounter(record));
      } else if (loss === "garbled") {
        await world.store.set(LAYOUT.invalidations, new Uint8Array(9));
        await world.store.set(LAYOUT.counter, "other 2");
      } else {
        for (const { key } of before) await world.store.delete(key);
      }
      await world.until(
        "everybody has noticed",
        () => [one, other].every(({ heard }) => heard.some(([, { type }]) => type === "all")),
      );
      for (const gateway of [one, other]) {
        assert.equal(gateway.local.get(2), null, loss);
        assert.equal(await gateway.read(2), null, loss);
        assert.ok(gateway.local.sequence > sequenceOf(4), loss);
      }
      assert.ok(world.gateways.some(({ events }) => events.some(({ type }) => type === "reset")));

      other.store(2);
      await world.written(other, 1);
      await world.until("it can be read", () => one.pulled.has(2));
      assert.notEqual(await one.read(2), null, loss);
    });
  }
});
