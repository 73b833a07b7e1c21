/**
 * Gateways that share a store, as far as the cache goes: a shared cache each, and a
 * local store that does as it is told.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Store } from "deno-kv-compat";
import { decodeRecord, encodeRecord } from "../../src/cache/answer/record_codec.ts";
import { CacheStore } from "../../src/cache/store/store.ts";
import type { CacheEntry, Selector } from "../../src/cache/types.ts";
import type { Clock } from "../../src/ports.ts";
import type { SharingLimits } from "../../src/sharing/settings.ts";
import { SharedCache, type SharingEvent } from "../../src/sharing/shared_cache.ts";

/** The embedder of all gateways here. */
export const EMBEDDER = { id: "test", dims: 8 };

/** Time enough for any read that is not meant to be late, in milliseconds. */
const PATIENCE_MS = 5_000;

/** An entry: a number makes it, and says what its answer has to be. */
export function makeEntry(
  id: number,
  options: Partial<CacheEntry> & { readonly textLength?: number; readonly nowMs?: number } = {},
): CacheEntry {
  const { textLength = 40, nowMs = 0, ...fields } = options;
  return {
    id,
    scope: `scope-${id % 3}`,
    exactKey: `exact-${String(id).padStart(8, "0")}`,
    canonicalKey: `canonical-${id}`,
    tenant: `tenant-${id % 2}`,
    route: "small",
    turn: `question ${id}?`,
    tags: ["route:small", `tag:${id % 2 === 0 ? "even" : "odd"}`],
    sequence: 0,
    storedMs: nowMs,
    expiresMs: nowMs + 3_600_000,
    staleUntilMs: nowMs + 7_200_000,
    answer: {
      surface: "chat",
      text: answerText(id, textLength),
      pieces: [],
      reasoning: null,
      finish: "stop",
      stopSequence: null,
      model: "m",
      usage: { prompt_tokens: 1, completion_tokens: id },
      extra: {},
    },
    sizeBytes: 400 + textLength,
    ...fields,
  };
}

/** What the answer of an entry says, so that a torn one is noticed. */
export function answerText(id: number, length: number): string {
  const word = `${id} é `;
  return word.repeat(Math.ceil(length / word.length)).slice(0, length);
}

/** A vector that belongs to an id, exact in half precision. */
export function makeVector(id: number): Float32Array {
  return Float32Array.from({ length: EMBEDDER.dims }, (_, i) => (i === id % EMBEDDER.dims ? 1 : 0));
}

/** One gateway. */
export class Gateway {
  /** Its shared cache. */
  readonly shared: SharedCache;
  /** Its local store. */
  readonly local: CacheStore;
  /** What it was told of, in order. */
  readonly heard: Array<readonly [sequence: number, selector: Selector]> = [];
  /** Entries of other gateways, by id, with their vectors. */
  readonly pulled = new Map<number, Float32Array | null>();
  /** Events but for reads. */
  readonly events: SharingEvent[] = [];
  readonly #clock: Clock;

  /** Not started yet. */
  constructor(store: Store, clock: Clock, seed: number, limits: Partial<SharingLimits> = {}) {
    this.#clock = clock;
    this.local = new CacheStore({ bytesMax: 1e8, tenantShare: 1, entryBytesMax: 1e7 });
    let drawn = 0;
    this.shared = new SharedCache({
      store,
      clock,
      // Different for each seed and each call, and the same in each run.
      random: () => ((seed * 7_919 + ++drawn * 104_729) % 1_000_003) / 1_000_003,
      codec: { encode: encodeRecord, decode: decodeRecord },
      embedder: EMBEDDER,
      onEvent: (event) => {
        if (event.type !== "read") this.events.push(event);
      },
      limits,
    });
  }

  /** Begins to share. */
  start(): this {
    this.shared.start({
      onInvalidation: (sequence, selector) => {
        this.heard.push([sequence, selector]);
        this.local.adopt(sequence, selector);
      },
      onEntry: (entry, vector) => {
        this.pulled.set(entry.id, vector);
        this.local.put(entry, this.#clock.wallMs());
      },
    });
    return this;
  }

  /** An answer whose request begins now: stored here and shared. */
  store(id: number, options: Parameters<typeof makeEntry>[1] = {}, withVector = true): CacheEntry {
    const nowMs = this.#clock.wallMs();
    const entry = makeEntry(id, { nowMs, sequence: this.local.sequence, ...options });
    this.local.put(entry, nowMs);
    this.shared.write(entry, withVector ? { embedder: EMBEDDER.id, vector: makeVector(id) } : null);
    return entry;
  }

  /** Invalidates here at once, and everywhere. */
  async invalidate(selector: Selector): Promise<number | null> {
    this.local.invalidate(selector);
    const sequence = await this.shared.invalidate(selector);
    if (sequence !== null) this.local.adopt(sequence, selector);
    return sequence;
  }

  /** What the store has for a request, patiently. */
  read(id: number, layer: "exact" | "canonical" = "exact"): Promise<CacheEntry | null> {
    const { exactKey, canonicalKey } = makeEntry(id);
    const key = layer === "exact" ? exactKey : canonicalKey ?? "";
    return this.shared.read(layer, key, this.#clock.nowMs() + PATIENCE_MS);
  }

  /** What is served for a request: from here, or else from the store. */
  async serve(id: number): Promise<CacheEntry | null> {
    const nowMs = this.#clock.wallMs();
    const found = this.local.exact(makeEntry(id).exactKey, nowMs);
    if (found.type !== "miss") return found.entry;
    const entry = await this.read(id);
    return entry !== null && this.local.put(entry, nowMs).stored ? entry : null;
  }

  /** Whether it was told of this. */
  hasHeard(selector: Selector): boolean {
    return this.heard.some(([, heard]) => JSON.stringify(heard) === JSON.stringify(selector));
  }
}

/** Fails unless an entry is what was stored under its number. */
export function assertWhole(entry: CacheEntry): void {
  const { text, usage } = entry.answer;
  assert.equal(text, answerText(entry.id, text.length));
  assert.deepEqual(usage, { prompt_tokens: 1, completion_tokens: entry.id });
  assert.equal(entry.exactKey, makeEntry(entry.id).exactKey);
}
