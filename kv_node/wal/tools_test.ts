import assert from "node:assert/strict";
import { IDENTITY, indexesOf, openTestLog, recordOf, recordsOf } from "./log_fixture.ts";
import { MemoryDisk } from "./memory_disk_fixture.ts";
import { salvageLog } from "./salvage.ts";
import { LogCorruptError, segmentName } from "./segment.ts";
import { verifyLog } from "./verify.ts";

const RECORD_BYTES = 136;

/** A log of 40 records of one length, each a batch, in segments of 1 KiB; a vote is the third. */
async function logOf(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk, { segmentBytes: 1024 });
  for (const record of recordsOf(1, 40, 100)) {
    if (record.index === 3) await log.append([recordOf(5, 100, { type: "vote", group: 2 })]);
    await log.append([record]);
  }
  await log.close();
  return disk;
}

function damage(disk: MemoryDisk, sequence: number, offset: number): void {
  const content = disk.contentOf(segmentName(sequence));
  content[offset] = (content[offset] ?? 0) ^ 0x10;
}

Deno.test("verifyLog counts what is in a log without fault", async () => {
  const disk = await logOf();
  const told: number[] = [];
  const report = await verifyLog(disk, (done, total) => void told.push(done / total));
  assert.equal(report.records, 41);
  assert.equal(report.payloadBytes, 4100);
  assert.deepEqual(report.groups.get(1), { records: 40, firstIndex: 1, lastIndex: 40 });
  assert.deepEqual(report.groups.get(2), { records: 1, firstIndex: null, lastIndex: null });
  assert.deepEqual([report.problems, report.problemCount, report.torn], [[], 0, null]);
  assert.deepEqual([report.firstSequence, report.segments], [1, disk.list().length]);
  assert.equal(told.at(-1), 1);
});

Deno.test("verifyLog names every damaged place and reads on behind it", async () => {
  const disk = await logOf();
  damage(disk, 1, 64 + RECORD_BYTES + 40);
  damage(disk, 1, 64 + 3 * RECORD_BYTES + 2);
  damage(disk, 3, 64 + 12);
  damage(disk, 4, 20);
  const before = disk.list().map((name) => disk.contentOf(name).slice());
  const report = await verifyLog(disk);
  assert.equal(report.records, 38);
  assert.deepEqual(report.problems.map(({ file, offset }) => [file, offset]), [
    [segmentName(1), 64 + RECORD_BYTES],
    [segmentName(1), 64 + 3 * RECORD_BYTES],
    [segmentName(3), 64],
    [segmentName(4), 0],
  ]);
  assert.deepEqual(disk.list().map((name) => disk.contentOf(name)), before);
  disk.remove(segmentName(2));
  const { problems } = await verifyLog(disk);
  assert.ok(problems.some(({ file, reason }) => file === segmentName(2) && /missing/.test(reason)));
});

Deno.test("verifyLog takes a torn end for no problem, and the segment of another node for one", async () => {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk);
  await log.append(recordsOf(1, 3));
  disk.contentOf(segmentName(1)).fill(0xff, 64 + 2 * 56 + 30, 64 + 3 * 56);
  const torn = await verifyLog(disk);
  assert.deepEqual([torn.problems, torn.records], [[], 2]);
  assert.deepEqual([torn.torn?.file, torn.torn?.offset], [segmentName(1), 64 + 2 * 56]);
  const other = new MemoryDisk();
  const { log: foreign } = await openTestLog(other, { nodeId: new Uint8Array(16) });
  await foreign.append([recordOf(1, 3000)]);
  await foreign.append([recordOf(2, 3000)]);
  await foreign.close();
  await log.append([recordOf(4, 3900)]);
  await log.close();
  disk.contentOf(segmentName(2)).set(other.contentOf(segmentName(2)));
  const { problems } = await verifyLog(disk);
  assert.ok(problems.some(({ file, reason }) => file === segmentName(2) && /another/.test(reason)));
});

Deno.test("verifyLog and salvageLog go on where a file cannot be read", async () => {
  const disk = await logOf();
  disk.fault = (operation, name) => operation === "read" && name === segmentName(2) ? "io" : null;
  const { problems, records } = await verifyLog(disk);
  assert.deepEqual(problems.map(({ file }) => file), [segmentName(2)]);
  assert.ok(records > 25);
  const report = await salvageLog(disk, new MemoryDisk(), { segmentBytes: 4096 });
  assert.equal(report.records, records);
});

Deno.test("salvageLog writes every readable record, in order, and says what is missing", async () => {
  const source = await logOf();
  damage(source, 1, 64 + 4 * RECORD_BYTES + 50);
  damage(source, 3, 3);
  source.contentOf(segmentName(5)).fill(0x55, 64, 64 + 2 * RECORD_BYTES);
  const before = source.list().map((name) => source.contentOf(name).slice());
  await assert.rejects(openTestLog(source.copy(), { segmentBytes: 1024 }), LogCorruptError);
  const target = new MemoryDisk();
  const report = await salvageLog(source, target, { segmentBytes: 2048 });
  const { replayed, log } = await openTestLog(target, { segmentBytes: 2048 });
  await log.close();
  const entries = indexesOf(replayed.filter((record) => record.type === "entry"));
  const lost = report.missing.flatMap(({ fromIndex, toIndex }) =>
    Array.from({ length: toIndex - fromIndex + 1 }, (_, at) => fromIndex + at)
  );
  assert.equal(lost.length, 3);
  assert.deepEqual([...entries, ...lost].sort((one, other) => one - other), [
    ...indexesOf(recordsOf(1, 40)),
  ]);
  assert.deepEqual(entries, [...entries].sort((one, other) => one - other));
  assert.equal(replayed.length, report.records);
  assert.equal(report.problems.length, 3);
  assert.deepEqual(
    replayed.filter((record) => record.type === "vote"),
    [recordOf(5, 100, { type: "vote", group: 2 })],
  );
  assert.deepEqual(source.list().map((name) => source.contentOf(name)), before);
});

Deno.test("salvageLog drops what is behind a gap, if told so, but no vote", async () => {
  const source = new MemoryDisk();
  const { log } = await openTestLog(source);
  for (const record of recordsOf(1, 6)) await log.append([record]);
  await log.append([recordOf(1, 20, { group: 2 })]);
  await log.append([recordOf(9, 20, { type: "vote" })]);
  await log.close();
  damage(source, 1, 64 + 3 * 56 + 20);
  const target = new MemoryDisk();
  const report = await salvageLog(source, target, { behindGaps: "drop", segmentBytes: 4096 });
  assert.deepEqual(report.missing, [{ group: 1, fromIndex: 4, toIndex: 4 }]);
  assert.deepEqual([report.records, report.dropped], [5, 2]);
  const { replayed } = await openTestLog(target);
  assert.deepEqual(replayed.map(({ type, group, index }) => [type, group, index]), [
    ["entry", 1, 1],
    ["entry", 1, 2],
    ["entry", 1, 3],
    ["entry", 2, 1],
    ["vote", 1, 9],
  ]);
});

Deno.test("salvageLog refuses a target in use, and a source of which nobody knows whose it is", async () => {
  const source = await logOf();
  await assert.rejects(salvageLog(source, await logOf()), /there is a log in the target/);
  for (const name of source.list()) source.contentOf(name)[0] = 0;
  await assert.rejects(salvageLog(source, new MemoryDisk()), /no header in it is good/);
  const target = new MemoryDisk();
  const options = { identity: IDENTITY, segmentBytes: 4096 };
  assert.equal((await salvageLog(source, target, options)).records, 41);
});
