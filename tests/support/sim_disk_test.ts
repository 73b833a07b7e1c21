import assert from "node:assert/strict";
import { type Disk, DiskError, type DiskFailure } from "../../kv_node/ports.ts";
import { randomFrom, VirtualTime } from "../sim/harness.ts";
import { SimDisk } from "./sim_disk.ts";
import { SECTOR_BYTES } from "./sim_file.ts";

interface World {
  readonly disk: SimDisk;
  readonly time: VirtualTime;
}

function world(seed: number, syncMs = 1): World {
  const time = new VirtualTime();
  return {
    time,
    disk: new SimDisk({ random: randomFrom(seed), clock: time, syncMs: () => syncMs }),
  };
}

/** Settles a promise that waits for virtual time. */
async function settle<T>(time: VirtualTime, promise: Promise<T>): Promise<T> {
  time.runUntil(time.nowMs() + 1_000);
  return await promise;
}

function contentOf(disk: Disk, name: string): Uint8Array {
  const file = disk.open(name, "read");
  const bytes = new Uint8Array(file.size());
  assert.equal(file.read(0, bytes), bytes.length);
  file.close();
  return bytes;
}

async function fails(kind: DiskFailure, run: () => unknown): Promise<void> {
  await assert.rejects(async () => void await run(), (error) => {
    assert.ok(error instanceof DiskError, String(error));
    assert.equal(error.kind, kind);
    return true;
  });
}

/** A file `a` with a durable name. */
async function durableFile({ disk, time }: World, bytes: Uint8Array): Promise<void> {
  const file = disk.open("a", "create");
  file.write(0, bytes);
  await settle(time, file.sync());
  await settle(time, disk.sync());
  file.close();
}

Deno.test("a crash keeps all that was synced, whatever the seed", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const made = world(seed);
    const bytes = Uint8Array.from({ length: 5 * SECTOR_BYTES + 7 }, (_, i) => i % 251);
    await durableFile(made, bytes);
    assert.ok(made.disk.isDurable("a"));
    const survivor = made.disk.crash();
    assert.deepEqual(survivor.list(), ["a"]);
    assert.deepEqual(contentOf(survivor, "a"), bytes);
    assert.deepEqual(contentOf(survivor.crash(), "a"), bytes, "once more");
  }
});

Deno.test("a crash loses, keeps or tears each unsynced sector for itself", async () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 300; seed++) {
    const made = world(seed);
    await durableFile(made, new Uint8Array(8 * SECTOR_BYTES).fill(1));
    const file = made.disk.open("a", "write");
    file.write(2 * SECTOR_BYTES, new Uint8Array(3 * SECTOR_BYTES).fill(2));
    const after = contentOf(made.disk.crash(), "a");
    for (let sector = 0; sector < 8; sector++) {
      const bytes = after.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
      const values = new Set(bytes);
      const isWritten = sector >= 2 && sector < 5;
      const fate = values.size > 1 ? "torn" : values.has(2) ? "kept" : "lost";
      if (!isWritten) assert.equal(fate, "lost");
      else seen.set(`${sector} ${fate}`, (seen.get(`${sector} ${fate}`) ?? 0) + 1);
    }
  }
  for (const sector of [2, 3, 4]) {
    for (const fate of ["lost", "kept", "torn"]) {
      assert.ok((seen.get(`${sector} ${fate}`) ?? 0) > 20, `${sector} ${fate}`);
    }
  }
});

Deno.test("a write during a sync is not part of it", async () => {
  const kept = { first: 0, second: 0 };
  for (let seed = 1; seed <= 100; seed++) {
    const made = world(seed);
    await durableFile(made, new Uint8Array(10).fill(1));
    const file = made.disk.open("a", "write");
    file.write(0, new Uint8Array(10).fill(2));
    const synced = file.sync();
    file.write(0, new Uint8Array(10).fill(3));
    await settle(made.time, synced);
    assert.ok(!made.disk.isDurable("a"));
    const [value] = contentOf(made.disk.crash(), "a");
    assert.ok(value === 2 || value === 3, `what was synced is gone: ${value}`);
    kept[value === 2 ? "first" : "second"]++;
  }
  assert.ok(kept.first > 10 && kept.second > 10);
});

