import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../src/ports.ts";
import type { AppliedPosition } from "../ports.ts";
import { ENCODING_BYTES, type Row } from "../types.ts";
import { openSqliteState, type SqliteState, type SqliteStateOptions } from "./sqlite_state.ts";
import { STATE_CONFORMANCE } from "./state_conformance.ts";
import { StateError } from "./state_error.ts";
import { problemsOf } from "./state_report.ts";
import { createStateWorker } from "./workers.ts";

const OPTIONS: SqliteStateOptions = { cluster: "one", group: 1, checkpointer: null };
const NO_TIMERS: Clock = {
  nowMs: () => 0,
  wallMs: () => 0,
  after: () => ({ [Symbol.dispose]: () => {} }),
};

for (const { name, run } of STATE_CONFORMANCE) {
  Deno.test(`SqliteState ${name}`, async () => {
    using folder = temporaryFolder();
    await run(() => openSqliteState(folder.file, OPTIONS));
  });
}

Deno.test("SqliteState holds what was applied without a checkpoint, if only the process ends", async () => {
  using folder = temporaryFolder();
  const state = openSqliteState(folder.file, OPTIONS);
  apply(state, 1, 100);
  // The files as they are now are what a killed process leaves.
  for (const suffix of ["", "-wal"]) {
    Deno.copyFileSync(folder.file + suffix, `${folder.path}/killed${suffix}`);
  }
  await state.close();
  const killed = openSqliteState(`${folder.path}/killed`, OPTIONS);
  assert.deepEqual(killed.applied, positionOf(100));
  assert.equal(killed.size().rows, 100);
  await killed.close();
});

Deno.test("SqliteState refuses an entry that is not behind the last one", async () => {
  using folder = temporaryFolder();
  const state = openSqliteState(folder.file, OPTIONS);
  state.transact({ term: 3, index: 5, stamp: null }, () => {});
  for (const [term, index] of [[3, 5], [3, 4], [2, 6]] as const) {
    assert.throws(
      () => state.transact({ term, index, stamp: null }, () => {}),
      { name: "RangeError", message: `Cannot apply entry ${term}/${index}: 3/5 is applied` },
    );
  }
  await state.close();
});

Deno.test("SqliteState undoes a transaction whose write failed, even if that was caught", async () => {
  using folder = temporaryFolder();
  const state = openSqliteState(folder.file, OPTIONS);
  const work = () =>
    state.transact(positionOf(1), (writer) => {
      writer.put(rowOf(1));
      try {
        writer.put({ ...rowOf(2), expiresMs: 0.5 });
      } catch {
        // As careless code would.
      }
    });
  assert.throws(work, /cannot store REAL value/);
  assert.equal(state.size().rows, 0);
  assert.equal(state.applied.index, 0);
  await state.close();
});

Deno.test("SqliteState refuses a writer whose transaction is over, and all work when closed", async () => {
  using folder = temporaryFolder();
  const state = openSqliteState(folder.file, OPTIONS);
  let late = () => {};
  state.transact(positionOf(1), (writer) => {
    late = () => writer.put(rowOf(1));
  });
  assert.throws(late, StateError);
  await state.close();
  await state.close();
  assert.throws(() => state.get(rowOf(1).key), { kind: "closed" });
  assert.throws(() => state.transact(positionOf(2), () => {}), { kind: "closed" });
  await assert.rejects(state.checkpoint(), { kind: "closed" });
});

Deno.test("openSqliteState refuses what is not its state, and says why", async () => {
  using folder = temporaryFolder();
  await openSqliteState(folder.file, OPTIONS).close();
  const refused = (path: string, options: SqliteStateOptions, kind: string, words: RegExp) =>
    assert.throws(() => openSqliteState(path, options), (error: Error & { kind?: string }) => {
      assert.equal(error.kind, kind);
      assert.match(error.message, words);
      return true;
    });
  refused(folder.file, { ...OPTIONS, group: 2 }, "foreign", /it is of group 1, not of 2/);
  refused(folder.file, { ...OPTIONS, cluster: "two" }, "foreign", /belongs to another cluster/);

  const other = `${folder.path}/other`;
  {
    using database = new DatabaseSync(other);
    database.exec("CREATE TABLE something (x)");
  }
  refused(other, OPTIONS, "foreign", /database of something else/);

  const text = `${folder.path}/text`;
  Deno.writeTextFileSync(text, "not a database, but long enough to be read as one".repeat(200));
  refused(text, OPTIONS, "foreign", /it is not a database/);

  {
    using database = new DatabaseSync(folder.file);
    database.exec("PRAGMA user_version = 9");
  }
  refused(folder.file, OPTIONS, "format", /unknown format 9/);
  refused(`${folder.path}/missing/state`, OPTIONS, "missing", /no such folder/);
});

