import assert from "node:assert/strict";
import type { DiskError } from "../../kv_node/ports.ts";
import { ENCODING_BYTES, type Row } from "../../kv_node/types.ts";
import { randomFrom, VirtualTime } from "../sim/harness.ts";
import { type MemoryState, openMemoryState } from "./memory_state.ts";
import { SimDisk } from "./sim_disk.ts";

interface World {
  readonly disk: SimDisk;
  readonly time: VirtualTime;
}

function world(seed = 1): World {
  const time = new VirtualTime();
  return { time, disk: new SimDisk({ random: randomFrom(seed), clock: time }) };
}

function row(key: string, value: number, expiresMs: number | null = null): Row {
  return {
    key: new TextEncoder().encode(key),
    data: Uint8Array.of(value),
    encoding: ENCODING_BYTES,
    stamp: new Uint8Array(10).fill(value),
    expiresMs,
  };
}

function keysOf(rows: readonly { readonly key: Uint8Array }[]): string {
  return rows.map(({ key }) => new TextDecoder().decode(key)).join(" ");
}

function put(state: MemoryState, index: number, ...rows: Row[]): void {
  state.transact({ term: 1, index, stamp: new Uint8Array(10).fill(index) }, (writer) => {
    for (const one of rows) writer.put(one);
  });
}

/** Runs virtual time until a promise that needs several syncs has settled. */
async function settle<T>(time: VirtualTime, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  promise.then(() => isSettled = true, () => isSettled = true);
  for (let turn = 0; turn < 100 && !isSettled; turn++) {
    time.runUntil(time.nowMs() + 10);
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }
  return await promise;
}

Deno.test("a state reads in key order, forwards and backwards, without what has expired", () => {
  const state = openMemoryState(world().disk);
  put(state, 1, row("b", 1), row("a", 1), row("d", 1, 100), row("c", 1), row("e", 1, 50));
  const range = { start: row("a", 0).key, end: row("e", 0).key, limit: 10, reverse: false };
  assert.equal(keysOf(state.scan(range, 99)), "a b c d");
  assert.equal(keysOf(state.scan(range, 100)), "a b c");
  assert.equal(keysOf(state.scan({ ...range, reverse: true, limit: 2 }, 100)), "c b");
  assert.equal(keysOf(state.scan({ ...range, start: row("bb", 0).key }, 0)), "c d");
  assert.deepEqual(state.get(row("e", 0).key), row("e", 1, 50), "expired or not");
  assert.equal(state.get(row("x", 0).key), null);
  assert.equal(keysOf(state.expired(100, 10).map((key) => ({ key }))), "e d");
  assert.equal(state.expired(100, 1).length, 1);
  assert.equal(state.size().rows, 5);
});

Deno.test("a transaction that throws, or finds no room, changes nothing", () => {
  const state = openMemoryState(world().disk);
  put(state, 1, row("a", 1), row("b", 1));
  const before = structuredClone(state.rows());
  const broken = (writer: Parameters<Parameters<MemoryState["transact"]>[1]>[0]): void => {
    writer.put(row("b", 2));
    writer.put(row("b", 3));
    writer.remove(row("a", 0).key);
    writer.put(row("c", 2));
    writer.remove(row("c", 2).key);
    writer.put(row("a", 2));
    assert.deepEqual(writer.get(row("b", 0).key), row("b", 3));
    if (!state.isFull) throw new Error("Broken");
  };
  const position = { term: 1, index: 2, stamp: null };
  assert.throws(() => state.transact(position, broken), /Broken/);
  assert.deepEqual(state.rows(), before);
  state.isFull = true;
  assert.throws(
    () => state.transact(position, broken),
    (error: DiskError) => error.kind === "full",
  );
  assert.deepEqual(state.rows(), before);
  assert.equal(state.applied.index, 1);
});

Deno.test("a checkpoint survives every crash, and what came later is lost", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { disk, time } = world(seed);
    const state = openMemoryState(disk);
    put(state, 1, row("a", 1, 500), row("b", 1));
    const saving = state.checkpoint();
    put(state, 2, row("a", 2));
    assert.deepEqual(await settle(time, saving), { term: 1, index: 1, stamp: row("", 1).stamp });
    assert.equal(state.durable.index, 1);
    put(state, 3, row("c", 3));
    const again = openMemoryState(disk.crash());
    assert.equal(again.applied.index, 1);
    assert.deepEqual(again.applied.stamp, row("", 1).stamp);
    assert.deepEqual(again.rows(), [row("a", 1, 500), row("b", 1)]);
  }
});

Deno.test("a crash at any operation of a checkpoint leaves the old one or the new one", async () => {
  const found = new Set<number>();
  for (let seed = 1; seed <= 200; seed++) {
    const { disk, time } = world(seed);
    const state = openMemoryState(disk);
    put(state, 1, row("a", 1));
    await settle(time, state.checkpoint());
    put(state, 2, ...Array.from({ length: 100 }, (_, i) => row(`k${i}`, 2)));
    disk.crashIn(seed % 6, () => {});
    state.checkpoint().catch(() => {});
    for (let turn = 0; turn < 20; turn++) {
      time.runUntil(time.nowMs() + 10);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
    const survivor = disk.crash();
    const again = openMemoryState(survivor);
    found.add(again.applied.index);
    assert.equal(again.rows().length, again.applied.index === 1 ? 1 : 101);
    // A rest of the interrupted one is not in the way.
    await settle(time, again.checkpoint());
  }
  assert.deepEqual([...found].sort(), [1, 2]);
});

Deno.test("openMemoryState refuses a snapshot with any bit flipped", async () => {
  const { disk, time } = world();
  const state = openMemoryState(disk);
  put(state, 1, row("a", 1), row("b", 2, 7));
  await settle(time, state.checkpoint());
  const { disk: other } = world();
  assert.deepEqual(openMemoryState(other).rows(), []);
  const sizeBytes = disk.open("state", "read").size();
  for (let offset = 0; offset < sizeBytes; offset++) {
    disk.rot("state", offset, offset % 8);
    assert.throws(() => openMemoryState(disk), /Cannot open state/);
    disk.rot("state", offset, offset % 8);
  }
  assert.equal(openMemoryState(disk).rows().length, 2);
});