Deno.test("a sync that ends after a later one takes nothing back", async () => {
  const time = new VirtualTime();
  const delays = [1, 1, 50, 5];
  const disk = new SimDisk({
    random: randomFrom(1),
    clock: time,
    syncMs: () => delays.shift() ?? 1,
  });
  await durableFile({ disk, time }, new Uint8Array(10).fill(1));
  const file = disk.open("a", "write");
  file.write(0, new Uint8Array(10).fill(2));
  const slow = file.sync();
  file.write(0, new Uint8Array(10).fill(3));
  const quick = file.sync();
  await settle(time, Promise.all([slow, quick]));
  assert.ok(disk.isDurable("a"));
  assert.equal(contentOf(disk.crash(), "a")[0], 3);
});

Deno.test("the length of a file that grew is old, new or in between", async () => {
  const lengths = new Set<number>();
  for (let seed = 1; seed <= 200; seed++) {
    const made = world(seed);
    await durableFile(made, new Uint8Array(1_000).fill(1));
    const file = made.disk.open("a", "write");
    file.write(1_000, new Uint8Array(1_000).fill(2));
    const bytes = contentOf(made.disk.crash(), "a");
    assert.ok(bytes.subarray(0, 1_000).every((byte) => byte === 1));
    lengths.add(bytes.length);
  }
  assert.ok(lengths.has(1_000) && lengths.has(2_000) && lengths.size > 20);
});

Deno.test("unsynced folder operations survive as a prefix of their order", async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 200; seed++) {
    const made = world(seed);
    await durableFile(made, Uint8Array.of(1));
    const { disk, time } = made;
    const file = disk.open("new", "create");
    file.write(0, Uint8Array.of(2));
    await settle(time, file.sync());
    disk.rename("new", "a");
    disk.open("b", "create").close();
    disk.remove("a");
    const survivor = disk.crash();
    const names = survivor.list();
    seen.add(names.map((name) => `${name}${contentOf(survivor, name)[0] ?? ""}`).join(" "));
  }
  assert.deepEqual([...seen].sort(), ["a1", "a1 new2", "a2", "a2 b", "b"]);
});

Deno.test("a folder sync keeps what was done before it, and not what is done meanwhile", async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 50; seed++) {
    const { disk, time } = world(seed);
    disk.open("a", "create").close();
    const synced = disk.sync();
    disk.open("b", "create").close();
    await settle(time, synced);
    seen.add(disk.crash().list().join(" "));
  }
  assert.deepEqual([...seen].sort(), ["a", "a b"]);
});

Deno.test("after the power is off nothing is answered and nothing is changed", async () => {
  const { disk, time } = world(1);
  const file = disk.open("a", "create");
  file.write(0, Uint8Array.of(1));
  let isSettled = false;
  file.sync().finally(() => isSettled = true);
  const survivor = disk.crash();
  await settle(time, Promise.resolve());
  assert.equal(isSettled, false);
  const before = survivor.list();
  await fails("io", () => file.write(0, Uint8Array.of(2)));
  await fails("io", () => disk.open("b", "create"));
  await fails("io", () => disk.list());
  await fails("io", () => disk.sync());
  assert.deepEqual(survivor.list(), before);
});

Deno.test("crashIn cuts the power in the middle of an operation", async () => {
  let crashes = 0;
  const { disk } = world(1);
  disk.crashIn(2, () => crashes++);
  const file = disk.open("a", "create");
  file.write(0, Uint8Array.of(1));
  assert.equal(crashes, 0);
  await fails("io", () => file.write(1, Uint8Array.of(2)));
  assert.equal(crashes, 1);
  assert.ok(disk.isDead);
});

Deno.test("an orderly restart keeps the page cache, and what was synced before stays so", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { disk, time } = world(seed);
    const file = disk.open("a", "create");
    file.write(0, Uint8Array.of(1, 2, 3));
    file.sync();
    const next = disk.restart();
    await fails("io", () => file.size());
    assert.deepEqual(contentOf(next, "a"), Uint8Array.of(1, 2, 3));
    await settle(time, next.open("a", "write").sync());
    await settle(time, next.sync());
    assert.deepEqual(contentOf(next.crash(), "a"), Uint8Array.of(1, 2, 3));
  }
});

