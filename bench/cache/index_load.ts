/**
 * One vector index in a process of its own: how late the main loop runs while its
 * worker inserts and while another one rebuilds, and what a vector occupies.
 *
 *     deno run --v8-flags=--expose-gc <permissions> bench/cache/index_load.ts COUNT text|vector
 *
 * prints one line of JSON. `text`: questions that the worker embeds itself, 512
 * dimensions. `vector`: vectors of 384 dimensions, as from an embeddings backend.
 *
 * @module
 */
import { LEXICAL_DIMS, LEXICAL_ID } from "../../src/embed/lexical.ts";
import type { VectorQuery } from "../../src/ports.ts";
import { randomSource, systemClock } from "../../src/runtime/clock.ts";
import { seededRandom } from "../../src/simulate/chance.ts";
import { VECTOR_DEFAULTS, type WorkerVectorIndex } from "../../src/vectors/types.ts";
import { createVectorIndex } from "../../src/vectors/workers.ts";
import { percentile } from "./client.ts";
import { prompt } from "./prompts.ts";

/** How late a timer ran, in milliseconds. */
export interface Lag {
  /** Median. */
  readonly p50: number;
  /** 99th percentile. */
  readonly p99: number;
  /** The worst. */
  readonly most: number;
}

/** What it prints. */
export interface IndexFigures {
  /** Vectors that can be found. */
  readonly vectors: number;
  /** From the first insert until the last vector could be found. */
  readonly buildSeconds: number;
  /** A rebuild of all of them, at its usual pace. */
  readonly rebuildSeconds: number;
  /** With nothing to do: what the machine itself adds. */
  readonly idleLag: Lag;
  /** While the worker inserted. */
  readonly buildLag: Lag;
  /** While a second worker rebuilt. */
  readonly rebuildLag: Lag;
  /** Resident memory that the vectors added, in bytes each. */
  readonly residentBytes: number;
  /** Whether the native library was used. */
  readonly native: boolean;
}

const DIMS = 384;
const SCOPE = "scope";
const WARM_UP = 3_000;
/** Inserts between two turns of the loop, so that asking for them is not what is measured. */
const BATCH = 20;
const WAITING_MAX = 4_000;
const TICK_MS = 2;
const IDLE_MS = 2_000;

/** Samples how late a timer runs until it is stopped. */
class LagMeter {
  readonly #late: number[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  constructor() {
    let dueMs = performance.now() + TICK_MS;
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      this.#late.push(Math.max(0, nowMs - dueMs));
      dueMs = nowMs + TICK_MS;
    }, TICK_MS);
  }

  stop(): Lag {
    clearInterval(this.#timer);
    const sorted = this.#late.sort((a, b) => a - b);
    return {
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      most: sorted.at(-1) ?? 0,
    };
  }
}

type Source = (number: number) => VectorQuery;

const SOURCES: Readonly<Record<"text" | "vector", Source>> = {
  text: (number) => ({ text: prompt(number, "stored") }),
  vector(number) {
    const random = seededRandom(number);
    return { vector: Float32Array.from({ length: DIMS }, () => random() + random() - 1) };
  },
};

async function insert(
  index: WorkerVectorIndex,
  source: Source,
  range: { readonly from: number; readonly count: number },
): Promise<void> {
  const { from, count } = range;
  for (let done = 0; done < count; done += BATCH) {
    for (let i = done; i < Math.min(done + BATCH, count); i++) {
      index.add(SCOPE, from + i + 1, source(from + i));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (done % WAITING_MAX === 0) await index.settled();
  }
  await index.settled();
}

async function residentAfterCollection(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    (globalThis as { readonly gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return Deno.memoryUsage().rss;
}

async function main(): Promise<void> {
  const count = Number(Deno.args[0]);
  const kind = Deno.args[1] === "vector" ? "vector" : "text";
  const source = SOURCES[kind];
  let rebuilt = Promise.withResolvers<number>();
  using index = disposable(createVectorIndex({
    ...VECTOR_DEFAULTS,
    dims: kind === "vector" ? DIMS : LEXICAL_DIMS,
    embedderId: kind === "vector" ? "bench" : LEXICAL_ID,
    builtin: kind === "text",
    clock: systemClock,
    random: randomSource,
    onEvent(event) {
      if (event.type === "rebuild_finished") rebuilt.resolve(event.seconds);
      if (event.type === "rebuild_failed") {
        rebuilt.reject(new Error(`Cannot rebuild: ${event.cause}`));
      }
    },
  }));
  rebuilt.promise.catch(() => {});
  await index.ready;
  await insert(index, source, { from: 0, count: WARM_UP });
  const before = await residentAfterCollection();

  const idle = new LagMeter();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idleLag = idle.stop();

  const [building, startMs] = [new LagMeter(), performance.now()];
  await insert(index, source, { from: WARM_UP, count });
  const buildSeconds = (performance.now() - startMs) / 1_000;
  const buildLag = building.stop();
  const residentBytes = (await residentAfterCollection() - before) / count;

  rebuilt = Promise.withResolvers();
  const rebuilding = new LagMeter();
  index.rebuild();
  const rebuildSeconds = await rebuilt.promise;
  const figures: IndexFigures = {
    vectors: index.stats().live,
    buildSeconds,
    rebuildSeconds,
    idleLag,
    buildLag,
    rebuildLag: rebuilding.stop(),
    residentBytes,
    native: index.stats().native,
  };
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(figures) + "\n"));
}

function disposable(index: WorkerVectorIndex): WorkerVectorIndex & Disposable {
  return Object.assign(index, { [Symbol.dispose]: () => void index.close() });
}

if (import.meta.main) await main();
