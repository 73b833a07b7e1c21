/**
 * A data directory that was damaged: its log cut and flipped at every byte of its
 * last records, files missing, foreign or full of noise. A torn end is mended and
 * told; corruption is refused, with the file and the place, and nothing is
 * changed.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { openStorage } from "../../kv_node/assembly/storage.ts";
import { openStore } from "../../kv_node/compat/mod.ts";
import { LogCorruptError } from "../../kv_node/wal/segment.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { KillableNode } from "../support/kv_killable_node.ts";
import {
  type PristineFolder,
  pristineFolder,
  type PristineRecord,
  SMALL_SEGMENTS,
  writeFolder,
} from "../support/kv_pristine.ts";
import { smallDisk, whyNoSmallDisk } from "../support/small_disk.ts";

const COMMITS = 30;
/** Records at the end of which every byte is damaged. */
const LAST_RECORDS = 6;
const LIMITS = {
  waitingMax: 100,
  waitingBytesMax: 1_000_000,
  commandBytesMax: 10_000,
  holdMs: 3_000,
  retryMs: 500,
};

/** Hundreds of folders are opened: where one can be had, on a disk that syncs at once. */
const hasQuickDisk = whyNoSmallDisk() === null;
const QUICK_DISK_KIB = 16_384;

type Damage = "flipped" | "zero from here on" | "cut off here";

/** What a start came to: so many commits are there, or the place that it names. */
type Opened =
  | { readonly type: "opened"; readonly commits: number; readonly torn: number | null }
  | { readonly type: "refused"; readonly file: string; readonly offset: number };

for (const damage of ["flipped", "zero from here on", "cut off here"] as const) {
  Deno.test(`a log whose last ${LAST_RECORDS} records are ${damage}, at every byte: torn ends are mended, corruption is refused by name`, async () => {
    const pristine = await pristineFolder(COMMITS, "SIGKILL");
    const last = pristine.records.slice(-LAST_RECORDS);
    using disk = hasQuickDisk ? smallDisk(QUICK_DISK_KIB) : null;
    const counts = { opened: 0, refused: 0 };
    for (const [at, record] of last.entries()) {
      const place = { record, at, isLast: at === LAST_RECORDS - 1 };
      for (let offset = record.start; offset < record.end; offset++) {
        const bytes = damaged(pristine, record, offset, damage);
        const isSame = isEqual(bytes, pristine, record);
        const opened = await open(pristine, { [record.file]: bytes }, disk?.path);
        counts[opened.type]++;
        judge(opened, { ...place, offset, isSame, damage });
      }
    }
    assert.ok(counts.opened > 50);
    assert.equal(counts.refused > 50, damage === "flipped", JSON.stringify(counts));
  });
}

Deno.test("a log that was closed properly: a flip in its last commit is corruption, too", async () => {
  const pristine = await pristineFolder(COMMITS, "SIGTERM");
  const record = pristine.records.at(-2);
  assert.ok(record !== undefined && record.group === 1);
  assert.equal(pristine.records.at(-1)?.group, -1);
  using disk = hasQuickDisk ? smallDisk(QUICK_DISK_KIB) : null;
  for (let offset = record.start; offset < record.end - 8; offset++) {
    const bytes = damaged(pristine, record, offset, "flipped");
    const opened = await open(pristine, { [record.file]: bytes }, disk?.path);
    const expected: Opened = {
      type: "refused",
      file: record.file.slice(4),
      offset: record.start,
    };
    assert.deepEqual(opened, expected, `byte ${offset}`);
  }
});

interface Place {
  readonly record: PristineRecord;
  /** Which of the last records. */
  readonly at: number;
  readonly isLast: boolean;
  readonly offset: number;
  /** Whether the record itself is as it was. */
  readonly isSame: boolean;
  readonly damage: Damage;
}

function judge(opened: Opened, { record, at, isLast, offset, isSame, damage }: Place): void {
  const text = `${damage} at byte ${offset} of ${record.start} to ${record.end}`;
  const kept = COMMITS - LAST_RECORDS + at;
  if (damage === "flipped" && !isLast) {
    // Bytes that only fill up the record may be changed without harm.
    if (opened.type === "opened" && isPadding(record, offset)) {
      return assert.equal(opened.commits, COMMITS, text);
    }
    const expected = { type: "refused", file: record.file.slice(4), offset: record.start };
    return assert.deepEqual(opened, expected, text);
  }
  assert.ok(opened.type === "opened", `${text}: ${JSON.stringify(opened)}`);
  if (opened.commits === kept + 1) {
    return assert.ok(isSame || isPadding(record, offset), `${text}: a damaged record counts`);
  }
  assert.equal(opened.commits, kept, text);
  if (offset > record.start && damage !== "cut off here") {
    assert.equal(opened.torn, record.start, `${text}: told`);
  }
}

