/**
 * What recording one request with one attempt costs, and what a scrape costs.
 *
 * Budget: a request under 10 µs. The baseline is the one histogram that any
 * gateway would have; "both" records the client metrics under two sets of names.
 *
 *     deno bench bench/metrics_bench.ts
 *
 * @module
 */
import { Histogram, Registry } from "prom-client";
import type { TargetSnapshot } from "../src/balance/types.ts";
import { createLog } from "../src/telemetry/log.ts";
import { renderMetrics } from "../src/telemetry/exposition.ts";
import { createMetrics, type Metrics } from "../src/telemetry/metrics.ts";

const targets: TargetSnapshot[] = Array.from({ length: 4 }, (_, index) => ({
  backend: `backend-${index}`,
  model: "llama-3.1-8b",
  score: 0.25,
  latencySeconds: 0.2,
  silenceSeconds: 0,
  decodeFactor: 1,
  slowStart: 1,
  inFlight: 1,
  breaker: "closed",
  trips: 0,
  openSeconds: 0,
  cooldownSeconds: 0,
}));

function metricsIn(registry: Registry, semconv: "classic" | "both"): Metrics {
  return createMetrics(registry, {
    semconv,
    collect: { models: () => ["chat"], targets: () => targets, retryTokens: () => [] },
  });
}

function recordRequest(metrics: Metrics): void {
  metrics.requestStarted({ surface: "chat", model: "chat" });
  metrics.streamsOpen(1);
  metrics.attemptFinished({
    backend: "backend-1",
    provider: "openai",
    model: "llama-3.1-8b",
    surface: "chat",
    kind: "first",
    outcome: "ok",
    durationSeconds: 1.5,
    firstTokenSeconds: 0.05,
    timePerOutputSeconds: 0.02,
    promptTokens: 100,
    answerTokens: 20,
    wasted: false,
  });
  metrics.streamsOpen(-1);
  metrics.requestFinished({
    surface: "chat",
    model: "chat",
    backend: "backend-1",
    provider: "openai",
    responseModel: "llama-3.1-8b",
    stream: true,
    status: 200,
    outcome: "ok",
    reason: "none",
    durationSeconds: 1.5,
    firstTokenSeconds: 0.05,
    timePerOutputTokenSeconds: 0.02,
    overheadSeconds: 0.0002,
    attempts: 1,
  });
}

const alone = new Histogram({
  name: "request_duration_seconds",
  help: "Duration.",
  labelNames: ["model", "backend"],
  registers: [new Registry()],
});
Deno.bench({
  name: "one labelled histogram",
  group: "record",
  baseline: true,
  fn: () => alone.observe({ model: "chat", backend: "backend-1" }, 1.5),
});

const classicRegistry = new Registry();
const classic = metricsIn(classicRegistry, "classic");
Deno.bench({
  name: "one request, one attempt (classic)",
  group: "record",
  fn: () => recordRequest(classic),
});

const both = metricsIn(new Registry(), "both");
Deno.bench({
  name: "one request, one attempt (both)",
  group: "record",
  fn: () => recordRequest(both),
});

Deno.bench({
  name: "scrape, 4 targets, text 0.0.4",
  group: "scrape",
  baseline: true,
  fn: async () => void await renderMetrics(classicRegistry, null),
});
Deno.bench({
  name: "scrape, 4 targets, OpenMetrics",
  group: "scrape",
  fn: async () => void await renderMetrics(classicRegistry, "application/openmetrics-text"),
});

let writtenCharacters = 0;
const log = createLog({
  write: (line) => {
    writtenCharacters += line.length;
  },
  clock: { wallMs: () => 1_700_000_000_000 },
  level: "info",
  secrets: new Set(["sk-live-0123456789", "sk-live-9876543210"]),
});
Deno.bench({
  name: "log line, 8 fields, 2 secrets",
  group: "log",
  fn: () =>
    log.info("request.finished", {
      trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
      "http.request.method": "POST",
      "url.path": "/v1/chat/completions",
      "http.response.status_code": 200,
      "gen_ai.request.model": "chat",
      backend: "backend-1",
      durationSeconds: 1.5,
      attempts: 1,
    }),
});
