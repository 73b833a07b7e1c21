import assert from "node:assert/strict";
import type { LogRecord } from "../ports.ts";
import { IDENTITY, indexesOf, openTestLog, recordOf, recordsOf } from "./log_fixture.ts";
import { MemoryDisk } from "./memory_disk_fixture.ts";
import { playPowerCuts } from "./power_cut_fixture.ts";
import { LogCorruptError, segmentName } from "./segment.ts";

/** Where each record of a log stands, by watching what is written. */
interface Placed {
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly batch: number;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await undefined;
}

/** A log of batches of these sizes, in segments of 1 KiB, not closed; and where its records are. */
async function logOf(batches: readonly number[]): Promise<{
  disk: MemoryDisk;
  records: LogRecord[];
  places: Placed[];
}> {
  const disk = new MemoryDisk();
  const { log } = await openTestLog(disk, { segmentBytes: 1024 });
  await settle();
  const records: LogRecord[] = [];
  const places: Placed[] = [];
  disk.onWrite = (file, offset, bytes) => {
    if (!file.endsWith(".wal")) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length;) {
      const size = (view.getUint32(at, true) + 12 + 7) & ~7;
      const isAppended = view.getUint8(at + 12) <= 5;
      const place = { file, start: offset + at, end: offset + at + size, batch: offset };
      if (isAppended) places.push(place);
      at += size;
    }
  };
  for (const [batch, count] of batches.entries()) {
    const added = Array.from({ length: count }, (_, at) => {
      const index = records.length + at + 1;
      return recordOf(index, 11 + (index * 13) % 60, { group: 1 + batch % 2 });
    });
    records.push(...added);
    await Promise.all(added.map((record) => log.append([record])));
    await settle();
  }
  assert.equal(places.length, records.length);
  const copy = disk.copy();
  await log.close();
  return { disk: copy, records, places };
}

type Opening = { replayed: LogRecord[] } | { error: LogCorruptError };

async function opening(disk: MemoryDisk): Promise<Opening> {
  try {
    const { replayed, log } = await openTestLog(disk, { segmentBytes: 1024 });
    await log.close();
    return { replayed };
  } catch (error) {
    if (error instanceof LogCorruptError) return { error };
    throw error;
  }
}

async function assertCorrupt(
  disk: MemoryDisk,
  file: string,
  offset: number,
  reason: RegExp,
): Promise<void> {
  const before = disk.list().map((name) => disk.contentOf(name).slice());
  const result = await opening(disk);
  assert.ok("error" in result, "the log was opened");
  const { error } = result;
  assert.deepEqual([error.file, error.offset], [file, offset]);
  assert.match(error.reason, reason);
  assert.equal(error.message.includes(file) && error.message.includes(String(offset)), true);
  assert.deepEqual(disk.list().map((name) => disk.contentOf(name)), before);
}

Deno.test("openLog refuses or mends each flipped bit of a log, and loses nothing acknowledged before its last batch", async () => {
  const { disk, records, places } = await logOf([1, 3, 4, 2, 5, 3]);
  const files = disk.list().filter((name) => name.endsWith(".wal"));
  const last = places.at(-1);
  assert.ok(last !== undefined && files.length >= 3);
  let [refused, mended, harmless] = [0, 0, 0];
  for (const [fileAt, file] of files.entries()) {
    const length = disk.contentOf(file).length;
    for (let offset = 0; offset < length; offset++) {
      // Of the zeros behind the records every 16th byte will do.
      const isUsed = offset < 64 ||
        places.some(({ file: other, start, end }) =>
          file === other && offset >= start && offset < end + 40
        );
      if (!isUsed && offset % 16 !== 0) continue;
      const copy = disk.copy();
      const content = copy.contentOf(file);
      content[offset] = (content[offset] ?? 0) ^ (1 << ((offset * 5 + fileAt) & 7));
      const result = await opening(copy);
      const at = places.findIndex((one) =>
        one.file === file && offset >= one.start && offset < one.end
      );
      const place = places[at];
      const isLastBatch: boolean = place?.file === last.file && place.batch === last.batch;
      if ("error" in result) {
        refused++;
        assert.equal(isLastBatch, false, `flip in the last batch at ${offset}`);
        if (place !== undefined) {
          assert.deepEqual([result.error.file, result.error.offset], [file, place.start]);
        }
      } else if (result.replayed.length === records.length) {
        harmless++;
        // Padding, or zeros behind the end of a segment.
        const isRecord = place !== undefined &&
          offset < place.start + 33 + (records[at]?.payload.length ?? 0);
        assert.equal(isRecord || offset < 64, false, `flip at ${file} ${offset} went unseen`);
        assert.deepEqual(result.replayed, records);
      } else {
        mended++;
        assert.equal(isLastBatch, true, `flip at ${file} ${offset} lost acknowledged records`);
        assert.deepEqual(result.replayed, records.slice(0, at));
      }
    }
  }
  assert.ok(refused > 500 && mended > 100 && harmless > 20, `${refused} ${mended} ${harmless}`);
});

