/**
 * What stored answers and vectors occupy: a gateway in a process of its own, filled
 * through its front door, whose backend and embedder answer from this same process.
 *
 *     deno run --v8-flags=--expose-gc <permissions> bench/cache/memory.ts COUNT off|static
 *
 * prints one line of JSON. With `off` there are answers only, with `static` a vector
 * of 384 dimensions for each as well: the difference is the vector's.
 *
 * @module
 */
import { checkConfig } from "../../src/config/load.ts";
import { createGateway, type Gateway } from "../../src/gateway.ts";
import type { Upstream, UpstreamRequest, UpstreamResponse } from "../../src/ports.ts";
import { seededRandom } from "../../src/simulate/chance.ts";
import { prompt } from "./prompts.ts";
import { sumOf } from "./gateway.ts";

/** What it prints. */
export interface MemoryFigures {
  /** Answers that are stored. */
  readonly entries: number;
  /** Vectors that can be found. */
  readonly vectors: number;
  /** Resident memory more than before, in bytes. */
  readonly residentBytes: number;
  /** Heap and buffers of the main thread more than before, in bytes. */
  readonly heapBytes: number;
  /** What the store reckons its entries to occupy, in bytes. */
  readonly reckonedBytes: number;
  /** What the index reckons its vectors to occupy, in bytes. */
  readonly indexBytes: number;
}

const DIMS = 384;
const WARM_UP = 3_000;
const AT_ONCE = 16;
const SETTLE_MS = 10 * 60_000;
const ANSWER = "token ".repeat(50).trim();
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A backend and an embedder without a network. */
class NearbyUpstream implements Upstream {
  start(request: UpstreamRequest): ReturnType<Upstream["start"]> {
    const body = JSON.parse(decoder.decode(request.body ?? new Uint8Array()));
    const answer = request.url.endsWith("/embeddings") ? embedded(body) : answered();
    return { response: Promise.resolve(responseOf(answer)), cancel() {} };
  }

  close(): void {}
}

function responseOf(answer: unknown): UpstreamResponse {
  let bytes: Uint8Array<ArrayBuffer> | null = encoder.encode(JSON.stringify(answer));
  return {
    status: 200,
    header: (name) => name === "content-type" ? "application/json" : null,
    read() {
      const piece = bytes;
      bytes = null;
      return Promise.resolve(piece);
    },
  };
}

function answered(): unknown {
  const message = { role: "assistant", content: ANSWER };
  return {
    id: "chatcmpl-memory",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "memory-1",
    choices: [{ index: 0, message, finish_reason: "stop" }],
    usage: { prompt_tokens: 40, completion_tokens: 50, total_tokens: 90 },
  };
}

function embedded({ input }: { readonly input: readonly string[] }): unknown {
  return {
    object: "list",
    data: input.map((text, index) => ({ object: "embedding", index, embedding: vectorOf(text) })),
  };
}

/** A direction of its own for each text. */
function vectorOf(text: string): number[] {
  let seed = 0;
  for (let at = 0; at < text.length; at++) seed = Math.imul(seed ^ text.charCodeAt(at), 0x01000193);
  const random = seededRandom(seed >>> 0);
  return Array.from({ length: DIMS }, () => Math.round((random() + random() - 1) * 1e5) / 1e5);
}

function gatewayWith(mode: "off" | "static"): Gateway {
  const backend = { name: "bench", protocol: "openai", baseUrl: "http://127.0.0.1:9/v1" };
  return createGateway(
    checkConfig({
      log: { level: "error" },
      backends: [backend],
      models: [{
        name: "m",
        targets: [{ backend: "bench", model: "m" }],
        cache: { enabled: true, semantic: { mode, threshold: 0.9 } },
      }],
      cache: {
        memoryBytes: 1_073_741_824,
        embedder: {
          type: "backend",
          backend: "bench",
          model: "e",
          dimensions: DIMS,
          memoEntries: 64,
          deadlineSeconds: 10,
        },
      },
    }),
    { upstream: new NearbyUpstream() },
  );
}

async function ask(gateway: Gateway, from: number, count: number): Promise<void> {
  let next = from;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < from + count) {
      const content = prompt(next++, "stored");
      const response = await gateway.fetch(
        new Request("http://127.0.0.1/v1/chat/completions", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model: "m", messages: [{ role: "user", content }] }),
        }),
      );
      await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`Cannot fill: status ${response.status}`);
    }
  }));
}

async function metric(gateway: Gateway, name: string): Promise<number> {
  const page = await gateway.admin.fetch(new Request("http://127.0.0.1/metrics"));
  return sumOf(await page.text(), name, {});
}

async function settle(gateway: Gateway, vectors: number): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS;
  while (await metric(gateway, "weir_cache_vectors") < vectors) {
    if (performance.now() > untilMs) throw new Error(`Cannot go on: never had ${vectors} vectors`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Two collections with a turn of the loop between them, for what the first one freed. */
async function memory(): Promise<{ readonly resident: number; readonly heap: number }> {
  for (let i = 0; i < 3; i++) {
    (globalThis as { readonly gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { rss, heapUsed, external } = Deno.memoryUsage();
  return { resident: rss, heap: heapUsed + external };
}

async function main(): Promise<void> {
  const count = Number(Deno.args[0]);
  const mode = Deno.args[1] === "static" ? "static" : "off";
  const gateway = gatewayWith(mode);
  const vectorsFor = (entries: number): number => mode === "off" ? 0 : entries;
  // The first ones compile the code and start the worker: they are not counted.
  await ask(gateway, 0, WARM_UP);
  await settle(gateway, vectorsFor(WARM_UP));
  const before = await memory();
  const [reckonedBefore, indexBefore] = [
    await metric(gateway, "weir_cache_bytes"),
    await metric(gateway, "weir_cache_vector_bytes"),
  ];
  const STEP = 2_000;
  for (let from = WARM_UP; from < WARM_UP + count; from += STEP) {
    const step = Math.min(STEP, WARM_UP + count - from);
    await ask(gateway, from, step);
    await settle(gateway, vectorsFor(from + step));
  }
  const after = await memory();
  const figures: MemoryFigures = {
    entries: await metric(gateway, "weir_cache_entries") - WARM_UP,
    vectors: await metric(gateway, "weir_cache_vectors") - vectorsFor(WARM_UP),
    residentBytes: after.resident - before.resident,
    heapBytes: after.heap - before.heap,
    reckonedBytes: await metric(gateway, "weir_cache_bytes") - reckonedBefore,
    indexBytes: await metric(gateway, "weir_cache_vector_bytes") - indexBefore,
  };
  await gateway.close();
  await Deno.stdout.write(encoder.encode(JSON.stringify(figures) + "\n"));
}

if (import.meta.main) await main();
