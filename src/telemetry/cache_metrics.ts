/**
 * Metrics of the cache.
 *
 * Invariant: no label carries a client's words, a tenant or a tag; models come
 * from the configuration, everything else from closed lists.
 *
 * @module
 */
import type { BypassReason, Layer, StoreRefusal } from "../cache/types.ts";
import type { EmbedFailure, VectorStats } from "../ports.ts";
import type { KnownNames } from "./labels.ts";
import { Counter, Gauge, type Registry } from "./prometheus.ts";
import { declareHistograms, declareNumbers } from "./series.ts";

/** What one layer said to one lookup. */
export type LookupOutcome =
  | "hit"
  | "miss"
  | "stale" // served past its time, since no backend could answer
  | "late" // no result by the deadline
  | "full" // too many lookups were waiting
  | "failed"
  | "guard" // near enough, but a guard found a difference that matters
  | "threshold" // not near enough
  | "unverified" // near enough, but not yet shown to be right often enough
  | "observe"; // would have been served, in a mode that serves nothing

/** What became of a request. */
export type CacheResult = Layer | "stale" | "miss" | "bypass";

/** Why an entry left. */
export type EvictionReason =
  | "replaced"
  | "evicted"
  | "tenant_share"
  | "expired"
  | "invalidated"
  | "removed";

/** What is read when somebody looks. */
export interface CacheSources {
  /** Counts of the local store. */
  store(): { readonly entries: number; readonly bytes: number; readonly bytesMax: number };
  /** Counts of the vector index; `null` where there is none. */
  vectors(): VectorStats | null;
  /** Counts of the embedder; `null` where it has no queue of its own. */
  embedder(): { readonly queued: number; readonly breaker: 0 | 1 | 2 } | null;
  /** Requests in progress that may be shared, and the clients on them. */
  flights(): { readonly flights: number; readonly clients: number };
  /** The shared store; `null` where there is none. */
  shared(): { readonly up: boolean; readonly queued: number; readonly lagSeconds: number } | null;
  /** By model: tenants with observations, and how many of them are served by `verified`. */
  verified(): ReadonlyArray<{
    readonly model: string;
    readonly populations: number;
    readonly serving: number;
  }>;
}

/** What the cache records. No method throws, and none waits. */
export interface CacheMetrics {
  /** A request was answered, by the cache or not. */
  answered(model: string, result: CacheResult): void;
  /** A request passed by. */
  bypassed(model: string, reason: BypassReason): void;
  /** A layer was asked. */
  lookedUp(model: string, layer: Layer | "shared", outcome: LookupOutcome): void;
  /** A hit, and what it saved; cost in the configured currency. */
  saved(model: string, saved: {
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly cost: number;
  }): void;
  /** Age of an answer when it was served, in seconds. */
  age(seconds: number): void;
  /** Cosine of a candidate, and whether it was served. */
  similarity(result: "served" | "refused", similarity: number): void;
  /** A complete answer was stored, or why not. */
  stored(model: string, result: "stored" | StoreRefusal): void;
  /** Entries left. */
  left(reason: EvictionReason, count: number): void;
  /** An invalidation was made here, or heard of. */
  invalidated(by: "here" | "elsewhere"): void;
  /** Two answers were compared: did similarity tell the truth? */
  observed(model: string, right: boolean): void;
  /** A hit is checked against a fresh answer; `failed` where there was none. */
  shadowChecked(model: string, result: "right" | "wrong" | "unclear" | "failed"): void;
  /** Follower of a request in progress. */
  followed(model: string): void;
  /** A follower took over from a leader that failed. */
  handedOver(model: string): void;
  /** A rebuild of a vector index ended. */
  rebuilt(result: "finished" | "failed", seconds: number): void;
  /** A worker of the index ended unasked. */
  indexWorkerLost(): void;
  /** A vector, or a file of vectors, could not be used. */
  vectorsRefused(reason: string): void;
  /** Texts were embedded. */
  embedded(seconds: number, texts: number): void;
  /** A text was not embedded. */
  embedFailed(kind: EmbedFailure): void;
  /** The shared store was read. */
  sharedRead(outcome: string, seconds: number): void;
  /** Writes to the shared store ended, or were dropped. */
  sharedWrite(result: "written" | "dropped" | "failed", entries: number): void;
}

const AGE_BUCKETS = [1, 10, 60, 300, 900, 3_600, 14_400, 86_400, 604_800];
const SIMILARITY_BUCKETS = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99];
const REBUILD_BUCKETS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600];
const EMBED_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];
const READ_OUTCOMES = ["hit", "miss", "expired", "void", "unusable", "late", "failed", "skipped"];
const READ_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.5];
const REFUSALS = ["unusable", "dims", "full", "file"];

