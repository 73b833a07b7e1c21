/**
 * The cache of a whole gateway: what hits and misses cost, what it occupies, how soon
 * it is back.
 *
 *     deno task bench:cache [--full] [--rounds=5] [--out=bench/results/cache.json]
 *
 * Gateways, backend and clients are processes of their own on the loopback. Every
 * figure stands against a baseline of the same run, in interleaved rounds: hits
 * against `GET /healthz` (what is added) and against an uncached pass to an instant
 * backend (the ratio), misses against a model without a cache, a crowd with one
 * question against the same crowd with the cache off. All share the machine's cores:
 * compare within one run only.
 *
 * 10,000 vectors and entries, some three minutes; `--full` 100,000, some thirty.
 * What similarity is worth, what is evicted and the index against a scan stand in
 * `cache_quality.ts`, `cache_replay.ts`, `cache_eviction.ts` and `vectors.ts`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { libraryPath } from "../src/vectors/usearch.ts";
import type { Asking, CacheLoad } from "./cache/client.ts";
import type { CrowdCommand, CrowdResult } from "./cache/crowd.ts";
import {
  ALL_LAYERS,
  type BenchGateway,
  fill,
  JSON_STORED,
  play,
  startGateway,
} from "./cache/gateway.ts";
import { measureRestart, restartFailed } from "./cache/restart.ts";
import { linesFrom, type Measured, type Round, tableFrom } from "./cache/targets.ts";
import { loadBefore, runBench, say, writeResult } from "./load/bench_run.ts";
import { Child } from "./load/children.ts";
import { currentCommit, describeMachine } from "./load/machine.ts";
import { figuresOf } from "./load/process_figures.ts";

interface Options {
  readonly full: boolean;
  readonly rounds: number;
  readonly runMs: number;
  readonly sizes: readonly number[];
  readonly out: string;
}

interface Bench {
  readonly options: Options;
  readonly folder: string;
  readonly track: (child: Child) => Child;
  readonly client: Child;
  readonly backendPort: number;
}

interface Scenario {
  readonly name: string;
  readonly gateway: BenchGateway;
  readonly load: Omit<CacheLoad, "port">;
}

const PROJECT_FOLDER = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const DENO = [Deno.execPath(), "run", "--quiet", "--no-prompt"];
const CONFIG = `--config=${PROJECT_FOLDER}/tests/deno.json`;
const RUN_MS_MAX = 8 * 60_000;
const FULL_RUN_MS_MAX = 45 * 60_000;
const CROWD = 100;
/** Misses come at a model's pace, not at the cache's: so many milliseconds after an answer. */
const MISS_PAUSE_MS = 4;
/** Beyond what was stored. */
const MISSES_FROM = 150_000;
const MISSES_EACH = 5_000;
const EXACT_QUESTIONS = 1_000;
/** A lookup that is late is a miss, stored, and from then on an exact hit: a few are usual. */
const TOLD_SHARE = 0.05;

function optionsFrom(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      full: { type: "boolean", default: false },
      rounds: { type: "string", default: "5" },
      out: { type: "string", default: `${PROJECT_FOLDER}/bench/results/cache.json` },
    },
  });
  const rounds = Number(values.rounds);
  if (!(rounds >= 1)) throw new TypeError(`Cannot run ${values.rounds} rounds: at least 1`);
  const sizes = values.full ? [1_000, 10_000, 100_000] : [1_000, 10_000];
  return { full: values.full, rounds, runMs: 600, sizes, out: values.out };
}

