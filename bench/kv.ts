/**
 * One KV node against what one could use in its place: writes that are on disk before
 * they are answered, reads, starts, rest.
 *
 *     deno task bench:kv [--rounds=5] [--run-ms=1500] [--replay-mb=256] [--folder=DIR]
 *                        [--only=rounds,replay,idle] [--out=bench/results/kv.json]
 *
 * Node, rivals and clients are processes of their own on the loopback, with folders on
 * the same disk: `Deno.openKv` of a file (in its client's process), redis-server with
 * `appendfsync always`, one member of etcd, and a handler that answers from a Map. Same
 * keys, same values of 128 bytes, as many operations at once; every ratio is taken within
 * a round of the same run, in which all have their turn. A rival that is not installed
 * is left out and said so.
 *
 * Redis is measured twice: by its own tool with 64 connections of one command at a time,
 * which is how its figures are commonly given and what the target is about, and from Deno
 * with 64 commands in flight on one connection, as the node's own client does it.
 *
 * Some five minutes. `--folder` has to be on a disk: a sync on tmpfs costs nothing.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { measureIdle } from "./kv/idle.ts";
import { measureReplay, type ReplayFigures } from "./kv/replay.ts";
import { type Field, measureRounds, type Rounds, startField, stopField } from "./kv/scenarios.ts";
import { linesFrom, type Measured, tableFrom } from "./kv/targets.ts";
import { type BenchWorld, loadBefore, runBench, say, writeResult } from "./load/bench_run.ts";
import { currentCommit, describeMachine } from "./load/machine.ts";
import { figuresOf } from "./load/process_figures.ts";

interface Options {
  readonly rounds: number;
  readonly runMs: number;
  readonly replayMb: number;
  readonly folder: string | null;
  readonly only: ReadonlySet<string>;
  readonly out: string;
}

const PROJECT_FOLDER = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const RUN_MS_MAX = 20 * 60_000;
const IDLE_MS = 10_000;
const REPLAY_ROUNDS_MAX = 3;
const REPLAY_VALUES = [128, 4_096, 65_536];
const PARTS = ["rounds", "replay", "idle"];
const NOTHING = { residentBytes: NaN, cpuShare: NaN };

function optionsFrom(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "rounds": { type: "string", default: "5" },
      "run-ms": { type: "string", default: "1500" },
      "replay-mb": { type: "string", default: "256" },
      "folder": { type: "string" },
      "only": { type: "string", default: PARTS.join(",") },
      "out": { type: "string", default: `${PROJECT_FOLDER}/bench/results/kv.json` },
    },
  });
  const count = (name: "rounds" | "run-ms" | "replay-mb"): number => {
    const number = Number(values[name]);
    if (!(number >= 1)) throw new TypeError(`Cannot use --${name}=${values[name]}: at least 1`);
    return number;
  };
  const only = new Set(values.only.split(","));
  for (const part of only) {
    if (!PARTS.includes(part)) throw new TypeError(`Cannot use --only: parts are ${PARTS}`);
  }
  return {
    rounds: count("rounds"),
    runMs: count("run-ms"),
    replayMb: count("replay-mb"),
    folder: values.folder ?? null,
    only,
    out: values.out,
  };
}

interface RoundFigures {
  readonly rounds: Rounds;
  readonly loadedBytes: number;
  readonly versions: Field["versions"];
}

async function measureField(world: BenchWorld, options: Options): Promise<RoundFigures> {
  const field = await startField(world);
  for (const line of field.skipped) await say(line);
  const { rounds: count, runMs } = options;
  const rounds = await measureRounds(field, { rounds: count, runMs, say });
  const { versions, servers } = field;
  const loadedBytes = servers["node"] ? figuresOf(servers["node"].pid).residentBytes : NaN;
  await stopField(field);
  return { rounds, loadedBytes, versions };
}

async function measureReplays(world: BenchWorld, options: Options): Promise<ReplayFigures[]> {
  const replays: ReplayFigures[] = [];
  const rounds = Math.min(options.rounds, REPLAY_ROUNDS_MAX);
  for (const valueBytes of REPLAY_VALUES) {
    const plan = { valueBytes, megabytes: options.replayMb, rounds };
    replays.push(await measureReplay(world, plan));
    await say(`replayed a log of values of ${valueBytes} bytes`);
  }
  return replays;
}

async function report(world: BenchWorld, options: Options, loadBefore: number): Promise<void> {
  const startedMs = performance.now();
  const { only } = options;
  const field = only.has("rounds")
    ? await measureField(world, options)
    : { rounds: {}, loadedBytes: NaN, versions: {} };
  const replays = only.has("replay") ? await measureReplays(world, options) : [];
  const idle = only.has("idle")
    ? await measureIdle(world, IDLE_MS)
    : { node: NOTHING, bare: NOTHING };
  const { rounds, loadedBytes, versions } = field;
  const measured: Measured = { rounds, replays, idle, loadedBytes };
  const lines = linesFrom(measured).filter((line) => Number.isFinite(line.measured));
  await say(`\n${tableFrom(lines)}\n`);
  const result = {
    what: "kv",
    date: new Date().toISOString(),
    commit: await currentCommit(PROJECT_FOLDER),
    machine: await describeMachine(),
    versions,
    options: { ...options, only: [...only] },
    elapsedSeconds: Math.round((performance.now() - startedMs) / 1_000),
    loadBefore,
    loadAfter: Deno.loadavg()[0],
    lines,
    measured,
  };
  await writeResult(options.out, result);
}

/** What kind of file system a folder is on (Linux). */
async function fileSystemOf(folder: string): Promise<string> {
  const { stdout } = await new Deno.Command("stat", { args: ["-f", "-c", "%T", folder] }).output();
  return new TextDecoder().decode(stdout).trim();
}

async function main(): Promise<void> {
  const options = optionsFrom(Deno.args);
  const load = await loadBefore("ratios hold, times may not");
  await runBench({ limitMs: RUN_MS_MAX, parent: options.folder }, async (world) => {
    if (await fileSystemOf(world.folder) === "tmpfs") {
      await say(
        `${world.folder} is in memory, where a sync costs nothing: give a folder by --folder`,
      );
    }
    await report(world, options, load);
  });
}

if (import.meta.main) await main();