/** Declares the metrics of the cache. */
export function createCacheMetrics(
  registry: Registry,
  models: KnownNames,
  sources: CacheSources,
): CacheMetrics {
  declareGauges(registry, models, sources);
  const hot = declareHot(registry);
  const rare = declareRare(registry);
  return {
    answered: (model, result) =>
      void hot.requests.of({ model: models.label(model), result }).value++,
    bypassed: (model, reason) =>
      void hot.bypasses.of({ model: models.label(model), reason }).value++,
    lookedUp: (model, layer, outcome) =>
      void hot.lookups.of({ model: models.label(model), layer, outcome }).value++,
    saved(model, { inputTokens, outputTokens, cost }) {
      const label = models.label(model);
      hot.tokens.of({ model: label, type: "input" }).value += inputTokens;
      hot.tokens.of({ model: label, type: "output" }).value += outputTokens;
      if (cost > 0) hot.cost.of({ model: label }).value += cost;
    },
    age: (seconds) => hot.age.observe(seconds),
    similarity: (result, similarity) => hot.similarity.of({ result }).observe(similarity),
    stored: (model, result) => void hot.stores.of({ model: models.label(model), result }).value++,
    left: (reason, count) => rare.left.inc({ reason }, count),
    invalidated: (by) => rare.invalidations.inc({ by }),
    observed: (model, right) =>
      rare.observations.inc({ model: models.label(model), result: right ? "right" : "wrong" }),
    shadowChecked: (model, result) => rare.shadows.inc({ model: models.label(model), result }),
    followed: (model) => void hot.followers.of({ model: models.label(model) }).value++,
    handedOver: (model) => rare.handovers.inc({ model: models.label(model) }),
    rebuilt(result, seconds) {
      rare.rebuilds.inc({ result });
      rare.rebuildSeconds.observe(seconds);
    },
    indexWorkerLost: () => rare.workersLost.inc(),
    vectorsRefused: (reason) =>
      rare.refused.inc({ reason: REFUSALS.includes(reason) ? reason : "other" }),
    embedded(seconds, texts) {
      hot.embedSeconds.observe(seconds);
      hot.embedTexts.value += texts;
    },
    embedFailed: (kind) => rare.embedFailures.inc({ kind }),
    sharedRead(outcome, seconds) {
      const known = READ_OUTCOMES.includes(outcome) ? outcome : "failed";
      void hot.sharedReads.of({ outcome: known }).value++;
      hot.sharedReadSeconds.observe(seconds);
    },
    sharedWrite: (result, entries) => rare.sharedWrites.inc({ result }, entries),
  };
}

/** What every request touches. */
function declareHot(registry: Registry) {
  const counter = (name: string, help: string, labelNames: readonly string[]) =>
    declareNumbers(registry, "counter", { name, help, labelNames });
  return {
    requests: counter(
      "weir_cache_requests_total",
      "Requests to models with a cache, by what answered them.",
      ["model", "result"],
    ),
    bypasses: counter(
      "weir_cache_bypasses_total",
      "Requests that passed the cache by, and why.",
      ["model", "reason"],
    ),
    lookups: counter(
      "weir_cache_lookups_total",
      "Lookups by layer and outcome.",
      ["model", "layer", "outcome"],
    ),
    tokens: counter(
      "weir_cache_saved_tokens_total",
      "Tokens of answers that no backend was asked for.",
      ["model", "type"],
    ),
    cost: counter(
      "weir_cache_saved_cost_total",
      "Their price, in the currency of the configured prices.",
      ["model"],
    ),
    stores: counter(
      "weir_cache_stores_total",
      "Complete answers, and whether they were stored or why not.",
      ["model", "result"],
    ),
    followers: counter(
      "weir_cache_followers_total",
      "Clients that shared a request in progress.",
      ["model"],
    ),
    age: declareHistograms(registry, {
      name: "weir_cache_hit_age_seconds",
      help: "Age of stored answers when they were served.",
      labelNames: [],
    }, AGE_BUCKETS).of({}),
    similarity: declareHistograms(registry, {
      name: "weir_cache_similarity",
      help: "Cosine of the nearest stored question, served or refused.",
      labelNames: ["result"],
    }, SIMILARITY_BUCKETS),
    embedSeconds: declareHistograms(registry, {
      name: "weir_embedder_seconds",
      help: "How long a batch of texts took to embed; not for the built-in embedder.",
      labelNames: [],
    }, EMBED_BUCKETS).of({}),
    sharedReads: counter(
      "weir_cache_shared_reads_total",
      "Reads of the shared store by outcome.",
      ["outcome"],
    ),
    sharedReadSeconds: declareHistograms(registry, {
      name: "weir_cache_shared_read_seconds",
      help: "How long a read of the shared store took, or was waited for.",
      labelNames: [],
    }, READ_BUCKETS).of({}),
    embedTexts: counter("weir_embedder_texts_total", "Texts that were embedded.", []).of({}),
  };
}

