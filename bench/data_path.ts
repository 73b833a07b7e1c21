/**
 * The data path against nginx, Portkey's gateway and no gateway at all.
 *
 * Same backend, same load generator, same run; rounds are interleaved (each
 * scenario: direct, nginx, portkey, weir, and again) and medians compared. All
 * processes share the machine's cores: compare columns within one run only.
 *
 *     deno task bench:data-path [--quick] [--rounds=3] [--gap=20] [--long]
 *       [--peers=nginx,portkey,passthrough,weir] [--out=bench/results/data_path.json]
 *
 * nginx comes from the system (Debian: package `nginx`), Portkey's gateway from
 * npm into a cache folder. A peer that cannot be had is skipped, and named. Deno
 * reads `/proc` through `cat`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { loadBefore, runBench, say, writeResult } from "./load/bench_run.ts";
import { Child } from "./load/children.ts";
import { currentCommit, describeMachine } from "./load/machine.ts";
import { type Figures, measure, type Scenario, scenarios } from "./load/measures.ts";
import { type Peer, PEER_NAMES, type PeerName, startPeer } from "./load/peers.ts";
import { figuresOf } from "./load/process_figures.ts";
import { median, rowsFrom, tableFrom, verdictsFrom, verdictText } from "./load/report.ts";

interface Options {
  readonly peers: readonly PeerName[];
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpMs: number;
  readonly pacedSeconds: number;
  readonly gapMs: number;
  readonly long: boolean;
  readonly out: string;
}

interface Bench {
  readonly client: Child;
  readonly backend: Child;
  readonly peers: readonly Peer[];
  readonly skipped: ReadonlyArray<{ readonly name: string; readonly why: string }>;
  readonly idleBytes: Readonly<Record<string, number>>;
}

const PROJECT_FOLDER = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const RUN_MS_MAX = 9 * 60_000;
const LONG_RUN_MS_MAX = 30 * 60_000;
const LONG_REQUESTS = 200_000;
const LONG_STEPS = 40;
const FLAT_SHARE = 0.02;

function optionsFrom(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      long: { type: "boolean", default: false },
      rounds: { type: "string" },
      gap: { type: "string", default: "20" },
      peers: { type: "string", default: "nginx,portkey,weir" },
      out: { type: "string", default: `${PROJECT_FOLDER}/bench/results/data_path.json` },
    },
  });
  const names = values.peers.split(",").filter((name) => name !== "");
  const peers = PEER_NAMES.filter((name) => names.includes(name));
  const unknown = names.filter((name) => !PEER_NAMES.some((known) => known === name));
  if (unknown.length > 0) throw new TypeError(`Cannot compare ${unknown}: choose of ${PEER_NAMES}`);
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!(rounds >= 1)) throw new TypeError(`Cannot run ${values.rounds} rounds: at least 1`);
  return {
    peers,
    rounds,
    seconds: values.quick ? 0.7 : 1.5,
    warmUpMs: values.quick ? 700 : 4_000,
    // Long enough that what is compiled on the way does not count for much.
    pacedSeconds: values.quick ? 3 : 12,
    gapMs: Number(values.gap),
    long: values.long,
    out: values.out,
  };
}

async function start(options: Options, folder: string, track: (child: Child) => Child) {
  const deno = [Deno.execPath(), "run", "--no-prompt", "--allow-net=127.0.0.1"];
  const load = `${PROJECT_FOLDER}/bench/load`;
  const backend = track(new Child([...deno, `${load}/backend.ts`], { lines: true }));
  const { port: backendPort } = JSON.parse(await backend.read());
  const client = track(new Child([...deno, `${load}/client.ts`], { lines: true }));
  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  const cacheFolder = `${temporary}/weir-bench-cache`;
  const setting = { backendPort, folder, cacheFolder, projectFolder: PROJECT_FOLDER, track };

  const direct: Peer = {
    name: "direct",
    version: "the backend itself",
    port: backendPort,
    headers: [],
    child: null,
  };
  const peers: Peer[] = [direct];
  const skipped: Array<{ name: string; why: string }> = [];
  const idleBytes: Record<string, number> = {};
  for (const name of options.peers) {
    try {
      const peer = await startPeer(name, setting);
      peers.push(peer);
      // Its one request to see that it is ready is over; wait for what that left to do.
      await new Promise((resolve) => setTimeout(resolve, 500));
      if (peer.child !== null) idleBytes[name] = figuresOf(peer.child.pid).residentBytes;
      await say(`${name}: ${peer.version}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      skipped.push({ name, why });
      await say(`${name}: skipped. ${why}`);
    }
  }
  return { client, backend, peers, skipped, idleBytes } satisfies Bench;
}

async function runRounds(
  bench: Bench,
  options: Options,
): Promise<Record<string, Record<string, Figures[]>>> {
  const all = scenarios(options);
  // Engines compile what runs often: a peer in its first thousand requests is not yet itself.
  for (const scenario of all.filter((one) => one.connections > 1)) {
    const warmUp = { ...scenario, durationMs: options.warmUpMs };
    for (const peer of bench.peers) await measure(bench.client, peer, warmUp, 10_000);
  }
  const runs: Record<string, Record<string, Figures[]>> = {};
  for (const scenario of all) {
    const byPeer: Record<string, Figures[]> = {};
    runs[scenario.name] = byPeer;
    for (let round = 0; round < options.rounds; round++) {
      for (const peer of bench.peers) {
        const figures = await measure(bench.client, peer, scenario);
        (byPeer[peer.name] ??= []).push(figures);
        if (figures.errors > 0) await sayErrors(peer, scenario, figures);
      }
    }
    await say(`measured ${scenario.name}`);
  }
  return runs;
}

async function sayErrors(peer: Peer, scenario: Scenario, figures: Figures): Promise<void> {
  const { errors, firstError } = figures;
  await say(`${peer.name}, ${scenario.name}: ${errors} requests failed, first: ${firstError}`);
}

/**
 * Cores that the load itself takes. Where gateway and load together want more
 * than there are, latencies measure the queue for a core.
 */
