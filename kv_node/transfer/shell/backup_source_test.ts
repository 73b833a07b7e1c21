import assert from "node:assert/strict";
import { systemClock } from "../../../src/runtime/clock.ts";
import { ManualClock } from "../../../src/runtime/manual_clock_fixture.ts";
import { KvError } from "../../errors.ts";
import { openSqliteState } from "../../store/sqlite_state.ts";
import { createStateWorker } from "../../store/workers.ts";
import { BackupCheck } from "../backup_check.ts";
import { type BackupOrigin, BackupSource } from "./backup_source.ts";

const STAMP = Uint8Array.from([0, 0, 1, 2, 3, 4, 5, 6, 0, 1]);
const ROWS = 3_000;

/** Two groups with rows, and what reads them. */
async function withOrigin(
  run: (origin: BackupOrigin, clock: ManualClock) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "weir-kv-test-" });
  const worker = createStateWorker(folder, { clock: systemClock });
  const states = [1, 0].map((group) => {
    const options = { cluster: "c", group, checkpointer: null };
    const state = openSqliteState(`${folder}/${group}.db`, options);
    state.transact({ term: 1, index: 3 + group, stamp: STAMP }, (writer) => {
      for (let number = 0; number < (group === 1 ? ROWS : 1); number++) {
        const key = Uint8Array.of(0, 0, 0, 4, number >>> 8, number);
        const value = { data: new Uint8Array(400), encoding: 3 } as const;
        writer.put({ key, ...value, stamp: STAMP, expiresMs: null });
      }
    });
    return state;
  });
  const clock = new ManualClock(1_700_000_000_000);
  const paths = states.map(({ path }) => path);
  try {
    await run({ cluster: "c", node: "n", program: "0", worker, paths, clock }, clock);
  } finally {
    worker.close();
    for (const state of states) await state.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof KvError && error.code === "overloaded";
}

/** The next backup, when the worker has let go of the last one. */
async function streamWhenFree(
  source: BackupSource,
  origin: BackupOrigin,
): Promise<ReadableStream<Uint8Array>> {
  for (;;) {
    try {
      return source.stream(origin);
    } catch (error) {
      if (!isBusy(error)) throw error;
      await origin.worker.checkpoint(origin.paths[0] ?? "");
    }
  }
}

Deno.test("BackupSource streams a whole backup of all groups, the smaller number first", async () => {
  await withOrigin(async (origin, clock) => {
    const check = new BackupCheck();
    for await (const piece of new BackupSource().stream(origin)) check.push(piece);
    const { groups, createdMs } = check.end();
    assert.equal(createdMs, 1_700_000_000_000);
    assert.deepEqual(groups.map(({ group, index, rows }) => [group, index, rows]), [
      [0, 3, 1],
      [1, 4, ROWS],
    ]);
    assert.equal(clock.pending, 0);
  });
});

Deno.test("BackupSource gives out one backup at a time, until it is read or cancelled", async () => {
  await withOrigin(async (origin) => {
    const source = new BackupSource();
    source.stream(origin); // Nobody reads it: nothing has begun.
    const reader = source.stream(origin).getReader();
    await reader.read();
    assert.throws(() => source.stream(origin), isBusy);
    await reader.cancel();
    const check = new BackupCheck();
    for await (const piece of source.stream(origin)) check.push(piece);
    check.end();
  });
});

Deno.test("BackupSource gives up a backup that nobody reads on", async () => {
  await withOrigin(async (origin, clock) => {
    const source = new BackupSource();
    const reader = source.stream(origin).getReader();
    await reader.read();
    clock.advance(59_000);
    assert.throws(() => source.stream(origin), isBusy);
    clock.advance(1_000);
    await assert.rejects(reader.read(), /nobody reads it/);
    const check = new BackupCheck();
    for await (const piece of await streamWhenFree(source, origin)) check.push(piece);
    check.end();
  });
});
