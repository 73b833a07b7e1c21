/**
 * The embedder that the settings name.
 *
 * @module
 */
import { endpointUrl } from "../backends/endpoint.ts";
import type { Config } from "../config/schema.ts";
import { type BackendEmbedder, createBackendEmbedder } from "../embed/backend_embedder.ts";
import type { EmbedEvent } from "../embed/embed_gate.ts";
import { LEXICAL_DIMS, LEXICAL_ID } from "../embed/lexical.ts";
import type { LocalModelEmbedder } from "../embed/local_model.ts";
import type { Clock, Embedder, Upstream } from "../ports.ts";
import type { CacheMetrics, CacheSources } from "../telemetry/cache_metrics.ts";
import type { CacheDeps } from "./cache_deps.ts";
import { backendRoute } from "./backend_route.ts";

/** An embedder, and how its queue stands. */
export interface Embedding {
  readonly embedder: Embedder | null;
  readonly id: string;
  readonly dims: number;
  readonly deadlineMs: number;
  readonly stats: CacheSources["embedder"];
}

/** A loaded model of one's own. */
export interface LocalEmbedding {
  /** The model. */
  readonly embedder: LocalModelEmbedder;
  /** Says who is told of what happens in it. */
  listen(listener: (event: EmbedEvent) => void): void;
}

/** How long a backend embedder is left alone after failures, in milliseconds. */
const EMBED_BREAKER = { failuresMax: 5, openMs: 2_000, openMaxMs: 30_000 };

const DEADLINE_MS = { builtin: 10, backend: 120, local: 50 } as const;

/** Texts that may wait for the backend. */
const QUEUE_MAX = 64;

const PHASES = { closed: 0, half_open: 1, open: 2 } as const;

/**
 * Makes the embedder that the settings name.
 *
 * @throws {TypeError} If it is a local model, and none was loaded.
 */
export function createEmbedding(config: Config, deps: CacheDeps, metrics: CacheMetrics): Embedding {
  const { type, deadlineSeconds } = config.cache.embedder;
  const deadlineMs = deadlineSeconds === undefined ? DEADLINE_MS[type] : deadlineSeconds * 1_000;
  if (type === "builtin") {
    return {
      embedder: null,
      id: LEXICAL_ID,
      dims: LEXICAL_DIMS,
      deadlineMs,
      stats: () => null,
    };
  }
  if (type === "local") {
    const local = deps.localEmbedder;
    if (local === null) {
      throw new TypeError(
        "Cannot create gateway: its local model is missing (ports.localEmbedder)",
      );
    }
    local.listen(countEmbedding(metrics));
    return embeddingOf(local.embedder, deadlineMs);
  }
  return embeddingOf(backendEmbedder(config, deps, countEmbedding(metrics)), deadlineMs);
}

function embeddingOf(made: BackendEmbedder | LocalModelEmbedder, deadlineMs: number): Embedding {
  return {
    embedder: made,
    id: made.id,
    dims: made.dims,
    deadlineMs,
    stats: () => ({ queued: made.queued, breaker: PHASES[made.breaker] }),
  };
}

/** An embedder over one of the configured backends. */
export function backendEmbedder(
  config: Config,
  deps: {
    readonly secrets: ReadonlyMap<string, string>;
    readonly upstream: Upstream;
    readonly clock: Clock;
  },
  onEvent: (event: EmbedEvent) => void,
): BackendEmbedder {
  const { embedder } = config.cache;
  const backend = config.backends.find(({ name }) => name === embedder.backend);
  const { model, dimensions } = embedder;
  if (backend === undefined || model === undefined || dimensions === undefined) {
    throw new TypeError("Cannot create embedder: its backend, model or dimensions are missing");
  }
  const route = backendRoute(backend, deps.secrets);
  return createBackendEmbedder({
    name: backend.name,
    url: endpointUrl(route.endpoint, "embeddings", model),
    headers: route.headers,
    model,
    dims: dimensions,
    sendDimensions: embedder.sendDimensions,
    clock: deps.clock,
    upstream: deps.upstream,
    connectMs: config.timeouts.connectSeconds * 1_000,
    batchMax: embedder.batchMax,
    batchWaitMs: 0,
    queueMax: QUEUE_MAX,
    memoEntries: embedder.memoEntries,
    breaker: EMBED_BREAKER,
    onEvent,
  });
}

function countEmbedding(metrics: CacheMetrics): (event: EmbedEvent) => void {
  return (event) => {
    if (event.type === "embedded") metrics.embedded(event.seconds, event.texts);
    if (event.type === "failed") metrics.embedFailed(event.kind);
  };
}
