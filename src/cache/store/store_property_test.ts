import assert from "node:assert/strict";
import fc from "fast-check";
import type { CacheEntry, Selector } from "../types.ts";
import { CacheStore, type Lookup, type Removed, type StoreLimits } from "./store.ts";
import { entryOf } from "./store_fixture.ts";

/**
 * What the store promises, in the plainest words: a list of all entries, a list of
 * all invalidations, and a search through both each time. It does not know which
 * entry is evicted, it learns that from what the store tells; all else it predicts.
 */
class NaiveStore {
  held: CacheEntry[] = [];
  /** Reclaimed by a lookup, not yet told of. */
  owed: Removed[] = [];
  readonly invalidations: { sequence: number; selector: Selector }[] = [];
  sequence = 0;

  isVoid(entry: CacheEntry): boolean {
    return this.invalidations.some(({ sequence, selector }) =>
      entry.sequence < sequence &&
      (selector.type === "all" ||
        (selector.type === "id" ? selector.id === entry.id : entry.tags.includes(selector.tag)))
    );
  }

  deathOf(entry: CacheEntry, nowMs: number): "invalidated" | "expired" | null {
    if (this.isVoid(entry)) return "invalidated";
    return nowMs >= entry.expiresMs && nowMs >= entry.staleUntilMs ? "expired" : null;
  }

  lookUp(entry: CacheEntry | undefined, nowMs: number): Lookup {
    if (entry === undefined) return { type: "miss" };
    const death = this.deathOf(entry, nowMs);
    if (death !== null) {
      this.held = this.held.filter((other) => other !== entry);
      this.owed.push({ entry, reason: death });
      return { type: "miss" };
    }
    return { type: nowMs < entry.expiresMs ? "fresh" : "stale", entry };
  }

  /** The newest with this canonical key, unless a newer one had come and gone. */
  canonical(key: string): CacheEntry | undefined {
    const newest = this.newestByCanonical.get(key);
    return newest !== undefined && this.held.includes(newest) ? newest : undefined;
  }

  readonly newestByCanonical = new Map<string, CacheEntry>();

  note(sequence: number, selector: Selector): void {
    this.invalidations.push({ sequence, selector });
    this.sequence = Math.max(this.sequence, sequence);
    if (selector.type !== "id") return;
    const entry = this.held.find(({ id }) => id === selector.id);
    if (entry !== undefined && this.isVoid(entry)) {
      this.held = this.held.filter((other) => other !== entry);
      this.owed.push({ entry, reason: "invalidated" });
    }
  }
}

/** Long scripts shrink slowly; a failure is shown after a minute as far as it has got. */
const TIME_LIMIT = { interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true };

const KEYS = 40;
const TENANTS = ["ann", "ben", "cem"];
const TAGS = ["tenant:ann", "tenant:ben", "model:m", "model:n", "prefix:p", "tag:t", "tag:u"];

type Operation =
  | {
    type: "put";
    key: number;
    sizeBytes: number;
    tags: readonly string[];
    ttlMs: number;
    staleMs: number;
    /** Invalidations made between the request's beginning and its end. */
    behind: number;
    isIdReused: boolean;
  }
  | { type: "exact" | "canonical" | "alive" | "get" | "use" | "remove"; key: number }
  | { type: "invalidate"; selector: Selector | null; key: number }
  | { type: "adopt"; selector: Selector | null; key: number; ahead: number }
  | { type: "expire"; most: number }
  | { type: "time"; byMs: number };

