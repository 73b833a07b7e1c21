import assert from "node:assert/strict";
import type { Clock } from "../../src/ports.ts";
import type { Row } from "../types.ts";
import type { SnapshotChunk } from "./snapshot_encoder.ts";
import { openSqliteState, type SqliteState } from "./sqlite_state.ts";
import { type SpawnWorker, StateWorker } from "./worker_client.ts";
import { createStateWorker, spawnIn } from "./workers.ts";

const IDENTITY = { cluster: "one", group: 1 };
const INSTALL = { ...IDENTITY, fromAnyCluster: false };
const ALL = {
  start: new Uint8Array(0),
  end: new Uint8Array(9).fill(255),
  limit: 1e6,
  reverse: false,
};

Deno.test("StateWorker.snapshot reads one moment while writing goes on, and install makes it a state", async () => {
  using lab = openLab();
  const state = lab.open();
  apply(state, 1, 1_000, 3);
  const before = state.scan(ALL, 0);
  const snapshot = await lab.worker.snapshot(state.path);
  assert.equal(snapshot.header.applied.index, 1_000);
  assert.equal(snapshot.header.rows, 3_000);
  const chunks: SnapshotChunk[] = [];
  for await (const chunk of snapshot) {
    chunks.push(chunk);
    const next = state.applied.index + 1;
    apply(state, next, next + 20, 3);
    // A checkpoint does not wait for the snapshot, and is honest.
    assert.equal((await state.checkpoint()).index, state.applied.index);
  }
  assert.ok(chunks.length > 4, `${chunks.length} chunks`);
  assert.deepEqual(chunks.map(({ number }) => number), [...chunks.keys()]);
  assert.equal(chunks.at(-1)?.rows, 3_000);

  const progress: number[] = [];
  const path = `${lab.path}/other`;
  const installed = await lab.worker.install(path, chunks.map(({ bytes }) => bytes), {
    ...INSTALL,
    onProgress: ({ rows }) => progress.push(rows),
  });
  assert.equal(installed.applied.index, 1_000);
  assert.deepEqual(progress, chunks.map(({ rows }, place) => place === 0 ? 0 : rows));
  const other = openSqliteState(path, { ...IDENTITY, checkpointer: null });
  assert.deepEqual(other.applied, { term: 1, index: 1_000, stamp: new Uint8Array(10).fill(1_000) });
  assert.equal(other.size().rows, 3_000);
  assert.deepEqual(other.scan(ALL, 0), before);
  assert.equal(other.expired(1e9, 1e6).length, before.filter((row) => row.expiresMs).length);
  apply(other, 1_001, 1_002, 3);
  await other.close();
  await state.close();
  assert.deepEqual((await lab.worker.verify(path)).problems, []);
});

Deno.test("StateWorker.snapshot leaves the write-ahead file free again when it was given up", async () => {
  using lab = openLab();
  const state = lab.open();
  apply(state, 1, 500, 3);
  {
    await using snapshot = await lab.worker.snapshot(state.path);
    assert.equal(snapshot.header.rows, 1_500);
    apply(state, 501, 600, 3);
    await state.checkpoint();
  }
  for await (const _ of await lab.worker.snapshot(state.path)) break;
  apply(state, 601, 602, 3);
  await state.checkpoint();
  Deno.copyFileSync(state.path, `${lab.path}/copy`);
  const copy = openSqliteState(`${lab.path}/copy`, { ...IDENTITY, checkpointer: null });
  assert.equal(copy.applied.index, 602);
  await copy.close();
  await state.close();
});

