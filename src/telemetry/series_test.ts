import assert from "node:assert/strict";
import { Histogram, Registry } from "prom-client";
import { declareHistograms, declareNumbers } from "./series.ts";

Deno.test("declareHistograms() writes what prom-client writes for the same values", async () => {
  const spec = { name: "a_seconds", help: "A.", labelNames: ["x", "y"] };
  const buckets = [0.1, 0.5, 1];
  const values = [0, 0.1, 0.100001, 0.5, 0.7, 1, 1.5, 80];
  const ours = new Registry();
  const family = declareHistograms(ours, spec, buckets);
  const theirs = new Registry();
  const histogram = new Histogram({ ...spec, buckets, registers: [theirs] });
  for (const labels of [{ x: "1", y: 'q"' }, { x: "1", y: "" }]) {
    for (const value of values) {
      family.of(labels).observe(value);
      histogram.observe(labels, value);
    }
  }
  assert.equal(await ours.metrics(), await theirs.metrics());
});

Deno.test("HistogramSeries.observe() leaves out what is no measurement", async () => {
  const registry = new Registry();
  const series = declareHistograms(registry, { name: "a", help: "A.", labelNames: [] }, [1]).of({});
  for (const value of [null, NaN, -1, Infinity, 2]) series.observe(value);
  assert.match(await registry.metrics(), /^a_bucket\{le="1"\} 0\n.*\na_sum 2\na_count 1$/m);
});

Deno.test("declareNumbers() gives one series for equal labels, in any order of names", async () => {
  const registry = new Registry();
  const family = declareNumbers(registry, "counter", {
    name: "a_total",
    help: "A.",
    labelNames: ["x", "y"],
  });
  family.of({ x: "1", y: "2" }).value++;
  family.of({ y: "2", x: "1" }).value += 2;
  family.of({ x: "12", y: "" });
  assert.match(await registry.metrics(), /\na_total\{x="1",y="2"\} 3\na_total\{x="12",y=""\} 0\n/);
});

Deno.test("declareNumbers() refuses a name that is taken", () => {
  const registry = new Registry();
  const spec = { name: "a", help: "A.", labelNames: [] };
  declareNumbers(registry, "gauge", spec);
  assert.throws(() => declareNumbers(registry, "gauge", spec), /already been registered/);
});