/** One connection: the scenarios, interleaved. */
async function measureRounds(bench: Bench): Promise<Measured["rounds"]> {
  const { options, client, track, folder, backendPort } = bench;
  const models = Object.fromEntries(
    options.sizes.map((size) => [`s${size}`, ALL_LAYERS] as const),
  );
  const plan = { folder, backendPort, track };
  const gateway = await startGateway({
    ...plan,
    name: "cached",
    models: { ...models, off: { enabled: false } },
    cache: { memoryBytes: 1_073_741_824 },
  });
  const bare = await startGateway({ ...plan, name: "bare", models: { off: null }, cache: null });
  for (const size of options.sizes) {
    const { storedSeconds, indexedSeconds } = await fill(client, gateway, `s${size}`, size);
    await say(
      `${size} questions stored in ${storedSeconds.toFixed(1)} s, ` +
        `indexed in ${indexedSeconds.toFixed(1)} s`,
    );
  }
  const rounds: Record<string, Round[]> = {};
  for (let round = -1; round < options.rounds; round++) {
    for (const scenario of scenarios(options, { gateway, bare, round: round + 1 })) {
      const result = await measureOne(client, scenario);
      // The first round warms up what the fill did not.
      if (round >= 0) (rounds[scenario.name] ??= []).push(result);
    }
    await say(round < 0 ? "warmed up" : `round ${round + 1} of ${options.rounds}`);
  }
  await Promise.all([gateway.end(), bare.end()]);
  return rounds;
}

function scenarios(
  { runMs, sizes }: Options,
  { gateway, bare, round }: {
    readonly gateway: BenchGateway;
    readonly bare: BenchGateway;
    readonly round: number;
  },
): Scenario[] {
  const [small = 0, largest = 0] = [sizes[0], sizes.at(-1)];
  const scenario = (
    name: string,
    asking: Partial<Asking>,
    more: { readonly gateway?: BenchGateway; readonly pauseMs?: number } = {},
  ): Scenario => ({
    name,
    gateway: more.gateway ?? gateway,
    load: {
      ...JSON_STORED,
      model: "off",
      layer: "off",
      from: 0,
      count: EXACT_QUESTIONS,
      connections: 1,
      durationMs: runMs,
      requestsMax: 0,
      pauseMs: more.pauseMs ?? 0,
      ...asking,
    },
  });
  const forms = (["json", "stream"] as const).flatMap((form) => {
    const stream = form === "stream";
    const model = `s${small}`;
    return [
      scenario(`off_${form}`, { stream }),
      scenario(`none_${form}`, { stream }, { gateway: bare }),
      scenario(`exact_${form}`, { stream, model, layer: "exact" }),
      scenario(`canonical_${form}`, { stream, model, layer: "canonical", wording: "respelt" }),
      ...sizes.map((size) =>
        scenario(`semantic_${size}_${form}`, {
          ...{ stream, model: `s${size}`, layer: "semantic", wording: "reworded" as const },
          count: size,
        })
      ),
    ];
  });
  const pauseMs = MISS_PAUSE_MS;
  const from = MISSES_FROM + round * MISSES_EACH;
  return [
    scenario("trivial", { model: null, layer: null }),
    ...forms,
    scenario("miss", { model: `s${largest}`, layer: "miss", from, count: MISSES_EACH }, {
      pauseMs,
    }),
    scenario("off_paused", { from, count: MISSES_EACH }, { pauseMs }),
  ];
}

async function measureOne(client: Child, { name, gateway, load }: Scenario): Promise<Round> {
  const beforeMs = figuresOf(gateway.child.pid).cpuMs;
  const { requests, errors, firstError, firstByteMs } = await play(client, gateway, load);
  const cpuMs = figuresOf(gateway.child.pid).cpuMs - beforeMs;
  if (errors > TOLD_SHARE * requests) {
    await say(`${name}: ${errors} of ${requests + errors} are not counted: ${firstError}`);
  }
  return {
    p50Ms: firstByteMs.p50,
    p99Ms: firstByteMs.p99,
    cpuMs: cpuMs / Math.max(1, requests),
    requests,
    errors,
  };
}