Deno.test("StateWorker.install replaces an old state, and leaves it alone if the snapshot is not whole", async () => {
  using lab = openLab();
  const chunks = await snapshotOf(lab, 700);
  const old = `${lab.path}/old`;
  const made = openSqliteState(old, { ...IDENTITY, checkpointer: null });
  apply(made, 1, 5, 1);
  await made.close();
  const indexOfOld = async () => {
    const state = openSqliteState(old, { ...IDENTITY, checkpointer: null });
    const { index } = state.applied;
    await state.close();
    return index;
  };
  const damaged = chunks.map((bytes) => Uint8Array.from(bytes));
  damaged[2]?.fill(1, 500, 501);
  await assert.rejects(lab.worker.install(old, damaged, INSTALL), {
    name: "SnapshotError",
    chunk: 2,
  });
  await assert.rejects(lab.worker.install(old, chunks.slice(0, -1), INSTALL), /before its trailer/);
  await assert.rejects(lab.worker.install(old, chunks, { ...INSTALL, group: 2 }), {
    kind: "foreign",
  });
  const elsewhere = { ...INSTALL, cluster: "two" };
  await assert.rejects(lab.worker.install(old, chunks, elsewhere), { kind: "foreign" });
  await assert.rejects(lab.worker.install(old, failing(chunks), INSTALL), /on purpose/);
  assert.equal(await indexOfOld(), 5);
  assert.deepEqual(filesOf(lab.path), ["old", "source"]);

  await lab.worker.install(old, chunks, INSTALL);
  assert.equal(await indexOfOld(), 700);
  await lab.worker.install(old, chunks, { ...elsewhere, fromAnyCluster: true });
  const moved = openSqliteState(old, { cluster: "two", group: 1, checkpointer: null });
  assert.equal(moved.size().rows, 2_100);
  await moved.close();
});

Deno.test("StateWorker.install takes nothing over from an old state's write-ahead file", async () => {
  using lab = openLab();
  const chunks = await snapshotOf(lab, 400);
  const live = openSqliteState(`${lab.path}/live`, { ...IDENTITY, checkpointer: null });
  apply(live, 1, 30, 2);
  // What a killed process leaves: everything in the write-ahead file.
  for (const suffix of ["", "-wal"]) {
    Deno.copyFileSync(live.path + suffix, `${lab.path}/killed${suffix}`);
    Deno.copyFileSync(live.path + suffix, `${lab.path}/damaged${suffix}`);
  }
  await live.close();
  Deno.writeTextFileSync(`${lab.path}/damaged`, "?".repeat(5_000));
  for (const name of ["killed", "damaged"]) {
    await lab.worker.install(`${lab.path}/${name}`, chunks, INSTALL);
    const state = openSqliteState(`${lab.path}/${name}`, { ...IDENTITY, checkpointer: null });
    assert.equal(state.applied.index, 400);
    assert.equal(state.size().rows, 1_200);
    await state.close();
    assert.deepEqual((await lab.worker.verify(`${lab.path}/${name}`)).problems, []);
  }
});

Deno.test("StateWorker.install refuses to replace a state that is open", async () => {
  using lab = openLab();
  const chunks = await snapshotOf(lab, 50);
  const live = openSqliteState(`${lab.path}/live`, { ...IDENTITY, checkpointer: null });
  apply(live, 1, 3, 1);
  await assert.rejects(lab.worker.install(live.path, chunks, INSTALL), { kind: "busy" });
  apply(live, 4, 5, 1);
  assert.equal(live.size().rows, 5);
  await live.close();
});

Deno.test("StateWorker says what it cannot do, and goes on", async () => {
  using lab = openLab();
  await assert.rejects(lab.worker.checkpoint(`${lab.path}/none`), { kind: "missing" });
  await assert.rejects(lab.worker.snapshot(`${lab.path}/none`), { kind: "missing" });
  Deno.writeTextFileSync(`${lab.path}/text`, "?".repeat(5_000));
  await assert.rejects(lab.worker.verify(`${lab.path}/text`), {
    name: "StateError",
    kind: "foreign",
  });
  // It may use no other folder.
  await assert.rejects(lab.worker.verify("/etc/hostname"), /read access/);
  await assert.rejects(
    lab.worker.install("/tmp/weir-not-allowed", [], INSTALL),
    /read access|write access/,
  );
});