Deno.test("openSqliteState goes on where making a state was cut off", async () => {
  using folder = temporaryFolder();
  Deno.writeFileSync(folder.file, new Uint8Array(0));
  await openSqliteState(folder.file, OPTIONS).close();
  const begun = `${folder.path}/begun`;
  {
    using database = new DatabaseSync(begun);
    database.exec("PRAGMA journal_mode = WAL");
  }
  const state = openSqliteState(begun, OPTIONS);
  assert.equal(state.applied.index, 0);
  await state.close();
});

Deno.test("problemsOf finds a wrong count and a damaged page", async () => {
  using folder = temporaryFolder();
  const state = openSqliteState(folder.file, OPTIONS);
  apply(state, 1, 2_000);
  await state.close();
  const problems = () => {
    using database = new DatabaseSync(folder.file);
    return problemsOf(database, folder.file).problems;
  };
  assert.deepEqual(problems(), []);
  {
    using database = new DatabaseSync(folder.file);
    database.exec("DELETE FROM entry WHERE key IN (SELECT key FROM entry LIMIT 7)");
  }
  assert.deepEqual(problems(), ["it holds 1993 rows and says 2000"]);
  {
    using file = Deno.openSync(folder.file, { write: true });
    file.seekSync(4_096 * 9, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(4_096).fill(0xee));
  }
  assert.match(problems().join(), /page 10|Tree|in disorder/);
});

