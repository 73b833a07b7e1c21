/**
 * A state under faults: killed processes, a full disk, many rows.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { systemClock } from "../../src/runtime/clock.ts";
import { DiskError } from "../../kv_node/ports.ts";
import { openSqliteState, type SqliteState } from "../../kv_node/store/sqlite_state.ts";
import type { StateWorker } from "../../kv_node/store/worker_client.ts";
import { createStateWorker } from "../../kv_node/store/workers.ts";
import type { ReadRange, Row } from "../../kv_node/types.ts";
import { applyEntry, applyUpTo, IDENTITY, keyOf, stampOf } from "./kv_state_writer.ts";

const KILLS = 60;
const INSTALL_KILLS = 40;
const ALL: ReadRange = {
  start: new Uint8Array(0),
  end: new Uint8Array(9).fill(255),
  limit: 1e6,
  reverse: false,
};

Deno.test("a state killed at any moment holds whole entries and all that was applied", async () => {
  using folder = temporaryFolder();
  using worker = stateWorker(folder.path);
  const model = new Map<string, Row>();
  let modelIndex = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const said = await killAfter("write", folder.path, 3 + (kill * 37) % 90);
    const state = openSqliteState(`${folder.path}/state`, { ...IDENTITY, checkpointer: null });
    const { index } = state.applied;
    assert.ok(index >= (said.get("applied") ?? 0), `${index} is left of ${said.get("applied")}`);
    assert.ok(index >= (said.get("durable") ?? 0));
    while (modelIndex < index) {
      modelIndex++;
      applyEntry(modelIndex, {
        put: (row) => model.set(hex(row.key), row),
        remove: (key) => model.delete(hex(key)),
      });
    }
    assert.deepEqual(state.applied, { term: 1, index, stamp: stampOf(index) });
    assertHolds(state, model);
    await state.close();
    assert.deepEqual((await worker.value.verify(`${folder.path}/state`)).problems, []);
  }
  assert.ok(modelIndex > 10 * KILLS, `only ${modelIndex} entries`);
});

Deno.test("a snapshot's installation killed at any moment leaves one state or the other", async () => {
  using folder = temporaryFolder();
  using worker = stateWorker(folder.path);
  const lasts = [600, 2_500];
  const models = [new Map<string, Row>(), new Map<string, Row>()];
  for (const [turn, last] of lasts.entries()) {
    const state = openSqliteState(`${folder.path}/source`, { ...IDENTITY, checkpointer: null });
    applyUpTo(state, last);
    const chunks: Uint8Array[] = [];
    for await (const { bytes } of await worker.value.snapshot(state.path)) chunks.push(bytes);
    Deno.writeFileSync(`${folder.path}/${turn}`, Buffer.concat(chunks));
    applyUpTo(state, last + 1);
    for (const row of state.scan(ALL, 0)) models[turn]?.set(hex(row.key), row);
    await state.close();
  }
  const found = new Set<number>();
  for (let kill = 0; kill < INSTALL_KILLS; kill++) {
    await killAfter("install", folder.path, 1 + kill % 4, (kill * 13) % 60);
    const state = openSqliteState(`${folder.path}/state`, { ...IDENTITY, checkpointer: null });
    found.add(state.applied.index);
    const turn = lasts.findIndex((last) =>
      last === state.applied.index || last + 1 === state.applied.index
    );
    assert.ok(turn >= 0, `entry ${state.applied.index} is neither`);
    applyUpTo(state, (lasts[turn] ?? 0) + 1);
    assertHolds(state, models[turn] ?? new Map());
    await state.close();
    assert.deepEqual((await worker.value.verify(`${folder.path}/state`)).problems, []);
  }
  assert.ok(found.size >= 2, `only ${[...found]}`);
});

Deno.test("a snapshot of 100,000 rows comes out as it went in, while writing goes on", async () => {
  using folder = temporaryFolder();
  using worker = stateWorker(folder.path);
  const path = `${folder.path}/state`;
  const state = openSqliteState(path, { ...IDENTITY, checkpointer: worker.value });
  while (state.size().rows < 100_000) {
    const index = state.applied.index + 1;
    state.transact({ term: 1, index, stamp: stampOf(index) }, (writer) => {
      for (let i = 0; i < 500; i++) writer.put(wideRow(500 * index + i));
    });
  }
  const before = state.scan(ALL, 0);
  const snapshot = await worker.value.snapshot(path);
  const isWriting = { value: true };
  const writing = write(state, isWriting);
  const chunks: Uint8Array[] = [];
  for await (const { bytes } of snapshot) chunks.push(bytes);
  isWriting.value = false;
  const written = await writing;
  assert.ok(written > 10, `${written} commits meanwhile`);
  const other = `${folder.path}/other`;
  await worker.value.install(other, chunks, { ...IDENTITY, fromAnyCluster: false });
  const installed = openSqliteState(other, { ...IDENTITY, checkpointer: null });
  assert.deepEqual(installed.scan(ALL, 0), before);
  assert.equal(installed.size().rows, 100_000);
  await installed.close();
  await state.close();
});

Deno.test({
  name: "a state on a full disk refuses writes, reads on, checkpoints, and writes again with room",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    for (const sizeKib of [1_024, 17_040]) {
      using disk = smallDisk(sizeKib);
      const ballast = `${disk.path}/ballast`;
      Deno.writeFileSync(ballast, new Uint8Array(200_000));
      const state = openSqliteState(`${disk.path}/state`, { ...IDENTITY, checkpointer: null });
      const failure = fill(state);
      assert.ok(failure instanceof DiskError, String(failure));
      assert.equal(failure.kind, "full");
      const { index } = state.applied;
      assert.equal(state.size().rows, index);
      assert.notEqual(state.get(keyOf(index)), null);
      assert.equal(state.get(keyOf(index + 1)), null);
      assert.equal((await state.checkpoint()).index, index);
      Deno.removeSync(ballast);
      assert.ok(fill(state) instanceof DiskError);
      assert.ok(state.applied.index > index, "nothing fitted into the room");
      const last = state.applied.index;
      await state.close();
      const again = openSqliteState(`${disk.path}/state`, { ...IDENTITY, checkpointer: null });
      assert.equal(again.applied.index, last);
      assert.equal(again.size().rows, last);
      await again.close();
    }
  },
});

/** Commits until one is refused. */
function fill(state: SqliteState): unknown {
  try {
    for (;;) {
      const index = state.applied.index + 1;
      state.transact({ term: 1, index, stamp: stampOf(index) }, (writer) => {
        writer.put({ ...wideRow(index), key: keyOf(index), data: new Uint8Array(2_000) });
      });
    }
  } catch (error) {
    return error;
  }
}

