import assert from "node:assert/strict";
import { assertWhole, makeEntry } from "../../tests/support/shared_gateways.ts";
import { inWorld } from "../../tests/support/shared_world.ts";

Deno.test("SharedCache goes on by itself while the store is slow, down, hung or cut off", async () => {
  for (const health of ["failing", "hanging", "split"] as const) {
    await inWorld(async (world) => {
      const { gateway: one, way } = world.gateway();
      one.store(1);
      await world.written(one, 1);
      way.health = health;
      for (let i = 0; i < 40; i++) {
        const asked = one.shared.read("exact", makeEntry(1).exactKey, world.time.nowMs() + 15);
        await world.pass(15);
        assert.equal(await asked, null);
        assert.notEqual(await one.serve(1), null, "its own entries serve");
      }
      one.store(3);
      await world.until("it is down", () => !one.shared.stats().up, 50);
      const { asked } = way;
      for (let i = 0; i < 100; i++) assert.equal(await one.read(1), null);
      assert.equal(way.asked, asked, "nothing is asked while it is down");

      way.health = "well";
      await world.until("it is up", () => one.shared.stats().up, 20);
      await world.until(
        "what waited is written",
        () => one.shared.stats().writes.written === 2,
        20,
      );
      await world.until("it listens again", () => one.shared.stats().watching, 50);
      assert.notEqual(await one.read(3), null);
      const types = one.events.map(({ type }) => type);
      assert.ok(types.includes("down") && types.includes("up"), health);
    });
  }
});

Deno.test("SharedCache counts reads that come after their deadline as late", async () => {
  await inWorld(async (world) => {
    const { gateway: one, way } = world.gateway();
    one.store(1);
    await world.written(one, 1);
    way.latencyMs = 16;
    const asked = one.shared.read("exact", makeEntry(1).exactKey, world.time.nowMs() + 15);
    await world.pass(20);
    assert.equal(await asked, null);
    way.latencyMs = 5;
    const again = one.shared.read("exact", makeEntry(1).exactKey, world.time.nowMs() + 15);
    await world.pass(20);
    assert.notEqual(await again, null);
    const { late, hit } = one.shared.stats().reads;
    assert.deepEqual({ late, hit }, { late: 1, hit: 1 });
  });
});

Deno.test("SharedCache drops the oldest when the store does not keep up, and counts them", async () => {
  await inWorld(async (world) => {
    const { gateway: one, way } = world.gateway({ queueEntriesMax: 10 });
    way.health = "failing";
    for (let id = 1; id <= 25; id++) one.store(id);
    assert.equal(one.shared.stats().queued, 10);
    assert.equal(one.shared.stats().writes.dropped, 15);
    await world.pass(1_000);
    assert.ok(one.shared.stats().lagSeconds >= 0.9);
    way.health = "well";
    await world.until("the rest is written", () => one.shared.stats().queued === 0, 20);
    await world.written(one, 10);
    assert.equal(await one.read(15), null);
    assert.notEqual(await one.read(16), null);
    assert.equal(one.shared.stats().lagSeconds, 0);
  });
});

Deno.test("SharedCache writes again what the store took without saying so", async () => {
  await inWorld(async (world) => {
    const { gateway: one, way } = world.gateway();
    const { gateway: other } = world.gateway();
    await world.until("both listen", () => world.ways.every((each) => each.watching === 1));
    way.health = "deaf";
    one.store(1, { textLength: 100_000 });
    await world.until("it has failed", () => one.events.some(({ type }) => type === "failed"));
    way.health = "well";
    await world.written(one, 1);
    assertWhole(await other.read(1) ?? makeEntry(0));
    await world.until("the feed goes on", () => other.pulled.has(1));
  });
});

Deno.test("SharedCache.close writes what waits and leaves nothing pending, hung or not", async () => {
  for (const health of ["well", "failing", "hanging"] as const) {
    await inWorld(async (world) => {
      const { gateway: one, way } = world.gateway();
      await world.until("it listens", () => way.watching === 1);
      way.health = health;
      for (let id = 1; id <= 200; id++) one.store(id);
      const loading = one.shared.load(() => {});
      const reading = one.read(1);
      await world.close(one);
      await Promise.all([loading, reading]);
      const { queued, writes } = one.shared.stats();
      assert.equal(queued, 0);
      assert.equal(writes.written + writes.dropped, 200);
      if (health === "well") assert.equal(writes.written, 200);
      assert.equal(way.watching, 0);
      const { asked } = way;
      one.store(201);
      assert.equal(await one.read(1), null);
      await one.shared.close();
      await world.pass(60_000);
      assert.equal(way.asked, asked, "no timer is left that asks");
    });
  }
});
