/**
 * The stored answers: bounded in bytes, each tenant to a share of them.
 *
 * An entry is `fresh` until it expires, then `stale` (served only when no backend
 * can answer) for a while, then dead. An invalidated one is dead at once. The dead
 * are misses from that moment; their bytes come back when a lookup meets them, when
 * room is needed, or when the sweep gets there, of which every `put` does a bit.
 *
 * Who keeps something beside an entry (a vector, a count) learns of each that left
 * from the next `put`, `remove` or `expire`, exactly once.
 *
 * Each operation takes constant time, but for `put` into a full store, which
 * evicts as many entries as the new one needs room.
 *
 * @module
 */
import type { CacheEntry, Selector } from "../types.ts";
import { Directory } from "./directory.ts";
import { hashKey } from "./ghosts.ts";
import { Invalidations } from "./invalidations.ts";
import { Lane, Resident, S3Fifo } from "./s3_fifo.ts";

/** Entries that each `put` looks at for dead ones; more than the one it adds, so none waits long. */
const SWEEP_STEPS = 2;
/** Entries that `expire` looks at for each dead one it may reclaim. */
const EXPIRE_STEPS = 16;
const MARKS_MAX = 10_000;

/** How much a store may keep. */
export interface StoreLimits {
  /** Bytes of all entries, by their `sizeBytes`. */
  readonly bytesMax: number;
  /** The share of them that one tenant may fill, above 0, up to 1. */
  readonly tenantShare: number;
  /** Bytes of one entry. */
  readonly entryBytesMax: number;
  /** Tags and ids whose invalidations are kept apart; 10,000 if not given. */
  readonly tagsMax?: number;
}

/** Why an entry left. */
export type RemovalReason =
  | "replaced" // by a newer answer to the same request
  | "evicted" // for want of room
  | "tenant_share" // for want of room in its tenant's share
  | "expired"
  | "invalidated"
  | "removed"; // on its own account, such as a report that it was wrong

/** An entry that left, and why. */
export interface Removed {
  /** The entry. */
  readonly entry: CacheEntry;
  /** Why it left. */
  readonly reason: RemovalReason;
}

/** What a lookup found. */
export type Lookup =
  | { readonly type: "fresh" | "stale"; readonly entry: CacheEntry }
  | { readonly type: "miss" };

/** What became of an entry that was to be stored. */
export interface Stored {
  /** Whether it is stored. */
  readonly stored: boolean;
  /** Why it is not. */
  readonly refused: "too_large" | "invalidated" | null;
  /** What left since this was last told. Deal with these before the new entry: ids may be equal. */
  readonly removed: readonly Removed[];
}

/** How full a store is. */
export interface StoreStats {
  /** Entries, dead ones that still occupy room included. */
  readonly entries: number;
  /** What they occupy. */
  readonly bytes: number;
  /** What they may occupy. */
  readonly bytesMax: number;
  /** Evicted keys that are remembered. */
  readonly ghosts: number;
  /** Tenants that have entries. */
  readonly tenants: number;
  /** Tags and ids whose invalidation is remembered apart. */
  readonly tags: number;
}

type Item = Resident<CacheEntry>;

const MISS: Lookup = Object.freeze({ type: "miss" });
const NONE: readonly Removed[] = Object.freeze([]);

/** The store. */
export class CacheStore {
  readonly #limits: StoreLimits;
  readonly #tenantBytesMax: number;
  readonly #directory = new Directory<Item>();
  readonly #lanes = new Map<string, Lane<CacheEntry>>();
  readonly #queues: S3Fifo<CacheEntry>;
  readonly #invalidations: Invalidations;
  /** Where the sweep is. */
  #hand: Iterator<Item>;
  /**
   * What left and has not been told of. It came out of the bytes that are counted,
   * and `put` hands it over before it returns, so the two together stay within the bound.
   */
  #departed: Removed[] = [];

  /** An empty store; a limit that makes no sense is a `RangeError`. */
  constructor(limits: StoreLimits) {
    const { bytesMax, tenantShare, entryBytesMax, tagsMax = MARKS_MAX } = limits;
    for (const [name, value] of Object.entries({ bytesMax, entryBytesMax, tagsMax })) {
      if (!Number.isSafeInteger(value) || value < 1) {
        throw new RangeError(`Cannot make a cache store: ${name} is ${value}`);
      }
    }
    if (!(tenantShare > 0 && tenantShare <= 1)) {
      throw new RangeError(`Cannot make a cache store: tenantShare is ${tenantShare}`);
    }
    this.#limits = limits;
    this.#tenantBytesMax = Math.floor(bytesMax * tenantShare);
    this.#invalidations = new Invalidations(tagsMax);
    this.#queues = new S3Fifo(bytesMax, (entry, nowMs) => !this.#isFresh(entry, nowMs));
    this.#hand = this.#directory.items();
  }

