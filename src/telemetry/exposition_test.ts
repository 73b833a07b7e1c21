import assert from "node:assert/strict";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { renderMetrics } from "./exposition.ts";
import { registerProcessMetrics } from "./process_metrics.ts";

const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN = "text/plain; version=0.0.4; charset=utf-8";
/** What Prometheus 2.x sends. */
const PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.8," +
  "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

function sample(): Registry {
  const registry = new Registry();
  const registers = [registry];
  new Counter({ name: "a_total", help: "A.", labelNames: ["x"], registers }).inc({ x: 'q"\\\n' });
  new Gauge({ name: "b", help: "B.", registers }).set(2);
  new Histogram({ name: "c_seconds", help: "C.", buckets: [0.5, 1], registers }).observe(0.7);
  return registry;
}

const PLAIN_TEXT = `# HELP a_total A.
# TYPE a_total counter
a_total{x="q\\"\\\\\\n"} 1

# HELP b B.
# TYPE b gauge
b 2

# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{le="0.5"} 0
c_seconds_bucket{le="1"} 1
c_seconds_bucket{le="+Inf"} 1
c_seconds_sum 0.7
c_seconds_count 1
`;

const OPEN_METRICS_TEXT = `# HELP a A.
# TYPE a counter
a_total{x="q\\"\\\\\\n"} 1
# HELP b B.
# TYPE b gauge
b 2
# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{le="0.5"} 0
c_seconds_bucket{le="1"} 1
c_seconds_bucket{le="+Inf"} 1
c_seconds_sum 0.7
c_seconds_count 1
# EOF
`;

Deno.test("renderMetrics() writes both formats, in any order, from one registry", async () => {
  const registry = sample();
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await renderMetrics(registry, PROMETHEUS), {
      body: OPEN_METRICS_TEXT,
      contentType: OPEN_METRICS,
    });
    assert.deepEqual(await renderMetrics(registry, null), {
      body: PLAIN_TEXT,
      contentType: PLAIN,
    });
  }
});

Deno.test("renderMetrics() keeps scrapes at the same time apart", async () => {
  const registry = sample();
  const bodies = await Promise.all(
    [PROMETHEUS, null, PROMETHEUS, null].map(async (accept) =>
      (await renderMetrics(registry, accept)).body
    ),
  );
  assert.deepEqual(bodies, [OPEN_METRICS_TEXT, PLAIN_TEXT, OPEN_METRICS_TEXT, PLAIN_TEXT]);
});

Deno.test("renderMetrics() chooses the format that the accept header prefers", async () => {
  const cases: ReadonlyArray<readonly [string | null, string]> = [
    [null, PLAIN],
    ["", PLAIN],
    ["*/*", PLAIN],
    ["text/html,*/*", PLAIN],
    ["text/plain;q=0.9, application/openmetrics-text;q=0.5", PLAIN],
    ["application/openmetrics-text; version=0.0.1", PLAIN],
    ["application/openmetrics-text;q=0", PLAIN],
    ["application/openmetrics-text;q=junk", PLAIN],
    ["application/openmetrics-text", OPEN_METRICS],
    ['Application/OpenMetrics-Text; version="1.0.0"; q=0.7, text/plain;q=0.7', OPEN_METRICS],
    [PROMETHEUS, OPEN_METRICS],
  ];
  const registry = sample();
  for (const [accept, contentType] of cases) {
    assert.equal((await renderMetrics(registry, accept)).contentType, contentType, `${accept}`);
  }
});

Deno.test("registerProcessMetrics() reads at scrape time, and CPU time never falls", async () => {
  const registry = new Registry();
  let cpuSeconds = 1.5;
  registerProcessMetrics(registry, {
    version: "1.2.3",
    denoVersion: "2.9.6",
    startSeconds: 1_700_000_000,
    residentBytes: () => 40_000_000,
    heapBytes: () => 10_000_000,
    cpuSeconds: () => cpuSeconds,
  });
  const read = async () => (await renderMetrics(registry, null)).body;
  const first = await read();
  assert.match(first, /^weir_build_info\{version="1.2.3",deno="2.9.6"\} 1$/m);
  assert.match(first, /^process_resident_memory_bytes 40000000$/m);
  assert.match(first, /^process_start_time_seconds 1700000000$/m);
  assert.match(first, /^process_cpu_seconds_total 1.5$/m);
  cpuSeconds = 1;
  assert.match(await read(), /^process_cpu_seconds_total 1.5$/m);
  cpuSeconds = 2.25;
  assert.match(await read(), /^process_cpu_seconds_total 2.25$/m);
});