async function write(state: SqliteState, isWriting: { value: boolean }): Promise<number> {
  let count = 0;
  for (; isWriting.value; count++) {
    const index = state.applied.index + 1;
    state.transact({ term: 1, index, stamp: stampOf(index) }, (writer) => {
      for (let i = 0; i < 20; i++) writer.put(wideRow((index * 977 + i * 31) % 200_000));
    });
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return count;
}

/** Runs a writer, kills it after some lines and a while, and returns the last number of each. */
async function killAfter(
  mode: "write" | "install",
  folder: string,
  lines: number,
  delayMs = 0,
): Promise<ReadonlyMap<string, number>> {
  const config = new URL("../deno.json", import.meta.url).pathname;
  const main = new URL("./kv_state_writer.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--config", config, "--no-check", "--no-prompt", "-R", "-W", main, mode, folder],
    stdout: "piped",
  }).spawn();
  const said = new Map<string, number>();
  let seen = 0;
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const [word = "", number] = part.split(" ");
      said.set(word, Number(number));
    }
    const before = seen;
    seen += parts.length;
    if (before < lines && seen >= lines) setTimeout(() => child.kill("SIGKILL"), delayMs);
  }
  const { signal } = await child.status;
  assert.equal(signal, "SIGKILL");
  return said;
}

function assertHolds(state: SqliteState, model: ReadonlyMap<string, Row>): void {
  const rows = state.scan(ALL, 0);
  assert.equal(rows.length, model.size);
  assert.equal(state.size().rows, model.size);
  for (const row of rows) assert.deepEqual(row, model.get(hex(row.key)));
}

function wideRow(place: number): Row {
  return {
    key: keyOf(place),
    stamp: stampOf(place),
    encoding: 1,
    expiresMs: place % 3 === 0 ? 1e9 + place : null,
    data: new Uint8Array(100 + place % 100).fill(place),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function stateWorker(path: string): { value: StateWorker } & Disposable {
  const value = createStateWorker(path, { clock: systemClock });
  return { value, [Symbol.dispose]: () => value.close() };
}

function temporaryFolder(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "weir-state-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** A file system of that size in memory. */
function smallDisk(sizeKib: number): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "weir-full-" });
  run("mount", "-t", "tmpfs", "-o", `size=${sizeKib}k`, "tmpfs", path);
  return {
    path,
    [Symbol.dispose]: () => {
      run("umount", path);
      Deno.removeSync(path);
    },
  };
}

function run(command: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command(command, { args }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
}