function isPadding({ end }: PristineRecord, offset: number): boolean {
  return offset >= end - 7;
}

function damaged(
  { files }: PristineFolder,
  { file }: PristineRecord,
  offset: number,
  damage: Damage,
): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(files.get(file) ?? []);
  if (damage === "cut off here") return bytes.slice(0, offset);
  if (damage === "flipped") bytes[offset] = (bytes[offset] ?? 0) ^ (1 << offset % 8);
  else bytes.fill(0, offset);
  return bytes;
}

function isEqual(
  bytes: Uint8Array,
  { files }: PristineFolder,
  { file, start, end }: PristineRecord,
): boolean {
  const before = files.get(file)?.subarray(start, end) ?? [];
  const now = bytes.subarray(start, end);
  return now.length === before.length && now.every((byte, at) => byte === before[at]);
}

/** Opens the folder as a node does; what it refuses it leaves as it was. */
async function open(
  pristine: PristineFolder,
  changed: Readonly<Record<string, Uint8Array<ArrayBuffer>>>,
  dir = "/tmp",
): Promise<Opened> {
  const folder = Deno.makeTempDirSync({ prefix: "weir-damage-", dir });
  try {
    writeFolder(folder, pristine, changed);
    const first = await openOnce(folder, pristine);
    if (first.type === "refused") {
      for (const [name, bytes] of Object.entries(changed)) {
        assert.deepEqual(Deno.readFileSync(`${folder}/${name}`), bytes, `${name} was changed`);
      }
    }
    return first;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function openOnce(folder: string, { stamps }: PristineFolder): Promise<Opened> {
  try {
    const storage = await openStorage({
      folder,
      clock: systemClock,
      segmentBytes: 16_384,
      limits: LIMITS,
      random16: () => randomBytes(16),
      onProgress: () => {},
      onSync: () => {},
      onBatch: () => {},
      onFatal: (error) => {
        throw error;
      },
    });
    const range = { start: new Uint8Array(0), end: new Uint8Array(9).fill(255) };
    const [rows = []] = storage.data.read([{ ...range, limit: COMMITS + 1, reverse: false }]);
    for (const [at, { stamp }] of rows.entries()) assert.equal(stamp.toHex(), stamps[at]);
    const { torn } = storage.replay;
    await storage.close();
    return { type: "opened", commits: rows.length, torn: torn?.offset ?? null };
  } catch (error) {
    if (!(error instanceof LogCorruptError)) throw error;
    return { type: "refused", file: error.file, offset: error.offset };
  }
}

Deno.test("a real start mends a torn end, tells it, serves, and finds nothing to mend the next time", async () => {
  const pristine = await pristineFolder(COMMITS, "SIGKILL");
  const record = pristine.records.at(-1);
  assert.ok(record !== undefined);
  for (const offset of [record.start, record.start + 1, record.start + 20, record.end - 8]) {
    await using node = new KillableNode({ flags: SMALL_SEGMENTS });
    writeFolder(node.folder, pristine, {
      [record.file]: damaged(pristine, record, offset, "zero from here on"),
    });
    const run = await node.serve();
    const told = run.lines.find(({ event }) => event === "kv.torn_tail");
    // Without a byte of the last record nothing can tell that there was one.
    if (offset > record.start) {
      assert.deepEqual([told?.file, told?.offset], [record.file.slice(4), record.start]);
    }
    using store = await openStore(node.url, { token: "any" });
    for (const [at, stamp] of pristine.stamps.slice(0, -1).entries()) {
      assert.equal((await store.get(["k", at])).versionstamp, stamp);
    }
    assert.equal((await store.get(["k", COMMITS - 1])).versionstamp, null);
    const { versionstamp } = await store.set(["k", COMMITS - 1], "again");
    assert.ok(versionstamp > (pristine.stamps.at(-2) ?? ""));
    await run.kill();
    const next = await node.serve();
    assert.equal(next.lines.find(({ event }) => event === "kv.torn_tail"), undefined);
    assert.equal((await store.get(["k", COMMITS - 1])).versionstamp, versionstamp);
  }
});

/** How a folder is spoilt, and what the one sentence has to name. */
interface Spoilt {
  readonly name: string;
  readonly says: RegExp;
  spoil(folder: string, pristine: PristineFolder): void;
}

const NOISE = new Uint8Array(20_000).fill(0xa5);

const SPOILT: readonly Spoilt[] = [
  {
    name: "a flip in an early record",
    says: /0000000000000001\.wal.*\b(\d+)\b/,
    spoil(folder, { files, records }) {
      const { file = "", start = 0 } = records[3] ?? {};
      const bytes = Uint8Array.from(files.get(file) ?? []);
      bytes[start + 20] = (bytes[start + 20] ?? 0) ^ 4;
      Deno.writeFileSync(`${folder}/${file}`, bytes);
    },
  },
  {
    name: "a flip in a segment's header",
    says: /0000000000000001\.wal/,
    spoil(folder, { files }) {
      const bytes = Uint8Array.from(files.get("wal/0000000000000001.wal") ?? []);
      bytes[20] = (bytes[20] ?? 0) ^ 1;
      Deno.writeFileSync(`${folder}/wal/0000000000000001.wal`, bytes);
    },
  },
  {
    name: "a missing segment",
    says: /0000000000000002\.wal.*missing/,
    spoil: (folder) => Deno.removeSync(`${folder}/wal/0000000000000002.wal`),
  },
  {
    name: "a segment full of noise",
    says: /0000000000000002\.wal/,
    spoil: (folder) => Deno.writeFileSync(`${folder}/wal/0000000000000002.wal`, NOISE),
  },
  {
    name: "an identity full of noise",
    says: /identity/,
    spoil: (folder) => Deno.writeFileSync(`${folder}/identity.json`, NOISE),
  },
  {
    name: "an identity of another node",
    says: /belongs|another|cluster/,
    spoil(folder, { files }) {
      const text = new TextDecoder().decode(files.get("identity.json"));
      const other = text.replace(
        /("cluster": ?")(.)/,
        (_, before, digit) => `${before}${digit === "1" ? "2" : "1"}`,
      );
      Deno.writeTextFileSync(`${folder}/identity.json`, other);
    },
  },
  {
    name: "a lost identity",
    says: /identity/,
    spoil: (folder) => Deno.removeSync(`${folder}/identity.json`),
  },
  {
    name: "a state full of noise",
    says: /1\.db/,
    spoil(folder) {
      Deno.mkdirSync(`${folder}/state`);
      Deno.writeFileSync(`${folder}/state/1.db`, NOISE);
    },
  },
];

for (const { name, says, spoil } of SPOILT) {
  Deno.test(`a start on ${name} ends with status 1 and one clear sentence, and changes nothing`, async () => {
    const pristine = await pristineOfSeveralSegments();
    await using node = new KillableNode({ flags: SMALL_SEGMENTS });
    writeFolder(node.folder, pristine);
    spoil(node.folder, pristine);
    const before = contentOf(node.folder);
    // Which folder it is in is noted there before anything else is looked at.
    before.delete("identity.json");
    const run = node.begin();
    assert.deepEqual(await run.ended, { code: 1, signal: null }, run.errorText);
    assert.match(run.errorText, /^Cannot [^\n]+[^.\n]\n$/);
    assert.match(run.errorText, says);
    for (const [path, bytes] of before) {
      assert.deepEqual(Deno.readFileSync(`${node.folder}/${path}`), bytes, `${path} was changed`);
    }
  });
}

let severalSegments: Promise<PristineFolder> | null = null;

function pristineOfSeveralSegments(): Promise<PristineFolder> {
  severalSegments ??= pristineFolder(160, "SIGKILL");
  return severalSegments;
}

function contentOf(folder: string): Map<string, Uint8Array> {
  const content = new Map<string, Uint8Array>();
  for (const below of ["", "wal/", "state/"]) {
    let entries: Deno.DirEntry[] = [];
    try {
      entries = [...Deno.readDirSync(`${folder}/${below}`)];
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    for (const { name, isFile } of entries) {
      if (isFile) content.set(`${below}${name}`, Deno.readFileSync(`${folder}/${below}${name}`));
    }
  }
  return content;
}

Deno.test("a second node on one folder ends with one sentence, and the first is not disturbed", async () => {
  await using node = new KillableNode({ flags: SMALL_SEGMENTS });
  await node.serve();
  using store = await openStore(node.weirUrl, { token: "any" });
  await store.set(["k"], 1);
  await using other = new KillableNode({ folder: node.folder });
  const run = other.begin();
  assert.deepEqual(await run.ended, { code: 1, signal: null });
  assert.match(run.errorText, /^Cannot [^\n]+\n$/);
  await store.set(["k"], 2);
  assert.equal((await store.get(["k"])).value, 2);
});
