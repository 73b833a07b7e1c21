import assert from "node:assert/strict";
import { IDENTITY } from "./log_fixture.ts";
import { MemoryDisk } from "./memory_disk_fixture.ts";
import { segmentName } from "./segment.ts";
import { makeSegment, SpareSegments } from "./spare_segments.ts";

const SEGMENT_BYTES = 3 << 20;

function sparesOn(disk: MemoryDisk, isReserved: boolean): SpareSegments {
  const options = {
    identity: IDENTITY,
    segmentBytes: SEGMENT_BYTES,
    isReserved,
    nowMs: () => 0,
    retryMs: 10,
  };
  return new SpareSegments(disk, options, { spares: [], nextSequence: 2, hasReserve: false });
}

Deno.test("makeSegment writes slice by slice, syncs each, and only then gives the name", async () => {
  const disk = new MemoryDisk();
  const events: string[] = [];
  disk.fault = (operation, name) => {
    events.push(`${operation} ${name}`.trim());
    return null;
  };
  const options = { identity: IDENTITY, segmentBytes: SEGMENT_BYTES };
  assert.equal(await makeSegment(disk, 7, options, () => false), true);
  assert.deepEqual(events, [
    "remove spare.tmp",
    "syncAll",
    "create spare.tmp",
    // Zeros, and the header over the first of them.
    ...["write", "write", "sync", "write", "sync", "write", "sync"]
      .map((what) => `${what} spare.tmp`),
    `rename ${segmentName(7)}`,
    "syncAll",
  ]);
  const content = disk.contentOf(segmentName(7));
  assert.equal(content.length, SEGMENT_BYTES);
  assert.equal(content.subarray(64).every((byte) => byte === 0), true);
  const lost = disk.cutPower(() => false);
  assert.deepEqual(lost.contentOf(segmentName(7)), content);
});

Deno.test("makeSegment leaves nothing behind when it is stopped or fails", async () => {
  const disk = new MemoryDisk();
  const options = { identity: IDENTITY, segmentBytes: SEGMENT_BYTES };
  let asked = 0;
  assert.equal(await makeSegment(disk, 7, options, () => ++asked === 3), false);
  assert.deepEqual(disk.list(), []);
  disk.capacityBytes = 2 << 20;
  await assert.rejects(makeSegment(disk, 7, options, () => false), { kind: "full" });
  assert.deepEqual(disk.list(), []);
});

Deno.test("SpareSegments.ensure waits for what is under way and makes no more than it was asked for", async () => {
  const disk = new MemoryDisk();
  const spares = sparesOn(disk, true);
  spares.refill();
  spares.refill();
  assert.equal(await spares.ensure(1, false), true);
  assert.deepEqual(disk.list(), [segmentName(2), "reserve"]);
  assert.equal(await spares.ensure(3, false), true);
  assert.deepEqual([spares.take(), spares.take(), spares.take(), spares.take()], [
    2,
    3,
    4,
    undefined,
  ]);
});

Deno.test("SpareSegments.ensure passes on a failure that is not one of space", async () => {
  const disk = new MemoryDisk();
  const spares = sparesOn(disk, false);
  disk.fault = (operation) => operation === "sync" ? "io" : null;
  await assert.rejects(spares.ensure(1, false), { kind: "io" });
  // Not tried again at once, and still no matter of space.
  await assert.rejects(spares.ensure(1, false), { kind: "io" });
  assert.equal(spares.isFull, false);
});

Deno.test("SpareSegments keeps neither reserve nor spare where there is no room for both", async () => {
  const disk = new MemoryDisk();
  disk.capacityBytes = SEGMENT_BYTES + 100;
  const spares = sparesOn(disk, true);
  assert.equal(await spares.ensure(1, false), false);
  assert.deepEqual([disk.list(), spares.isFull], [[], true]);
  assert.equal(await spares.ensure(1, true), true, "what is urgent may have the room");
  assert.deepEqual(disk.list(), [segmentName(2)]);
});

Deno.test("SpareSegments.stop ends what is under way", async () => {
  const disk = new MemoryDisk();
  const spares = sparesOn(disk, false);
  spares.refill();
  await spares.stop();
  assert.deepEqual(disk.list(), []);
  assert.equal(await spares.ensure(1, false), false);
});
