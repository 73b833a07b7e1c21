import assert from "node:assert/strict";
import { CacheStore } from "./store.ts";
import { entryOf } from "./store_fixture.ts";

const LIMITS = { bytesMax: 1000, tenantShare: 1, entryBytesMax: 500 };

Deno.test("CacheStore serves an entry fresh, then stale, then not at all", () => {
  const store = new CacheStore(LIMITS);
  const entry = entryOf(1, { canonicalKey: "c" });
  assert.deepEqual(store.put(entry, 0), { stored: true, refused: null, removed: [] });
  assert.deepEqual(store.exact("exact 1", 999), { type: "fresh", entry });
  assert.deepEqual(store.canonical("c", 999), { type: "fresh", entry });
  assert.equal(store.alive(1, "scope", 999), entry);
  assert.deepEqual(store.exact("exact 1", 1000), { type: "stale", entry });
  assert.equal(store.alive(1, "scope", 1000), null, "similarity never serves what is stale");
  assert.deepEqual(store.exact("exact 1", 1999), { type: "stale", entry });
  assert.deepEqual(store.exact("exact 1", 2000), { type: "miss" });
  assert.equal(store.stats().bytes, 0);
  assert.deepEqual(store.expire(2000, 1), [{ entry, reason: "expired" }]);
  assert.deepEqual(store.expire(2000, 1), [], "told once");
});

Deno.test("CacheStore keeps what is invalidated from the next lookup, whatever the way", () => {
  for (
    const selector of [
      { type: "all" },
      { type: "id", id: 1 },
      { type: "tag", tag: "model:m" },
    ] as const
  ) {
    const store = new CacheStore(LIMITS);
    store.put(entryOf(1, { canonicalKey: "c", tags: ["tenant:t", "model:m"] }), 0);
    assert.equal(store.invalidate(selector), 1);
    assert.equal(store.get(1), null);
    assert.deepEqual([...store.entries()], []);
    assert.equal(store.alive(1, "scope", 0), null);
    assert.equal(store.canonical("c", 0).type, "miss");
    assert.equal(store.exact("exact 1", 0).type, "miss");
    const reasons = store.expire(0, 5).map(({ reason }) => reason);
    assert.deepEqual([reasons, store.stats().bytes], [["invalidated"], 0]);
  }
});

Deno.test("CacheStore refuses an answer that was under way when its invalidation came", () => {
  const store = new CacheStore(LIMITS);
  const sequence = store.sequence;
  store.invalidate({ type: "tag", tag: "t" });
  assert.equal(store.put(entryOf(1, { tags: ["t"], sequence }), 0).refused, "invalidated");
  assert.equal(store.put(entryOf(2, { tags: ["u"], sequence }), 0).stored, true);
  assert.equal(store.put(entryOf(3, { tags: ["t"], sequence: store.sequence }), 0).stored, true);
});

Deno.test("CacheStore invalidates an entry from a gateway whose numbers are ahead", () => {
  const store = new CacheStore(LIMITS);
  store.put(entryOf(1, { tags: ["t"], sequence: 50 }), 0);
  assert.equal(store.invalidate({ type: "tag", tag: "t" }), 51);
  assert.equal(store.exact("exact 1", 0).type, "miss");
});

Deno.test("CacheStore.adopt() takes the higher number, and concerns what began before", () => {
  const store = new CacheStore(LIMITS);
  store.put(entryOf(1, { tags: ["t"] }), 0);
  store.adopt(7, { type: "tag", tag: "t" });
  assert.deepEqual([store.sequence, store.exact("exact 1", 0).type], [7, "miss"]);
  store.put(entryOf(2, { tags: ["u"], sequence: 7 }), 0);
  store.adopt(3, { type: "tag", tag: "u" });
  assert.deepEqual([store.sequence, store.exact("exact 2", 0).type], [7, "fresh"]);
  assert.throws(() => store.adopt(NaN, { type: "all" }), RangeError);
});

Deno.test("CacheStore tells of what a new entry replaces, evicts, or crowds out", () => {
  const store = new CacheStore({ bytesMax: 400, tenantShare: 0.5, entryBytesMax: 500 });
  const reasonsOf = (id: number, tenant: string, exactKey = `exact ${id}`) =>
    store.put(entryOf(id, { tenant, exactKey }), 0).removed
      .map(({ entry, reason }) => `${entry.id} ${reason}`);
  assert.deepEqual(reasonsOf(1, "ann"), []);
  assert.deepEqual(reasonsOf(2, "ann", "exact 1"), ["1 replaced"]);
  assert.deepEqual(reasonsOf(3, "ann"), []);
  assert.deepEqual(reasonsOf(4, "ann"), ["2 tenant_share"]);
  assert.deepEqual(reasonsOf(5, "ben"), []);
  assert.deepEqual(reasonsOf(6, "ben"), []);
  assert.deepEqual(reasonsOf(7, "cem"), ["3 evicted"]);
  assert.deepEqual(["ann", "ben", "cem", "dan"].map((name) => store.tenantBytes(name)), [
    100,
    200,
    100,
    0,
  ]);
  assert.equal(store.stats().tenants, 3);
});