Deno.test("openLog refuses every flipped bit of a record of a log that was closed properly", async () => {
  const { disk, records, places } = await logOf([2, 3]);
  assert.deepEqual(await opening(disk), { replayed: records });
  for (const [at, { file, start }] of places.entries()) {
    const end = start + 33 + (records[at]?.payload.length ?? 0);
    for (let offset = start; offset < end; offset++) {
      for (const bit of offset % 7 === 0 ? [0, 1, 2, 3, 4, 5, 6, 7] : [offset & 7]) {
        const copy = disk.copy();
        const content = copy.contentOf(file);
        content[offset] = (content[offset] ?? 0) ^ (1 << bit);
        await assertCorrupt(copy, file, start, /was on disk/);
      }
    }
  }
});

Deno.test("openLog mends a log that was cut off at any byte of its last segment, and goes on", async () => {
  const { disk, records, places } = await logOf([1, 3, 4, 2]);
  const file = places.at(-1)?.file ?? "";
  const length = disk.contentOf(file).length;
  assert.equal(length, 1024);
  for (let size = 0; size < length; size++) {
    const copy = disk.copy();
    const handle = copy.open(file, "write");
    handle.truncate(size);
    handle.close();
    if (size < 64) {
      await assertCorrupt(copy, file, 0, /shorter than a header/);
      continue;
    }
    const whole = places.filter((place, at) =>
      place.file !== file || place.start + 33 + (records[at]?.payload.length ?? 0) <= size &&
        place.end <= size
    ).length;
    const { log, replayed, torn } = await openTestLog(copy, { segmentBytes: 1024 });
    assert.deepEqual(replayed, records.slice(0, whole), `cut at ${size}`);
    assert.equal(torn?.file, file);
    await log.append([recordOf(1000)]);
    await log.close();
    assert.equal(copy.contentOf(file).length, 1024);
    const again = await opening(copy);
    assert.ok("replayed" in again);
    assert.deepEqual(again.replayed, [...records.slice(0, whole), recordOf(1000)]);
  }
});

Deno.test("openLog tells a record that a power cut tore, valid ones of its batch behind it, from a damaged one", async () => {
  const { disk, records, places } = await logOf([2, 4]);
  for (let at = 0; at < records.length; at++) {
    const copy = disk.copy();
    const place = places[at];
    assert.ok(place);
    copy.contentOf(place.file).fill(0, place.start, place.end);
    if (at < 2) {
      await assertCorrupt(copy, place.file, place.start, /damaged/);
    } else {
      const result = await opening(copy);
      assert.ok("replayed" in result);
      assert.deepEqual(result.replayed, records.slice(0, at));
      // What stood behind the gap is gone for good.
      assert.deepEqual(await opening(copy), { replayed: records.slice(0, at) });
    }
  }
});

Deno.test("openLog does not bring back records behind a torn one when the gap is filled again", async () => {
  const { disk, records, places } = await logOf([1, 3]);
  const place = places[1];
  assert.ok(place);
  disk.contentOf(place.file).fill(0, place.start, place.end);
  const { log } = await openTestLog(disk, { segmentBytes: 1024 });
  // As long as the torn one, so that the next would follow on it.
  const filling = { ...recordOf(2, records[1]?.payload.length ?? 0), term: 2 };
  await log.append([filling]);
  const result = await opening(disk.copy());
  assert.ok("replayed" in result);
  assert.deepEqual(result.replayed, [...records.slice(0, 1), filling]);
  await log.close();
});

Deno.test("openLog refuses a gap between segments, a missing last one, and a lost seal", async () => {
  const { disk, places } = await logOf([5, 5, 5, 5, 5, 5, 5, 5]);
  const files = disk.list().filter((name) => name.endsWith(".wal"));
  assert.ok(files.length >= 4);
  const inUse = new Set(places.map((place) => place.file));
  const second = disk.copy();
  second.remove(segmentName(2));
  await assertCorrupt(second, segmentName(2), 0, /missing/);
  const last = disk.copy();
  for (const name of files.slice(inUse.size - 1)) last.remove(name);
  await assertCorrupt(last, segmentName(inUse.size), 0, /missing.*successor/);
  const seal = places.filter((place) => place.file === segmentName(1)).at(-1)?.end ?? 0;
  const unsealed = disk.copy();
  unsealed.contentOf(segmentName(1)).fill(0, seal);
  await assertCorrupt(unsealed, segmentName(1), seal, /no proper end/);
});

