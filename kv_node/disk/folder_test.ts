import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Disk, DiskError, type DiskFailure } from "../ports.ts";
import { diskFailureOf } from "./disk_errors.ts";
import { openFolder } from "./folder.ts";

const TEMPORARY = { prefix: "weir_disk_" };

function inFolder(run: (disk: Disk, path: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const path = Deno.makeTempDirSync(TEMPORARY);
    try {
      await run(openFolder(path), path);
    } finally {
      Deno.removeSync(path, { recursive: true });
    }
  };
}

function fails(kind: DiskFailure, run: () => void): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof DiskError, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, /^Cannot .*[^.]$/);
    return true;
  });
}

/** Bytes that tell at which offset they belong. */
function pattern(lengthBytes: number, from = 0): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (from + i) * 31 % 251);
}

Deno.test(
  "a file gives back what was written, wherever it was",
  inFolder((disk, path) => {
    const file = disk.open("a", "create");
    file.write(0, pattern(1_000));
    file.write(1_000, pattern(500, 1_000));
    file.write(5_000, pattern(10, 5_000));
    file.write(200, new Uint8Array(3));
    assert.equal(file.size(), 5_010);

    const expected = new Uint8Array(5_010);
    expected.set(pattern(1_500));
    expected.set(pattern(10, 5_000), 5_000);
    expected.fill(0, 200, 203);
    const all = new Uint8Array(6_000);
    assert.equal(file.read(0, all), 5_010, "short at the end only");
    assert.deepEqual(all.subarray(0, 5_010), expected);
    const middle = new Uint8Array(700);
    assert.equal(file.read(900, middle), 700);
    assert.deepEqual(middle, expected.subarray(900, 1_600));
    assert.equal(file.read(5_010, middle), 0);
    assert.equal(file.read(0, new Uint8Array(0)), 0);
    file.close();
    assert.deepEqual(Deno.readFileSync(`${path}/a`), expected);
  }),
);

Deno.test(
  "writes and reads of several open files do not disturb each other",
  inFolder((disk) => {
    const one = disk.open("a", "create");
    const other = disk.open("a", "write");
    one.write(0, pattern(64));
    other.write(64, pattern(64, 64));
    one.write(128, pattern(64, 128));
    const back = new Uint8Array(192);
    assert.equal(other.read(0, back), 192);
    assert.deepEqual(back, pattern(192));
    one.close();
    other.close();
  }),
);

Deno.test(
  "a large write is taken whole",
  inFolder(async (disk) => {
    const file = disk.open("large", "create");
    const bytes = pattern(9_000_001);
    file.write(7, bytes);
    await file.sync();
    const back = new Uint8Array(bytes.length);
    assert.equal(file.read(7, back), bytes.length);
    assert.equal(firstDifference(back, bytes), -1);
    file.close();
  }),
);

/** `assert.deepEqual` of millions of bytes takes seconds. */
function firstDifference(one: Uint8Array, other: Uint8Array): number {
  return Buffer.compare(one, other) === 0 ? -1 : one.findIndex((byte, i) => byte !== other[i]);
}

Deno.test(
  "truncate cuts, and extends by zeros",
  inFolder((disk) => {
    const file = disk.open("a", "create");
    file.write(0, pattern(100));
    file.truncate(10);
    assert.equal(file.size(), 10);
    file.truncate(30);
    const back = new Uint8Array(40);
    assert.equal(file.read(0, back), 30);
    assert.deepEqual(back.subarray(0, 10), pattern(10));
    assert.deepEqual(back.subarray(10, 30), new Uint8Array(20));
    file.close();
  }),
);

Deno.test(
  "a folder lists, renames over what is there, and removes",
  inFolder(async (disk, path) => {
    for (const name of ["b", "a", "c"]) {
      const file = disk.open(name, "create");
      file.write(0, new TextEncoder().encode(name));
      file.close();
    }
    Deno.mkdirSync(`${path}/below`);
    assert.deepEqual(disk.list(), ["a", "b", "c"], "files only, sorted");
    disk.rename("a", "c");
    disk.remove("b");
    await disk.sync();
    assert.deepEqual(disk.list(), ["c"]);
    assert.equal(Deno.readTextFileSync(`${path}/c`), "a");
  }),
);

Deno.test(
  "failures are told apart",
  inFolder(async (disk, path) => {
    disk.open("a", "create").close();
    fails("exists", () => disk.open("a", "create"));
    fails("missing", () => disk.open("b", "read"));
    fails("missing", () => disk.open("b", "write"));
    fails("missing", () => disk.rename("b", "c"));
    fails("missing", () => disk.remove("b"));
    for (const name of ["../a", "x/y", "", ".", ".."]) {
      fails("denied", () => disk.open(name, "create"));
      fails("denied", () => disk.rename("a", name));
      fails("denied", () => disk.remove(name));
    }
    fails("missing", () => openFolder(`${path}/nowhere`));
    fails("missing", () => openFolder(`${path}/a`));

    const readOnly = disk.open("a", "read");
    assert.throws(() => readOnly.write(0, new Uint8Array(1)), DiskError);
    readOnly.close();
    fails("io", () => readOnly.size());
    await assert.rejects(readOnly.sync(), DiskError);

    Deno.removeSync(path, { recursive: true });
    await assert.rejects(disk.sync(), (error: DiskError) => error.kind === "missing");
    Deno.mkdirSync(path);
  }),
);

