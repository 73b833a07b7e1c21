/**
 * How fast a node comes back: a log of a given length, written by a node, which is
 * killed and started again.
 *
 * The log is one long segment, since a checkpoint removes whole segments in front of
 * the one that is written; starts then have the usual length of a segment, as they also
 * read the spare one, to see that there is nothing in it. What has to be read is dropped
 * from the page cache before every start and before every plain read, as after a power
 * cut.
 *
 * A killed node finds its states as they were and reads the log only: that is a start
 * after a crash of the process. With the state files removed everything is applied anew:
 * no start can have more to do.
 *
 * @module
 */
import type { BenchWorld } from "../load/bench_run.ts";
import { openStore } from "../../kv_node/compat/mod.ts";
import { Child } from "../load/children.ts";
import type { ReadFigures } from "./file_reader.ts";
import { valueOf } from "./load.ts";
import { kill, metricOf, startNode } from "./peers.ts";

/** One kind of log, and what its replay gave in each round. */
export interface ReplayFigures {
  /** Length of each value. */
  readonly valueBytes: number;
  /** Length of the log. */
  readonly logBytes: number;
  /** Entries in it. */
  readonly entries: number;
  /** Reading the same bytes of the same file, in seconds. */
  readonly readSeconds: readonly number[];
  /** Start with the states as the killed node left them, in seconds. */
  readonly scanSeconds: readonly number[];
  /** Start without states, in seconds. */
  readonly replaySeconds: readonly number[];
}

const MEGABYTE = 1_000_000;
const FIRST_SEGMENT = "0000000000000001.wal";
const SPARE_SEGMENT = "0000000000000002.wal";
/** What a node makes spare segments of unless told otherwise. */
const SPARE_BYTES = 64 << 20;
const PAUSE_MS = 200;
const SPARE_MS = 60_000;
const SEGMENT_STEP_BYTES = 1 << 20;
/** What a segment has room for beyond the entries, and an entry beyond its value. */
const SEGMENT_SPARE_BYTES = 16 << 20;
const ENTRY_BYTES = 80;
const AT_ONCE_MAX = 1_024;
/** Values under way, in bytes: well below what a node lets wait. */
const UNDER_WAY_BYTES = 16 << 20;
const DEADLINE_MS = 60_000;
const DENO = [Deno.execPath(), "run", "--quiet", "--no-prompt"];
const READER = new URL("./file_reader.ts", import.meta.url).pathname;

/** Makes a log of about so many megabytes, and replays it `rounds` times. */
export async function measureReplay(
  world: BenchWorld,
  plan: { readonly valueBytes: number; readonly megabytes: number; readonly rounds: number },
): Promise<ReplayFigures> {
  const { valueBytes, megabytes, rounds } = plan;
  const count = Math.ceil(megabytes * MEGABYTE / (valueBytes + ENTRY_BYTES));
  const name = `replay-${valueBytes}`;
  const folder = `${world.folder}/${name}`;
  const logBytes = await writeLog(world, { name, count, valueBytes });
  await makeSpare(world, name);
  const segment = `${folder}/wal/${FIRST_SEGMENT}`;
  const readSeconds: number[] = [];
  const scanSeconds: number[] = [];
  const replaySeconds: number[] = [];
  let entries = 0;
  for (let round = 0; round < rounds; round++) {
    await forget(folder);
    readSeconds.push(await readFile(world, segment, logBytes));
    const scan = await startAndKill(world, name);
    if (scan.entries > 0) throw new Error("Cannot measure a scan: entries were applied");
    scanSeconds.push(scan.seconds);
    await removeStates(folder);
    const replay = await startAndKill(world, name);
    if (replay.entries < count) throw new Error("Cannot measure a replay: the log was cut");
    ({ entries } = replay);
    replaySeconds.push(replay.seconds);
  }
  await Deno.remove(folder, { recursive: true });
  return { valueBytes, logBytes, entries, readSeconds, scanSeconds, replaySeconds };
}

function segmentBytesFor(bytes: number): number {
  const steps = Math.ceil((bytes + SEGMENT_SPARE_BYTES) / SEGMENT_STEP_BYTES);
  return steps * SEGMENT_STEP_BYTES;
}

/** Has a node write a log, and kills it; returns the log's length. */
async function writeLog(
  world: BenchWorld,
  { name, count, valueBytes }: {
    readonly name: string;
    readonly count: number;
    readonly valueBytes: number;
  },
): Promise<number> {
  const segmentBytes = segmentBytesFor(count * (valueBytes + ENTRY_BYTES));
  const node = await startNode(world, name, ["--segment-bytes", `${segmentBytes}`]);
  const store = await openStore(`weir://${new URL(node.url).host}`, { deadlineMs: DEADLINE_MS });
  const value = valueOf(valueBytes);
  let number = 0;
  const loop = async (): Promise<void> => {
    while (number < count) await store.set(["replay", number++], value);
  };
  const atOnce = Math.min(AT_ONCE_MAX, Math.floor(UNDER_WAY_BYTES / valueBytes));
  await Promise.all(Array.from({ length: atOnce }, loop));
  store.close();
  const logBytes = await metricOf(node, "weir_kv_wal_bytes");
  await kill(node.child);
  return logBytes;
}

/** Has a node replace the spare segment by one of the usual length. */
async function makeSpare(world: BenchWorld, name: string): Promise<void> {
  const { child } = await startNode(world, name);
  const path = `${world.folder}/${name}/wal/${SPARE_SEGMENT}`;
  const deadlineMs = performance.now() + SPARE_MS;
  while (await Deno.stat(path).then(({ size }) => size !== SPARE_BYTES, () => true)) {
    if (performance.now() > deadlineMs) throw new Error("Cannot go on: there is no spare segment");
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await kill(child);
}

async function startAndKill(
  world: BenchWorld,
  name: string,
): Promise<{ readonly entries: number; readonly seconds: number }> {
  await forget(`${world.folder}/${name}`);
  const { child, replay } = await startNode(world, name);
  await kill(child);
  return replay;
}

/** Drops what the page cache has of a data directory, once it is on the disk. */
async function forget(folder: string): Promise<void> {
  for (const part of ["wal", "state"]) {
    for await (const { name } of Deno.readDir(`${folder}/${part}`)) {
      const path = `${folder}/${part}/${name}`;
      using file = await Deno.open(path, { read: true, write: true });
      await file.syncData();
      const args = [`if=${path}`, "iflag=nocache", "count=0", "status=none"];
      const { success } = await new Deno.Command("dd", { args }).output();
      if (!success) throw new Error(`Cannot drop ${path} from the page cache`);
    }
  }
}

async function removeStates(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(`${folder}/state`)) {
    await Deno.remove(`${folder}/state/${name}`);
  }
}

async function readFile({ track }: BenchWorld, path: string, bytes: number): Promise<number> {
  const args = [`--allow-read=${path}`, READER, path, `${bytes}`];
  const child = track(new Child([...DENO, ...args], { lines: true }));
  const { seconds }: ReadFigures = JSON.parse(await child.read());
  await child.stop();
  return seconds;
}
