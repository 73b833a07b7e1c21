/**
 * `kv bench`: how fast a database is, as a client sees it.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { CommandError } from "../../src/cli/command_error.ts";
import { createProgress } from "../../src/cli/progress.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { openStore, type Store, type StoreKey } from "../compat/mod.ts";
import { DEFAULT_LIMITS } from "../types.ts";
import { attempt } from "./failures.ts";
import { tableLines } from "./figures.ts";
import { countOption, tokenOption } from "./options.ts";

/** Everything that is written is below this key. */
const ROOT = "weir_bench";
const DEFAULT_URL = "http://127.0.0.1:4512";
const SECONDS = 3;
const SECONDS_MAX = 3_600;
const CONCURRENCY = 64;
const VALUE_BYTES = 128;
/** Keys that are written, in turn. */
const KEYS = 10_000;
const LIST_ROWS = 100;
const DELETES = 500;

/** One measurement. */
interface Measured {
  readonly name: string;
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** How it is measured. */
interface Plan {
  readonly seconds: number;
  readonly concurrency: number;
  readonly valueBytes: number;
  readonly signal: AbortSignal;
}

/** Measures. */
export async function bench(options: Options, terminal: Terminal): Promise<number> {
  const url = textOption(options, "url") ?? DEFAULT_URL;
  const valueBytes = countOption(options, "value-bytes", VALUE_BYTES);
  if (valueBytes > DEFAULT_LIMITS.valueBytesMax) {
    throw new UsageError(
      `Cannot use --value-bytes: a value has at most ${DEFAULT_LIMITS.valueBytesMax}`,
      null,
    );
  }
  using interrupt = onInterrupt();
  const plan = {
    seconds: secondsOption(options),
    concurrency: countOption(options, "concurrency", CONCURRENCY),
    valueBytes,
    signal: interrupt.signal,
  };
  const token = tokenOption(options);
  const permissions = "those that `bench --help` names";
  const results = await attempt({ what: "Cannot measure", permissions }, async () => {
    using store = await openStore(url, token === null ? {} : { token });
    return await measureAll(store, plan);
  });
  if (plan.signal.aborted) throw new CommandError("Cannot go on: it was interrupted");
  const { seconds, concurrency } = plan;
  if (options["json"] === true) {
    terminal.print(JSON.stringify({ url, seconds, concurrency, valueBytes, results }));
    return 0;
  }
  terminal.print(`${url}: ${concurrency} at once, values of ${valueBytes} bytes`);
  const lines = results.map(({ name, perSecond, p50Ms, p99Ms }) => [
    name,
    Math.round(perSecond).toLocaleString("en-US"),
    p50Ms.toFixed(2),
    p99Ms.toFixed(2),
  ]);
  for (const line of tableLines([["", "PER SECOND", "P50 MS", "P99 MS"], ...lines])) {
    terminal.print(line);
  }
  return 0;
}

/** Reads --seconds, which may be a fraction. */
function secondsOption(options: Options): number {
  const text = textOption(options, "seconds");
  if (text === undefined) return SECONDS;
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= SECONDS_MAX) return seconds;
  throw new UsageError(
    `Cannot use --seconds: it must be a number above 0 and up to ${SECONDS_MAX}`,
    null,
  );
}

async function measureAll(store: Store, plan: Plan): Promise<readonly Measured[]> {
  const value = crypto.getRandomValues(new Uint8Array(plan.valueBytes));
  const results: Measured[] = [];
  let written = 0;
  try {
    results.push(
      await measure("durable set", plan, async (number) => {
        const key = number % KEYS;
        await store.set(keyOf(key), value);
        written = Math.max(written, key + 1);
      }),
    );
    const keys = Math.max(1, written);
    results.push(
      // Neighbours are not asked for one after the other.
      await measure("get", plan, async (number) => {
        await store.get(keyOf((number * 7_919) % keys));
      }),
    );
    results.push(
      await measure(`list of ${LIST_ROWS}`, plan, async (number) => {
        const start = keyOf((number * 7_919) % keys);
        const rows = store.list({ prefix: [ROOT], start }, {
          limit: LIST_ROWS,
          batchSize: LIST_ROWS,
        });
        for await (const _row of rows);
      }),
    );
  } finally {
    await cleanUp(store);
  }
  return results;
}

/** Runs an operation over and over, so many at once, until the time is over. */
async function measure(
  name: string,
  { seconds, concurrency, signal }: Plan,
  run: (number: number) => Promise<void>,
): Promise<Measured> {
  const tookMs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  const progress = createProgress(name, seconds * 1_000);
  let [number, shownMs] = [0, startMs];
  async function work(): Promise<void> {
    for (let nowMs = performance.now(); nowMs < endMs && !signal.aborted;) {
      await run(number++);
      const doneMs = performance.now();
      tookMs.push(doneMs - nowMs);
      progress.step(doneMs - shownMs);
      shownMs = nowMs = doneMs;
    }
  }
  try {
    await Promise.all(Array.from({ length: concurrency }, work));
  } finally {
    progress.end();
  }
  const elapsedMs = performance.now() - startMs;
  const sorted = Float64Array.from(tookMs).sort();
  return {
    name,
    operations: sorted.length,
    perSecond: 1_000 * sorted.length / elapsedMs,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
  };
}

/** The value that this share of them does not exceed. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

function keyOf(number: number): StoreKey {
  return [ROOT, number];
}

async function cleanUp(store: Store): Promise<void> {
  let keys: StoreKey[] = [];
  for await (const { key } of store.list({ prefix: [ROOT] }, { batchSize: DELETES })) {
    keys.push(key);
    if (keys.length < DELETES) continue;
    await remove(store, keys);
    keys = [];
  }
  await remove(store, keys);
}

async function remove(store: Store, keys: readonly StoreKey[]): Promise<void> {
  if (keys.length === 0) return;
  const atomic = store.atomic();
  for (const key of keys) atomic.delete(key);
  await atomic.commit();
}

/** Ctrl+C ends the measurement, and what was written is deleted all the same. */
function onInterrupt(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  Deno.addSignalListener("SIGINT", abort);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", abort),
  };
}
