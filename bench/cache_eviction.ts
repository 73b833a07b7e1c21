/**
 * Which answers stay when there is no room: S3-FIFO against LRU.
 *
 * Budget: a share of hits no smaller than LRU's on every trace; a hit in no more than
 * twice LRU's time; 5 µs for a lookup with what it stores and evicts, beside 15 µs for
 * the digest it looks up. Rival: the usual LRU (map and linked list), over bytes; unlike
 * the store it knows no ids, tenants, tags or ghosts, so its times flatter it.
 *
 *     deno run --allow-read=../shared/data/cache bench/cache_eviction.ts
 *
 * Traces: (a) the replay of questions, by text and by group; every text in it comes
 * once, so only groups can hit, and a hit means "an answer to the same question is
 * still there"; (b) Zipf with exponent 0.9 over 100,000 keys, 10^6 requests, with and
 * without scans of keys that come once. With `--v8-flags=--expose-gc` the heap is
 * measured too, before and after 10^6 further entries went through a full store.
 *
 * @module
 */
import type { Random } from "../src/ports.ts";
import type { AnswerRecord, CacheEntry } from "../src/cache/types.ts";
import { Fifo, Place } from "../src/cache/store/fifo.ts";
import { CacheStore } from "../src/cache/store/store.ts";
import { hash32, seededRandom } from "../src/simulate/chance.ts";

const REPLAY = "../shared/data/cache/stream.dev.jsonl";
const SIZE_BYTES_MIN = 512;
const SIZE_BYTES_SPAN = 7680;

/** A request of a trace: which answer, and how large it is. */
export interface Request {
  /** Its exact key. */
  readonly key: string;
  /** Its size. */
  readonly sizeBytes: number;
}

/** Something that keeps answers. */
export interface Cache {
  /** Whether the answer is there; if so it counts as used. */
  has(key: string): boolean;
  /** Stores an answer. */
  store(request: Request): void;
}

/** The rival: least recently used out first, over bytes; a map and a linked list. */
export class LruCache implements Cache {
  readonly #bytesMax: number;
  readonly #places = new Map<string, Place<CacheEntry>>();
  /** In the order of their last use. */
  readonly #order = new Fifo<CacheEntry>();
  #stored = 0;

