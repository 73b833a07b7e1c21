/**
 * The cache's part of the composition: settings in, a cache in front of the relay
 * out.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import { SimilarityPolicy } from "../cache/similarity/decision.ts";
import { NearMisses } from "../cache/similarity/near_misses.ts";
import { CacheStore } from "../cache/store/store.ts";
import type { Config } from "../config/schema.ts";
import { CachedRelay } from "../serving/cached_relay.ts";
import { CacheOperator } from "../serving/operations.ts";
import type { ServingParts } from "../serving/parts.ts";
import type { SharedCache } from "../sharing/shared_cache.ts";
import type { CacheSources } from "../telemetry/cache_metrics.ts";
import type { WorkerVectorIndex } from "../vectors/types.ts";
import type { CacheDeps } from "./cache_deps.ts";
import { cachedRoute } from "./cache_rules.ts";
import { sources } from "./cache_sources.ts";
import { createEmbedding, type Embedding } from "./embedding.ts";
import { createShared } from "./shared_cache.ts";
import { createSimilarity } from "./similarity.ts";

/** A cache in front of the relay. */
export interface GatewayCache {
  /** Serves. */
  readonly relay: CachedRelay;
  /** To operators. */
  readonly operator: CacheOperator;
  /** Settles when what outlived the last process is served again. */
  readonly ready: Promise<void>;
  /** Saves what can be kept, and ends workers. */
  close(): Promise<void>;
}

/** How long the first look at the index may take, in milliseconds. */
const WARM_UP_MS = 5_000;

/** Name under which verified mode keeps what it learnt. */
const LEARNT = "similarity";

/** Builds the cache. */
export function createGatewayCache(config: Config, deps: CacheDeps): GatewayCache {
  const { clock, random } = deps;
  const routes = new Map(
    config.models.filter((model) => model.cache.enabled)
      .map((model) => [model.name, cachedRoute(config, model)]),
  );
  // Declared late, used early: the sources read what is made below.
  let parts: ServingParts | null = null;
  let relay: CachedRelay | null = null;
  let embedderStats: CacheSources["embedder"] = () => null;
  const cacheMetrics = deps.declare(sources(() => parts, () => relay, () => embedderStats()));
  const embedding = createEmbedding(config, deps, cacheMetrics);
  embedderStats = embedding.stats;
  const shared = deps.store === null
    ? null
    : createShared(deps.store, deps, embedding, cacheMetrics);
  const looksForSimilar = [...routes.values()].some(({ rules }) => rules.semantic !== "off");
  const similarity = looksForSimilar
    ? createSimilarity(config, deps, embedding, cacheMetrics, () => relay?.keeper.indexAll())
    : null;
  parts = {
    routes,
    relay: deps.relay,
    store: new CacheStore({
      bytesMax: config.cache.memoryBytes,
      tenantShare: config.access.keys.length === 0 ? 1 : config.cache.tenantShare,
      entryBytesMax: config.cache.entryBytes * 4,
    }),
    policy: new SimilarityPolicy(),
    nearMisses: new NearMisses(config.cache.nearMissesMax),
    similarity,
    shared,
    sharedDeadlineMs: config.cache.storeReadSeconds * 1_000,
    flightLimits: {
      followersMax: config.cache.followersMax,
      bufferBytesMax: config.cache.flightBytes,
      eventBytesMax: config.limits.eventBytes,
      recordBytesMax: config.cache.entryBytes,
    },
    clock,
    random,
    metrics: deps.metrics,
    cacheMetrics,
    log: deps.log,
  };
  relay = new CachedRelay(parts);
  return assemble(parts, relay, { embedding, index: similarity?.index ?? null, store: deps.store });
}

/** What is ended with the cache. */
interface Resources {
  readonly embedding: Embedding;
  readonly index: WorkerVectorIndex | null;
  readonly store: Store | null;
}

function assemble(parts: ServingParts, relay: CachedRelay, resources: Resources): GatewayCache {
  const { shared, policy, log } = parts;
  const { embedding, index, store } = resources;
  const restarted = shared === null ? warmUp(parts, index) : restart(parts, shared, relay, index);
  const ready = Promise.resolve(restarted).catch((error) => {
    log.error("cache.restart.failed", { error });
  });
  return {
    relay,
    operator: new CacheOperator(parts, relay),
    ready,
    async close() {
      if (shared !== null) {
        await shared.saveState(LEARNT, JSON.stringify(policy.snapshot()));
        await shared.close();
        store?.close();
      }
      await index?.close();
      embedding.embedder?.close();
    },
  };
}

/** A first search compiles what all others use; nobody should wait for that. */
async function warmUp({ clock }: ServingParts, index: WorkerVectorIndex | null): Promise<void> {
  if (index === null) return;
  await index.ready;
  await index.compare("warm", "up", clock.nowMs() + WARM_UP_MS).catch(() => null);
}

/**
 * Takes up what outlived the last process. Exact answers serve as they come, similar
 * ones once the entries are back; what the index holds beyond them is taken out.
 */
async function restart(
  parts: ServingParts,
  shared: SharedCache,
  relay: CachedRelay,
  index: WorkerVectorIndex | null,
): Promise<void> {
  const { policy, log, store, clock } = parts;
  const { keeper } = relay;
  const startedMs = clock.nowMs();
  shared.start({
    onInvalidation: (sequence, selector) => keeper.adoptInvalidation(sequence, selector),
    onEntry: (entry, vector) => keeper.adopt(entry, vector, false),
  });
  await warmUp(parts, index);
  const learnt = await shared.loadState(LEARNT);
  if (learnt !== null) policy.restore(parseLearnt(learnt));
  const indexed = await indexedIds(index);
  const { entries } = await shared.load((entry, vector) => {
    keeper.adopt(entry, vector, indexed.has(entry.id));
  });
  for (const [id, scope] of indexed) {
    if (store.get(id) === null) index?.remove(scope, id);
  }
  const seconds = (clock.nowMs() - startedMs) / 1_000;
  log.info("cache.restarted", { entries, held: store.stats().entries, seconds });
}

/** What the index took from its directory: scope by id. */
async function indexedIds(index: WorkerVectorIndex | null): Promise<ReadonlyMap<number, string>> {
  const scopes = new Map<number, string>();
  if (index === null) return scopes;
  await index.ready;
  for (const [scope, ids] of await index.ids()) {
    for (const id of ids) scopes.set(id, scope);
  }
  return scopes;
}

function parseLearnt(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
