/**
 * Keeps answers, and takes them out again: the local store, the index, the shared
 * store and what was learnt always change together, here.
 *
 * @module
 */
import type { Recorded } from "../cache/answer/recorder.ts";
import { recordBytes } from "../cache/answer/record_codec.ts";
import type { Removed } from "../cache/store/store.ts";
import { jitteredTtlMs } from "../cache/store/ttl.ts";
import type { CacheEntry, CacheRequest, Selector, StoreRefusal } from "../cache/types.ts";
import { EmbedError } from "../ports.ts";
import type { AnsweredBy } from "../relay/exchange.ts";
import type { Found } from "./found.ts";
import type { CachedRoute, ServingParts } from "./parts.ts";

/** What is known about an answer besides its words. */
export interface KeepContext {
  /** The request it answers. */
  readonly request: CacheRequest;
  /** The model asked for. */
  readonly route: CachedRoute;
  /** Invalidations made when the request began. */
  readonly sequence: number;
  /** Whether the client forbids keeping it. */
  readonly noStore: boolean;
  /** Who gave it; `null` where that is not known. */
  readonly by: AnsweredBy | null;
  /** The question's vector, where it is at hand. */
  readonly vector: Float32Array | null;
}

/** Ids are 53 bits, and 0 is none. */
const ID_RANGE = Number.MAX_SAFE_INTEGER - 1;

/** What an entry occupies besides its texts: the object, its keys and its places in maps. */
const ENTRY_BYTES = 600;

/** How long an answer's vector may take, off the path of any request. */
const EMBED_AFTERWARDS_MS = 30_000;

/** Dead entries that are reclaimed at each answer that is stored. */
const EXPIRED_AT_ONCE = 8;

/** Keeps answers. */
export class Keeper {
  readonly #parts: ServingParts;
  /** The last question that an entry answered by similarity, for reports that it was wrong. */
  readonly #served = new Map<number, Pick<Found, "similarity" | "guard">>();

  /** Takes its parts. */
  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  /** An entry answered. */
  served({ entry, similarity, guard }: Found): void {
    if (similarity !== null) this.#served.set(entry.id, { similarity, guard });
  }

  /** Stores an answer if it may be stored. */
  keep(context: KeepContext, recorded: Recorded): CacheEntry | null {
    const { cacheMetrics, store, clock } = this.#parts;
    const { route } = context;
    const refusal = "refused" in recorded ? recorded.refused : refusalOf(context);
    if (refusal !== null || "refused" in recorded) {
      cacheMetrics.stored(route.name, refusal ?? "incomplete");
      return null;
    }
    const wallMs = clock.wallMs();
    const entry = this.#entry(context, recorded.record, wallMs);
    const { stored, refused, removed } = store.put(entry, wallMs);
    this.#left(removed);
    cacheMetrics.stored(route.name, stored ? "stored" : refused ?? "too_large");
    if (!stored) return null;
    this.#left(store.expire(wallMs, EXPIRED_AT_ONCE));
    this.#embed(entry, context.vector);
    return entry;
  }

  /** Takes an entry that another gateway stored, or that outlived a restart. */
  adopt(entry: CacheEntry, vector: Float32Array | null, isIndexed: boolean): boolean {
    const { store, clock } = this.#parts;
    const { stored, removed } = store.put(entry, clock.wallMs());
    // The same entry once more, as when a request was ahead of the load: its vector stays.
    const isSame = ({ entry: { id, exactKey } }: Removed): boolean =>
      id === entry.id && exactKey === entry.exactKey;
    this.#left(stored ? removed.filter((left) => !isSame(left)) : removed);
    if (stored && !isIndexed) this.#index(entry, vector, false);
    return stored;
  }