Deno.test("openLog refuses headers of other formats, owners and places by name", async () => {
  const { disk } = await logOf([1]);
  const file = segmentName(1);
  const format = disk.copy();
  format.contentOf(file)[8] = 2;
  await assertCorrupt(format, file, 8, /format version 2 is not known/);
  const magic = disk.copy();
  magic.contentOf(file)[0] = 0;
  await assertCorrupt(magic, file, 0, /does not begin like/);
  const moved = disk.copy();
  moved.rename(segmentName(1), segmentName(2));
  await assertCorrupt(moved, segmentName(2), 48, /that of segment 1/);
  const other = new Uint8Array(16).fill(7);
  for (
    const [ids, reason] of [
      [{ clusterId: other }, /belongs to cluster c1c1.*not to 0707/],
      [{ nodeId: other }, /belongs to node 0d0d.*not to 0707/],
    ] as const
  ) {
    await assert.rejects(
      openTestLog(disk.copy(), { ...IDENTITY, ...ids }),
      (error) => error instanceof LogCorruptError && reason.test(error.message),
    );
  }
});

Deno.test("openLog writes the last batch and the zeros behind it before it settles", async () => {
  const { disk, records, places } = await logOf([1, 3]);
  // A sync failed, the process ended, and the pages are taken for clean.
  const synced: string[] = [];
  const written: [number, number][] = [];
  disk.onWrite = (_name, offset, bytes) => void written.push([offset, bytes.length]);
  disk.beforeSync = (name) => Promise.resolve(void synced.push(name));
  const { replayed } = await openTestLog(disk, { segmentBytes: 1024 });
  assert.deepEqual(replayed, records);
  const [first, last] = [places[1], places.at(-1)];
  assert.ok(first && last);
  assert.deepEqual(written[0], [first.start, last.end - first.start]);
  assert.equal(synced[0], segmentName(1));
});

Deno.test("openLog removes spares of another length and what was not finished", async () => {
  const { disk, records } = await logOf([1, 2]);
  const half = disk.open("spare.tmp", "create");
  half.write(0, new Uint8Array(100).fill(9));
  half.close();
  const { log, replayed } = await openTestLog(disk, { segmentBytes: 2048 });
  assert.deepEqual(replayed, records);
  for (let index = 10; index < 20; index++) await log.append([recordOf(index, 800)]);
  await log.close();
  assert.equal(disk.contentOf(segmentName(1)).length, 1024);
  assert.equal(disk.contentOf(segmentName(2)).length, 2048);
  const { replayed: all, log: again } = await openTestLog(disk);
  assert.deepEqual(indexesOf(all), [...indexesOf(records), ...indexesOf(recordsOf(10, 19))]);
  await again.close();
});

Deno.test("openLog tells how far it has come and waits for the listener", async () => {
  const disk = new MemoryDisk();
  const options = { segmentBytes: 4 << 20, queueBytesMax: 64 << 20 };
  const { log } = await openTestLog(disk, options);
  await log.append(recordsOf(1, 30, 200_000));
  await log.close();
  const told: [number, number][] = [];
  let isBusy = false;
  const { log: again } = await openTestLog(disk, {
    ...options,
    onRecord: () => assert.equal(isBusy, false),
    onProgress: async (done, total) => {
      isBusy = true;
      told.push([done, total]);
      for (let turn = 0; turn < 5; turn++) await undefined;
      isBusy = false;
    },
  });
  assert.ok(told.length >= 6, `${told.length}`);
  const total = told[0]?.[1] ?? 0;
  assert.deepEqual(told.at(-1), [total, total]);
  assert.ok(told.every(([done], at) => done > (told[at - 1]?.[0] ?? 0) && done <= total));
  await again.close();
});

Deno.test("openLog refuses options that make no log", async () => {
  for (const segmentBytes of [0, 1000, 1028, (1 << 30) + 8]) {
    await assert.rejects(openTestLog(new MemoryDisk(), { segmentBytes }), RangeError);
  }
  const clusterId = new Uint8Array(15);
  await assert.rejects(openTestLog(new MemoryDisk(), { clusterId }), RangeError);
});

Deno.test("SegmentLog keeps all that it acknowledged through power cuts at any moment, and invents nothing", async () => {
  for (let seed = 1; seed <= 250; seed++) await playPowerCuts(seed);
});
