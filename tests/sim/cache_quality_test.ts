/**
 * The quality of the canonical layer and of the built-in embedder, held to figures.
 *
 * The data's own labels are wrong in about 0.2 % of the near misses, which bounds what
 * can be asked. Every limit must hold in each half of the intents too, so that
 * no figure rests on a few of them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { LEXICAL_CAREFUL_THRESHOLD, LEXICAL_THRESHOLD } from "../../src/embed/lexical.ts";
import { readPairs, readSteps } from "../support/cache_data.ts";
import {
  guardedFrom,
  halfOf,
  isFlip,
  isHardNegative,
  isPositive,
  judgePairs,
  plainFrom,
  replayFigures,
  replayNeighbours,
  type Rule,
  servedPercent,
} from "../support/cache_quality.ts";

const judged = judgePairs(readPairs());
const canonical: Rule = ({ isCanonical }) => isCanonical;

Deno.test("the canonical layer serves no flip and takes surface variants", () => {
  const flips = judged.filter(isFlip);
  assert.equal(flips.length, 1100);
  assert.deepEqual(flips.filter(canonical).map(({ pair }) => pair.id), []);
  const surface = judged.filter(({ pair }) =>
    pair.kind.startsWith("surface-") && pair.kind !== "surface-typo"
  );
  const percent = servedPercent(surface, canonical);
  assert.ok(percent >= 93, `${percent} % of the surface variants`);
});

Deno.test("the default threshold serves few hard negatives and most positives", () => {
  const rule = guardedFrom(LEXICAL_THRESHOLD);
  const positive = servedPercent(judged.filter(isPositive), rule);
  const negative = servedPercent(judged.filter(isHardNegative), rule);
  assert.ok(positive >= 23, `${positive} % of the positives`);
  assert.ok(negative <= 0.2, `${negative} % of the hard negatives`);
  for (const half of [0, 1] as const) {
    const part = judged.filter(({ pair }) => halfOf(pair.group) === half);
    const wrong = servedPercent(part.filter(isHardNegative), rule);
    const right = servedPercent(part.filter(isPositive), rule);
    assert.ok(wrong <= 0.3 && right >= 22.3, `half ${half}: ${right} %, wrong ${wrong} %`);
  }
});

Deno.test("the careful threshold serves fewer positives and no more negatives", () => {
  const rule = guardedFrom(LEXICAL_CAREFUL_THRESHOLD);
  assert.ok(servedPercent(judged.filter(isPositive), rule) >= 22.3);
  assert.ok(servedPercent(judged.filter(isHardNegative), rule) <= 0.15);
});

Deno.test("guards refuse flips that similarity alone would serve", () => {
  const flips = judged.filter(isFlip);
  assert.ok(servedPercent(flips, plainFrom(LEXICAL_THRESHOLD)) > 70);
  assert.deepEqual(flips.filter(guardedFrom(LEXICAL_THRESHOLD)).map(({ pair }) => pair.id), []);
});

Deno.test("a replay at the default threshold hits often and seldom wrongly", () => {
  const steps = readSteps();
  const neighbours = replayNeighbours(steps);
  const { hits, wrong } = replayFigures(neighbours, LEXICAL_THRESHOLD, "candidates");
  assert.ok(hits >= 14, `${hits} % hits`);
  assert.ok(wrong <= 0.15, `${wrong} % wrong`);
  assert.ok(replayFigures(neighbours, LEXICAL_THRESHOLD, "nearest").hits >= 12);
  for (const half of [0, 1] as const) {
    const part = neighbours.filter((_, at) => halfOf(steps[at]?.group ?? "") === half);
    const figures = replayFigures(part, LEXICAL_THRESHOLD, "candidates");
    assert.ok(figures.wrong <= 0.2, `half ${half}: ${figures.wrong} % wrong`);
  }
});
