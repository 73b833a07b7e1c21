import assert from "node:assert/strict";
import { type Candidate, isLearnable, shadowDue, SimilarityPolicy } from "./decision.ts";

const POOL = { tenant: "acme", route: "gpt", embedder: "lexical" };

function candidate(changes: Partial<Candidate>): Candidate {
  return {
    ...POOL,
    mode: "verified",
    entryId: 1,
    similarity: 0.95,
    threshold: null,
    errorBound: 0.05,
    ...changes,
  };
}

/** A policy that has seen `clean` right answers at this similarity, each of another entry. */
function seasoned(clean: number, changes: Partial<Candidate> = {}): SimilarityPolicy {
  const policy = new SimilarityPolicy();
  for (let i = 0; i < clean; i++) {
    const { tenant, route, embedder, similarity, guard = null } = candidate(changes);
    policy.observe({ tenant, route, embedder, similarity, guard, entryId: 1_000 + i, right: true });
  }
  return policy;
}

Deno.test("SimilarityPolicy serves nothing when off or observing", () => {
  const policy = seasoned(500);
  assert.deepEqual(policy.decide(candidate({ mode: "off" })), { serve: false, reason: "off" });
  assert.deepEqual(policy.decide(candidate({ mode: "observe" })), {
    serve: false,
    reason: "observe",
  });
});

Deno.test("SimilarityPolicy serves from the threshold in static mode, and not without one", () => {
  const policy = new SimilarityPolicy();
  const decide = (similarity: number, threshold: number | null) =>
    policy.decide(candidate({ mode: "static", similarity, threshold })).reason;
  assert.equal(decide(0.9, 0.9), "served");
  assert.equal(decide(0.8999, 0.9), "threshold");
  assert.equal(decide(NaN, 0.9), "threshold");
  assert.equal(decide(1, null), "no_threshold");
});

Deno.test("SimilarityPolicy in verified mode serves once enough has been observed", () => {
  const needed = new SimilarityPolicy().standing(POOL, 0.05).cleanNeeded;
  assert.equal(seasoned(needed - 1).decide(candidate({})).reason, "unverified");
  assert.equal(seasoned(needed).decide(candidate({})).reason, "served");
  assert.equal(seasoned(needed).decide(candidate({ similarity: 0.9 })).reason, "unverified");
});

Deno.test("SimilarityPolicy learns nothing for another tenant, route or embedder", () => {
  const policy = seasoned(500);
  for (const other of [{ tenant: "b" }, { route: "b" }, { embedder: "b" }]) {
    assert.equal(policy.decide(candidate(other)).reason, "unverified");
  }
  assert.equal(policy.decide(candidate({})).reason, "served");
});

Deno.test("SimilarityPolicy lets a header's threshold raise the line of verified mode", () => {
  const policy = seasoned(500);
  assert.equal(policy.decide(candidate({ threshold: 0.96 })).reason, "threshold");
  assert.equal(policy.decide(candidate({ threshold: 0.5 })).reason, "served");
  assert.equal(policy.decide(candidate({ threshold: 0.5, similarity: 0.8 })).reason, "unverified");
});

Deno.test("SimilarityPolicy lifts an entry above a wrong match and forgets it when it leaves", () => {
  const policy = seasoned(500, { similarity: 0.9 });
  policy.observe({ ...POOL, entryId: 7, similarity: 0.95, right: false });
  assert.equal(policy.decide(candidate({ entryId: 7 })).reason, "unverified");
  assert.equal(policy.decide(candidate({ entryId: 7, similarity: 0.96 })).reason, "served");
  assert.equal(policy.decide(candidate({ entryId: 8 })).reason, "served");
  policy.forget(7);
  assert.equal(policy.decide(candidate({ entryId: 7 })).reason, "served");
  assert.equal(policy.standing(POOL, 0.05).wrong, 1);
});

Deno.test("SimilarityPolicy leaves what a lifted entry did below its lift out of the pool", () => {
  const policy = seasoned(10);
  policy.observe({ ...POOL, entryId: 7, similarity: 0.95, right: false });
  policy.observe({ ...POOL, entryId: 7, similarity: 0.9, right: false });
  policy.observe({ ...POOL, entryId: 7, similarity: 0.96, right: true });
  const { observations, wrong } = policy.standing(POOL, 0.05);
  assert.deepEqual([observations, wrong], [12, 1]);
});

