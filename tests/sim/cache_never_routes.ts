/**
 * The models of the simulation, and who compares their answers.
 *
 * @module
 */
import type { Judge } from "../../src/cache/similarity/judge.ts";
import type { CacheRules, SemanticMode } from "../../src/cache/types.ts";
import { LEXICAL_THRESHOLD } from "../../src/embed/lexical.ts";
import type { Random } from "../../src/ports.ts";
import type { CachedRoute } from "../../src/serving/parts.ts";
import { type MODELS, pick } from "./cache_never_universe.ts";

/** A model, by whose name its rules go. */
export function routeOf(name: typeof MODELS[number], random: Random): CachedRoute {
  const isPlain = name === "plain";
  const semantic: SemanticMode = name === "plain" ? pick(["off", "observe"], random) : name;
  const rules: CacheRules = {
    flight: true,
    exact: true,
    canonical: !isPlain,
    semantic,
    threshold: LEXICAL_THRESHOLD,
    errorBound: 0.5,
    messagesMax: 4,
    turnCharactersMax: 2_000,
    temperatureMax: 0.3,
    deterministicOnly: false,
    ttlMs: 30_000,
    ttlMaxMs: 60_000,
    relativeTimeTtlMs: 3_000,
    staleIfErrorMs: 60_000,
    bodyCharactersMax: 4_000,
  };
  return {
    name,
    pool: `${name}-upstream`,
    rules,
    strict: false,
    replayEventsPerSecond: isPlain ? 50 : null,
    totalMs: 20_000,
    firstTier: 0,
    firstModels: new Set(["upstream"]),
    prices: { input: 1, output: 2 },
  };
}

/** Knows which answers mean the same, and says so, but for a few. */
export function simulatedJudge(random: Random): Judge {
  return {
    id: "simulated",
    same: (one, other) =>
      Promise.resolve(random() < 0.02 ? null : meaningOf(one.text) === meaningOf(other.text)),
  };
}

function meaningOf(text: string): string {
  return /^<\d+> ([^|]*) \|/.exec(text)?.[1] ?? text;
}
