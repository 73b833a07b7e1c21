import assert from "node:assert/strict";
import { DecayedMean, lowerMedian } from "./decayed_mean.ts";

function mean(...samples: ReadonlyArray<readonly [number, number]>): number {
  const decayed = new DecayedMean(30);
  for (const [atSeconds, value] of samples) decayed.observe(value, atSeconds);
  return decayed.value;
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

Deno.test("DecayedMean moves by the time gone by (cases 16, 17)", () => {
  near(mean([0, 0.02], [3, 0.08]), 0.02571);
  near(mean([0, 0.5], [6, 0.8]), 0.554381);
});

Deno.test("DecayedMean is set by its first sample and ignores stale ones", () => {
  assert.equal(new DecayedMean(30).empty, true);
  near(mean([7, 0.5]), 0.5);
  near(mean([7, 0.5], [7, 9], [6, 9]), 0.5);
});

Deno.test("lowerMedian takes the lower of two middles (case 17)", () => {
  near(lowerMedian(Float64Array.of(0.9, 0.31), 2), 0.31);
  near(lowerMedian(Float64Array.of(3, 1, 2), 3), 2);
  near(lowerMedian(Float64Array.of(4, 3, 2, 1, 99), 4), 2);
  near(lowerMedian(Float64Array.of(4), 0), 0);
});
