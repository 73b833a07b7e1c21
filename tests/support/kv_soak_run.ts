/**
 * A soak of a node: mixed load for a while, then a look at everything; then the
 * node is stopped and started, killed under load and started, with another look
 * after each.
 *
 * @module
 */
import { KillableNode, type LogLine } from "./kv_killable_node.ts";
import { quantile, type Sample, takeSample } from "./kv_soak_gauges.ts";
import { SoakLoad } from "./kv_soak_load.ts";
import { isLogShort, judgeFigures, SEGMENT_BYTES, shown } from "./kv_soak_verdict.ts";
import { cameTrue, pause, SoakWorld } from "./kv_soak_world.ts";
import { runTool } from "./kv_tool.ts";

/** How a soak is run. */
export interface SoakOptions {
  /** Chooses what actors do. */
  readonly seed: number;
  /** How long there is load, in minutes; what comes after takes about one more. */
  readonly minutes: number;
  /** Told a line every ten seconds, and what was found. */
  readonly print: (line: string) => void;
}

const FLAGS = ["--segment-bytes", String(SEGMENT_BYTES)];
const SAMPLE_MS = 1_000;
const LINE_MS = 10_000;
const BACKUP_MS = 40_000;
/** How long something that has to come true is waited for: long, so that only a fault is caught. */
const HANG_MS = 60_000;
const BURST_MS = 6_000;
const AFTER_KILL_MS = 4_000;
/** What happens at least so often in a minute of load. */
const PER_MINUTE = 5;

/** Runs a soak; returns what was wrong, in words: nothing in a good run. */
export async function soak(options: SoakOptions): Promise<readonly string[]> {
  const { print, seed, minutes } = options;
  print(`SEED=${seed}, ${minutes} minutes of load`);
  const world = new SoakWorld(print);
  await using node = new KillableNode();
  await node.serve({ flags: FLAGS });
  const run = new SoakRun(world, node, new SoakLoad(world, node, seed), options);
  const forgive = (event: PromiseRejectionEvent): void => {
    if (isFaultOfNpm(world, event.reason)) event.preventDefault();
  };
  globalThis.addEventListener("unhandledrejection", forgive);
  try {
    await run.play();
  } catch (error) {
    const { lines, errorText } = node.run;
    const cause = lines.slice(-5).map((line) => JSON.stringify(line)).join("\n");
    world.complain(`the soak broke off: ${error instanceof Error ? error.stack : error}`);
    world.complain(`the node's last words: ${cause}${errorText}`);
  } finally {
    world.unload();
    globalThis.removeEventListener("unhandledrejection", forgive);
  }
  const { complaints, complaintCount } = world;
  if (complaintCount > complaints.length) {
    complaints.push(`… and ${complaintCount - complaints.length} more`);
  }
  return complaints;
}

/**
 * npm's client goes on with a watch for a while after it was cancelled, and rejects a
 * promise that nobody can have if its node is not there then.
 */
function isFaultOfNpm(world: SoakWorld, reason: unknown): boolean {
  const stack = reason instanceof Error ? reason.stack ?? "" : "";
  return world.outages > 0 && stack.includes("/@deno/kv/");
}

class SoakRun {
  readonly #world: SoakWorld;
  readonly #node: KillableNode;
  readonly #load: SoakLoad;
  readonly #options: SoakOptions;
  readonly #samples: Sample[] = [];
  /** Lines of the node's log, over all its runs. */
  readonly #lines: LogLine[] = [];
  #backups = 0;
  #lineOperations = 0;

  constructor(world: SoakWorld, node: KillableNode, load: SoakLoad, options: SoakOptions) {
    this.#world = world;
    this.#node = node;
    this.#load = load;
    this.#options = options;
  }