const key = fc.nat(KEYS - 1);
const selector = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom(...TAGS).map((tag): Selector => ({ type: "tag", tag })),
  },
  { weight: 6, arbitrary: fc.constant(null) }, // By id: that of the operation's key.
  { weight: 1, arbitrary: fc.constant<Selector>({ type: "all" }) },
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({
      type: fc.constant("put" as const),
      key,
      sizeBytes: fc.oneof(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 420 })),
      tags: fc.subarray(TAGS, { maxLength: 3 }),
      ttlMs: fc.nat(400),
      staleMs: fc.nat(200),
      behind: fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 5),
      isIdReused: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 40,
    arbitrary: fc.record({
      type: fc.constantFrom(...(["exact", "exact", "canonical", "alive", "get", "use"] as const)),
      key,
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("remove" as const), key }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("invalidate" as const), selector, key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("adopt" as const),
      selector,
      key,
      ahead: fc.integer({ min: -4, max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("expire" as const), most: fc.nat(8) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("time" as const),
      byMs: fc.integer({ min: -60, max: 90 }),
    }),
  },
);

/** Walks both through the operations; every difference is an error. */
class Walk {
  readonly #store: CacheStore;
  readonly #limits: StoreLimits;
  readonly #naive = new NaiveStore();
  /** Newest id by key. */
  readonly #ids = new Map<number, number>();
  #nowMs = 10_000;
  #lastId = 0;
  /** How often each outcome came, to see that the walk gets around. */
  readonly outcomes = new Map<string, number>();

  constructor(limits: StoreLimits) {
    this.#limits = limits;
    this.#store = new CacheStore(limits);
  }