Deno.test("StateWorker fails what a dead worker owed, and starts another", async () => {
  using lab = openLab();
  let started = 0;
  const spawn: SpawnWorker = (listener) => {
    started++;
    if (started > 1) return spawnIn(lab.path)(listener);
    const source = "self.onmessage = () => { throw new Error('broken on purpose'); }";
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, {
      type: "module",
    });
    worker.onerror = (event) => {
      event.preventDefault();
      listener.died(event.message);
    };
    return { post: (message) => worker.postMessage(message), end: () => worker.terminate() };
  };
  const worker = new StateWorker(spawn, { clock: lab.clock, idleMs: 60_000 });
  const state = openSqliteState(`${lab.path}/state`, { ...IDENTITY, checkpointer: worker });
  apply(state, 1, 200, 3);
  const [first, second] = [state.checkpoint(), worker.verify(state.path)];
  await assert.rejects(first, { kind: "worker", message: /broken on purpose/ });
  await assert.rejects(second, { kind: "worker" });
  assert.equal((await state.checkpoint()).index, 200);
  assert.equal(started, 2);
  await state.close();
  worker.close();
  await assert.rejects(worker.checkpoint(state.path), { kind: "closed" });
});

Deno.test("StateWorker runs only while there is something to do", async () => {
  using lab = openLab();
  const state = lab.open();
  assert.equal(lab.worker.isRunning, false);
  apply(state, 1, 3, 1);
  await state.checkpoint(); // So little is copied without one.
  assert.equal(lab.worker.isRunning, false);
  const snapshot = await lab.worker.snapshot(state.path);
  assert.equal(lab.worker.isRunning, true);
  assert.equal(lab.timers.size, 0); // It is being read.
  for await (const _ of snapshot);
  assert.deepEqual([...lab.timers.values()].map(({ delayMs }) => delayMs), [60_000]);
  for (const { run } of [...lab.timers.values()]) run();
  assert.equal(lab.worker.isRunning, false);
  assert.equal((await lab.worker.verify(state.path)).rows, 3);
  await state.close();
});

/** A folder with a worker, and timers that the test runs itself. */
function openLab() {
  const path = Deno.makeTempDirSync({ prefix: "weir-state-" });
  const timers = new Map<number, { readonly delayMs: number; readonly run: () => void }>();
  let last = 0;
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    after(delayMs, run) {
      const id = ++last;
      timers.set(id, { delayMs, run });
      return { [Symbol.dispose]: () => void timers.delete(id) };
    },
  };
  const worker = createStateWorker(path, { clock });
  return {
    path,
    clock,
    timers,
    worker,
    open: () => openSqliteState(`${path}/source`, { ...IDENTITY, checkpointer: worker }),
    [Symbol.dispose]: () => {
      worker.close();
      Deno.removeSync(path, { recursive: true });
    },
  };
}

/** Chunks of a state with three rows an entry. */
async function snapshotOf(lab: ReturnType<typeof openLab>, entries: number): Promise<Uint8Array[]> {
  const state = lab.open();
  apply(state, 1, entries, 3);
  const chunks: Uint8Array[] = [];
  for await (const { bytes } of await lab.worker.snapshot(state.path)) chunks.push(bytes);
  await state.close();
  return chunks;
}

async function* failing(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks.slice(0, 2);
  await Promise.resolve();
  throw new Error("Cannot go on: on purpose");
}

function filesOf(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).toSorted();
}

function apply(state: SqliteState, from: number, to: number, rowsEach: number): void {
  for (let index = from; index <= to; index++) {
    state.transact({ term: 1, index, stamp: new Uint8Array(10).fill(index) }, (writer) => {
      for (let i = 0; i < rowsEach; i++) writer.put(rowOf(index * rowsEach + i));
    });
  }
}

function rowOf(place: number): Row {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setUint32(0, Math.imul(place, 0x9e3779b1) >>> 0);
  new DataView(key.buffer).setUint32(4, place);
  return {
    key,
    stamp: new Uint8Array(10).fill(place),
    encoding: 1,
    expiresMs: place % 4 === 0 ? 1_000 + place : null,
    data: new Uint8Array(400).fill(place),
  };
}
