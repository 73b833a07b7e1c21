import assert from "node:assert/strict";
import { Registry } from "prom-client";
import { renderMetrics } from "./exposition.ts";
import { MetricList } from "./metric_list.ts";
import {
  declareHistograms,
  declareNumbers,
  declareReadings,
  type MetricRegistry,
} from "./series.ts";

function declareAll(registry: MetricRegistry): void {
  const labelNames = ["x"];
  const counts = declareNumbers(registry, "counter", {
    name: "a_total",
    help: "A\\\n.",
    labelNames,
  });
  counts.of({ x: 'q"\\\n' }).value = 3;
  declareHistograms(registry, { name: "b_seconds", help: "B.", labelNames }, [0.5, 1])
    .of({ x: "1" }).observe(0.7);
  declareReadings(registry, "gauge", { name: "c", help: "C." }, () => [
    { labels: { x: "1" }, value: Infinity },
    { value: -2.5 },
  ]);
  declareReadings(registry, "gauge", { name: "d", help: "Nothing now." }, () => []);
}

Deno.test("a MetricList is written as prom-client writes its own registry", async () => {
  const [ours, theirs] = [new MetricList(), new Registry()];
  declareAll(ours);
  declareAll(theirs);
  assert.equal((await renderMetrics(ours, null)).body, await theirs.metrics());
});

Deno.test("MetricList refuses a name that is taken", () => {
  const list = new MetricList();
  declareAll(list);
  assert.throws(() => declareAll(list), /^Error: Cannot declare a_total: the name is taken$/);
});