Deno.test("diskFailureOf knows the codes of a full disk, a quota and a read-only system", () => {
  const kindOf = (code: string) => diskFailureOf(Object.assign(new Error("x"), { code }));
  assert.equal(kindOf("ENOSPC"), "full");
  assert.equal(kindOf("EDQUOT"), "full");
  assert.equal(kindOf("EROFS"), "denied");
  assert.equal(kindOf("EIO"), "io");
  assert.equal(diskFailureOf("text"), "io");
  assert.equal(diskFailureOf(new Deno.errors.PermissionDenied("x")), "denied");
});

/** Runs a program, `null` where it is not installed. */
function run(program: string, ...args: string[]): { code: number; text: string } | null {
  try {
    const { code, stdout, stderr } = new Deno.Command(program, { args }).outputSync();
    const decoder = new TextDecoder();
    return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

Deno.test("a full disk is `full`, and has room again when something is removed", async (t) => {
  const path = Deno.makeTempDirSync(TEMPORARY);
  const mounted = run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path)?.code === 0;
  try {
    await t.step({
      name: mounted ? "on a tmpfs of 1 MiB" : "skipped: mounting a tmpfs is not permitted here",
      ignore: !mounted,
      fn: () => fillUp(openFolder(path)),
    });
  } finally {
    if (mounted) run("umount", path);
    Deno.removeSync(path, { recursive: true });
  }
});

async function fillUp(disk: Disk): Promise<void> {
  const ballast = disk.open("ballast", "create");
  ballast.write(0, new Uint8Array(600_000));
  const file = disk.open("file", "create");
  file.write(0, pattern(100));
  fails("full", () => file.write(100, new Uint8Array(600_000)));
  ballast.close();
  disk.remove("ballast");
  const bytes = pattern(600_000, 100);
  file.write(100, bytes);
  await file.sync();
  const back = new Uint8Array(600_100);
  assert.equal(file.read(0, back), 600_100);
  assert.equal(firstDifference(back, pattern(600_100)), -1);
  file.close();
}

/** What a process does under `strace`: each step is tried, and its failure printed. */
const SYNCING = `
  const { openFolder } = await import(Deno.args[0]);
  const disk = openFolder(Deno.args[1]);
  const file = disk.open("file", "create");
  file.write(0, new Uint8Array(10));
  await file.sync().then(() => console.log("file synced"), (e) => console.log("file", e.kind));
  await disk.sync().then(() => console.log("folder synced"), (e) => console.log("folder", e.kind));
`;

function syncUnderStrace(
  path: string,
  ...options: string[]
): { code: number; text: string } | null {
  return run(
    ...["strace", "-f", "-qq", "-o", `${path}/trace.txt`, ...options] as [string, ...string[]],
    ...[Deno.execPath(), "run", "--no-prompt", "--no-check", "--quiet", "--no-config"],
    ...["--no-lock", `--allow-read`, `--allow-write=${path}`, `${path}/syncing.js`],
    ...[import.meta.resolve("./folder.ts"), path],
  );
}

Deno.test("sync is fdatasync on files and fsync on the folder; failed, it is `io`", async (t) => {
  const path = Deno.makeTempDirSync(TEMPORARY);
  try {
    const traceable = run("strace", "-o", `${path}/trace.txt`, "true")?.code === 0;
    await t.step({
      name: traceable ? "under strace" : "skipped: strace is not installed or not permitted here",
      ignore: !traceable,
      fn: () => traceSyncs(path),
    });
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});

function traceSyncs(path: string): void {
  Deno.writeTextFileSync(`${path}/syncing.js`, SYNCING);
  const syncing = syncUnderStrace(path, "-y", "-e", "trace=fsync,fdatasync");
  assert.equal(syncing?.text, "file synced\nfolder synced\n");
  const trace = Deno.readTextFileSync(`${path}/trace.txt`);
  assert.match(trace, new RegExp(`fdatasync\\(\\d+<${path}/file>\\)\\s+= 0`));
  assert.match(trace, new RegExp(`fsync\\(\\d+<${path}>\\)\\s+= 0`));

  Deno.removeSync(`${path}/file`);
  const failing = syncUnderStrace(path, "-e", "inject=fsync,fdatasync:error=EIO");
  assert.equal(failing?.text, "file io\nfolder io\n");
}
