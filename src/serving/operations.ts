/**
 * What operators see of the cache, and do to it.
 *
 * Questions and answers are the users' words: they are shown only where asked for.
 *
 * @module
 */
import { clientTag, prefixTag } from "../cache/request/tags.ts";
import type { CacheEntry, Selector } from "../cache/types.ts";
import type { CachedRelay } from "./cached_relay.ts";
import type { ServingParts } from "./parts.ts";
import { entryId, publicId } from "./replies.ts";

/** The cache, to an operator. */
export class CacheOperator {
  readonly #parts: ServingParts;
  readonly #cached: CachedRelay;

  /** Takes the cache and what it is made of. */
  constructor(parts: ServingParts, cached: CachedRelay) {
    this.#parts = parts;
    this.#cached = cached;
  }

  /** Counts of all parts. */
  summary(): unknown {
    const { store, similarity, shared, routes } = this.#parts;
    return {
      models: [...routes.values()].map(({ name, rules }) => ({ name, ...rules })),
      store: store.stats(),
      invalidations: store.sequence,
      flights: this.#cached.flights,
      index: similarity?.index.stats() ?? null,
      embedder: similarity?.embedderId ?? null,
      shared: shared?.stats() ?? null,
    };
  }

  /** Entries, newest first. */
  entries(filter: {
    readonly route: string | null;
    readonly tag: string | null;
    readonly limit: number;
  }): readonly unknown[] {
    const chosen: CacheEntry[] = [];
    for (const entry of this.#parts.store.entries()) {
      if (filter.route !== null && entry.route !== filter.route) continue;
      if (filter.tag !== null && !entry.tags.includes(filter.tag)) continue;
      chosen.push(entry);
    }
    return chosen.toSorted((one, other) => other.storedMs - one.storedMs)
      .slice(0, filter.limit).map((entry) => this.#shown(entry, false));
  }

  /** One entry. */
  entry(name: string, withContent: boolean): unknown {
    const id = entryId(name);
    const entry = id === null ? null : this.#parts.store.get(id);
    return entry === null ? null : this.#shown(entry, withContent);
  }

  /** The entry a name stands for. */
  idOf(name: string): number | null {
    const id = entryId(name);
    return id === null || this.#parts.store.get(id) === null ? null : id;
  }

  /** Lookups just under the line, and what another threshold would have done. */
  nearMisses(
    filter: { readonly route: string | null; readonly limit: number },
    threshold: number | null,
  ): unknown {
    const { nearMisses } = this.#parts;
    const route = filter.route ?? undefined;
    const options = { limit: filter.limit, ...(route === undefined ? {} : { route }) };
    return {
      nearMisses: nearMisses.list(options).map((miss) => ({
        ...miss,
        entryId: publicId(miss.entryId),
      })),
      ...(threshold === null ? {} : { whatIf: nearMisses.whatIf(threshold, route) }),
    };
  }

  /** What similarity has been shown to be worth, by model and tenant. */
  standings(): unknown {
    const { policy, routes } = this.#parts;
    return {
      standings: policy.pools().flatMap((pool) => {
        const errorBound = routes.get(pool.route)?.rules.errorBound;
        if (errorBound === undefined) return [];
        return [{ ...pool, errorBound, ...policy.standing(pool, errorBound, pool.guard) }];
      }),
    };
  }

  /** The tag of a system prompt's text. */
  prefixTag(systemText: string): string {
    return prefixTag(systemText);
  }

  /** The tag of a tenant's own tag. */
  clientTag(tenant: string, tag: string): string {
    return clientTag(tenant, tag);
  }

  /** A client says that an answer was wrong; whether its tenant has such an answer. */
  reportWrong(name: string, tenant: string | null): boolean {
    const id = entryId(name);
    return id !== null && this.#cached.keeper.reportWrong(id, tenant ?? "");
  }

  /** Makes an invalidation. */
  invalidate(selector: Selector): void {
    this.#cached.keeper.invalidate(selector);
  }

  #shown(entry: CacheEntry, withContent: boolean): unknown {
    const { id, route, tenant, tags, storedMs, expiresMs, staleUntilMs, sizeBytes, answer } = entry;
    return {
      id: publicId(id),
      model: route,
      tenant,
      surface: answer.surface,
      tags,
      stored: new Date(storedMs).toISOString(),
      expires: new Date(expiresMs).toISOString(),
      staleUntil: new Date(staleUntilMs).toISOString(),
      sizeBytes,
      characters: answer.text.length,
      answeredBy: answer.model,
      usage: answer.usage,
      ...(withContent ? { question: entry.turn, answer: answer.text } : {}),
    };
  }
}
