/**
 * What is measured in rounds: each operation by each way, one after the other, so that
 * a noisy minute hits them all.
 *
 * @module
 */
import type { BenchWorld } from "../load/bench_run.ts";
import type { Child } from "../load/children.ts";
import { figuresOf } from "../load/process_figures.ts";
import { KEYS, type LoadResult, type Operation } from "./load.ts";
import {
  isInstalled,
  load,
  startClient,
  startEtcd,
  startMap,
  startNode,
  startRedis,
} from "./peers.ts";
import { runRedisBenchmark } from "./redis_benchmark.ts";

/** One run of one scenario. */
export interface Round {
  /** How many a second. */
  readonly perSecond: number;
  /** From the call to its answer, median, in milliseconds. */
  readonly p50Ms: number;
  /** The same, 99th percentile. */
  readonly p99Ms: number;
  /** Processor time of the server an operation, in microseconds; `null` where there is none. */
  readonly serverCpuUs: number | null;
  /** The same of the client. */
  readonly clientCpuUs: number | null;
}

/** All rounds by scenario; one that could not run is missing. */
export type Rounds = Readonly<Record<string, readonly Round[]>>;

/** Everybody that takes part. */
export interface Field {
  /** Clients by what they use. */
  readonly clients: Readonly<Record<string, Child>>;
  /** Servers by name. */
  readonly servers: Readonly<Record<string, Child>>;
  /** Where redis-benchmark connects, or `null` if it is not there. */
  readonly redisPort: number | null;
  /** What of the peers ran. */
  readonly versions: Readonly<Record<string, string>>;
  /** What did not, in words. */
  readonly skipped: readonly string[];
}

interface Scenario {
  readonly name: string;
  readonly client: string;
  readonly server: string | null;
  readonly operation: Operation;
  readonly atOnce: number;
}

const SCENARIOS: readonly Scenario[] = [
  ["set_stock_64", "stock", "node", "set", 64],
  ["set_file_64", "file", null, "set", 64],
  ["set_stock_1", "stock", "node", "set", 1],
  ["set_file_1", "file", null, "set", 1],
  ["set_own_64", "own", "node", "set", 64],
  ["set_redis_64", "redis", "redis", "set", 64],
  ["set_own_1", "own", "node", "set", 1],
  ["set_redis_1", "redis", "redis", "set", 1],
  ["set_post_64", "post_node", "node", "set", 64],
  ["set_etcd_64", "post_etcd", "etcd", "set", 64],
  ["set_map_64", "map", "map", "set", 64],
  ["get_stock_64", "stock", "node", "get", 64],
  ["get_map_64", "map", "map", "get", 64],
  ["get_file_64", "file", null, "get", 64],
  ["get_own_64", "own", "node", "get", 64],
  ["get_redis_64", "redis", "redis", "get", 64],
].map(([name, client, server, operation, atOnce]) =>
  ({ name, client, server, operation, atOnce }) as Scenario
);

const REDIS_TOOL = "set_redis_tool_64";
const REDIS_TOOL_AT_ONCE = 64;
/** So many keys have to be there before one is read. */
const FILL_AT_ONCE = 64;
const FILL_MS = 120_000;
const REDIS_TOOL_FIRST = 20_000;

/** Starts everybody. */
export async function startField(world: BenchWorld): Promise<Field> {
  const [node, map, redis, etcd] = await Promise.all([
    startNode(world, "node"),
    startMap(world),
    startRedis(world),
    startEtcd(world),
  ]);
  const address = new URL(node.url).host;
  const clients: Record<string, Child> = {
    stock: await startClient(world, "kv", node.url),
    own: await startClient(world, "weir", address),
    post_node: await startClient(world, "post_node", node.url),
    map: await startClient(world, "kv", map.url),
    file: await startClient(world, "kv", `${world.folder}/deno.sqlite3`),
  };
  const servers: Record<string, Child> = { node: node.child, map: map.child };
  const versions: Record<string, string> = {};
  const skipped: string[] = [];
  if (redis === null) skipped.push("redis-server is not installed: its rows are left out");
  else {
    servers["redis"] = redis.child;
    versions["redis"] = redis.version;
    clients["redis"] = await startClient(world, "redis", `${redis.port}`);
  }
  if (etcd === null) skipped.push("etcd is not installed: its row is left out");
  else {
    servers["etcd"] = etcd.child;
    versions["etcd"] = etcd.version;
    clients["post_etcd"] = await startClient(
      world,
      "post_etcd",
      `http://127.0.0.1:${etcd.port}`,
    );
  }
  const hasTool = redis !== null && await isInstalled("redis-benchmark");
  if (redis !== null && !hasTool) skipped.push("redis-benchmark is not installed: no target row");
  return { clients, servers, versions, skipped, redisPort: hasTool ? redis.port : null };
}