  step(next: Operation): void {
    const [store, naive, nowMs] = [this.#store, this.#naive, this.#nowMs];
    if (next.type === "time") this.#nowMs += next.byMs;
    else if (next.type === "put") this.#put(next);
    else if (next.type === "expire") {
      const removed = store.expire(nowMs, next.most);
      assert.ok(removed.length <= naive.owed.length + next.most);
      this.#learn(removed, ["expired", "invalidated"]);
    } else if (next.type === "invalidate") {
      const selector = next.selector ?? { type: "id", id: this.#idOf(next.key) };
      naive.note(naive.sequence + 1, selector);
      assert.equal(store.invalidate(selector), naive.sequence);
    } else if (next.type === "adopt") {
      const selector = next.selector ?? { type: "id", id: this.#idOf(next.key) };
      const sequence = Math.max(0, naive.sequence + next.ahead);
      naive.note(sequence, selector);
      store.adopt(sequence, selector);
    } else this.#ask(next.type, next.key);
    this.#check();
  }

  #idOf(key: number): number {
    return this.#ids.get(key) ?? 0;
  }

  #ask(type: "exact" | "canonical" | "alive" | "get" | "use" | "remove", key: number): void {
    const [store, naive, nowMs] = [this.#store, this.#naive, this.#nowMs];
    const id = this.#idOf(key);
    const byId = naive.held.find((entry) => entry.id === id);
    if (type === "exact") {
      const expected = naive.lookUp(
        naive.held.find(({ exactKey }) => exactKey === exactKeyOf(key)),
        nowMs,
      );
      this.#count(expected.type);
      assert.deepEqual(store.exact(exactKeyOf(key), nowMs), expected);
    } else if (type === "canonical") {
      const canonicalKey = canonicalKeyOf(key) ?? "none";
      const expected = naive.lookUp(naive.canonical(canonicalKey), nowMs);
      this.#count(`canonical ${expected.type}`);
      assert.deepEqual(store.canonical(canonicalKey, nowMs), expected);
    } else if (type === "alive") {
      assert.equal(store.alive(id, "elsewhere", nowMs), null, "a hit across scopes");
      const isSameScope = byId?.scope === scopeOf(key); // An id may have been given anew.
      const found = naive.lookUp(isSameScope ? byId : undefined, nowMs);
      const expected = found.type === "fresh" ? found.entry : null;
      this.#count(expected === null ? "not alive" : "alive");
      assert.equal(store.alive(id, scopeOf(key), nowMs), expected);
    } else if (type === "get") {
      const expected = byId === undefined || naive.isVoid(byId) ? null : byId;
      assert.equal(store.get(id), expected);
    } else if (type === "use") store.use(id);
    else {
      const removed = store.remove(id, "removed");
      assert.deepEqual(removed, byId === undefined ? null : { entry: byId, reason: "removed" });
      naive.held = naive.held.filter((entry) => entry !== byId);
    }
  }

  #put(next: Operation & { type: "put" }): void {
    const [store, naive, nowMs] = [this.#store, this.#naive, this.#nowMs];
    const { key, sizeBytes, tags } = next;
    const id = next.isIdReused ? Math.max(1, this.#idOf((key + 1) % KEYS)) : ++this.#lastId;
    const sequence = Math.max(0, store.sequence - next.behind);
    const expiresMs = nowMs + next.ttlMs;
    const entry = entryOf(id, {
      scope: scopeOf(key),
      exactKey: exactKeyOf(key),
      canonicalKey: canonicalKeyOf(key),
      tenant: tenantOf(key),
      tags,
      sequence,
      storedMs: nowMs,
      expiresMs,
      staleUntilMs: expiresMs + next.staleMs,
      sizeBytes,
    });
    const { tenantShare, bytesMax, entryBytesMax } = this.#limits;
    const refused = sizeBytes > Math.min(entryBytesMax, Math.floor(bytesMax * tenantShare))
      ? "too_large"
      : naive.isVoid(entry)
      ? "invalidated"
      : null;
    const result = store.put(entry, nowMs);
    assert.deepEqual([result.stored, result.refused], [refused === null, refused]);
    this.#count(refused ?? "stored");
    const before = naive.held.filter((other) =>
      refused === null && (other.id === id || other.exactKey === entry.exactKey)
    );
    this.#learn(result.removed, [
      "replaced",
      "evicted",
      "tenant_share",
      "expired",
      "invalidated",
    ]);
    for (const other of before) assert.ok(!naive.held.includes(other), "not replaced");
    if (refused !== null) return;
    naive.held.push(entry);
    if (entry.canonicalKey !== null) naive.newestByCanonical.set(entry.canonicalKey, entry);
    this.#ids.set(key, id);
  }

  /** Takes in what the store says has left: all that is owed first, the rest held and rightly gone. */
  #learn(removed: readonly Removed[], reasons: readonly string[]): void {
    const naive = this.#naive;
    const owed = naive.owed;
    naive.owed = [];
    assert.deepEqual(removed.slice(0, owed.length), owed, "not told of what left");
    for (const { entry, reason } of removed.slice(owed.length)) {
      this.#count(reason);
      assert.ok(reasons.includes(reason), reason);
      assert.ok(naive.held.includes(entry), "left twice, or never there");
      naive.held = naive.held.filter((other) => other !== entry);
      const death = naive.deathOf(entry, this.#nowMs);
      if (death !== null) assert.equal(reason, death);
      else assert.ok(reason !== "expired" && reason !== "invalidated", "not dead at all");
    }
  }

  #check(): void {
    const [store, naive] = [this.#store, this.#naive];
    const stats = store.stats();
    const bytes = new Map<string, number>();
    for (const { tenant, sizeBytes } of naive.held) {
      bytes.set(tenant, (bytes.get(tenant) ?? 0) + sizeBytes);
    }
    const total = [...bytes.values()].reduce((sum, size) => sum + size, 0);
    const owedBytes = naive.owed.reduce((sum, { entry }) => sum + entry.sizeBytes, 0);
    assert.ok(stats.bytes + owedBytes <= this.#limits.bytesMax, "bytes over the bound");
    assert.equal(stats.bytes, total);
    assert.equal(stats.entries, naive.held.length);
    assert.equal(stats.tenants, bytes.size);
    assert.equal(store.sequence, naive.sequence);
    for (const tenant of TENANTS) {
      const share = store.tenantBytes(tenant);
      assert.ok(share <= Math.floor(this.#limits.bytesMax * this.#limits.tenantShare));
      assert.equal(share, bytes.get(tenant) ?? 0);
    }
  }

  /** Everything found or not found, then all gone: nothing may be left. */
  finish(): void {
    const [store, naive] = [this.#store, this.#naive];
    const listed = [...store.entries()].map(({ id }) => id).sort();
    assert.deepEqual(listed, naive.held.filter((e) => !naive.isVoid(e)).map(({ id }) => id).sort());
    for (let key = 0; key < KEYS; key++) {
      this.step({ type: "canonical", key });
      this.step({ type: "exact", key });
    }
    this.step({ type: "invalidate", selector: { type: "all" }, key: 0 });
    this.step({ type: "expire", most: KEYS });
    assert.deepEqual(store.stats().entries, 0);
    assert.equal(store.stats().bytes, 0);
    assert.equal(store.stats().tenants, 0);
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}

function tenantOf(key: number): string {
  return TENANTS[key % TENANTS.length] ?? "";
}

function scopeOf(key: number): string {
  return `scope of ${tenantOf(key)}`;
}

function exactKeyOf(key: number): string {
  return `exact ${key}`;
}

/** Shared by the keys 3 apart, which have one tenant; some have none. */
function canonicalKeyOf(key: number): string | null {
  return key % 5 === 0 ? null : `canonical ${key % 12}`;
}

Deno.test("CacheStore agrees with a naive store over 10^5 random operations", () => {
  const outcomes = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.array(operation, { minLength: 1000, maxLength: 1000, size: "max" }),
      (script) => {
        const walk = new Walk({ bytesMax: 2500, tenantShare: 0.4, entryBytesMax: 400 });
        for (const next of script) walk.step(next);
        walk.finish();
        for (const [name, count] of walk.outcomes) {
          outcomes.set(name, (outcomes.get(name) ?? 0) + count);
        }
      },
    ),
    { seed: 4, numRuns: 100, ...TIME_LIMIT },
  );
  for (
    const name of [
      "fresh",
      "stale",
      "miss",
      "canonical fresh",
      "canonical stale",
      "alive",
      "stored",
      "too_large",
      "invalidated",
      "replaced",
      "evicted",
      "tenant_share",
      "expired",
    ]
  ) assert.ok((outcomes.get(name) ?? 0) > 100, `${name} came ${outcomes.get(name)} times`);
});

Deno.test("CacheStore never serves what was invalidated, however few tags it remembers", () => {
  const outcomes = { served: 0, lost: 0 };
  const walks = fc.array(operation, { minLength: 400, maxLength: 400, size: "max" });
  fc.assert(
    fc.property(walks, (script) => {
      const store = new CacheStore({
        bytesMax: 3000,
        tenantShare: 1,
        entryBytesMax: 400,
        tagsMax: 3,
      });
      const naive = new NaiveStore();
      let id = 0;
      for (const next of script) {
        if (next.type === "put") {
          const { key, tags, sizeBytes } = next;
          const sequence = Math.max(0, store.sequence - next.behind);
          store.put(entryOf(++id, { exactKey: exactKeyOf(key), tags, sequence, sizeBytes }), 0);
        } else if (next.type === "invalidate" || next.type === "adopt") {
          const selector = next.selector ?? { type: "id", id: Math.max(1, id - next.key) };
          const ahead = next.type === "adopt" ? next.ahead : 1;
          const sequence = Math.max(0, store.sequence + ahead);
          naive.note(sequence, selector);
          store.adopt(sequence, selector);
        } else if (next.type === "exact") {
          const found = store.exact(exactKeyOf(next.key), 0);
          if (found.type === "miss") continue;
          outcomes.served++;
          assert.ok(!naive.isVoid(found.entry), "a hit after its invalidation");
        }
        assert.ok(store.stats().tags <= 3);
      }
    }),
    { seed: 4, numRuns: 50, ...TIME_LIMIT },
  );
  assert.ok(outcomes.served > 500, `${outcomes.served} served`);
});