  /** The index has lost its vectors: makes them again from what the store holds. */
  indexAll(): void {
    for (const entry of this.#parts.store.entries()) this.#index(entry, null, false);
  }

  /** Makes an invalidation here and, where there is a shared store, everywhere. */
  invalidate(selector: Selector): void {
    const { store, shared, cacheMetrics } = this.#parts;
    if (selector.type === "id") this.#removeEntry(selector.id);
    store.invalidate(selector);
    cacheMetrics.invalidated("here");
    void shared?.invalidate(selector).then((sequence) => {
      if (sequence !== null) store.adopt(sequence, selector);
    });
  }

  /** An invalidation that another gateway made. */
  adoptInvalidation(sequence: number, selector: Selector): void {
    if (selector.type === "id") this.#removeEntry(selector.id);
    this.#parts.store.adopt(sequence, selector);
    this.#parts.cacheMetrics.invalidated("elsewhere");
  }

  /**
   * A client says that an entry was a wrong answer: it goes, and similarity learns.
   *
   * @returns Whether there is such an entry of this tenant.
   */
  reportWrong(id: number, tenant: string): boolean {
    const { store, policy, similarity: parts, cacheMetrics } = this.#parts;
    const entry = store.get(id);
    if (entry === null || entry.tenant !== tenant) return false;
    const { similarity = null, guard = null } = this.#served.get(id) ?? {};
    if (parts !== null && similarity !== null) {
      const { route } = entry;
      const { embedderId: embedder } = parts;
      const seen = { tenant, route, embedder, entryId: id, similarity, guard, right: false };
      policy.observe(seen);
      cacheMetrics.observed(route, false);
    }
    this.invalidate({ type: "id", id });
    return true;
  }

  #removeEntry(id: number): void {
    const removed = this.#parts.store.remove(id, "removed");
    if (removed !== null) this.#left([removed]);
    this.#parts.shared?.remove(id);
  }

  #entry(
    { request, sequence }: KeepContext,
    answer: CacheEntry["answer"],
    wallMs: number,
  ): CacheEntry {
    const { random } = this.#parts;
    const expiresMs = wallMs + jitteredTtlMs(request.ttlMs, random);
    const { scope, exactKey, canonicalKey, tenant, route, turn, tags } = request;
    const texts = scope.length + exactKey.length + (canonicalKey?.length ?? 0) +
      (turn?.length ?? 0) * 2 + tags.reduce((sum, tag) => sum + tag.length, 0);
    return {
      id: this.#newId(),
      scope,
      exactKey,
      canonicalKey,
      tenant,
      route,
      turn,
      tags,
      sequence,
      storedMs: wallMs,
      expiresMs,
      staleUntilMs: expiresMs + request.staleIfErrorMs,
      answer,
      sizeBytes: ENTRY_BYTES + texts + recordBytes(answer),
    };
  }

  #newId(): number {
    const { random, store } = this.#parts;
    for (;;) {
      const id = 1 + Math.floor(random() * ID_RANGE);
      if (store.get(id) === null) return id;
    }
  }

  /** Nothing waits for the vector; the answer is shared with it where it is known. */
  #embed(entry: CacheEntry, vector: Float32Array | null): void {
    const { similarity } = this.#parts;
    const isMadeElsewhere = entry.turn !== null && vector === null &&
      (similarity?.embedder ?? null) !== null;
    if (!isMadeElsewhere) this.#share(entry, vector);
    this.#index(entry, vector, isMadeElsewhere);
  }

  #index(entry: CacheEntry, vector: Float32Array | null, isShared: boolean): void {
    const { similarity, clock, store } = this.#parts;
    const { scope, id, turn } = entry;
    if (similarity === null || turn === null) return;
    const { index, embedder } = similarity;
    if (vector !== null) return index.add(scope, id, { vector });
    if (embedder === null) return index.add(scope, id, { text: turn });
    embedder.embed([turn], clock.nowMs() + EMBED_AFTERWARDS_MS).then(([made]) => {
      if (made !== undefined && store.get(id) !== null) index.add(scope, id, { vector: made });
      if (isShared) this.#share(entry, made ?? null);
    }, (error) => {
      if (!(error instanceof EmbedError)) throw error;
      // Counted by the embedder; the entry serves in the layers that need no vector.
      if (isShared) this.#share(entry, null);
    });
  }

  #share(entry: CacheEntry, vector: Float32Array | null): void {
    const { shared, similarity } = this.#parts;
    if (shared === null) return;
    const embedder = similarity?.embedderId ?? "";
    shared.write(entry, vector === null ? null : { embedder, vector });
  }

  /** Entries that left the store leave the index and what was learnt of them. */
  #left(removed: readonly Removed[]): void {
    const { similarity, policy, cacheMetrics } = this.#parts;
    for (const { entry, reason } of removed) {
      cacheMetrics.left(reason, 1);
      policy.forget(entry.id);
      this.#served.delete(entry.id);
      if (entry.turn !== null) similarity?.index.remove(entry.scope, entry.id);
    }
  }
}

/** Why a complete answer may not be kept all the same. */
function refusalOf({ noStore, by, route }: KeepContext): StoreRefusal | null {
  if (noStore || by?.noStore === true) return "no_store";
  if (by === null) return "incomplete";
  if (by.spliced) return "spliced";
  const isFallback = by.tier > route.firstTier && !route.firstModels.has(by.model);
  return isFallback ? "fallback" : null;
}