/** Plays all scenarios so often; the first round warms up and is not kept. */
export async function measureRounds(
  field: Field,
  { rounds, runMs, say }: {
    readonly rounds: number;
    readonly runMs: number;
    readonly say: (text: string) => Promise<void>;
  },
): Promise<Rounds> {
  await fill(field);
  const results: Record<string, Round[]> = {};
  for (let round = -1; round < rounds; round++) {
    for (const scenario of SCENARIOS) {
      const client = field.clients[scenario.client];
      if (client === undefined) continue;
      const { operation, atOnce } = scenario;
      const command = { operation, atOnce, durationMs: runMs, operationsMax: 0 };
      const server = scenario.server === null ? null : field.servers[scenario.server] ?? null;
      const result = await measured(server, client, () => load(client, command));
      if (round >= 0) (results[scenario.name] ??= []).push(result);
    }
    const tool = await measureRedisTool(field, results[REDIS_TOOL], runMs);
    if (tool !== null && round >= 0) (results[REDIS_TOOL] ??= []).push(tool);
    await say(round < 0 ? "warmed up" : `round ${round + 1} of ${rounds}`);
  }
  return results;
}

/** Ends all processes of the field. */
export async function stopField({ clients, servers }: Field): Promise<void> {
  await Promise.all(Object.values(clients).map((child) => child.stop()));
  await Promise.all(Object.values(servers).map((child) => child.stop()));
}

async function fill({ clients }: Field): Promise<void> {
  for (const [name, client] of Object.entries(clients)) {
    const result = await load(client, {
      operation: "set",
      atOnce: FILL_AT_ONCE,
      durationMs: FILL_MS,
      operationsMax: KEYS,
    });
    if (result.errors > 0 || result.operations < KEYS) {
      throw new Error(`Cannot fill ${name}: ${result.firstError}`);
    }
  }
}

/** So many commands that it takes about as long as the other runs. */
async function measureRedisTool(
  { redisPort, servers }: Field,
  before: readonly Round[] | undefined,
  runMs: number,
): Promise<Round | null> {
  const server = servers["redis"];
  if (redisPort === null || server === undefined) return null;
  const perSecond = before?.at(-1)?.perSecond;
  const operations = perSecond === undefined
    ? REDIS_TOOL_FIRST
    : Math.ceil(perSecond * runMs / 1_000);
  const run = { atOnce: REDIS_TOOL_AT_ONCE, operations };
  return await measured(server, null, () => runRedisBenchmark(redisPort, run));
}

async function measured(
  server: Child | null,
  client: Child | null,
  run: () => Promise<LoadResult>,
): Promise<Round> {
  const cpuMs = (child: Child | null) => child === null ? 0 : figuresOf(child.pid).cpuMs;
  const [serverMs, clientMs] = [cpuMs(server), cpuMs(client)];
  const { operations, errors, firstError, elapsedMs, latencyMs } = await run();
  if (errors > 0) throw new Error(`Cannot count a run: ${errors} errors, first ${firstError}`);
  const share = (child: Child | null, before: number): number | null =>
    child === null ? null : (cpuMs(child) - before) * 1_000 / Math.max(1, operations);
  return {
    perSecond: operations / elapsedMs * 1_000,
    p50Ms: latencyMs.p50,
    p99Ms: latencyMs.p99,
    serverCpuUs: share(server, serverMs),
    clientCpuUs: share(client, clientMs),
  };
}
