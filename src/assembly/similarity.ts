/**
 * How similar questions are found, and their answers compared.
 *
 * @module
 */
import { equalJudge, type Judge, similarJudge } from "../cache/similarity/judge.ts";
import type { Config } from "../config/schema.ts";
import { type Embedder, EmbedError } from "../ports.ts";
import { modelJudge } from "../serving/model_judge.ts";
import type { SimilarityParts } from "../serving/parts.ts";
import type { CacheMetrics } from "../telemetry/cache_metrics.ts";
import type { Log } from "../telemetry/log.ts";
import { cosineOf } from "../vectors/store/vector.ts";
import { VECTOR_DEFAULTS, type VectorEvent, type WorkerVectorIndex } from "../vectors/types.ts";
import { createVectorIndex } from "../vectors/workers.ts";
import type { CacheDeps } from "./cache_deps.ts";
import type { Embedding } from "./embedding.ts";

/** How long two answers may take to compare, off the path of any request, in milliseconds. */
const JUDGE_MS = 30_000;

/** How a vector index is told apart from any other: it lives in workers, and is kept. */
export function createSimilarity(
  config: Config,
  deps: CacheDeps,
  embedding: Embedding,
  metrics: CacheMetrics,
  onLost: () => void,
): SimilarityParts & { readonly index: WorkerVectorIndex } {
  const { cache } = config;
  const { id, dims, deadlineMs, embedder } = embedding;
  const index = createVectorIndex({
    ...VECTOR_DEFAULTS,
    dims,
    embedderId: id,
    builtin: embedder === null,
    clock: deps.clock,
    random: deps.random,
    graphFrom: cache.graphFrom,
    native: cache.native,
    directory: cache.indexDirectory ?? null,
    onEvent: (event) => noteVectors(event, metrics, deps.log, onLost),
  });
  return {
    index,
    embedder,
    embedderId: id,
    deadlineMs,
    guardLevel: embedder === null ? "words" : "meaning",
    judge: createJudge(config, deps, index, embedder),
    logTexts: cache.nearMissTexts,
  };
}

function noteVectors(
  event: VectorEvent,
  metrics: CacheMetrics,
  log: Log,
  onLost: () => void,
): void {
  switch (event.type) {
    case "rebuild_finished":
      metrics.rebuilt("finished", event.seconds);
      return log.info("cache.index.rebuilt", { reason: event.reason, seconds: event.seconds });
    case "rebuild_failed":
      metrics.rebuilt("failed", event.seconds);
      return log.warn("cache.index.rebuild_failed", { reason: event.reason, cause: event.cause });
    case "worker_died":
      metrics.indexWorkerLost();
      return log.error("cache.index.worker_died", { role: event.role, message: event.message });
    case "vector_refused":
      return metrics.vectorsRefused(event.reason);
    case "file_refused":
      metrics.vectorsRefused("file");
      return log.warn("cache.index.file_refused", { file: event.file, reason: event.reason });
    case "native_unavailable":
      return log.warn("cache.index.scan_only", { message: event.message });
    case "save_failed":
      return log.error("cache.index.save_failed", { message: event.message });
    case "lost":
      log.warn("cache.index.lost", {});
      return onLost();
    case "rebuild_started":
    case "saved":
      return log.debug(`cache.index.${event.type}`, {});
  }
}

function createJudge(
  config: Config,
  deps: CacheDeps,
  index: WorkerVectorIndex,
  embedder: Embedder | null,
): Judge {
  const { judge } = config.cache;
  if (judge.type === "equal") return equalJudge;
  if (judge.type === "model" && judge.model !== undefined) {
    return modelJudge(deps.relay, judge.model, deps.clock);
  }
  return similarJudge(
    async (one, other) => {
      const untilMs = deps.clock.nowMs() + JUDGE_MS;
      try {
        if (embedder === null) return await index.compare(one, other, untilMs);
        const [left, right] = await embedder.embed([one, other], untilMs);
        return left === undefined || right === undefined ? null : cosineOf(left, right);
      } catch (error) {
        if (error instanceof EmbedError) return null;
        throw error;
      }
    },
    judge.similarity,
  );
}
