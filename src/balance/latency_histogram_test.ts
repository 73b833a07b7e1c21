import assert from "node:assert/strict";
import { bucketEdgeSeconds, bucketOf, LatencyHistogram } from "./latency_histogram.ts";

function near(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

Deno.test("bucketOf puts 0.35 s into bucket 76 with upper edge 0.374653", () => {
  assert.equal(bucketOf(0.35), 76);
  near(bucketEdgeSeconds(76), 0.374653);
  assert.equal(bucketOf(0), 0);
  assert.equal(bucketOf(1e9), 159);
});

Deno.test("LatencyHistogram reports a percentile from enough samples only", () => {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < 94; i++) histogram.add(0.1, 1);
  for (let i = 0; i < 5; i++) histogram.add(0.35, 1);
  assert.equal(histogram.percentile(0.95, 100, 1), null);
  histogram.add(0.35, 1);
  near(histogram.percentile(0.95, 100, 1), 0.374653);
  near(histogram.percentile(0.94, 100, 1), bucketEdgeSeconds(bucketOf(0.1)));
});

Deno.test("LatencyHistogram forgets after one to two rotations of 30 s", () => {
  const histogram = new LatencyHistogram();
  histogram.add(1, 0);
  histogram.add(1, 29);
  assert.equal(histogram.count(31), 2);
  histogram.add(1, 31);
  assert.equal(histogram.count(59), 3);
  assert.equal(histogram.count(62), 1);
  assert.equal(histogram.count(200), 0);
});
