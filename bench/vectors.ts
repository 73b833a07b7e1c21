/**
 * The vector index against its targets and against an exact scan.
 *
 *     deno run --config tests/deno.json --no-prompt --allow-read --allow-write --allow-env \
 *       --allow-ffi bench/vectors.ts [--full] [--count N] [--only texts]
 *
 * `--full` measures 100,000 vectors, which takes some minutes to build; without
 * it, 20,000; `--only` names one part of texts, lags, turnovers, restart. Texts
 * are generated sentences embedded by the built-in embedder; vectors are clusters
 * of 384 dimensions with noise. Times depend on the machine and on what else it
 * does: compare only within one run.
 *
 * @module
 */
import { lexicalVector } from "../src/embed/lexical.ts";
import type { VectorMatch } from "../src/ports.ts";
import { randomSource, systemClock } from "../src/runtime/clock.ts";
import {
  VECTOR_DEFAULTS,
  type VectorEvent,
  type VectorIndexOptions,
  type WorkerVectorIndex,
} from "../src/vectors/types.ts";
import { createVectorIndex } from "../src/vectors/workers.ts";
import { randomFrom } from "../tests/sim/harness.ts";

const QUERIES = 500;
const CLUSTER_DIMS = 384;
const DEADLINE_MS = 60_000;

const random = randomFrom(4);
const rows: string[][] = [["what", "target", "measured", "measured / target"]];

/** The topics sentences are made of. */
const WORDS =
  ("account address airport answer balance bank battery bill book bread bus camera card " +
    "cash change city class clock coffee concert contract country crown dinner doctor dollar door " +
    "engine exam family ferry flight garden guitar harbour hotel house insurance island jacket key " +
    "kitchen lake lamp language lesson letter library loan luggage lunch machine market meeting " +
    "museum music network number office order parcel park passport password payment phone piano " +
    "picture plane platform price printer problem receipt recipe refund rent river road room salary " +
    "school screen season seat service shop signal station statement street subject summer table tax " +
    "teacher ticket tower train transfer travel update visa voucher water weather wedding window")
    .split(" ");
const FRAMES = [
  "how do i get the % of my % before the %",
  "what does the % cost with a % and a %",
  "my % is gone and the % shows no %",
  "please explain the % of a % in the %",
  "can i move the % from one % to another %",
  "why was the % of the % refused at the %",
];

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

function sentence(number: number): string {
  const text = pick(FRAMES).replaceAll("%", () => `${pick(WORDS)} ${pick(WORDS)}`);
  return `${text} ${number}`;
}

/** The same question with a slip of the finger or a courtesy. */
function reworded(text: string): string {
  if (random() < 0.5) return `please, ${text}?`;
  const at = 1 + Math.floor(random() * (text.length - 8));
  return text.slice(0, at) + text.slice(at + 1);
}

function gaussian(): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function unit(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return vector.map((value) => value / Math.sqrt(sum));
}

function near(vector: Float32Array, noise: number): Float32Array {
  const scale = noise / Math.sqrt(vector.length);
  return unit(vector.map((value) => value + scale * gaussian()));
}

const CENTRES = Array.from(
  { length: 500 },
  () => unit(new Float32Array(CLUSTER_DIMS).map(gaussian)),
);

function clustered(): Float32Array {
  return near(pick(CENTRES), 0.8);
}

/** Exact search over vectors of length 1. */
class Exact {
  readonly #ids: number[] = [];
  readonly #rows: Float32Array[] = [];

  add(id: number, row: Float32Array): void {
    this.#ids.push(id);
    this.#rows.push(row);
  }