Deno.test("SqliteState.checkpoint gives a position that a power cut leaves, amid writes", async () => {
  using folder = temporaryFolder();
  using worker = closing(createStateWorker(folder.path, { clock: NO_TIMERS }));
  const state = openSqliteState(folder.file, { ...OPTIONS, checkpointer: worker.value });
  using synced = keepingWhatIsSynced(folder.file);
  let isDone = false;
  const writing = (async () => {
    while (!isDone) {
      apply(state, state.applied.index + 1, state.applied.index + 3);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  })();
  let mainFiles = 0;
  for (let round = 0; round < 16; round++) {
    // Enough for the worker, then some more behind its back.
    if (round % 3 === 0) apply(state, state.applied.index + 1, state.applied.index + 400);
    const { index } = await state.checkpoint();
    const cut = `${folder.path}/cut`;
    Deno.copyFileSync(folder.file, cut);
    const left = await indexOf(cut, index);
    if (left >= index) {
      mainFiles++;
      continue;
    }
    // The write-ahead file as it was when its sync began, and the main file with it.
    Deno.copyFileSync(folder.file, cut);
    Deno.writeFileSync(`${cut}-wal`, synced.wal);
    assert.ok(await indexOf(cut, index) >= index, `${left} is left of ${index}`);
  }
  isDone = true;
  await writing;
  assert.ok(mainFiles > 2, `${mainFiles} of 16 times the main file alone held it`);
  await state.close();
});

for (const hindrance of ["a reader", "another checkpoint"]) {
  Deno.test(`SqliteState.checkpoint claims no more than it synced beside ${hindrance}`, async () => {
    using folder = temporaryFolder();
    const busy = { checkpoint: () => Promise.resolve({ busy: 1, log: -1, checkpointed: -1 }) };
    const checkpointer = hindrance === "a reader" ? null : busy;
    const state = openSqliteState(folder.file, { ...OPTIONS, checkpointer });
    apply(state, 1, 10);
    using reader = new DatabaseSync(folder.file);
    if (checkpointer === null) reader.exec("BEGIN; SELECT * FROM meta");
    apply(state, 11, 200);
    const commit = () => apply(state, state.applied.index + 1, state.applied.index + 1);
    using synced = keepingWhatIsSynced(folder.file, commit);
    for (let round = 0; round < 3; round++) {
      const { index } = await state.checkpoint();
      assert.ok(index >= 200 && index < state.applied.index, `${index}`);
      const cut = `${folder.path}/cut`;
      Deno.copyFileSync(folder.file, cut);
      Deno.writeFileSync(`${cut}-wal`, synced.wal);
      assert.equal(await indexOf(cut, index), index);
    }
    await state.close();
  });
}

Deno.test("SqliteState writes rows and position in one commit", async () => {
  using folder = temporaryFolder();
  const state = openSqliteState(folder.file, OPTIONS);
  const before = commitsIn(`${folder.file}-wal`);
  apply(state, 1, 50);
  assert.equal(commitsIn(`${folder.file}-wal`) - before, 50);
  await state.close();
});

/** Commits in a write-ahead file: frames that tell the size of the database (fileformat2.html). */
function commitsIn(path: string): number {
  const bytes = Deno.readFileSync(path);
  const view = new DataView(bytes.buffer);
  let commits = 0;
  for (let at = 32; at < bytes.length; at += 24 + 4_096) {
    if (view.getUint32(at + 4) !== 0) commits++;
  }
  return commits;
}

Deno.test("SqliteState.checkpoint keeps the write-ahead file short under constant writes", async () => {
  using folder = temporaryFolder();
  using worker = closing(createStateWorker(folder.path, { clock: NO_TIMERS }));
  const state = openSqliteState(folder.file, { ...OPTIONS, checkpointer: worker.value });
  let longest = 0;
  for (let round = 0; round < 30; round++) {
    const checkpoint = state.checkpoint();
    for (let i = 0; i < 5; i++) {
      apply(state, state.applied.index + 1, state.applied.index + 20);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await checkpoint;
    longest = Math.max(longest, Deno.statSync(`${folder.file}-wal`).size);
  }
  assert.equal(state.size().rows, 3_000);
  // 3,000 commits of about four pages are 48 MiB.
  assert.ok(longest < 16 * 1_048_576, `${longest} bytes`);
  await state.close();
});

/** How far a copy of a state is, which has to be whole. */
async function indexOf(path: string, index: number): Promise<number> {
  const state = openSqliteState(path, OPTIONS);
  const found = state.applied.index;
  assert.equal(state.size().rows, found);
  if (found >= index) assert.notEqual(state.get(rowOf(index).key), null);
  assert.notEqual(state.get(rowOf(found).key), null);
  assert.equal(state.get(rowOf(found + 1).key), null);
  await state.close();
  Deno.removeSync(path);
  return found;
}

/**
 * Keeps the write-ahead file as it was when a sync was last asked for. What was
 * written later may be lost in a power cut.
 *
 * @param afterwards What happens while the disk is busy with it.
 */
function keepingWhatIsSynced(
  path: string,
  afterwards: () => void = () => {},
): { wal: Uint8Array } & Disposable {
  const original = Deno.FsFile.prototype.syncData;
  const kept = {
    wal: new Uint8Array(0),
    [Symbol.dispose]: () => void (Deno.FsFile.prototype.syncData = original),
  };
  const { ino } = Deno.statSync(`${path}-wal`);
  Deno.FsFile.prototype.syncData = function (): Promise<void> {
    if (this.statSync().ino === ino) kept.wal = Deno.readFileSync(`${path}-wal`);
    afterwards();
    return original.call(this);
  };
  return kept;
}

function apply(state: SqliteState, from: number, to: number): void {
  for (let index = from; index <= to; index++) {
    state.transact(positionOf(index), (writer) => writer.put(rowOf(index)));
  }
}

function positionOf(index: number): AppliedPosition {
  return { term: 1, index, stamp: new Uint8Array(10).fill(index) };
}

function rowOf(place: number): Row {
  const key = new Uint8Array(12);
  new DataView(key.buffer).setUint32(4, Math.imul(place, 0x9e3779b1) >>> 0);
  new DataView(key.buffer).setUint32(8, place);
  return {
    key,
    stamp: new Uint8Array(10),
    encoding: ENCODING_BYTES,
    expiresMs: null,
    data: new Uint8Array(100).fill(place),
  };
}

function temporaryFolder(): { path: string; file: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "weir-state-" });
  return {
    path,
    file: `${path}/state`,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

function closing<Value extends { close(): void }>(value: Value): { value: Value } & Disposable {
  return { value, [Symbol.dispose]: () => value.close() };
}
