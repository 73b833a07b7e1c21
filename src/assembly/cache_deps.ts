/**
 * What the parts of the cache are made with.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import type { Clock, Random, Upstream } from "../ports.ts";
import type { BackendRoute } from "../relay/plan.ts";
import type { Relay } from "../relay/relay.ts";
import type { CacheMetrics, CacheSources } from "../telemetry/cache_metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { LocalEmbedding } from "./embedding.ts";

/** What the cache needs of the gateway. */
export interface CacheDeps {
  /** Asks backends. */
  readonly relay: Relay;
  /** How backends are reached. */
  readonly routes: ReadonlyMap<string, BackendRoute>;
  /** API key by backend name. */
  readonly secrets: ReadonlyMap<string, string>;
  /** The network. */
  readonly upstream: Upstream;
  /** An open shared store; `null` where each gateway keeps its own answers. */
  readonly store: Store | null;
  /** The local model, where one is configured. */
  readonly localEmbedder: LocalEmbedding | null;
  /** Time. */
  readonly clock: Clock;
  /** Chance. */
  readonly random: Random;
  /** What is counted. */
  readonly metrics: Metrics;
  /** Declares what is counted of the cache. */
  readonly declare: (sources: CacheSources) => CacheMetrics;
  /** What is written down. */
  readonly log: Log;
}
