import assert from "node:assert/strict";
import { openStore } from "deno-kv-compat";
import { VirtualTime } from "../../tests/sim/harness.ts";
import { FaultyStore } from "../../tests/support/kv_faults.ts";
import { type LinkChange, StoreLink } from "./store_link.ts";

interface World {
  readonly time: VirtualTime;
  readonly store: FaultyStore;
  readonly link: StoreLink;
  readonly changes: LinkChange[];
}

async function inWorld(run: (world: World) => Promise<void>): Promise<void> {
  const time = new VirtualTime();
  using store = new FaultyStore(await openStore("memory:"), time);
  const changes: LinkChange[] = [];
  await run({ time, store, changes, link: new StoreLink(store, time, (it) => changes.push(it)) });
}

const read = ({ link, time }: World) =>
  link.read(15, (store) => store.get(["k"])).then((it) => ({ it, atMs: time.nowMs() }));

Deno.test("StoreLink is late at its deadline, not before, and does not wait on", async () => {
  await inWorld(async (world) => {
    world.store.health = "hanging";
    const asked = read(world);
    world.time.runUntil(14.9);
    world.time.runUntil(15);
    assert.deepEqual(await asked, { it: { type: "late" }, atMs: 15 });
    world.store.health = "well";
    assert.equal((await read(world)).it.type, "done");
  });
});

Deno.test("StoreLink keeps few questions open, those nobody waits for included", async () => {
  await inWorld(async (world) => {
    world.store.health = "hanging";
    const asked = Array.from({ length: 70 }, () => read(world));
    world.time.runUntil(15);
    const types = (await Promise.all(asked)).map(({ it }) => it.type);
    assert.equal(types.filter((type) => type === "late").length, 64);
    assert.equal(types.filter((type) => type === "full").length, 6);
    assert.equal((await read(world)).it.type, "full");
    assert.equal(world.store.hanging, 64);
    // Other questions have room of their own.
    const beat = world.link.heartbeat(100, (store) => store.get(["k"]));
    world.store.health = "well";
    assert.equal((await beat).type, "done");
  });
});

Deno.test("StoreLink goes down after three failures and up with an answered heartbeat", async () => {
  await inWorld(async (world) => {
    const { store, link, changes, time } = world;
    store.health = "failing";
    for (let i = 0; i < 2; i++) assert.equal((await read(world)).it.type, "failed");
    assert.equal(link.isUp, true);
    await link.heartbeat(100, (store) => store.get(["k"]));
    assert.equal(link.isUp, false);
    assert.equal(link.mayRead(), false);
    store.health = "well";
    time.runUntil(4_000);
    await link.heartbeat(100, (store) => store.get(["k"]));
    assert.deepEqual(changes, [
      { type: "down", reason: "Store is broken" },
      { type: "up", downSeconds: 4 },
    ]);
    assert.equal(link.mayRead(), true);
  });
});

Deno.test("StoreLink asks a store that is always late for one entry in sixteen", async () => {
  await inWorld(async (world) => {
    world.store.health = "hanging";
    for (let i = 0; i < 16; i++) {
      assert.equal(world.link.mayRead(), true);
      const asked = read(world);
      world.time.runUntil(world.time.nowMs() + 15);
      assert.equal((await asked).it.type, "late");
    }
    const tried = Array.from({ length: 160 }, () => world.link.mayRead()).filter((may) => may);
    assert.equal(tried.length, 10);
    world.store.health = "well";
    await read(world);
    assert.equal(world.link.mayRead() && world.link.mayRead(), true);
  });
});

Deno.test("StoreLink waits for nothing once it has given up", async () => {
  await inWorld(async (world) => {
    world.store.health = "hanging";
    const asked = read(world);
    world.link.giveUp();
    assert.deepEqual(await asked, { it: { type: "late" }, atMs: 0 });
    assert.equal((await read(world)).it.type, "late");
    assert.equal(world.store.hanging, 1);
    world.store.health = "well";
  });
});