  /** An empty cache of this size. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @inheritdoc */
  has(key: string): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    this.#order.delete(place);
    this.#order.push(place);
    return true;
  }

  /** @inheritdoc */
  store(request: Request): void {
    const place = new Place(entryOf(++this.#stored, request), request.sizeBytes);
    this.#places.set(request.key, place);
    this.#order.push(place);
    while (this.#order.bytes > this.#bytesMax) this.#evict();
  }

  #evict(): void {
    const key = this.#order.oldest?.exactKey;
    const place = key === undefined ? undefined : this.#places.get(key);
    if (key === undefined || place === undefined) return;
    this.#places.delete(key);
    this.#order.delete(place);
  }
}

/** The store of the gateway. */
export class StoreCache implements Cache {
  readonly #store: CacheStore;
  #stored = 0;

  /** An empty store of this size, all of which one tenant may fill. */
  constructor(bytesMax: number) {
    this.#store = new CacheStore({ bytesMax, tenantShare: 1, entryBytesMax: bytesMax });
  }

  /** @inheritdoc */
  has(key: string): boolean {
    return this.#store.exact(key, 0).type === "fresh";
  }

  /** @inheritdoc */
  store(request: Request): void {
    this.#store.put(entryOf(++this.#stored, request), 0);
  }
}

/** The share of requests that are answered from the cache. */
export function hitRatio(cache: Cache, trace: readonly Request[]): number {
  let hits = 0;
  for (const request of trace) {
    if (cache.has(request.key)) hits++;
    else cache.store(request);
  }
  return hits / trace.length;
}

/** What a trace's answers occupy, each counted once. */
export function footprintBytes(trace: readonly Request[]): number {
  const sizes = new Map(trace.map(({ key, sizeBytes }) => [key, sizeBytes]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** How a Zipf trace is made. */
export interface ZipfOptions {
  /** Different keys, without those of the scans. */
  readonly keys: number;
  /** Requests, with those of the scans. */
  readonly requests: number;
  /** The n-th most frequent key comes in proportion to n^-exponent. */
  readonly exponent: number;
  /** A scan begins after each so many requests; 0 for none. */
  readonly scanEvery: number;
  /** Keys in a scan, each of which comes once and never again. */
  readonly scanLength: number;
}

/** A Zipf trace with scans, the same for the same seed. */
export function zipfTrace(options: ZipfOptions, seed: number): readonly Request[] {
  const { keys, requests, exponent, scanEvery, scanLength } = options;
  const random = seededRandom(seed);
  const pick = zipfPicker(keys, exponent, random);
  const ranked = Array.from({ length: keys }, (_, rank) => requestOf(`key ${rank}`));
  const trace: Request[] = [];
  let scanned = 0;
  while (trace.length < requests) {
    const request = ranked[pick()];
    if (request !== undefined) trace.push(request);
    if (scanEvery === 0 || trace.length % scanEvery !== 0) continue;
    for (let i = 0; i < scanLength && trace.length < requests; i++) {
      trace.push(requestOf(`scanned ${scanned++}`));
    }
  }
  return trace;
}

/** The replay's requests, by what is taken for the same question; all of one size. */
export function replayTrace(lines: string, by: "text" | "group"): readonly Request[] {
  return lines.trim().split("\n").map((line) => {
    const { text, group } = JSON.parse(line) as { text: string; group: string };
    return { key: by === "text" ? text.trim().toLowerCase() : group, sizeBytes: SIZE_BYTES_MIN };
  });
}

/** Nanoseconds a request for each kind of cache, the best of so many runs, taken in turns. */
export function requestNanoseconds(
  makers: readonly (() => Cache)[],
  trace: readonly Request[],
  runs: number,
): readonly number[] {
  const best = makers.map(() => Infinity);
  for (let run = 0; run < runs; run++) {
    for (const [i, makeCache] of makers.entries()) {
      const cache = makeCache();
      const startMs = performance.now();
      hitRatio(cache, trace);
      best[i] = Math.min(best[i] ?? Infinity, performance.now() - startMs);
    }
  }
  return best.map((ms) => ms * 1e6 / trace.length);
}

function zipfPicker(keys: number, exponent: number, random: Random): () => number {
  const cumulative = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank++) {
    sum += (rank + 1) ** -exponent;
    cumulative[rank] = sum;
  }
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, keys - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? 0) > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** A request whose key looks like a digest, with a size that belongs to the key. */
function requestOf(name: string): Request {
  const key = [0, 1, 2, 3, 4, 5, 6, 7]
    .map((part) => hash32(name, part).toString(16).padStart(8, "0")).join("");
  return { key, sizeBytes: SIZE_BYTES_MIN + hash32(name, 8) % SIZE_BYTES_SPAN };
}

const ANSWER: AnswerRecord = {
  surface: "chat",
  text: "",
  pieces: [],
  reasoning: null,
  finish: "stop",
  stopSequence: null,
  model: "model",
  usage: null,
  extra: {},
};
const TAGS = ["tenant:one", "model:model", "route:model"];

function entryOf(id: number, { key, sizeBytes }: Request): CacheEntry {
  return {
    id,
    scope: "scope",
    exactKey: key,
    canonicalKey: null,
    tenant: "one",
    route: "model",
    turn: null,
    tags: TAGS,
    sequence: 0,
    storedMs: 0,
    expiresMs: 1,
    staleUntilMs: 1,
    answer: ANSWER,
    sizeBytes,
  };
}

const ZIPF: ZipfOptions = {
  keys: 100_000,
  requests: 1_000_000,
  exponent: 0.9,
  scanEvery: 0,
  scanLength: 0,
};
const SCANS = { scanEvery: 50_000, scanLength: 20_000 };

function print(line: string): void {
  // deno-lint-ignore no-console
  console.log(line);
}

function printRatios(
  name: string,
  trace: readonly Request[],
  footprint: number,
  shares: readonly number[],
): void {
  for (const share of shares) {
    const bytesMax = Math.round(share * footprint);
    const lru = hitRatio(new LruCache(bytesMax), trace);
    const own = hitRatio(new StoreCache(bytesMax), trace);
    printRow(name, percent(share), lru, own);
  }
}

function printMean(name: string, trace: readonly Request[], groups: number): void {
  const [lru, own] = [(room: number) => new LruCache(room), (room: number) => new StoreCache(room)]
    .map((makeCache) => {
      let sum = 0;
      for (let held = 2; held < groups; held++) {
        sum += hitRatio(makeCache(held * SIZE_BYTES_MIN), trace);
      }
      return sum / (groups - 2);
    });
  printRow(name, "", lru ?? NaN, own ?? NaN);
}

function printRow(name: string, room: string, lru: number, own: number): void {
  const ratio = lru === 0 ? (own === 0 ? "equal" : "more") : (own / lru).toFixed(3);
  const cells = [name, room, percent(lru), percent(own), ratio, own >= lru ? "met" : "MISSED"];
  print(`| ${cells.join(" | ")} |`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function printHeader(cells: readonly string[]): void {
  print(`\n| ${cells.join(" | ")} |`);
  print(`|${"---|".repeat(cells.length)}`);
}

function printTimes(trace: readonly Request[], bytesMax: number): void {
  const resident = trace.slice(0, 5000);
  const rows: readonly [string, readonly Request[], number, number | null][] = [
    [
      "hits only, 20 rounds of 5,000 requests",
      Array.from({ length: 20 }, () => resident).flat(),
      1e9,
      null,
    ],
    ["Zipf with scans, room for 10 %", trace, bytesMax, 5000],
  ];
  printHeader(["ns a request", "LRU", "target", "S3-FIFO store", "ratio to LRU", "verdict"]);
  for (const [name, requests, room, limit] of rows) {
    const makers = [() => new LruCache(room), () => new StoreCache(room)];
    const [lru = NaN, own = NaN] = requestNanoseconds(makers, requests, 4);
    const target = limit ?? 2 * lru;
    const figures = [lru, target, own].map((value) => value.toFixed(0));
    const verdict = own <= target ? "met" : "MISSED";
    print(`| ${[name, ...figures, (own / lru).toFixed(2), verdict].join(" | ")} |`);
  }
}

/** Heap in use after a full collection, in bytes; `null` where none can be asked for. */
function heapBytes(): number | null {
  const collect: unknown = Reflect.get(globalThis, "gc");
  if (typeof collect !== "function") return null;
  collect();
  collect();
  return Deno.memoryUsage().heapUsed;
}

function printChurn(makeCache: (bytesMax: number) => Cache, name: string): void {
  const [held, churned, sizeBytes] = [50_000, 1_000_000, 1000];
  const before = heapBytes();
  if (before === null) return;
  const cache = makeCache(held * sizeBytes);
  const insert = (i: number) => cache.store({ key: hash32(`${i}`).toString(16) + i, sizeBytes });
  for (let i = 0; i < held; i++) insert(i);
  const full = heapBytes() ?? 0;
  let most = 0;
  for (let i = 0; i < churned; i++) {
    insert(held + i);
    if (i % 50_000 === 0) most = Math.max(most, Deno.memoryUsage().heapUsed);
  }
  const after = heapBytes() ?? 0;
  const each = [full - before, after - before].map((bytes) => (bytes / held).toFixed(0));
  print(`| ${[name, ...each, ((most - before) / 2 ** 20).toFixed(0)].join(" | ")} |`);
  cache.has("");
}

function main(): void {
  const scans = zipfTrace({ ...ZIPF, ...SCANS }, 4);
  printHeader([
    "trace",
    "room, share of all that recurs",
    "target (LRU)",
    "S3-FIFO",
    "ratio",
    "verdict",
  ]);
  let lines: string | null = null;
  try {
    lines = Deno.readTextFileSync(REPLAY);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    print(`The replay is left out: there is no ${REPLAY}`);
  }
  if (lines !== null) {
    const byText = replayTrace(lines, "text");
    printRatios("replay by text", byText, footprintBytes(byText), [0.25]);
    const byGroup = replayTrace(lines, "group");
    const groups = 34;
    const shares = [3, 5, 10, 17, 24, 30].map((held) => held / groups);
    printRatios("replay by group", byGroup, footprintBytes(byGroup), shares);
    printMean("replay by group, mean over room for 2 to 33", byGroup, groups);
  }
  const zipf = zipfTrace(ZIPF, 4);
  const footprint = footprintBytes(zipf);
  printRatios("Zipf", zipf, footprint, [0.001, 0.01, 0.1, 0.3]);
  printRatios("Zipf with scans", scans, footprint, [0.001, 0.01, 0.1, 0.3]);
  printTimes(scans, Math.round(footprint / 10));
  if (heapBytes() === null) return;
  printHeader(["heap", "bytes an entry, full", "after 10^6 more", "most at any time, MB"]);
  printChurn((bytesMax) => new LruCache(bytesMax), "LRU, 50,000 entries");
  printChurn((bytesMax) => new StoreCache(bytesMax), "S3-FIFO store, 50,000 entries");
}

if (import.meta.main) main();