async function harnessShare(bench: Bench, options: Options): Promise<number> {
  const paced = scenarios(options).find((scenario) => scenario.name === "paced");
  const [direct] = bench.peers;
  if (paced === undefined || direct === undefined) return NaN;
  const spentMs = (): number =>
    figuresOf(bench.client.pid).cpuMs + figuresOf(bench.backend.pid).cpuMs;
  const [beforeMs, startedMs] = [spentMs(), performance.now()];
  await measure(bench.client, direct, paced);
  return (spentMs() - beforeMs) / (performance.now() - startedMs);
}

/** Memory over many requests: the median of the second fifth against that of the last. */
async function flatness(bench: Bench, peer: Peer, options: Options) {
  const plain = scenarios(options).find((scenario) => scenario.name === "plain_c32");
  if (plain === undefined || peer.child === null) return null;
  const samples: number[] = [];
  let requests = 0;
  for (let step = 0; step < LONG_STEPS; step++) {
    const load = { ...plain, durationMs: 60_000 };
    const figures = await measure(bench.client, peer, load, LONG_REQUESTS / LONG_STEPS);
    requests += figures.requests;
    samples.push(figuresOf(peer.child.pid).residentBytes);
  }
  const fifth = LONG_STEPS / 5;
  const early = median(samples.slice(fifth, 2 * fifth)) ?? NaN;
  const late = median(samples.slice(-fifth)) ?? NaN;
  const drift = late / early - 1;
  const megabytes = samples.map((bytes) => Math.round(bytes / 100_000) / 10);
  await say(
    `RSS of ${peer.name} over ${requests} requests: ${(early / 1e6).toFixed(1)} MB, then ` +
      `${(late / 1e6).toFixed(1)} MB (${(drift * 100).toFixed(1)} %; target ±2 %: ` +
      `${Math.abs(drift) <= FLAT_SHARE ? "met" : "missed"})`,
  );
  return { requests, driftShare: drift, residentMegabytes: megabytes };
}

async function report(
  bench: Bench,
  options: Options,
  begin: { readonly startedMs: number; readonly loadBefore: number },
): Promise<void> {
  const runs = await runRounds(bench, options);
  const peers = bench.peers.map((peer) => peer.name);
  const subject = ["weir", "passthrough"].find((name) => peers.some((peer) => peer === name)) ?? "";
  const rows = rowsFrom(runs, bench.idleBytes);
  const verdicts = verdictsFrom(rows, subject);
  const harness = await harnessShare(bench, options);
  await say(`\n${tableFrom(rows, peers, subject)}\n\n${verdictText(verdicts)}\n`);
  await say(
    `Client and backend alone use ${harness.toFixed(2)} cores at 300 paced streams: what is left ` +
      `of ${navigator.hardwareConcurrency} is the gateways' to use.`,
  );
  const subjectPeer = bench.peers.find((peer) => peer.name === subject);
  const memory = options.long && subjectPeer ? await flatness(bench, subjectPeer, options) : null;
  const result = {
    what: "data path",
    date: new Date().toISOString(),
    commit: await currentCommit(PROJECT_FOLDER),
    machine: await describeMachine(),
    options,
    elapsedSeconds: Math.round((performance.now() - begin.startedMs) / 1_000),
    loadBefore: begin.loadBefore,
    peers: Object.fromEntries(bench.peers.map((peer) => [peer.name, peer.version])),
    skipped: bench.skipped,
    rows: Object.fromEntries(rows),
    verdicts,
    harnessCores: harness,
    memory,
    runs,
  };
  await writeResult(options.out, result);
}

async function main(): Promise<void> {
  const startedMs = performance.now();
  const options = optionsFrom(Deno.args);
  const load = await loadBefore("CPU figures hold, latencies may not");
  const limitMs = options.long ? LONG_RUN_MS_MAX : RUN_MS_MAX;
  await runBench({ limitMs }, async ({ folder, track }) => {
    const bench = await start(options, folder, track);
    await report(bench, options, { startedMs, loadBefore: load });
  });
}

if (import.meta.main) await main();
