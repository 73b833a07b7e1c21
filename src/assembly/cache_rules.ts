/**
 * From settings to what the cache goes by: one model at a time.
 *
 * @module
 */
import type { CacheRules } from "../cache/types.ts";
import type { Config, ModelConfig } from "../config/schema.ts";
import { LEXICAL_THRESHOLD } from "../embed/lexical.ts";
import type { CachedRoute } from "../serving/parts.ts";

/** Whether any model has a cache: without one none of this is made. */
export function hasCache(config: Config): boolean {
  return config.models.some((model) => model.cache.enabled);
}

/** What the configuration says about one model's cache, in the cache's words. */
export function cachedRoute(config: Config, model: ModelConfig): CachedRoute {
  const { cache, prices } = model;
  const firstTier = Math.min(...model.targets.map((target) => target.tier));
  const totalSeconds = model.timeouts?.totalSeconds ?? config.timeouts.totalSeconds;
  return {
    name: model.name,
    pool: [...new Set(model.targets.map((target) => target.model))].toSorted().join("\n"),
    rules: cacheRules(config, model),
    strict: cache.strict,
    replayEventsPerSecond: cache.replayEventsPerSecond ?? null,
    totalMs: totalSeconds * 1_000,
    firstTier,
    firstModels: new Set(
      model.targets.filter((target) => target.tier === firstTier).map((target) => target.model),
    ),
    prices: prices === undefined
      ? null
      : { input: prices.inputPerMillion, output: prices.outputPerMillion },
  };
}

function cacheRules(config: Config, { cache }: ModelConfig): CacheRules {
  const { semantic } = cache;
  const isBuiltin = config.cache.embedder.type === "builtin";
  return {
    flight: cache.flight,
    exact: cache.exact,
    canonical: cache.canonical,
    semantic: semantic.mode,
    threshold: semantic.threshold ?? (isBuiltin ? LEXICAL_THRESHOLD : null),
    errorBound: semantic.errorBound,
    messagesMax: semantic.messagesMax,
    turnCharactersMax: semantic.turnCharactersMax,
    temperatureMax: cache.maxTemperature,
    deterministicOnly: cache.deterministicOnly,
    ttlMs: cache.ttlSeconds * 1_000,
    ttlMaxMs: cache.ttlSecondsMax * 1_000,
    relativeTimeTtlMs: cache.relativeTimeTtlSeconds * 1_000,
    staleIfErrorMs: cache.staleIfErrorSeconds * 1_000,
    bodyCharactersMax: config.cache.bodyBytes,
  };
}