function declareRare(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  return {
    left: counter("weir_cache_evictions_total", "Entries that left, and why.", ["reason"]),
    invalidations: counter("weir_cache_invalidations_total", "Invalidations, and where.", ["by"]),
    observations: counter(
      "weir_cache_observations_total",
      "Comparisons of a stored answer with a fresh one to a similar question.",
      ["model", "result"],
    ),
    shadows: counter(
      "weir_cache_shadow_checks_total",
      "Hits that were checked against a fresh answer in the background.",
      ["model", "result"],
    ),
    handovers: counter(
      "weir_cache_handovers_total",
      "Shared requests that a follower took over.",
      ["model"],
    ),
    rebuilds: counter("weir_cache_index_rebuilds_total", "Rebuilds of vector indexes.", ["result"]),
    rebuildSeconds: declareHistograms(registry, {
      name: "weir_cache_index_rebuild_seconds",
      help: "How long a rebuild took.",
      labelNames: [],
    }, REBUILD_BUCKETS).of({}),
    workersLost: counter(
      "weir_cache_index_workers_lost_total",
      "Workers of the index that ended unasked and were started again.",
    ),
    refused: counter(
      "weir_cache_vectors_refused_total",
      "Vectors, and files of vectors, that could not be used.",
      ["reason"],
    ),
    embedFailures: counter(
      "weir_embedder_failures_total",
      "Texts that were not embedded, and why.",
      ["kind"],
    ),
    sharedWrites: counter(
      "weir_cache_shared_writes_total",
      "Writes to the shared store.",
      ["result"],
    ),
  };
}

/** What is read at scrape time. */
function declareGauges(registry: Registry, models: KnownNames, sources: CacheSources): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: (set: Set) => void, labelNames?: string[]) => {
    new Gauge({
      name,
      help,
      registers,
      labelNames: labelNames ?? [],
      collect() {
        this.reset();
        // Without it a gauge that has no source would say 0: a store that is down, say.
        if (labelNames === undefined) this.remove();
        read((value, labels) => labels === undefined ? this.set(value) : this.set(labels, value));
      },
    });
  };
  gauge("weir_cache_entries", "Stored answers.", (set) => set(sources.store().entries));
  gauge("weir_cache_bytes", "What they occupy.", (set) => set(sources.store().bytes));
  gauge("weir_cache_bytes_max", "What they may occupy.", (set) => set(sources.store().bytesMax));
  gauge("weir_cache_flights", "Requests in progress that can be shared.", (set) => {
    set(sources.flights().flights);
  });
  gauge("weir_cache_flight_clients", "Clients that wait for or read them.", (set) => {
    set(sources.flights().clients);
  });
  const vectors = (name: string, help: string, of: (stats: VectorStats) => number) =>
    gauge(name, help, (set) => {
      const stats = sources.vectors();
      if (stats !== null) set(of(stats));
    });
  vectors("weir_cache_vectors", "Vectors that can be found.", (stats) => stats.live);
  vectors(
    "weir_cache_vector_tombstones",
    "Removed vectors that still occupy a place.",
    (stats) => stats.tombstones,
  );
  vectors("weir_cache_vector_capacity", "Places in graph indexes.", (stats) => stats.capacity);
  vectors("weir_cache_vector_bytes", "Memory of vectors and indexes.", (stats) => stats.bytes);
  vectors(
    "weir_cache_index_native",
    "1 where the native vector library is in use, 0 where every search is a scan.",
    (stats) => stats.native ? 1 : 0,
  );
  vectors(
    "weir_cache_index_journal",
    "Changes that a rebuild has still to take over.",
    (stats) => stats.journal,
  );
  gauge("weir_embedder_queue", "Texts that wait for their vectors.", (set) => {
    const stats = sources.embedder();
    if (stats !== null) set(stats.queued);
  });
  gauge(
    "weir_embedder_breaker_state",
    "Breaker of the embedder: 0 closed, 1 half-open, 2 open.",
    (set) => {
      const stats = sources.embedder();
      if (stats !== null) set(stats.breaker);
    },
  );
  declareSharedGauges(gauge, sources);
  declareVerifiedGauges(gauge, models, sources);
}

type Set = (value: number, labels?: Record<string, string>) => void;
type DeclareGauge = (
  name: string,
  help: string,
  read: (set: Set) => void,
  labelNames?: string[],
) => void;

function declareSharedGauges(gauge: DeclareGauge, sources: CacheSources): void {
  gauge("weir_cache_shared_up", "1 where the shared store answers.", (set) => {
    const shared = sources.shared();
    if (shared !== null) set(shared.up ? 1 : 0);
  });
  gauge("weir_cache_shared_queue", "Entries that wait to be written there.", (set) => {
    const shared = sources.shared();
    if (shared !== null) set(shared.queued);
  });
  gauge("weir_cache_shared_write_lag_seconds", "How long the oldest of them waits.", (set) => {
    const shared = sources.shared();
    if (shared !== null) set(shared.lagSeconds);
  });
}

function declareVerifiedGauges(
  gauge: DeclareGauge,
  models: KnownNames,
  sources: CacheSources,
): void {
  gauge("weir_cache_verified_populations", "Tenants with observations, by model.", (set) => {
    for (const { model, populations } of sources.verified()) {
      set(populations, { model: models.label(model) });
    }
  }, ["model"]);
  gauge(
    "weir_cache_verified_serving",
    "Tenants for whom the error bound is shown to hold at some similarity.",
    (set) => {
      for (const { model, serving } of sources.verified()) {
        set(serving, { model: models.label(model) });
      }
    },
    ["model"],
  );
}