Deno.test("a full disk takes no more, and again when there is room", async () => {
  const { disk } = world(1);
  disk.capacityBytes = 1_000;
  const file = disk.open("a", "create");
  file.write(0, new Uint8Array(900));
  disk.open("b", "create").write(0, new Uint8Array(50));
  await fails("full", () => file.write(900, new Uint8Array(51)));
  assert.ok(disk.usedBytes <= 1_000);
  await fails("full", () => file.truncate(2_000));
  file.write(100, new Uint8Array(800));
  disk.remove("b");
  file.write(900, new Uint8Array(100));
  assert.equal(disk.usedBytes, 1_000);
});

Deno.test("a failed sync leaves the content in doubt, and a later one does not mend it", async () => {
  const survived = { all: 0, none: 0, some: 0 };
  for (let seed = 1; seed <= 200; seed++) {
    const made = world(seed);
    await durableFile(made, new Uint8Array(4 * SECTOR_BYTES));
    const { disk, time } = made;
    const file = disk.open("a", "write");
    file.write(0, new Uint8Array(4 * SECTOR_BYTES).fill(1));
    disk.inject({ operation: "sync", kind: "io", after: 0 });
    const failing = file.sync();
    failing.catch(() => {});
    time.runUntil(time.nowMs() + 10);
    await fails("io", () => failing);
    assert.ok(disk.hasFailed);
    await settle(time, file.sync());
    const sectors = contentOf(disk.crash(), "a").reduce((sum, byte) => sum + byte, 0) /
      SECTOR_BYTES;
    survived[sectors === 4 ? "all" : sectors === 0 ? "none" : "some"]++;
  }
  assert.ok(survived.all > 0 && survived.none > 0 && survived.some > 100, JSON.stringify(survived));
});

Deno.test("faults meet their operation, their file and their turn", async () => {
  const { disk, time } = world(1);
  const one = disk.open("one", "create");
  const other = disk.open("other", "create");
  disk.inject({ operation: "write", kind: "io", after: 1, on: (name) => name === "other" });
  one.write(0, Uint8Array.of(1));
  other.write(0, Uint8Array.of(1));
  one.write(0, Uint8Array.of(1));
  await fails("io", () => other.write(0, Uint8Array.of(1)));
  other.write(0, Uint8Array.of(1));
  disk.inject({ operation: "read", kind: "io", after: 0 });
  await fails("io", () => one.read(0, new Uint8Array(1)));
  disk.inject({ operation: "folder", kind: "full", after: 0 });
  await fails("full", () => disk.rename("one", "two"));
  disk.inject({ operation: "folder_sync", kind: "io", after: 0 });
  const synced = disk.sync();
  synced.catch(() => {});
  time.runUntil(100);
  await fails("io", () => synced);
  assert.deepEqual(disk.list(), ["one", "other"]);
});

Deno.test("bit rot is on the disk and in the cache", async () => {
  const made = world(1);
  await durableFile(made, new Uint8Array(600));
  made.disk.rot("a", 513, 3);
  assert.equal(contentOf(made.disk, "a")[513], 8);
  assert.equal(contentOf(made.disk.crash(), "a")[513], 8);
});

Deno.test("a slow sync takes its time, and the same seed does the same", async () => {
  const { disk, time } = world(1, 500);
  let isSynced = false;
  disk.open("a", "create").sync().then(() => isSynced = true);
  time.runUntil(499);
  await Promise.resolve();
  assert.equal(isSynced, false);

  async function run(seed: number): Promise<Uint8Array> {
    const made = world(seed);
    await durableFile(made, new Uint8Array(3_000));
    made.disk.open("a", "write").write(100, new Uint8Array(2_500).fill(9));
    return contentOf(made.disk.crash(), "a");
  }
  assert.deepEqual(await run(7), await run(7));
  assert.notDeepEqual(await run(7), await run(8));
});