  nearest(query: Float32Array): { readonly id: number; readonly cosine: number } {
    let best = { id: 0, cosine: -2 };
    for (const [index, row] of this.#rows.entries()) {
      let [a, b] = [0, 0];
      for (let i = 0; i < query.length; i += 2) {
        a += (query[i] as number) * (row[i] as number);
        b += (query[i + 1] as number) * (row[i + 1] as number);
      }
      if (a + b > best.cosine) best = { id: this.#ids[index] as number, cosine: a + b };
    }
    return best;
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function report(what: string, target: number | null, measured: number, unitName = ""): void {
  const text = (value: number): string => `${Number(value.toPrecision(3))}${unitName}`;
  const ratio = target === null ? "" : (measured / target).toFixed(2);
  rows.push([what, target === null ? "" : text(target), text(measured), ratio]);
  const line = [what, target === null ? "-" : text(target), text(measured), ratio].join("  |  ");
  print(line);
}

function print(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

function open(
  options: Partial<VectorIndexOptions>,
  onEvent: (event: VectorEvent) => void = () => {},
): WorkerVectorIndex {
  return createVectorIndex({
    ...VECTOR_DEFAULTS,
    dims: 512,
    embedderId: "bench",
    builtin: true,
    clock: systemClock,
    random: randomSource,
    changesMax: 1e6,
    ...options,
    onEvent,
  });
}

const soon = (): number => systemClock.nowMs() + DEADLINE_MS;

/** How late a timer of 1 ms fires, again and again, while something else goes on. */
async function lagWhile(work: () => Promise<void>): Promise<number> {
  const lags: number[] = [];
  let isDone = false;
  const done = work().finally(() => isDone = true);
  while (!isDone) {
    const startMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
    // A timer of 1 ms may take up to 2 by itself.
    lags.push(Math.max(0, performance.now() - startMs - 2));
  }
  await done;
  return quantile(lags, 0.99);
}

interface Measured {
  readonly recall: number;
  readonly timesMs: readonly number[];
}

/** Searches near-duplicates, and counts where the exact scan finds nothing nearer. */
async function measure(
  index: WorkerVectorIndex,
  exact: Exact,
  queries: readonly { readonly text?: string; readonly vector: Float32Array }[],
): Promise<Measured> {
  const timesMs: number[] = [];
  const firsts: (VectorMatch | undefined)[] = [];
  for (const { text, vector } of queries) {
    const startMs = performance.now();
    const query = text === undefined ? { vector } : { text };
    const [first] = await index.search("s", query, soon());
    timesMs.push(performance.now() - startMs);
    firsts.push(first);
  }
  // Afterwards: a scan between two searches would throw the index out of the CPU's caches.
  const isFound = ({ vector }: { readonly vector: Float32Array }, i: number): boolean => {
    const truth = exact.nearest(vector);
    return firsts[i]?.id === truth.id || (firsts[i]?.similarity ?? -1) >= truth.cosine - 0.001;
  };
  const found = queries.filter(isFound).length;
  return { recall: found / queries.length, timesMs };
}

async function texts(count: number): Promise<void> {
  const exact = new Exact();
  const index = open({});
  await index.ready;
  const sentences: string[] = [];
  const startMs = performance.now();
  for (let id = 1; id <= count; id++) {
    const text = sentence(id);
    sentences.push(text);
    index.add("s", id, { text });
  }
  await index.settled();
  const seconds = (performance.now() - startMs) / 1_000;
  sentences.forEach((text, i) => exact.add(i + 1, lexicalVector(text) ?? new Float32Array(512)));

  const queries = Array.from({ length: QUERIES }, () => {
    const text = reworded(pick(sentences));
    return { text, vector: lexicalVector(text) ?? new Float32Array(512) };
  });
  const scanMs: number[] = [];
  for (const { vector } of queries.slice(0, 20)) {
    const fromMs = performance.now();
    exact.nearest(vector);
    scanMs.push(performance.now() - fromMs);
  }
  await measure(index, exact, queries.slice(0, 50)); // Warm.
  const { recall, timesMs } = await measure(index, exact, queries);
  const name = `${count} texts`;
  const isLarge = count >= 10_000;
  report(`${name}: recall@1 of near-duplicates`, 0.999, recall);
  report(
    `${name}: embed + search, round trip p50`,
    isLarge ? 2 : null,
    quantile(timesMs, .5),
    " ms",
  );
  report(
    `${name}: embed + search, round trip p99`,
    isLarge ? 5 : null,
    quantile(timesMs, .99),
    " ms",
  );
  report(`${name}: exact scan on the main thread p50`, null, quantile(scanMs, .5), " ms");
  report(`${name}: added and in the graph`, null, seconds, " s");
  await index.close();
}

async function lags(count: number): Promise<void> {
  const index = open({ dims: CLUSTER_DIMS, builtin: false });
  await index.ready;
  const idle = await lagWhile(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
  report("main-loop lag p99, idle", null, idle, " ms");
  let id = 0;
  const vectors = Array.from({ length: 5_000 }, clustered);
  const inserting = await lagWhile(async () => {
    for (const [i, vector] of vectors.entries()) {
      index.add("s", ++id, { vector });
      // As replies end: some at a time, not all in one turn.
      if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await index.settled();
  });
  report("main-loop lag p99, 5,000 inserts", 5, inserting, " ms");
  while (id < count) {
    for (let i = 0; i < 1_000 && id < count; i++) index.add("s", ++id, { vector: clustered() });
    await index.settled();
  }
  const searches: number[] = [];
  const rebuilding = await lagWhile(async () => {
    index.rebuild();
    while (index.stats().rebuilding) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const startMs = performance.now();
      await index.search("s", { vector: clustered() }, soon());
      searches.push(performance.now() - startMs);
    }
  });
  report(`main-loop lag p99, rebuild of ${count}`, 5, rebuilding, " ms");
  report(`search p99 during it`, null, quantile(searches, .99), " ms");
  report(`the rebuild, at half a core`, null, index.stats().lastRebuildSeconds ?? NaN, " s");
  await index.close();
}

async function turnovers(count: number): Promise<void> {
  const events: VectorEvent[] = [];
  const index = open({ dims: CLUSTER_DIMS, builtin: false }, (event) => void events.push(event));
  await index.ready;
  const live = new Map<number, Float32Array>();
  let id = 0;
  const add = (): void => {
    const vector = clustered();
    live.set(++id, vector);
    index.add("s", id, { vector });
  };
  for (let i = 0; i < count; i++) add();
  await index.settled();
  report(`${count} vectors of 384: memory a vector`, 2_200, index.stats().bytes / count, " B");
  for (let turn = 0; turn < 10; turn++) {
    for (const old of [...live.keys()].slice(0, count)) {
      live.delete(old);
      index.remove("s", old);
      add();
    }
    await index.settled();
    // As traffic does; what the recall is measured with.
    for (let i = 0; i < 32; i++) {
      await index.search("s", { vector: near(pick([...live.values()]), 0.2) }, soon());
    }
  }
  while (index.stats().rebuilding) await new Promise((resolve) => setTimeout(resolve, 100));
  await index.settled();
  const exact = new Exact();
  for (const [key, vector] of live) exact.add(key, vector);
  const duplicates = [...live.values()].slice(0, QUERIES).map((vector) => ({
    vector: near(vector, 0.2),
  }));
  const strangers = Array.from({ length: QUERIES }, () => ({ vector: clustered() }));
  const name = `${count} vectors, 10 turnovers`;
  const { recall } = await measure(index, exact, duplicates);
  report(`${name}: recall@1 of near-duplicates`, 0.98, recall);
  report(`${name}: recall@1 of strangers`, null, (await measure(index, exact, strangers)).recall);
  report(`${name}: rebuilds`, null, index.stats().rebuilds);
  report(`${name}: capacity a live vector`, null, index.stats().capacity / count);
  await index.close();
}

async function restart(count: number): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    let seconds = NaN;
    const first = open({ dims: CLUSTER_DIMS, builtin: false, directory }, (event) => {
      if (event.type === "saved") seconds = event.seconds;
    });
    await first.ready;
    for (let id = 1; id <= count; id++) first.add("s", id, { vector: clustered() });
    await first.settled();
    await first.save();
    report(`${count} vectors of 384: save`, null, seconds, " s");
    await first.close();
    const startMs = performance.now();
    const second = open({ dims: CLUSTER_DIMS, builtin: false, directory });
    await second.ready;
    await second.ids();
    report(`${count} vectors of 384: ready again`, 3, (performance.now() - startMs) / 1_000, " s");
    await second.close();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The number after a flag. */
function argument(flag: string): number | null {
  const at = Deno.args.indexOf(flag);
  return at === -1 ? null : Number(Deno.args[at + 1]);
}

const count = argument("--count") ?? (Deno.args.includes("--full") ? 100_000 : 20_000);
const only = Deno.args.includes("--only") ? Deno.args[Deno.args.indexOf("--only") + 1] : null;
const parts: Readonly<Record<string, () => Promise<void>>> = {
  async texts() {
    for (const size of new Set([1_000, 10_000, count])) if (size <= count) await texts(size);
  },
  lags: () => lags(count),
  turnovers: () => turnovers(Math.min(count, 10_000)),
  restart: () => restart(count),
};
for (const [name, part] of Object.entries(parts)) {
  if (only === null || only === name) await part();
}
const widths = [0, 1, 2, 3].map((column) =>
  Math.max(...rows.map((row) => row[column]?.length ?? 0))
);
print("");
for (const row of rows) {
  print(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
}
