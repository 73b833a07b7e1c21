/**
 * What the metrics of the cache read when somebody looks.
 *
 * @module
 */
import type { CachedRelay } from "../serving/cached_relay.ts";
import type { ServingParts } from "../serving/parts.ts";
import type { CacheSources } from "../telemetry/cache_metrics.ts";

/** What metrics read when somebody looks. */
export function sources(
  parts: () => ServingParts | null,
  relay: () => CachedRelay | null,
  embedder: CacheSources["embedder"],
): CacheSources {
  return {
    store: () => parts()?.store.stats() ?? { entries: 0, bytes: 0, bytesMax: 0 },
    vectors: () => parts()?.similarity?.index.stats() ?? null,
    embedder,
    flights: () => relay()?.flights ?? { flights: 0, clients: 0 },
    shared: () => parts()?.shared?.stats() ?? null,
    verified: () => verifiedFigures(parts()),
  };
}

function verifiedFigures(parts: ServingParts | null): ReturnType<CacheSources["verified"]> {
  if (parts === null) return [];
  const { policy, routes } = parts;
  const figures = new Map(
    [...routes.keys()].map((
      model,
    ) => [model, { model, populations: 0, serving: 0 }]),
  );
  for (const pool of policy.pools()) {
    const route = routes.get(pool.route);
    const figure = figures.get(pool.route);
    if (route === undefined || figure === undefined) continue;
    const standing = policy.standing(pool, route.rules.errorBound, pool.guard);
    figure.populations++;
    if (standing.servesFrom !== null) figure.serving++;
  }
  return [...figures.values()];
}
