import assert from "node:assert/strict";
import { openMemoryState } from "../../tests/support/memory_state.ts";
import { compareStamps, StampOracle } from "../clock/stamps.ts";
import type { LogRecord } from "../ports.ts";
import { encodeNoop } from "../txn/command_codec.ts";
import { ENCODING_LE64 } from "../types.ts";
import { MemoryDisk } from "../wal/memory_disk_fixture.ts";
import { openMemoryGroup } from "../../tests/support/kv_group.ts";
import { Keeper } from "./keeper.ts";
import { Replay, ReplayError } from "./replay.ts";

const KEY = new TextEncoder().encode("....count");

/** A log of so many commits that each add one to a count. */
async function countingLog(commits: number): Promise<readonly LogRecord[]> {
  const { engine, log } = openMemoryGroup();
  const value = { data: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), encoding: ENCODING_LE64 } as const;
  const bounds = { min: null, max: null, clamp: false };
  for (let i = 0; i < commits; i++) {
    await engine.propose({ checks: [], mutations: [{ type: "sum", key: KEY, value, bounds }] });
  }
  return log.records;
}

function replayed(records: readonly LogRecord[], state = openMemoryState(new MemoryDisk())) {
  const oracle = new StampOracle(1, null);
  const replay = new Replay(new Map([[1, { state, oracle }]]));
  for (const record of records) replay.take(record);
  replay.finish();
  return { state, oracle, replay };
}

Deno.test("Replay applies each entry once, however often the log is read", async () => {
  const records = await countingLog(1_200);
  const first = replayed(records);
  assert.equal(first.state.get(KEY)?.data[1], 1_200 >> 8);
  assert.equal(first.state.get(KEY)?.data[0], 1_200 & 255);
  assert.equal(first.replay.applied, 1_200);
  const again = replayed(records, first.state);
  assert.equal(again.replay.applied, 0);
  assert.equal(again.state.get(KEY)?.data[0], 1_200 & 255);
  // A log that was cut begins behind what the state has.
  const part = replayed(records.slice(0, 700));
  const rest = replayed(records.slice(650), part.state);
  assert.equal(rest.replay.applied, 500);
  assert.equal(rest.state.get(KEY)?.data[0], 1_200 & 255);
});

Deno.test("Replay raises the oracle above every stamp in the log", async () => {
  const records = await countingLog(3);
  const { state, oracle } = replayed(records);
  const stamp = state.applied.stamp ?? new Uint8Array(10);
  assert.ok(compareStamps(oracle.next(0), stamp) > 0);
});

Deno.test("Replay refuses a gap, a foreign group and a record it does not know", async () => {
  const records = await countingLog(3);
  const refused = (changed: readonly LogRecord[]) =>
    assert.throws(() => replayed(changed), ReplayError);
  refused([...records.slice(0, 1), ...records.slice(2)]);
  refused(records.slice(1));
  refused(records.map((record) => ({ ...record, group: 7 })));
  refused(records.map((record) => ({ ...record, type: "vote" })));
});

Deno.test("Replay moves over entries that say nothing", async () => {
  const records = await countingLog(2);
  const noop = { type: "entry", group: 1, term: 2, index: 3, payload: encodeNoop() } as const;
  const { state } = replayed([...records, noop]);
  assert.deepEqual([state.applied.index, state.applied.term], [3, 2]);
  assert.equal(state.get(KEY)?.data[0], 2);
  assert.notEqual(state.applied.stamp, null);
});

Deno.test("Keeper lets the log be cut behind what a checkpoint made last, and no further", async () => {
  const group = openMemoryGroup();
  const { engine, log, state } = group;
  const keeper = new Keeper([engine], log);
  const bump = () => engine.propose({ checks: [], mutations: [{ type: "delete", key: KEY }] });
  await bump();
  const keeping = keeper.keep();
  await bump();
  await keeping;
  assert.equal(log.needed.get(1), state.durable.index);
  assert.ok((log.needed.get(1) ?? 0) <= state.applied.index);
  await keeper.keep();
  assert.equal(log.needed.get(1), 2);
});
