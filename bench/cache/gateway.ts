/**
 * Gateways of the cache's benchmark: the documented command, in processes of their own.
 *
 * @module
 */
import { checkConfig } from "../../src/config/load.ts";
import { serveFlags } from "../../src/cli/permissions.ts";
import { Child } from "../load/children.ts";
import { figuresOf } from "../load/process_figures.ts";
import type { Asking, CacheLoad, CacheLoadResult } from "./client.ts";

/** A gateway that runs. */
export interface BenchGateway {
  /** Where clients connect. */
  readonly port: number;
  /** Its process. */
  readonly child: Child;
  /** Adds up the samples of a metric whose labels include these. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Asks it to end, and waits for as long as it needs to save what it has. */
  end(): Promise<void>;
}

/** What a gateway is started with. */
export interface GatewayPlan {
  /** Folder for its configuration, its store and its index. */
  readonly folder: string;
  /** Its name there. */
  readonly name: string;
  /** Port of the backend. */
  readonly backendPort: number;
  /** Cache settings by model; `null` for a model without any. */
  readonly models: Readonly<Record<string, Readonly<Record<string, unknown>> | null>>;
  /** Backend model by alias where it is not `instant`. */
  readonly targets?: Readonly<Record<string, string>>;
  /** Cache settings of all models; `null` for none. */
  readonly cache: Readonly<Record<string, unknown>> | null;
  /** Keeps it for the clean-up. */
  readonly track: (child: Child) => Child;
}

/** All layers at work. */
export const ALL_LAYERS = { enabled: true, semantic: { mode: "static" } };

const PROJECT_FOLDER = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const READY_MS = 20_000;
const END_MS = 60_000;
const SETTLE_MS = 15 * 60_000;
/** Fewer than changes may wait at the index. */
const FILL_STEP = 4_000;
const FILL_CONNECTIONS = 32;
/** An idle gateway takes next to nothing; an index that grows, a core where it gets one. */
const REST_SHARE = 0.1;
const REST_WINDOW_MS = 700;

/** Starts a gateway without waiting for it. */
export async function launchGateway(plan: GatewayPlan): Promise<BenchGateway> {
  const { folder, name, models, cache, targets = {} } = plan;
  const [port, adminPort] = [freePort(), freePort()];
  const text = {
    listen: { host: "127.0.0.1", port },
    admin: { host: "127.0.0.1", port: adminPort },
    backends: [
      { name: "bench", protocol: "openai", baseUrl: `http://127.0.0.1:${plan.backendPort}/v1` },
    ],
    models: Object.entries(models).map(([model, settings]) => ({
      name: model,
      targets: [{ backend: "bench", model: targets[model] ?? "instant" }],
      ...(settings === null ? {} : { cache: settings }),
    })),
    ...(cache === null ? {} : { cache }),
  };
  const file = `${folder}/${name}.json`;
  await Deno.writeTextFile(file, JSON.stringify(text, null, 2));
  const child = plan.track(
    new Child([
      ...[Deno.execPath(), "run", "--quiet", ...serveFlags(checkConfig(text), file)],
      ...[`${PROJECT_FOLDER}/mod.ts`, "serve", "--config", file],
    ], { cwd: PROJECT_FOLDER }),
  );
  return {
    port,
    child,
    async metric(metricName, labels = {}) {
      const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
      return sumOf(await response.text(), metricName, labels);
    },
    end: () => endGracefully(child),
  };
}

/** Starts a gateway and waits until it answers. */
export async function startGateway(plan: GatewayPlan): Promise<BenchGateway> {
  const gateway = await launchGateway(plan);
  await until(() => isAnswering(gateway), READY_MS, "the gateway to answer");
  return gateway;
}

/** Whether it takes requests. Fails where its process has ended. */
export async function isAnswering({ child, port }: BenchGateway): Promise<boolean> {
  if (child.ended) throw new Error(`Cannot start a gateway: it ended\n${await child.errors}`);
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`);
    await response.body?.cancel();
    return response.ok;
  } catch (error) {
    if (error instanceof TypeError) return false; // Nobody listens yet.
    throw error;
  }
}

/** Puts a load on a gateway. */
export async function play(
  client: Child,
  gateway: BenchGateway,
  load: Omit<CacheLoad, "port">,
): Promise<CacheLoadResult> {
  await client.write(JSON.stringify({ ...load, port: gateway.port }));
  return JSON.parse(await client.read());
}

/**
 * Has a gateway store the first so many questions of a model, by asking them.
 *
 * @returns Until the last answer was stored, and until the index had no more work.
 */
export async function fill(
  client: Child,
  gateway: BenchGateway,
  model: string,
  count: number,
): Promise<{ readonly storedSeconds: number; readonly indexedSeconds: number }> {
  const startMs = performance.now();
  const before = await gateway.metric("weir_cache_vectors");
  let storedSeconds = 0;
  for (let from = 0; from < count; from += FILL_STEP) {
    const step = Math.min(FILL_STEP, count - from);
    const asking: Asking = { ...JSON_STORED, model, from, count: step, layer: "miss" };
    const result = await play(client, gateway, {
      ...asking,
      connections: FILL_CONNECTIONS,
      durationMs: SETTLE_MS,
      requestsMax: step,
      pauseMs: 0,
    });
    if (result.errors > 0) throw new Error(`Cannot fill ${model}: ${result.firstError}`);
    storedSeconds = (performance.now() - startMs) / 1_000;
    await settle(gateway, before + from + step);
  }
  await rest(gateway);
  return { storedSeconds, indexedSeconds: (performance.now() - startMs) / 1_000 };
}

/** Questions as they are stored, asked for as JSON. */
export const JSON_STORED = { stream: false, wording: "stored" } as const;

/** Waits until so many vectors can be found, and nothing waits to be shared. */
async function settle(gateway: BenchGateway, vectors: number): Promise<void> {
  await until(
    async () =>
      await gateway.metric("weir_cache_vectors") >= vectors &&
      await gateway.metric("weir_cache_shared_queue") === 0,
    SETTLE_MS,
    `${vectors} vectors`,
  );
}

/** A graph goes on growing after its vectors can be found: waits until the process has rest. */
async function rest(gateway: BenchGateway): Promise<void> {
  const { pid } = gateway.child;
  const share = async (): Promise<number> => {
    const [beforeMs, startMs] = [figuresOf(pid).cpuMs, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, REST_WINDOW_MS));
    return (figuresOf(pid).cpuMs - beforeMs) / (performance.now() - startMs);
  };
  await until(async () => await share() < REST_SHARE, SETTLE_MS, "the index to be complete");
}

async function endGracefully(child: Child): Promise<void> {
  if (!child.ended) Deno.kill(child.pid, "SIGTERM");
  await until(() => Promise.resolve(child.ended), END_MS, "the gateway to end");
}

async function until(
  holds: () => Promise<boolean>,
  limitMs: number,
  what: string,
): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`Cannot go on: waited for ${what} in vain`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Adds up samples of the Prometheus text format; 0 where there are none. */
export function sumOf(
  page: string,
  name: string,
  labels: Readonly<Record<string, string>>,
): number {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  let sum = 0;
  for (const line of page.split("\n")) {
    if (!line.startsWith(`${name} `) && !line.startsWith(`${name}{`)) continue;
    if (!wanted.every((label) => line.includes(label))) continue;
    sum += Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  return sum;
}

/** A port that was free a moment ago: where two are needed, both are wanted beforehand. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
