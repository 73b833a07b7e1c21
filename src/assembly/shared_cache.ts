/**
 * The shared store that the settings name, and what is said of it.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import { decodeRecord, encodeRecord } from "../cache/answer/record_codec.ts";
import { SharedCache, type SharingEvent } from "../sharing/shared_cache.ts";
import type { CacheMetrics } from "../telemetry/cache_metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { CacheDeps } from "./cache_deps.ts";
import type { Embedding } from "./embedding.ts";

/** Puts a cache to share over an open store. */
export function createShared(
  store: Store,
  deps: CacheDeps,
  embedding: Embedding,
  metrics: CacheMetrics,
): SharedCache {
  const { id, dims, embedder } = embedding;
  return new SharedCache({
    store,
    clock: deps.clock,
    random: deps.random,
    codec: { encode: encodeRecord, decode: decodeRecord },
    // Built-in vectors are made again faster than they are read.
    embedder: embedder === null ? null : { id, dims },
    onEvent: (event) => noteSharing(event, metrics, deps.log),
  });
}

function noteSharing(event: SharingEvent, metrics: CacheMetrics, log: Log): void {
  switch (event.type) {
    case "down":
      return log.warn("cache.store.down", { reason: event.reason });
    case "up":
      return log.info("cache.store.up", { "down.seconds": event.downSeconds });
    case "reset":
      return log.warn("cache.store.reset", {});
    case "watch_lost":
      return log.warn("cache.store.watch_lost", { reason: event.reason });
    case "read":
      return metrics.sharedRead(event.outcome, event.seconds);
    case "written":
      return metrics.sharedWrite("written", event.entries);
    case "dropped":
      return metrics.sharedWrite("dropped", event.entries);
    case "failed":
      metrics.sharedWrite("failed", Math.max(1, event.entries));
      return log.warn("cache.store.write_failed", { reason: event.reason });
  }
}