Deno.test("SimilarityPolicy lifts by a report even below the observed range", () => {
  const policy = new SimilarityPolicy();
  policy.observe({ ...POOL, entryId: 7, similarity: 0.5, right: false });
  assert.equal(policy.standing(POOL, 0.05).observations, 0);
  assert.equal(policy.snapshot().entries.length, 1);
});

Deno.test("SimilarityPolicy refuses guarded pairs, but verified mode learns one guard apart", () => {
  const policy = seasoned(500);
  const reason = (changes: Partial<Candidate>) => policy.decide(candidate(changes)).reason;
  assert.equal(reason({ guard: "number" }), "guard");
  assert.equal(reason({ guard: "words", mode: "static", threshold: 0.5 }), "guard");
  assert.equal(reason({ guard: "words" }), "unverified");
  const learnt = seasoned(500, { guard: "words" });
  assert.equal(learnt.decide(candidate({ guard: "words" })).reason, "served");
  assert.equal(learnt.decide(candidate({})).reason, "unverified");
  assert.equal(learnt.standing(POOL, 0.05, "words").observations, 500);
  assert.deepEqual(learnt.pools(), [{ ...POOL, guard: "words" }]);
  assert.ok(isLearnable("observe", "words") && !isLearnable("static", "words"));
  assert.ok(isLearnable("static", null) && !isLearnable("verified", "negation"));
});

Deno.test("SimilarityPolicy stays bounded: the oldest entries and pools go", () => {
  const policy = new SimilarityPolicy();
  for (let i = 0; i < 20_010; i++) {
    policy.observe({ ...POOL, route: `r${i % 1_500}`, entryId: i, similarity: 0.9, right: true });
  }
  const { pools, entries } = policy.snapshot();
  assert.equal(entries.length, 20_000);
  assert.equal(pools.length, 1_024);
  assert.equal(entries[0]?.id, 10);
});

Deno.test("SimilarityPolicy decides the same after a restart", () => {
  const policy = seasoned(150);
  policy.observe({ ...POOL, entryId: 7, similarity: 0.97, right: false });
  const restored = new SimilarityPolicy();
  assert.ok(restored.restore(JSON.parse(JSON.stringify(policy.snapshot()))));
  for (const similarity of [0.9, 0.95, 0.97, 0.98, 1]) {
    for (const entryId of [7, 8]) {
      const asked = candidate({ similarity, entryId, errorBound: 0.1 });
      assert.deepEqual(restored.decide(asked), policy.decide(asked));
    }
  }
  assert.deepEqual(restored.snapshot(), policy.snapshot());
});

Deno.test("SimilarityPolicy is empty after garbage", () => {
  const good = JSON.parse(JSON.stringify(seasoned(500).snapshot()));
  const garbage: unknown[] = [null, 1, "x", [], {}, { ...good, version: 0 }];
  for (const key of ["pools", "entries"]) {
    garbage.push({ ...good, [key]: [null] }, { ...good, [key]: {} });
  }
  const [pool, entry] = [good.pools[0], good.entries[0]];
  garbage.push({ ...good, pools: [{ ...pool, right: [1, 2] }] });
  garbage.push({ ...good, pools: [{ ...pool, wrong: pool.wrong.map(() => -1) }] });
  garbage.push({ ...good, pools: [{ ...pool, right: pool.right.map(() => null) }] });
  garbage.push({ ...good, pools: [{ ...pool, served: -1 }] });
  garbage.push({ ...good, entries: [{ ...entry, points: [[0.9, 2]] }] });
  garbage.push({ ...good, entries: [{ ...entry, liftedAbove: 9 }] });
  for (const json of garbage) {
    const policy = seasoned(500);
    assert.equal(policy.restore(json), false, JSON.stringify(json)?.slice(0, 80));
    assert.equal(policy.decide(candidate({})).reason, "unverified");
  }
});

Deno.test("shadowDue is due for one hit in twenty", () => {
  assert.ok(shadowDue(() => 0.049));
  assert.ok(!shadowDue(() => 0.05));
});