  async play(): Promise<void> {
    await this.#load.open();
    if (!await cameTrue(HANG_MS, () => this.#load.areWatchesOpen)) {
      this.#world.complain("a watch does not tell what is there");
    }
    const atRest = await takeSample(this.#node, 0);
    await this.#underLoad();
    await this.#settle();
    await this.#look("after the load");
    const [samples, after] = [this.#samples, await this.#sampleAtRest(atRest)];
    for (const line of judgeFigures(this.#world, samples, atRest, after)) this.#options.print(line);
    await this.#stopAndStart();
    await this.#settle();
    await this.#look("after SIGTERM and a start");
    await this.#killAndStart();
    await this.#settle();
    await this.#look("after SIGKILL and a start");
    await this.#load.close();
    await this.#stop();
    for (const { level, ...rest } of this.#lines) {
      if (level === "warn" || level === "error") {
        this.#world.complain(`the node said: ${JSON.stringify(rest)}`);
      }
    }
    const { operations } = this.#world;
    const figures = { operations, backups: this.#backups, ...this.#load.figures };
    this.#options.print(`counted: ${JSON.stringify(figures)}`);
    this.#checkCoverage();
  }

  /** Load for as long as was asked, with a sample every second. */
  async #underLoad(): Promise<void> {
    const { minutes } = this.#options;
    const startMs = performance.now();
    const running = this.#load.run();
    const backing = this.#backUpNowAndThen();
    let lineMs = LINE_MS;
    this.#lineOperations = this.#world.operations;
    for (let dueMs = SAMPLE_MS; dueMs <= minutes * 60_000; dueMs += SAMPLE_MS) {
      await pause(Math.max(0, startMs + dueMs - performance.now()));
      this.#samples.push(await takeSample(this.#node, performance.now() - startMs));
      if (dueMs < lineMs) continue;
      lineMs += LINE_MS;
      this.#printLine();
    }
    this.#world.unload();
    let isOver = false;
    const ended = Promise.all([running, backing]).finally(() => isOver = true);
    if (await cameTrue(HANG_MS, () => isOver)) return void await ended;
    throw new Error("Cannot go on: an operation that was begun in the load hangs");
  }

  /** Waits for messages, watches and expiry; a fault if they do not come to an end. */
  async #settle(): Promise<void> {
    const load = this.#load;
    load.hurry(true);
    const isDelivered = await cameTrue(HANG_MS, async () => {
      await load.bury();
      return load.outstandingMessages === 0;
    });
    if (!isDelivered) this.#world.complain(`${load.outstandingMessages} messages do not come`);
    await load.beatAll();
    if (!await cameTrue(HANG_MS, () => load.areWatchesUpToDate)) {
      this.#world.complain(`watches have not seen the last value: ${load.lateWatches.join(", ")}`);
    }
    await load.finishExpiring();
    load.hurry(false);
  }

  /** Compares what is stored with what was acknowledged, to the row. */
  async #look(when: string): Promise<void> {
    const before = this.#world.complaintCount;
    const rows = await this.#load.audit();
    let found = NaN;
    const isExact = await cameTrue(HANG_MS, async () => {
      ({ rows: found } = await takeSample(this.#node, 0));
      return found === rows;
    });
    if (!isExact) {
      this.#world.complain(`${when} the node has ${found} rows, of which ${rows} are to be there`);
    }
    const wrong = this.#world.complaintCount - before;
    this.#options.print(`${when}: ${rows} rows looked at, ${wrong} complaints`);
  }

  /** When what went has been noticed: watches, links and the log as small as they have to be. */
  async #sampleAtRest(before: Sample): Promise<Sample> {
    let sample = before;
    await cameTrue(HANG_MS, async () => {
      sample = await takeSample(this.#node, 0);
      return sample.watches === before.watches && isLogShort(sample);
    });
    return sample;
  }

  async #stopAndStart(): Promise<void> {
    await this.#load.endFragileWatches();
    const end = this.#world.beginOutage();
    await this.#stop();
    await this.#node.serve({ flags: FLAGS });
    end();
    this.#load.resumeFragileWatches();
  }

  async #stop(): Promise<void> {
    const { run } = this.#node;
    run.signal("SIGTERM");
    const ended = await run.ended;
    this.#lines.push(...run.lines);
    if (ended.code === 0) return;
    this.#world.complain(`the node ended with ${JSON.stringify(ended)}: ${run.errorText}`);
  }

  /** Killed in the middle of load, which goes on before, meanwhile and after. */
  async #killAndStart(): Promise<void> {
    const world = this.#world;
    world.isAtRisk = true;
    world.isLoaded = true;
    const running = this.#load.runThroughOutage();
    await pause(BURST_MS);
    await this.#load.endFragileWatches();
    const end = world.beginOutage();
    await this.#node.run.kill();
    this.#lines.push(...this.#node.run.lines);
    await this.#node.serve({ flags: FLAGS });
    // Clients come back by themselves; until then they may fail.
    await pause(AFTER_KILL_MS);
    end();
    this.#load.resumeFragileWatches();
    await pause(AFTER_KILL_MS);
    world.unload();
    await running;
  }

  async #backUpNowAndThen(): Promise<void> {
    const file = await Deno.makeTempFile({ prefix: "weir-soak-", suffix: ".backup" });
    try {
      for (let nextMs = performance.now() + BACKUP_MS / 4; this.#world.isLoaded;) {
        await pause(200);
        if (performance.now() < nextMs) continue;
        await Deno.remove(file);
        await this.#backUp(file);
        nextMs = performance.now() + BACKUP_MS;
      }
    } finally {
      await Deno.remove(file).catch(() => {});
    }
  }

  /** The tool checks what it gets, from the first byte to the last. */
  async #backUp(file: string): Promise<void> {
    const { code, err } = await runTool("backup", file, "--admin", this.#node.adminUrl);
    if (code === 0) this.#backups++;
    else this.#world.complain(`a backup ended with ${code}: ${err}`);
  }

  #printLine(): void {
    const sample = this.#samples.at(-1);
    const before = this.#samples.at(-1 - LINE_MS / SAMPLE_MS) ?? this.#samples[0];
    if (sample === undefined || before === undefined) return;
    const seconds = Math.max(1, (sample.atMs - before.atMs) / 1_000);
    const { operations, complaintCount } = this.#world;
    const rate = Math.round((operations - this.#lineOperations) / (LINE_MS / 1_000));
    this.#lineOperations = operations;
    const latencies = this.#world.takeLatencies();
    const [p50, p99, p100] = [0.5, 0.99, 1].map((share) => quantile(latencies, share).toFixed(1));
    const cpu = Math.round(100 * (sample.cpuSeconds - before.cpuSeconds) / seconds);
    this.#options.print([
      `${String(Math.round(sample.atMs / 1_000)).padStart(5)} s`,
      `${operations} operations (${rate}/s)`,
      `CPU ${cpu} %`,
      `RSS ${shown(sample.residentBytes)}`,
      `heap ${shown(sample.heapBytes)}`,
      `log ${shown(sample.logBytes)}`,
      `state ${shown(sample.stateBytes)}, ${sample.rows} rows`,
      `descriptors ${sample.descriptors}`,
      `watches ${sample.watches}`,
      `p50 ${p50} p99 ${p99} max ${p100} ms`,
      `complaints ${complaintCount}`,
    ].join(" | "));
  }

  /** A soak that did not do what it is for shows nothing. */
  #checkCoverage(): void {
    const { conflicts, expired, messages, dead } = this.#load.figures;
    const checkpoints = this.#samples.at(-1)?.checkpoints ?? 0;
    const { minutes } = this.#options;
    const counts = { conflicts, expired, messages, dead, checkpoints };
    for (const [name, count] of Object.entries(counts)) {
      if (count < PER_MINUTE * minutes) {
        this.#world.complain(`too little happened: ${name} ${count}`);
      }
    }
    if (this.#backups === 0) this.#world.complain("too little happened: no backup");
  }
}
