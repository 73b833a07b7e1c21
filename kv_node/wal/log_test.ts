import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { KvError } from "../errors.ts";
import type { LogRecord } from "../ports.ts";
import { indexesOf, openTestLog, recordOf, recordsOf } from "./log_fixture.ts";
import { MemoryDisk } from "./memory_disk_fixture.ts";
import { segmentName } from "./segment.ts";

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof KvError && error.code === code;
}

function hashOf({ index, payload }: LogRecord): string {
  return `${index} ${createHash("sha256").update(payload).digest("hex")}`;
}

/** Lets everything run that waits for nothing outside. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await undefined;
}

Deno.test("SegmentLog gives back all records in order, over many segments and openings", async () => {
  const disk = new MemoryDisk();
  const expected: LogRecord[] = [];
  for (let life = 0; life < 5; life++) {
    const { log, replayed, isNew } = await openTestLog(disk);
    assert.equal(isNew, life === 0);
    assert.deepEqual(replayed, expected);
    for (let at = 0; at < 20; at++) {
      const index = expected.length + 1;
      const type = (["entry", "vote", "truncate", "snapshot", "config"] as const)[at % 5];
      const record = recordOf(index, (index * 37) % 700, { type: type ?? "entry", group: at % 3 });
      expected.push(record);
      await log.append([record]);
    }
    await log.close();
  }
  assert.equal(disk.list().length > 8, true);
});

Deno.test("SegmentLog syncs once for all that gathered during the sync before", async () => {
  const disk = new MemoryDisk();
  const batches: number[] = [];
  let nowMs = 0;
  const { log } = await openTestLog(disk, {
    segmentBytes: 1 << 16,
    nowMs: () => nowMs += 5,
    onSync: ({ records, bytes, seconds }) => {
      batches.push(records);
      assert.equal(bytes, records * 56);
      assert.equal(seconds, 0.005);
    },
  });
  await settle();
  const gates: (() => void)[] = [];
  disk.beforeSync = () => new Promise((resolve) => void gates.push(resolve));
  const settled: number[] = [];
  const appends = [];
  for (const record of recordsOf(1, 3)) appends.push(log.append([record]));
  await settle();
  for (const record of recordsOf(4, 10)) appends.push(log.append([record]));
  appends.forEach((append, at) => void append.then(() => settled.push(at)));
  await settle();
  assert.deepEqual([gates.length, settled], [1, []]);
  gates[0]?.();
  await settle();
  assert.deepEqual([gates.length, settled], [2, [0, 1, 2]]);
  gates[1]?.();
  await Promise.all(appends);
  assert.deepEqual(settled, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(batches, [3, 7]);
  disk.beforeSync = () => Promise.resolve();
  await log.close();
});

Deno.test("SegmentLog writes a batch with one write", async () => {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk, { segmentBytes: 1 << 16 });
  await settle();
  const writes: number[] = [];
  disk.onWrite = (_name, _offset, bytes) => void writes.push(bytes.length);
  await Promise.all(recordsOf(1, 50).map((record) => log.append([record])));
  assert.deepEqual(writes, [50 * 56]);
  await log.close();
});

Deno.test("SegmentLog spreads an append over segments and refuses a record that fits in none", async () => {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk, { segmentBytes: 1024 });
  await log.append(recordsOf(1, 40, 100));
  await log.append([recordOf(41, 1024 - 64 - 40 - 33)]);
  await assert.rejects(log.append([recordOf(42, 1024 - 64 - 40 - 32)]), codeOf("too_large"));
  await assert.rejects(log.append([recordOf(42, 1 << 20)]), codeOf("too_large"));
  await assert.rejects(log.append([{ ...recordOf(42), term: -1 }]), RangeError);
  await log.append([recordOf(42)]);
  await log.close();
  const { log: again, replayed } = await openTestLog(disk, { segmentBytes: 1024 });
  assert.deepEqual(replayed, [
    ...recordsOf(1, 40, 100),
    recordOf(41, 1024 - 64 - 40 - 33),
    recordOf(42),
  ]);
  await again.close();
});

Deno.test("SegmentLog writes batches longer than its buffer", async () => {
  const disk = new MemoryDisk();
  const options = { segmentBytes: 8 << 20, queueBytesMax: 64 << 20 };
  const { log } = await openTestLog(disk, options);
  const records = recordsOf(1, 5, 1_500_000);
  await Promise.all([log.append(records.slice(0, 4)), log.append(records.slice(4))]);
  await log.close();
  const { log: again, replayed } = await openTestLog(disk, options);
  assert.deepEqual(replayed.map(hashOf), records.map(hashOf));
  await again.close();
});

Deno.test("SegmentLog refuses what goes beyond the waiting bytes, and takes more once they are written", async () => {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk, { queueBytesMax: 560 });
  await settle();
  let open = () => {};
  disk.beforeSync = () => new Promise((resolve) => open = resolve);
  const first = log.append(recordsOf(1, 5));
  await settle();
  const second = log.append(recordsOf(6, 10));
  assert.equal(log.size().waitingBytes, 560);
  await assert.rejects(log.append([recordOf(11)]), codeOf("overloaded"));
  await assert.rejects(log.append(recordsOf(11, 21)), codeOf("too_large"));
  disk.beforeSync = () => Promise.resolve();
  open();
  await Promise.all([first, second]);
  assert.equal(log.size().waitingBytes, 0);
  await log.append([recordOf(11)]);
  await log.close();
  assert.equal((await openTestLog(disk)).records, 11);
});

Deno.test("SegmentLog.close writes what waits, refuses what comes, and may be called twice", async () => {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk);
  const waiting = log.append(recordsOf(1, 3));
  const closed = log.close();
  await assert.rejects(log.append([recordOf(4)]), codeOf("stopping"));
  await Promise.all([waiting, closed, log.close()]);
  assert.deepEqual(indexesOf((await openTestLog(disk)).replayed), [1, 2, 3]);
});

Deno.test("SegmentLog tells once of a failed sync and acknowledges nothing from then on", async () => {
  const disk = new MemoryDisk();
  const { log, fatal } = await openTestLog(disk);
  await log.append([recordOf(1)]);
  await settle();
  disk.fault = (operation) => operation === "sync" ? "io" : null;
  const results = await Promise.allSettled([
    log.append([recordOf(2)]),
    log.append([recordOf(3)]),
    settle().then(() => log.append([recordOf(4)])),
  ]);
  disk.fault = () => null;
  results.push(...await Promise.allSettled([log.append([recordOf(5)])]));
  for (const result of results) {
    assert.equal(result.status === "rejected" && codeOf("stopping")(result.reason), true);
  }
  assert.deepEqual(fatal.map((error) => error.message), [`Cannot sync ${segmentName(1)}: io`]);
  await log.close();
});

Deno.test("SegmentLog takes a failed sync of its folder as one of its own, and tells of both but once", async () => {
  const disk = new MemoryDisk();
  const { log, fatal } = await openTestLog(disk, { segmentBytes: 1024 });
  for (const record of recordsOf(1, 40, 100)) await log.append([record]);
  await settle();
  disk.beforeSync = settle;
  disk.fault = (operation) => operation === "sync" || operation === "syncAll" ? "io" : null;
  const results = await Promise.allSettled([
    log.append([recordOf(41)]),
    log.cut(new Map([[1, 20]])),
  ]);
  assert.deepEqual(results.map((result) => result.status), ["rejected", "rejected"]);
  await assert.rejects(log.append([recordOf(42)]), codeOf("stopping"));
  await log.close();
  assert.equal(fatal.length, 1);
});

Deno.test("SegmentLog takes a write that failed otherwise than for room as a failed sync", async () => {
  const disk = new MemoryDisk();
  const { log, fatal } = await openTestLog(disk);
  await log.append([recordOf(1)]);
  await settle();
  disk.fault = (operation) => operation === "write" ? "io" : null;
  await assert.rejects(log.append([recordOf(2, 500)]), codeOf("stopping"));
  assert.equal(fatal.length, 1);
  await log.close();
  const { replayed, torn } = await openTestLog(disk.copy());
  assert.deepEqual([indexesOf(replayed), torn?.offset], [[1], 64 + 56]);
});

Deno.test("SegmentLog takes back a batch for which there was no room, and goes on", async () => {
  const disk = new MemoryDisk();
  const { log, fatal } = await openTestLog(disk);
  await log.append([recordOf(1)]);
  await settle();
  const operations: string[] = [];
  disk.fault = (operation) => {
    operations.push(operation);
    return operation === "write" && operations.length === 1 ? "full" : null;
  };
  const refused = [log.append(recordsOf(2, 9, 200)), log.append([recordOf(10)])];
  for (const append of refused) await assert.rejects(append, codeOf("disk_full"));
  // The system may have brought half of it to disk, so the zeros must get there too.
  assert.deepEqual(operations, ["write", "write", "sync"]);
  const { replayed, torn } = await openTestLog(disk.copy());
  assert.deepEqual([indexesOf(replayed), torn], [[1], null]);
  await log.append([recordOf(2)]);
  await log.close();
  assert.deepEqual([indexesOf((await openTestLog(disk)).replayed), fatal], [[1, 2], []]);
});

Deno.test("SegmentLog gives up if a failed write cannot be taken back", async () => {
  const disk = new MemoryDisk();
  const { log, fatal } = await openTestLog(disk);
  await log.append([recordOf(1)]);
  await settle();
  disk.fault = (operation) => operation === "write" ? "full" : null;
  await assert.rejects(log.append([recordOf(2)]), codeOf("stopping"));
  assert.equal(fatal.length, 1);
  await log.close();
});

Deno.test("SegmentLog refuses what finds no segment on a full disk, and all entries behind it", async () => {
  const disk = new MemoryDisk();
  disk.capacityBytes = 2 * 4096 + 1000;
  const { log, fatal } = await openTestLog(disk);
  let index = 0;
  let results: PromiseSettledResult<void>[] = [];
  while (index < 100 && results.every((result) => result.status === "fulfilled")) {
    // A long one that may not fit, and short ones behind it that would.
    const records = [recordOf(index + 1, 500), recordOf(index + 2), recordOf(index + 3)];
    results = await Promise.allSettled(records.map((record) => log.append([record])));
    if (results[0]?.status === "fulfilled") index += 3;
  }
  for (const result of results) {
    assert.equal(result.status === "rejected" && codeOf("disk_full")(result.reason), true);
  }
  assert.equal(log.size().isFull, true);
  await log.append([recordOf(7, 10, { type: "vote", group: 9 })]);
  disk.capacityBytes = Infinity;
  await log.append([recordOf(index + 1, 500)]);
  assert.equal(log.size().isFull, false);
  await log.close();
  assert.deepEqual(fatal, []);
  const { replayed } = await openTestLog(disk);
  assert.deepEqual(indexesOf(replayed), [...indexesOf(recordsOf(1, index)), 7, index + 1]);
});

Deno.test("SegmentLog keeps room for votes where entries find none", async () => {
  const disk = new MemoryDisk();
  disk.capacityBytes = 4096;
  const { log } = await openTestLog(disk);
  let entries = 0;
  while (await log.append([recordOf(entries + 1)]).then(() => true, () => false)) entries++;
  const votes = recordsOf(1, 6).map((record): LogRecord => ({ ...record, type: "vote", group: 2 }));
  for (const vote of votes) await log.append([vote]);
  await log.close();
  const { replayed } = await openTestLog(disk.copy());
  assert.deepEqual(replayed, [...recordsOf(1, entries), ...votes]);
});

Deno.test("SegmentLog takes nothing of an append that would need one segment too many", async () => {
  const disk = new MemoryDisk();
  disk.capacityBytes = 3 * 4096;
  const { log } = await openTestLog(disk);
  await log.append([recordOf(1)]);
  await assert.rejects(log.append(recordsOf(2, 40, 400)), codeOf("disk_full"));
  await log.append([recordOf(2)]);
  await log.close();
  assert.deepEqual(indexesOf((await openTestLog(disk)).replayed), [1, 2]);
});

Deno.test("SegmentLog waits before it tries a full disk again, unless something was cut", async () => {
  const disk = new MemoryDisk();
  let nowMs = 0;
  let attempts = 0;
  disk.capacityBytes = 3 * 4096 + 100;
  const { log } = await openTestLog(disk, { retryMs: 1000, nowMs: () => nowMs });
  let index = 1;
  for (; index < 1000; index++) {
    const isWritten = await log.append([recordOf(index, 500)]).then(() => true, () => false);
    if (!isWritten) break;
  }
  disk.fault = (operation) => (attempts += operation === "create" ? 1 : 0, null);
  await assert.rejects(log.append([recordOf(index, 500)]), codeOf("disk_full"));
  nowMs = 999;
  await assert.rejects(log.append([recordOf(index, 500)]), codeOf("disk_full"));
  assert.equal(attempts, 0);
  nowMs = 1000;
  await assert.rejects(log.append([recordOf(index, 500)]), codeOf("disk_full"));
  assert.equal(attempts, 1);
  await log.cut(new Map([[1, index - 1]]));
  await log.append([recordOf(index, 500)]);
  await log.close();
});

Deno.test("SegmentLog gives its reserve back on a full disk, and makes it again when there is room", async () => {
  const disk = new MemoryDisk();
  disk.capacityBytes = 3 * 4096 + 100;
  const { log } = await openTestLog(disk, { isReserved: true });
  await settle();
  assert.deepEqual(disk.list(), [segmentName(1), segmentName(2), "reserve"]);
  let index = 1;
  for (; index < 1000; index++) {
    const isWritten = await log.append([recordOf(index, 500)]).then(() => true, () => false);
    if (!isWritten) break;
  }
  assert.deepEqual(disk.list(), [segmentName(1), segmentName(2)]);
  // Entries find no room although the reserve's is free; what steps down does.
  await assert.rejects(log.append([recordOf(index, 500)]), codeOf("disk_full"));
  for (let term = 1; term < 20; term++) {
    await log.append([recordOf(term, 100, { type: "vote", group: 9 })]);
  }
  assert.deepEqual(disk.list(), [segmentName(1), segmentName(2), segmentName(3)]);
  disk.capacityBytes = Infinity;
  await log.append([recordOf(index, 500)]);
  await settle();
  assert.equal(disk.list().includes("reserve"), true);
  await log.close();
});

Deno.test("SegmentLog.cut removes whole segments that nobody needs, oldest first, and no others", async () => {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk, { segmentBytes: 1024 });
  for (let index = 1; index <= 40; index++) {
    await log.append([recordOf(index, 100), recordOf(index * 2, 10, { group: 2 })]);
  }
  await settle();
  const before = disk.list();
  await log.cut(new Map([[1, 40]]));
  assert.deepEqual(disk.list(), before, "group 2 is not named, so it needs all it has");
  await log.cut(new Map([[1, 0], [2, 100]]));
  assert.deepEqual(disk.list(), before);
  await log.cut(new Map([[1, 20], [2, 100]]));
  const after = disk.list();
  assert.equal(after.length < before.length && after.length > 2, true);
  assert.deepEqual(after, before.slice(before.length - after.length));
  await log.close();
  const { log: again, replayed, firstSequence } = await openTestLog(disk, { segmentBytes: 1024 });
  const entries = indexesOf(replayed.filter((record) => record.group === 1));
  assert.equal(entries[0] !== undefined && entries[0] <= 21 && entries[0] > 14, true);
  assert.equal(entries.at(-1), 40);
  assert.equal(segmentName(firstSequence), after[0]);
  await again.append([recordOf(41, 880)]);
  await again.cut(new Map([[1, 1000], [2, 1000]]));
  await settle();
  assert.equal(disk.list().length, 2, "the segment in use and a spare");
  await again.close();
  assert.deepEqual(indexesOf((await openTestLog(disk)).replayed), [41]);
});

Deno.test("SegmentLog.cut syncs the folder after each removal", async () => {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk, { segmentBytes: 1024 });
  for (const record of recordsOf(1, 60, 100)) await log.append([record]);
  await settle();
  const events: string[] = [];
  disk.fault = (operation, name) => {
    if (operation === "remove" || operation === "syncAll") events.push(operation + name);
    return null;
  };
  await log.cut(new Map([[1, 25]]));
  assert.deepEqual(events.slice(0, 4), [
    `remove${segmentName(1)}`,
    "syncAll",
    `remove${segmentName(2)}`,
    "syncAll",
  ]);
  await log.close();
});