Deno.test("CacheStore refuses what is larger than an entry or a share may be", () => {
  const store = new CacheStore({ bytesMax: 1000, tenantShare: 0.25, entryBytesMax: 300 });
  assert.equal(store.put(entryOf(1, { sizeBytes: 301 }), 0).refused, "too_large");
  assert.equal(store.put(entryOf(1, { sizeBytes: 251 }), 0).refused, "too_large");
  assert.equal(store.put(entryOf(1, { sizeBytes: 250 }), 0).stored, true);
  assert.throws(() => store.put(entryOf(2, { sizeBytes: NaN }), 0), RangeError);
  assert.throws(() => store.put(entryOf(2, { sequence: NaN }), 0), RangeError);
});

Deno.test("CacheStore replaces an id that is stored again under another key", () => {
  const store = new CacheStore(LIMITS);
  const first = entryOf(1);
  store.put(first, 0);
  const { removed } = store.put(entryOf(1, { exactKey: "other" }), 0);
  assert.deepEqual(removed, [{ entry: first, reason: "replaced" }]);
  assert.equal(store.exact("exact 1", 0).type, "miss");
  assert.equal(store.exact("other", 0).type, "fresh");
});

Deno.test("CacheStore reclaims the dead that nobody asks for, a few with each put", () => {
  const store = new CacheStore({ ...LIMITS, bytesMax: 100_000 });
  for (let id = 1; id <= 100; id++) store.put(entryOf(id), 0);
  store.invalidate({ type: "all" });
  const told: string[] = [];
  for (let id = 101; id <= 200; id++) {
    const { removed } = store.put(entryOf(id, { sequence: 1 }), 0);
    for (const { reason } of removed) told.push(reason);
  }
  assert.deepEqual(told, Array(100).fill("invalidated"));
  assert.equal(store.stats().entries, 100);
});

Deno.test("CacheStore.expire() reclaims no more than asked, and goes on where it ended", () => {
  const store = new CacheStore({ ...LIMITS, bytesMax: 100_000 });
  for (let id = 1; id <= 50; id++) store.put(entryOf(id), 0);
  assert.deepEqual(store.expire(1999, 100), []);
  assert.deepEqual([20, 20, 20].map((most) => store.expire(2000, most).length), [20, 20, 10]);
});

Deno.test("CacheStore.remove() hands the entry to its caller only", () => {
  const store = new CacheStore(LIMITS);
  const entry = entryOf(1);
  store.put(entry, 0);
  assert.deepEqual(store.remove(1, "removed"), { entry, reason: "removed" });
  assert.equal(store.remove(1, "removed"), null);
  assert.deepEqual(store.expire(0, 10), []);
});

Deno.test("CacheStore keeps what is used: a hit counts, also by id; a stale one and a look do not", () => {
  const cases: [string, (store: CacheStore) => unknown, boolean][] = [
    ["exact", (store) => store.exact("exact 1", 0), true],
    ["canonical", (store) => store.canonical("c", 0), true],
    ["use", (store) => store.use(1), true],
    ["stale", (store) => store.exact("exact 1", 1000), false],
    ["alive", (store) => store.alive(1, "scope", 0), false],
    ["get", (store) => store.get(1), false],
  ];
  for (const [name, look, isKept] of cases) {
    const store = new CacheStore(LIMITS);
    store.put(entryOf(1, { canonicalKey: "c" }), 0);
    look(store);
    for (let id = 2; id <= 11; id++) store.put(entryOf(id), 0);
    assert.equal(store.get(1) !== null, isKept, name);
  }
});

Deno.test("CacheStore lets a refreshed answer inherit the standing of the one it replaces", () => {
  for (const isUsed of [true, false]) {
    const store = new CacheStore(LIMITS);
    store.put(entryOf(1), 0);
    if (isUsed) store.use(1);
    store.put(entryOf(2, { exactKey: "exact 1" }), 0);
    for (let id = 3; id <= 12; id++) store.put(entryOf(id), 0);
    assert.equal(store.exact("exact 1", 0).type, isUsed ? "fresh" : "miss");
  }
});

Deno.test("CacheStore lets a clock that goes back find what has not left", () => {
  const store = new CacheStore(LIMITS);
  store.put(entryOf(1), 0);
  assert.equal(store.exact("exact 1", 1500).type, "stale");
  assert.equal(store.exact("exact 1", 500).type, "fresh");
  assert.equal(store.exact("exact 1", -5000).type, "fresh");
});

Deno.test("CacheStore refuses limits that make no sense", () => {
  for (const bad of [{ bytesMax: 0 }, { tenantShare: 0 }, { tenantShare: 1.1 }, { tagsMax: 0.5 }]) {
    assert.throws(() => new CacheStore({ ...LIMITS, ...bad }), RangeError);
  }
});
