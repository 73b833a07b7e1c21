/**
 * What serving from the cache is made of.
 *
 * @module
 */
import type { GuardLevel } from "../cache/guards/guard.ts";
import type { Judge } from "../cache/similarity/judge.ts";
import type { NearMisses } from "../cache/similarity/near_misses.ts";
import type { SimilarityPolicy } from "../cache/similarity/decision.ts";
import type { CacheStore } from "../cache/store/store.ts";
import type { CacheRules } from "../cache/types.ts";
import type { Clock, Embedder, Random, VectorIndex } from "../ports.ts";
import type { Relay } from "../relay/relay.ts";
import type { SharedCache } from "../sharing/shared_cache.ts";
import type { CacheMetrics } from "../telemetry/cache_metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { FlightLimits } from "./flight.ts";

/** One model with a cache. */
export interface CachedRoute {
  /** The alias. */
  readonly name: string;
  /** What the alias stands for: the upstream models behind it. */
  readonly pool: string;
  /** What may be served, and from when on. */
  readonly rules: CacheRules;
  /** Whether every hit first asks the shared store for invalidations. */
  readonly strict: boolean;
  /** Events a second of a replayed stream; `null` for as fast as the client reads. */
  readonly replayEventsPerSecond: number | null;
  /** Longest life of a request, in milliseconds: a client joins no flight past half of it. */
  readonly totalMs: number;
  /** Upstream names of the model in the first tier: others are fallbacks, and not stored. */
  readonly firstModels: ReadonlySet<string>;
  /** Its first tier. */
  readonly firstTier: number;
  /** Prices of a million tokens; `null` where not configured. */
  readonly prices: { readonly input: number; readonly output: number } | null;
}

/** How similar questions are found; `null` parts where no route looks for them. */
export interface SimilarityParts {
  /** Vectors by scope. */
  readonly index: VectorIndex;
  /** Makes vectors; `null` where the index embeds texts itself. */
  readonly embedder: Embedder | null;
  /** Identity of the vectors. */
  readonly embedderId: string;
  /** How long after its arrival a request may wait for neighbours, in milliseconds. */
  readonly deadlineMs: number;
  /** How much of the comparison is left to the embedder. */
  readonly guardLevel: GuardLevel;
  /** Compares answers. */
  readonly judge: Judge;
  /** Whether texts go into the near-miss log. */
  readonly logTexts: boolean;
}

/** Everything. */
export interface ServingParts {
  /** Models with a cache, by alias. */
  readonly routes: ReadonlyMap<string, CachedRoute>;
  /** Asks backends. */
  readonly relay: Pick<Relay, "complete">;
  /** Answers of this process. */
  readonly store: CacheStore;
  /** What similarity has been shown to be worth. */
  readonly policy: SimilarityPolicy;
  /** Lookups just under the line. */
  readonly nearMisses: NearMisses;
  /** How similar questions are found; `null` where no route looks for them. */
  readonly similarity: SimilarityParts | null;
  /** Answers of all gateways; `null` where each keeps its own. */
  readonly shared: SharedCache | null;
  /** How long after its arrival a request may wait for them, in milliseconds. */
  readonly sharedDeadlineMs: number;
  /** How large shared requests may become. */
  readonly flightLimits: FlightLimits;
  /** Time. */
  readonly clock: Clock;
  /** Chance. */
  readonly random: Random;
  /** What is counted. */
  readonly metrics: Metrics;
  /** What is counted of the cache. */
  readonly cacheMetrics: CacheMetrics;
  /** What is written down. */
  readonly log: Log;
}