  /** Invalidations made so far: to be read when a request begins, for its entry. */
  get sequence(): number {
    return this.#invalidations.sequence;
  }

  /** The entry of the whole request's digest; a fresh one is counted as used. */
  exact(key: string, nowMs: number): Lookup {
    return this.#lookUp(this.#directory.byExact(key), nowMs);
  }

  /** The newest entry of the folded request's digest; a fresh one is counted as used. */
  canonical(key: string, nowMs: number): Lookup {
    return this.#lookUp(this.#directory.byCanonical(key), nowMs);
  }

  /** A semantic candidate, if it may be served in this scope; not counted as used. */
  alive(id: number, scope: string, nowMs: number): CacheEntry | null {
    const item = this.#directory.byId(id);
    if (item === undefined || item.value.scope !== scope) return null;
    if (this.#reclaimIfDead(item, nowMs)) return null;
    return nowMs < item.value.expiresMs ? item.value : null;
  }

  /** Counts a use of an entry, if it is there. */
  use(id: number): void {
    const item = this.#directory.byId(id);
    if (item !== undefined) this.#queues.use(item);
  }

  /** An entry for operators and reports, expired or not; `null` if it is gone or invalidated. */
  get(id: number): CacheEntry | null {
    const entry = this.#directory.byId(id)?.value;
    return entry === undefined || this.#invalidations.covers(entry) ? null : entry;
  }

  /**
   * Stores an entry, replacing one with the same exact key, whose standing it
   * inherits, or the same id. It is refused if it is larger than the limits allow,
   * or if its request began before an invalidation that concerns it.
   */
  put(entry: CacheEntry, nowMs: number): Stored {
    const { sizeBytes, sequence } = entry;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) {
      throw new RangeError(`Cannot store an entry: its size is ${sizeBytes} bytes`);
    }
    if (!Number.isSafeInteger(sequence) || sequence < 0) {
      throw new RangeError(`Cannot store an entry: its sequence is ${sequence}`);
    }
    this.#invalidations.reach(sequence);
    this.#sweep(nowMs, SWEEP_STEPS, Infinity);
    const refused = sizeBytes > Math.min(this.#limits.entryBytesMax, this.#tenantBytesMax)
      ? "too_large"
      : this.#invalidations.covers(entry)
      ? "invalidated"
      : null;
    if (refused === null) this.#insert(entry, nowMs);
    return { stored: refused === null, refused, removed: this.#handOver() };
  }

  /** Takes an entry out; `null` if there is none. The caller learns of it from the result only. */
  remove(id: number, reason: RemovalReason): Removed | null {
    const item = this.#directory.byId(id);
    if (item === undefined) return null;
    this.#queues.remove(item);
    this.#forget(item);
    return { entry: item.value, reason };
  }

  /** Whether an answer with these tags, whose request began under this number, is void by now. */
  isVoid({ tags, sequence }: Pick<CacheEntry, "tags" | "sequence">): boolean {
    return this.#invalidations.covers({ id: 0, tags, sequence });
  }

  /** Makes everything void that the selector is about, from now on; gives its number. */
  invalidate(selector: Selector): number {
    const sequence = this.sequence + 1;
    this.adopt(sequence, selector);
    return sequence;
  }

  /**
   * Notes an invalidation that another gateway made, under its number.
   *
   * Entries whose request began under that number or a higher one stay: numbers
   * must come from one counter, or be exchanged before a request begins.
   */
  adopt(sequence: number, selector: Selector): void {
    if (!Number.isSafeInteger(sequence) || sequence < 0) {
      throw new RangeError(`Cannot adopt an invalidation: its number is ${sequence}`);
    }
    this.#invalidations.note(sequence, selector);
    const item = selector.type === "id" ? this.#directory.byId(selector.id) : undefined;
    if (item !== undefined && this.#invalidations.covers(item.value)) {
      this.#queues.remove(item);
      this.#depart(item, "invalidated");
    }
  }

  /**
   * Reclaims up to `most` dead entries, looking at 16 times as many where the last
   * sweep ended, and tells of all that left since this was last told.
   */
  expire(nowMs: number, most: number): readonly Removed[] {
    this.#sweep(nowMs, most * EXPIRE_STEPS, this.#departed.length + most);
    return this.#handOver();
  }

  /** All entries that are not invalidated, expired or not, oldest first. */
  *entries(): IterableIterator<CacheEntry> {
    for (const { value } of this.#directory.items()) {
      if (!this.#invalidations.covers(value)) yield value;
    }
  }

  /** How full it is. */
  stats(): StoreStats {
    return {
      entries: this.#directory.size,
      bytes: this.#queues.bytes,
      bytesMax: this.#limits.bytesMax,
      ghosts: this.#queues.ghosts,
      tenants: this.#lanes.size,
      tags: this.#invalidations.size,
    };
  }

  /** What a tenant's entries occupy. */
  tenantBytes(tenant: string): number {
    return this.#lanes.get(tenant)?.bytes ?? 0;
  }

  #lookUp(item: Item | undefined, nowMs: number): Lookup {
    if (item === undefined || this.#reclaimIfDead(item, nowMs)) return MISS;
    if (nowMs >= item.value.expiresMs) return { type: "stale", entry: item.value };
    this.#queues.use(item);
    return { type: "fresh", entry: item.value };
  }

  #insert(entry: CacheEntry, nowMs: number): void {
    const { exactKey, tenant, sizeBytes } = entry;
    const before = this.#directory.byExact(exactKey) ?? null;
    if (before !== null) this.#replace(before, nowMs);
    const sameId = this.#directory.byId(entry.id);
    if (sameId !== undefined) this.#replace(sameId, nowMs);
    while (this.tenantBytes(tenant) + sizeBytes > this.#tenantBytesMax) {
      this.#evict(this.#lanes.get(tenant) ?? null, nowMs, "tenant_share");
    }
    while (this.#queues.bytes + sizeBytes > this.#limits.bytesMax) {
      this.#evict(null, nowMs, "evicted");
    }
    let lane = this.#lanes.get(tenant);
    if (lane === undefined) {
      lane = new Lane(this.#tenantBytesMax);
      this.#lanes.set(tenant, lane);
    }
    const item = new Resident(entry, hashKey(exactKey), sizeBytes, lane);
    this.#queues.admit(item, before);
    this.#directory.add(item);
  }

  #replace(item: Item, nowMs: number): void {
    this.#queues.remove(item);
    this.#depart(item, this.#deathOf(item.value, nowMs) ?? "replaced");
  }

  #evict(lane: Lane<CacheEntry> | null, nowMs: number, reason: RemovalReason): void {
    const item = this.#queues.evict(lane, nowMs);
    if (item === null) throw new Error("Cannot make room: bytes are counted that no entry has");
    this.#depart(item, this.#deathOf(item.value, nowMs) ?? reason);
  }

  /** Looks at some entries for dead ones, and is content with a certain number of departed. */
  #sweep(nowMs: number, steps: number, departedMax: number): void {
    const stepsMax = Math.min(steps, this.#directory.size);
    for (let step = 0; step < stepsMax && this.#departed.length < departedMax; step++) {
      let next = this.#hand.next();
      if (next.done === true) {
        this.#hand = this.#directory.items();
        next = this.#hand.next();
        if (next.done === true) return;
      }
      this.#reclaimIfDead(next.value, nowMs);
    }
  }

  #reclaimIfDead(item: Item, nowMs: number): boolean {
    const death = this.#deathOf(item.value, nowMs);
    if (death === null) return false;
    this.#queues.retire(item);
    this.#depart(item, death);
    return true;
  }

  #deathOf(entry: CacheEntry, nowMs: number): "invalidated" | "expired" | null {
    if (this.#invalidations.covers(entry)) return "invalidated";
    return nowMs < entry.expiresMs || nowMs < entry.staleUntilMs ? null : "expired";
  }

  #isFresh(entry: CacheEntry, nowMs: number): boolean {
    return nowMs < entry.expiresMs && !this.#invalidations.covers(entry);
  }

  #depart(item: Item, reason: RemovalReason): void {
    this.#forget(item);
    this.#departed.push({ entry: item.value, reason });
  }

  #forget(item: Item): void {
    this.#directory.delete(item);
    const { tenant } = item.value;
    if (this.#lanes.get(tenant)?.bytes === 0) this.#lanes.delete(tenant);
  }

  #handOver(): readonly Removed[] {
    if (this.#departed.length === 0) return NONE;
    const departed = this.#departed;
    this.#departed = [];
    return departed;
  }
}
