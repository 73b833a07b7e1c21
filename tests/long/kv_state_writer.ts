/**
 * A process to be killed: it writes to a state, or installs snapshots, until then.
 *
 * `kv_state_writer.ts write FOLDER` applies entries and checkpoints all the while;
 * it prints `applied N` and `durable N`. `kv_state_writer.ts install FOLDER` puts
 * the snapshots `0` and `1` of the folder in place by turns and prints `installed N`.
 *
 * @module
 */
import { openSqliteState } from "../../kv_node/store/sqlite_state.ts";
import type { State, StateWriter } from "../../kv_node/ports.ts";
import type { Row } from "../../kv_node/types.ts";
import { createStateWorker } from "../../kv_node/store/workers.ts";
import { systemClock } from "../../src/runtime/clock.ts";

/** Whose the states are. */
export const IDENTITY = { cluster: "killed", group: 1 };

const PLACES = 2_000;

/** What entry `index` does. */
export function applyEntry(index: number, writer: Pick<StateWriter, "put" | "remove">): void {
  for (let i = 0; i < 1 + index % 5; i++) writer.put(rowOf((index * 31 + i * 7) % PLACES, index));
  if (index % 3 === 0) writer.remove(keyOf((index * 17) % PLACES));
}

/** Applies the entries up to `last` to a state. */
export function applyUpTo(state: State, last: number): void {
  while (state.applied.index < last) {
    const index = state.applied.index + 1;
    state.transact(
      { term: 1, index, stamp: stampOf(index) },
      (writer) => applyEntry(index, writer),
    );
  }
}

/** A key, spread over the tree. */
export function keyOf(place: number): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setUint32(0, Math.imul(place, 0x9e3779b1) >>> 0);
  new DataView(key.buffer).setUint32(4, place);
  return key;
}

/** The versionstamp of an entry. */
export function stampOf(index: number): Uint8Array {
  const stamp = new Uint8Array(10);
  new DataView(stamp.buffer).setUint32(4, index);
  return stamp;
}

function rowOf(place: number, index: number): Row {
  return {
    key: keyOf(place),
    stamp: stampOf(index),
    encoding: 1,
    expiresMs: index % 4 === 0 ? 1_000 + index : null,
    data: new Uint8Array(50 + index % 400).fill(index),
  };
}

async function write(folder: string): Promise<void> {
  const worker = createStateWorker(folder, { clock: systemClock });
  const state = openSqliteState(`${folder}/state`, { ...IDENTITY, checkpointer: worker });
  const checkpoint = async (): Promise<never> => {
    for (;;) {
      say(`durable ${(await state.checkpoint()).index}`);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  checkpoint();
  for (;;) {
    applyUpTo(state, state.applied.index + 5);
    say(`applied ${state.applied.index}`);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

async function install(folder: string): Promise<void> {
  const worker = createStateWorker(folder, { clock: systemClock });
  for (let turn = 0;; turn = 1 - turn) {
    const bytes = Deno.readFileSync(`${folder}/${turn}`);
    const chunks = Array.from(
      { length: Math.ceil(bytes.length / 100_000) },
      (_, place) => bytes.subarray(place * 100_000, (place + 1) * 100_000),
    );
    const options = { ...IDENTITY, fromAnyCluster: false };
    const { applied } = await worker.install(`${folder}/state`, chunks, options);
    // Leaves something in the write-ahead file, for the next to lay to rest.
    const state = openSqliteState(`${folder}/state`, { ...IDENTITY, checkpointer: null });
    applyUpTo(state, applied.index + 1);
    say(`installed ${turn}`);
    await state.close();
  }
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const [mode, folder = "."] = Deno.args;
  await (mode === "install" ? install(folder) : write(folder));
}
