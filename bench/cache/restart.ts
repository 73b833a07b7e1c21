/**
 * A warm restart: how soon a gateway serves what the one before it had stored.
 *
 * Counted from the start of the process. "Serves" means that each of a sample of
 * questions, spread over all of them, has been answered once with `only-if-cached`.
 *
 * @module
 */
import type { Child } from "../load/children.ts";
import { requestBytes } from "./client.ts";
import {
  ALL_LAYERS,
  type BenchGateway,
  fill,
  type GatewayPlan,
  isAnswering,
  JSON_STORED,
  launchGateway,
  startGateway,
} from "./gateway.ts";
import type { Wording } from "./prompts.ts";

/** Times in seconds. */
export interface RestartFigures {
  /** Stored answers. */
  readonly entries: number;
  /** How long it took to ask and store them. */
  readonly fillSeconds: number;
  /** Until the old process had saved and ended. */
  readonly endSeconds: number;
  /** Until the new process answers anything at all. */
  readonly listenSeconds: number;
  /** Until it serves by exact key. */
  readonly exactSeconds: number;
  /** Until it serves by similarity. */
  readonly semanticSeconds: number;
}

const SAMPLE = 32;
const POLL_MS = 10;
const WRITTEN_MS = 20_000;
const RESTART_MS_MAX = 60_000;
const MODEL = "kept";

/** Fills a gateway that keeps what it has, ends it, and starts it again. */
export async function measureRestart(
  client: Child,
  plan: Pick<GatewayPlan, "folder" | "backendPort" | "track">,
  entries: number,
): Promise<RestartFigures> {
  const [store, index] = [`${plan.folder}/store`, `${plan.folder}/index`];
  await Promise.all([store, index].map((path) => Deno.mkdir(path, { recursive: true })));
  const kept: GatewayPlan = {
    ...plan,
    name: "kept",
    models: { [MODEL]: ALL_LAYERS },
    cache: {
      memoryBytes: 1_073_741_824,
      store: `file:${store}/cache.db`,
      indexDirectory: index,
    },
  };
  const old = await startGateway(kept);
  const filled = await fill(client, old, MODEL, entries);
  await assertAllWritten(old, entries);
  const endMs = performance.now();
  await old.end();
  const startMs = performance.now();
  const since = (): number => (performance.now() - startMs) / 1_000;
  const gateway = await launchGateway(kept);
  while (!(await isAnswering(gateway))) await pause();
  const listenSeconds = since();
  const untilMs = startMs + RESTART_MS_MAX;
  const [exactSeconds, semanticSeconds] = await Promise.all(
    (["stored", "reworded"] as const).map(async (wording) => {
      await servesAll(gateway, { wording, entries, untilMs });
      return since();
    }),
  );
  const figures = {
    entries,
    fillSeconds: filled.indexedSeconds,
    endSeconds: (startMs - endMs) / 1_000,
    listenSeconds,
    exactSeconds: exactSeconds ?? NaN,
    semanticSeconds: semanticSeconds ?? NaN,
  };
  await gateway.end();
  return figures;
}

/** The figures of a restart that did not come about: nothing in them meets a target. */
export function restartFailed(entries: number): RestartFigures {
  return {
    entries,
    fillSeconds: NaN,
    endSeconds: NaN,
    listenSeconds: NaN,
    exactSeconds: NaN,
    semanticSeconds: NaN,
  };
}

/** What is queued is empty before the last of it is written: waits for that as well. */
async function assertAllWritten(gateway: BenchGateway, entries: number): Promise<void> {
  const metric = "weir_cache_shared_writes_total";
  const untilMs = performance.now() + WRITTEN_MS;
  for (;;) {
    const written = await gateway.metric(metric, { result: "written" });
    if (written >= entries) return;
    if (performance.now() > untilMs) {
      throw new Error(`Cannot measure a restart: only ${written} of ${entries} entries were kept`);
    }
    await pause();
  }
}

/** Waits until each question of the sample was answered from the cache. */
async function servesAll(
  gateway: BenchGateway,
  sample: { readonly wording: Wording; readonly entries: number; readonly untilMs: number },
): Promise<void> {
  const { wording, entries, untilMs } = sample;
  const layer = wording === "stored" ? "exact" : "semantic";
  for (let i = 0; i < SAMPLE; i++) {
    const number = Math.floor((i + 0.5) * entries / SAMPLE);
    while (await layerOf(gateway, wording, number) !== layer) {
      if (performance.now() > untilMs) {
        throw new Error(`Cannot measure a restart: question ${number} is never served (${layer})`);
      }
      await pause();
    }
  }
}

/** Which layer answers a question; `null` where none does. */
async function layerOf(
  gateway: BenchGateway,
  wording: Wording,
  number: number,
): Promise<string | null> {
  const asking = { ...JSON_STORED, model: MODEL, wording, from: 0, count: 1, layer: null };
  const [, body = ""] = new TextDecoder().decode(requestBytes(asking, number)).split("\r\n\r\n");
  const response = await fetch(`http://127.0.0.1:${gateway.port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "cache-control": "only-if-cached" },
    body,
  });
  await response.body?.cancel();
  return response.ok ? response.headers.get("x-weir-cache") : null;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
