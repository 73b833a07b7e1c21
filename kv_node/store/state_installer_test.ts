import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Row } from "../types.ts";
import { encodeSnapshot } from "./snapshot_encoder.ts";
import { openSqliteState, STATE_FILES } from "./sqlite_state.ts";
import { type StateFiles, StateInstaller } from "./state_installer.ts";

const IDENTITY = { cluster: "one", group: 1 };
const OPTIONS = { ...IDENTITY, fromAnyCluster: false };

Deno.test("StateInstaller leaves the old state or the new one, whichever of its steps is the last", async () => {
  const snapshot = bytesOf(40);
  const found: number[] = [];
  let steps = 0;
  for (let last = 0; last <= steps; last++) {
    using folder = temporaryFolder();
    await makeOld(folder.file);
    const files = stoppingAfter(last === 0 ? Infinity : last - 1);
    try {
      const installer = new StateInstaller(files.value, folder.file, OPTIONS);
      installer.push(snapshot);
      installer.finish();
    } catch (error) {
      assert.match(String(error), /on purpose/);
    }
    if (last === 0) steps = files.count();
    // As after a crash: nobody cleans up, and the state is opened.
    const state = openSqliteState(folder.file, { ...IDENTITY, checkpointer: null });
    found.push(state.applied.index);
    assert.equal(state.size().rows, state.applied.index === 7 ? 7 : 40);
    await state.close();
    // The next installation is not disturbed by what was left.
    const next = new StateInstaller(STATE_FILES, folder.file, OPTIONS);
    next.push(snapshot);
    assert.equal(next.finish().rows, 40);
    assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["state"]);
  }
  assert.equal(found[0], 90);
  const switched = found.indexOf(90, 1);
  assert.ok(switched > 3, `${found}`);
  assert.deepEqual(found.slice(1), found.slice(1).map((_, i) => i + 1 < switched ? 7 : 90));
});

Deno.test("StateInstaller says that the disk is full, and leaves the old state alone", async () => {
  using folder = temporaryFolder();
  await makeOld(folder.file);
  const files: StateFiles = {
    ...STATE_FILES,
    connect(path) {
      const connection = new DatabaseSync(path);
      // SQLite's own limit gives the error of a full disk.
      connection.exec("PRAGMA max_page_count = 20");
      return connection;
    },
  };
  const installer = new StateInstaller(files, folder.file, OPTIONS);
  const install = () => {
    installer.push(bytesOf(2_000));
    installer.finish();
  };
  assert.throws(install, {
    name: "DiskError",
    kind: "full",
    message: "Cannot install snapshot: the disk is full",
  });
  installer.abandon();
  const left = [...Deno.readDirSync(folder.path)].map(({ name }) => name);
  assert.deepEqual(left.toSorted(), ["state", "state-wal"]);
  const state = openSqliteState(folder.file, { ...IDENTITY, checkpointer: null });
  assert.equal(state.applied.index, 7);
  await state.close();
});

/** The real files, until so many things have been done to them. */
function stoppingAfter(count: number): { value: StateFiles; count: () => number } {
  let done = 0;
  const step = (): void => {
    if (done >= count) throw new Error("Cannot go on: on purpose");
    done++;
  };
  const value: StateFiles = {
    has: STATE_FILES.has,
    connect: (path) => (step(), STATE_FILES.connect(path)),
    remove: (path) => (step(), STATE_FILES.remove(path)),
    rename: (from, to) => (step(), STATE_FILES.rename(from, to)),
    sync: (path) => (step(), STATE_FILES.sync(path)),
    syncFolderOf: (path) => (step(), STATE_FILES.syncFolderOf(path)),
  };
  return { value, count: () => done };
}

/** A state at entry 7, as a killed process leaves it: all in its write-ahead file. */
async function makeOld(path: string): Promise<void> {
  const state = openSqliteState(`${path}-made`, { ...IDENTITY, checkpointer: null });
  for (let index = 1; index <= 7; index++) {
    state.transact({ term: 1, index, stamp: null }, (writer) => writer.put(rowOf(1_000 + index)));
  }
  for (const suffix of ["", "-wal"]) Deno.copyFileSync(`${path}-made${suffix}`, path + suffix);
  await state.close();
  Deno.removeSync(`${path}-made`);
}

/** A snapshot at entry 90. */
function bytesOf(rows: number): Uint8Array {
  const applied = { term: 2, index: 90, stamp: null };
  const sorted = Array.from({ length: rows }, (_, place) => rowOf(place));
  const chunks = [...encodeSnapshot({ ...IDENTITY, applied, rows }, sorted)];
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk.bytes, at);
    at += chunk.bytes.length;
  }
  return bytes;
}

function rowOf(place: number): Row {
  const key = new Uint8Array(6);
  new DataView(key.buffer).setUint32(2, place);
  const data = new Uint8Array(100).fill(place);
  return { key, data, stamp: new Uint8Array(10), encoding: 1, expiresMs: place };
}

function temporaryFolder(): { path: string; file: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "weir-state-" });
  return {
    path,
    file: `${path}/state`,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}