/** A hundred clients with one question, with the cache and without it in turns. */
async function measureCrowds(bench: Bench): Promise<Measured["crowds"]> {
  const { options, track, folder } = bench;
  const script = `${PROJECT_FOLDER}/bench/cache/crowd.ts`;
  const crowd = track(new Child([...DENO, "--allow-net=127.0.0.1", script], { lines: true }));
  const { port: backendPort } = JSON.parse(await crowd.read());
  const models = { on: ALL_LAYERS, off: { enabled: false } };
  const plan = { folder, name: "crowd", backendPort, models, cache: {}, track };
  const gateway = await startGateway(plan);
  const results: Record<"on" | "off", CrowdResult[]> = { on: [], off: [] };
  // The first rounds warm up, unequal numbers keep the answers out of the exact layer.
  for (let round = -3; round < options.rounds * 2; round++) {
    for (const model of ["off", "on"] as const) {
      const { port } = gateway;
      const command: CrowdCommand = { port, model, clients: CROWD, number: round + 3 };
      await crowd.write(JSON.stringify(command));
      const result: CrowdResult = JSON.parse(await crowd.read());
      if (round >= 0) results[model].push(result);
    }
  }
  await gateway.end();
  await crowd.stop();
  return results;
}

/** Runs a program that prints one line of JSON. */
async function printed<Figures>(
  bench: Bench,
  script: string,
  args: readonly string[],
): Promise<Figures> {
  const library = libraryPath();
  const child = bench.track(
    new Child([
      ...[...DENO, CONFIG, "--v8-flags=--expose-gc", `--allow-read=${PROJECT_FOLDER}/src`],
      ...["--allow-sys", ...(library === null ? [] : [`--allow-ffi=${library}`])],
      ...[`${PROJECT_FOLDER}/bench/cache/${script}`, ...args],
    ], { lines: true }),
  );
  const figures: Figures = JSON.parse(await child.read());
  await child.stop();
  return figures;
}

async function measureAll(bench: Bench): Promise<Measured> {
  const { options, client, folder, backendPort, track } = bench;
  const size = options.sizes.at(-1) ?? 0;
  const count = String(size);
  await say("hits and misses");
  const rounds = await measureRounds(bench);
  await say("a crowd with one question");
  const crowds = await measureCrowds(bench);
  await say("the index by itself");
  const index = await printed<Measured["index"]>(bench, "index_load.ts", [count, "text"]);
  const vectors = await printed<Measured["vectors"]>(bench, "index_load.ts", [count, "vector"]);
  await say("memory");
  const memory = {
    answers: await printed<Measured["memory"]["answers"]>(bench, "memory.ts", ["10000", "off"]),
    both: await printed<Measured["memory"]["both"]>(bench, "memory.ts", ["10000", "static"]),
  };
  await say("a warm restart");
  const restart = await measureRestart(client, { folder, backendPort, track }, size)
    .catch(async (error: unknown) => {
      // What was measured before is not lost over it.
      await say(String(error));
      return restartFailed(size);
    });
  return { rounds, sizes: options.sizes, crowds, index, vectors, memory, restart };
}

async function report(bench: Bench, startedMs: number, loadBefore: number): Promise<void> {
  const { options } = bench;
  const measured = await measureAll(bench);
  const lines = linesFrom(measured);
  await say(`\n${tableFrom(lines)}\n`);
  const result = {
    what: "cache",
    date: new Date().toISOString(),
    commit: await currentCommit(PROJECT_FOLDER),
    machine: await describeMachine(),
    options,
    elapsedSeconds: Math.round((performance.now() - startedMs) / 1_000),
    loadBefore,
    loadAfter: Deno.loadavg()[0],
    lines,
    measured,
  };
  await writeResult(options.out, result);
}

async function main(): Promise<void> {
  const startedMs = performance.now();
  const options = optionsFrom(Deno.args);
  const load = await loadBefore("ratios hold, times may not");
  const limitMs = options.full ? FULL_RUN_MS_MAX : RUN_MS_MAX;
  await runBench({ limitMs }, async ({ folder, track }) => {
    const net = [...DENO, "--allow-net=127.0.0.1"];
    const script = (path: string) => `${PROJECT_FOLDER}/bench/${path}`;
    const backend = track(new Child([...net, script("load/backend.ts")], { lines: true }));
    const { port: backendPort } = JSON.parse(await backend.read());
    const client = track(new Child([...net, script("cache/client.ts")], { lines: true }));
    await report({ options, folder, track, client, backendPort }, startedMs, load);
  });
}

if (import.meta.main) await main();
