/**
 * Does `verified` keep the error bound, whatever order the questions come in?
 *
 * 4,000 questions in a hundred seeded orders, with the built-in embedder and the
 * guards. An order counts as kept if wrong answers among those served by similarity
 * are at most δ of them at its end; one that serves nothing keeps it. As that stream
 * is easy at its top, populations with a given error stand beside it, on which a plain
 * 95 % Wilson bound fails. `bench/cache_replay.ts` prints the tables.
 *
 * @module
 */
import assert from "node:assert/strict";
import { shadowDue, SimilarityPolicy } from "../../src/cache/similarity/decision.ts";
import { lexicalVector } from "../../src/embed/lexical.ts";
import { readSteps } from "../support/cache_data.ts";
import { randomFrom, seeds } from "../sim/harness.ts";
import { type Replayed, ReplayStream, type Rule } from "../sim/verified_replay.ts";

const ORDERS = seeds(100);
const KEPT_SHARE_MIN = 0.95;

let shared: ReplayStream | null = null;

/** The comparison of all pairs takes seconds and serves all tests. */
function stream(): ReplayStream {
  shared ??= new ReplayStream(readSteps(), lexicalVector);
  return shared;
}

function verified(errorBound: number, learnsGuard: boolean): Rule {
  return { mode: "verified", threshold: null, errorBound, learnsGuard };
}

function replay(rule: Rule): Replayed[] {
  return ORDERS.map((seed) => stream().run(rule, seed));
}

/** Mean share of all questions that were served by similarity. */
function hitShare(replayed: readonly Replayed[]): number {
  return replayed.reduce((sum, { hits, steps }) => sum + hits / steps, 0) / replayed.length;
}

for (const errorBound of [0.02, 0.05, 0.1]) {
  for (const learnsGuard of [true, false]) {
    const how = learnsGuard ? "learning the words guard" : "under all guards";
    Deno.test(`SimilarityPolicy keeps an error of ${errorBound} in 95 of 100 orders, ${how}`, () => {
      const broken = replay(verified(errorBound, learnsGuard))
        .filter(({ hits, wrong }) => wrong > errorBound * hits);
      assert.ok(
        broken.length <= ORDERS.length * (1 - KEPT_SHARE_MIN),
        `broken in ${broken.map(({ hits, wrong }) => `${wrong} of ${hits}`).join(", ")}`,
      );
    });
  }
}

Deno.test("SimilarityPolicy serves a fifth of the questions at an error bound of 0.1", () => {
  const share = hitShare(replay(verified(0.1, true)));
  assert.ok(share >= 0.2, `${share} of the questions are served`);
});

/** 3,000 candidates of which a share is wrong, alike at every similarity. */
function populate(wrongShare: number, errorBound: number, seed: number): [number, number] {
  const random = randomFrom(seed);
  const policy = new SimilarityPolicy();
  const names = { tenant: "", route: "population", embedder: "none" };
  let [hits, wrong] = [0, 0];
  for (let entryId = 1; entryId <= 3_000; entryId++) {
    const pair = { ...names, entryId, similarity: 0.6 + 0.4 * random() };
    const right = random() >= wrongShare;
    const { serve } = policy.decide({ ...pair, mode: "verified", threshold: null, errorBound });
    if (serve) hits++;
    if (serve && !right) wrong++;
    if (!serve || shadowDue(random)) policy.observe({ ...pair, right });
  }
  return [hits, wrong];
}

for (const errorBound of [0.02, 0.05, 0.1]) {
  Deno.test(`SimilarityPolicy keeps ${errorBound} in 95 of 100 populations near it, opens far below`, () => {
    for (const factor of [0.8, 1, 1.2, 1.5]) {
      const broken = ORDERS.map((seed) => populate(factor * errorBound, errorBound, seed))
        .filter(([hits, wrong]) => wrong > errorBound * hits);
      assert.ok(
        broken.length <= ORDERS.length * (1 - KEPT_SHARE_MIN),
        `broken in ${broken.length} at ${factor} of the bound`,
      );
    }
    const open = ORDERS.filter((seed) => populate(errorBound / 4, errorBound, seed)[0] > 0);
    assert.ok(open.length >= ORDERS.length / 2, `${open.length} open at a quarter of the bound`);
  });
}

Deno.test("SimilarityPolicy serves nothing where likeness says nothing about the answer", () => {
  const steps = readSteps().slice(0, 1_000);
  const foreign = steps.map(({ text }, i) => ({ text, group: `${i % 34}` }));
  const unlike = new ReplayStream(foreign, lexicalVector);
  for (const seed of seeds(5)) assert.equal(unlike.run(verified(0.1, true), seed).hits, 0);
});
