import assert from "node:assert/strict";
import { DueHistogram } from "./due_histogram.ts";

Deno.test("DueHistogram tells what is due to within a second", () => {
  const histogram = new DueHistogram();
  histogram.add(1_000, 2);
  histogram.add(5_500, 1);
  histogram.add(9_000, 1);
  assert.deepEqual([histogram.total, histogram.until(999)], [4, 0]);
  assert.deepEqual([histogram.until(1_000), histogram.until(5_000), histogram.until(20_000)], [
    2,
    3,
    4,
  ]);
  histogram.add(1_000, -2);
  assert.deepEqual([histogram.total, histogram.until(4_999)], [2, 0]);
});

Deno.test("DueHistogram keeps few buckets, however far the queue reaches", () => {
  const histogram = new DueHistogram();
  const count = 100_000;
  for (let at = 0; at < count; at++) histogram.add(at * 20_000, 1);
  assert.equal(histogram.total, count);
  assert.ok(histogram.widthMs >= count * 20_000 / 4_096, `${histogram.widthMs}`);
  assert.ok(histogram.widthMs <= count * 20_000 / 1_024, `${histogram.widthMs}`);
  const half = histogram.until(count * 10_000);
  assert.ok(Math.abs(half - count / 2) <= histogram.widthMs / 20_000 + 1, `${half}`);
  for (let at = 0; at < count; at++) histogram.add(at * 20_000, -1);
  assert.deepEqual([histogram.total, histogram.until(Infinity)], [0, 0]);
});
