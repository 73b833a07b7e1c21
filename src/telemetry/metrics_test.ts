import assert from "node:assert/strict";
import { Registry } from "./prometheus.ts";
import type { TargetSnapshot } from "../balance/types.ts";
import type { AttemptRecord, Semconv } from "./attempt_metrics.ts";
import { renderMetrics } from "./exposition.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import type { RequestRecord } from "./request_metrics.ts";

const TARGET: TargetSnapshot = {
  backend: "fast",
  model: "llama",
  score: 0.25,
  latencySeconds: 0.2,
  silenceSeconds: 0.05,
  decodeFactor: 1.5,
  slowStart: 0.5,
  inFlight: 3,
  breaker: "half_open",
  trips: 2,
  openSeconds: 0,
  cooldownSeconds: 4,
};
const REQUEST: RequestRecord = {
  surface: "chat",
  model: "chat",
  backend: "fast",
  provider: "openai",
  responseModel: "llama",
  stream: true,
  status: 200,
  outcome: "ok",
  reason: "none",
  durationSeconds: 1.5,
  firstTokenSeconds: 0.05,
  timePerOutputTokenSeconds: 0.02,
  overheadSeconds: 0.0002,
  attempts: 1,
};
const ATTEMPT: AttemptRecord = {
  backend: "fast",
  provider: "openai",
  model: "llama",
  surface: "chat",
  kind: "first",
  outcome: "ok",
  durationSeconds: 1.5,
  firstTokenSeconds: 0.05,
  timePerOutputSeconds: 0.02,
  promptTokens: 100,
  answerTokens: 20,
  wasted: false,
};

interface Gateway {
  readonly metrics: Metrics;
  readonly registry: Registry;
  /** Samples of one scrape: the text before the value, and the value. */
  scrape(): Promise<Map<string, number>>;
}

function gateway(semconv: Semconv = "classic", targets = [TARGET]): Gateway {
  const registry = new Registry();
  const metrics = createMetrics(registry, {
    semconv,
    collect: {
      models: () => ["chat", "cheap"],
      targets: () => targets,
      retryTokens: () => [{ model: "chat", tokens: 9.5 }],
    },
  });
  return {
    metrics,
    registry,
    scrape: async () => samplesOf((await renderMetrics(registry, null)).body),
  };
}

/** Reads exposition text; refuses lines that are no sample, and samples that come twice. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const match = /^([a-z_:][a-z0-9_:]*(?:\{(?:[a-z_]+="[^"\n]*",?)*\})?) (\S+)$/.exec(line);
    assert.ok(match, `no sample: ${line}`);
    const [, series = "", value = ""] = match;
    assert.ok(!samples.has(series), `twice: ${series}`);
    samples.set(series, value === "+Inf" ? Infinity : Number(value));
  }
  return samples;
}

/** The sum of all samples of a name whose labels hold every one of `parts`. */
function sum(samples: Map<string, number>, name: string, ...parts: string[]): number {
  let total = 0;
  for (const [series, value] of samples) {
    if (series.split("{")[0] !== name) continue;
    if (parts.every((part) => series.includes(part))) total += value;
  }
  return total;
}

function boundsOf(samples: Map<string, number>, name: string): string[] {
  const bounds = [...samples.keys()]
    .filter((series) => series.startsWith(`${name}_bucket{`))
    .map((series) => /le="([^"]+)"/.exec(series)?.[1] ?? "");
  return [...new Set(bounds)];
}

Deno.test("createMetrics() records a request under the GenAI server names and its own", async () => {
  const { metrics, scrape } = gateway();
  metrics.requestStarted({ surface: "chat", model: "chat" });
  assert.equal(sum(await scrape(), "weir_requests_in_flight", 'model="chat"'), 1);
  metrics.requestFinished(REQUEST);
  const samples = await scrape();
  assert.equal(sum(samples, "weir_requests_in_flight"), 0);
  assert.equal(sum(samples, "weir_requests_total", 'status="200"', 'stream="true"'), 1);
  const labels = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",' +
    'gen_ai_request_model="chat",gen_ai_response_model="llama",backend="fast"';
  assert.equal(
    samples.get(`gen_ai_server_request_duration_seconds_sum{${labels},error_type=""}`),
    1.5,
  );
  assert.equal(
    samples.get(`gen_ai_server_time_to_first_token_seconds_bucket{le="0.06",${labels}}`),
    1,
  );
  assert.equal(
    samples.get(`gen_ai_server_time_to_first_token_seconds_bucket{le="0.04",${labels}}`),
    0,
  );
  assert.equal(sum(samples, "gen_ai_server_time_per_output_token_seconds_count"), 1);
  assert.equal(sum(samples, "weir_gateway_overhead_seconds_bucket", 'le="0.0001"'), 0);
  assert.equal(sum(samples, "weir_gateway_overhead_seconds_bucket", 'le="0.00025"'), 1);
  assert.equal(sum(samples, "weir_request_attempts_sum", 'model="chat"'), 1);
  assert.equal(sum(samples, "weir_request_errors_total"), 0);
});

Deno.test("createMetrics() uses exactly the conventions' buckets", async () => {
  const { metrics, scrape } = gateway("both");
  metrics.requestFinished(REQUEST);
  metrics.attemptFinished(ATTEMPT);
  metrics.attemptFinished({ ...ATTEMPT, surface: "embeddings" });
  const samples = await scrape();
  const operation = "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92";
  const tokens =
    "1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864 +Inf";
  const expected = {
    gen_ai_server_request_duration_seconds: `${operation} +Inf`,
    gen_ai_server_time_to_first_token_seconds:
      "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf",
    gen_ai_server_time_per_output_token_seconds:
      "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5 +Inf",
    gen_ai_client_operation_duration_seconds: `${operation} +Inf`,
    gen_ai_client_operation_time_to_first_chunk_seconds: `${operation} +Inf`,
    gen_ai_client_operation_time_per_output_chunk_seconds: `${operation} +Inf`,
    gen_ai_client_inference_duration_seconds: `${operation} +Inf`,
    gen_ai_client_inference_time_to_first_chunk_seconds: `${operation} +Inf`,
    gen_ai_client_inference_time_per_output_chunk_seconds: `${operation} +Inf`,
    gen_ai_client_embeddings_duration_seconds: `${operation} +Inf`,
    gen_ai_client_token_usage: tokens,
    gen_ai_client_inference_operation_input_tokens: tokens,
    gen_ai_client_embeddings_operation_input_tokens: tokens,
  };
  for (const [name, bounds] of Object.entries(expected)) {
    assert.equal(boundsOf(samples, name).join(" "), bounds, name);
  }
});

Deno.test("createMetrics() names the client metrics by the chosen conventions", async () => {
  const namesOf = async (semconv: Semconv): Promise<string[]> => {
    const { registry } = gateway(semconv);
    const { body } = await renderMetrics(registry, null);
    return [...body.matchAll(/^# TYPE (gen_ai_client_\S+)/gm)].map((match) => match[1] ?? "");
  };
  const classic = await namesOf("classic");
  const latest = await namesOf("latest");
  assert.ok(classic.includes("gen_ai_client_token_usage"));
  assert.ok(!classic.some((name) => name.includes("inference")));
  assert.ok(latest.includes("gen_ai_client_inference_usage_output_tokens_total"));
  assert.ok(!latest.some((name) => /client_operation|token_usage/.test(name)));
  assert.deepEqual((await namesOf("both")).sort(), [...classic, ...latest].sort());
});

Deno.test("createMetrics() counts tokens by direction, and those of losers apart", async () => {
  const { metrics, scrape } = gateway("both");
  metrics.attemptFinished(ATTEMPT);
  metrics.attemptFinished({ ...ATTEMPT, kind: "hedge", outcome: "lost_hedge", wasted: true });
  metrics.attemptFinished({
    ...ATTEMPT,
    kind: "retry",
    outcome: "cut",
    promptTokens: null,
    answerTokens: null,
  });
  const samples = await scrape();
  const usage = "gen_ai_client_token_usage_sum";
  assert.equal(sum(samples, usage, 'gen_ai_token_type="input"'), 100);
  assert.equal(sum(samples, usage, 'gen_ai_token_type="output"'), 20);
  const total = "gen_ai_client_inference_usage_input_tokens_total";
  assert.equal(sum(samples, total, 'gen_ai_token_modality="unknown"'), 100);
  assert.equal(sum(samples, "weir_wasted_tokens_total", 'gen_ai_token_type="output"'), 20);
  const attempts = "weir_attempts_total";
  assert.equal(sum(samples, attempts, 'kind="hedge"', 'outcome="lost_hedge"'), 1);
  assert.equal(sum(samples, attempts, 'kind="retry"', 'outcome="cut"'), 1);
  const duration = "gen_ai_client_operation_duration_seconds_count";
  assert.equal(sum(samples, duration, 'error_type="cut"'), 1);
});

Deno.test("createMetrics() counts errors by reason, and by outcome where there is none", async () => {
  const { metrics, scrape } = gateway();
  metrics.requestFinished({ ...REQUEST, status: 504, outcome: "error", reason: "idle_timeout" });
  metrics.requestFinished({ ...REQUEST, status: 477, outcome: "client_gone", reason: "none" });
  metrics.rejected("invalid_api_key");
  const samples = await scrape();
  assert.equal(samples.get('weir_request_errors_total{reason="idle_timeout"}'), 1);
  assert.equal(samples.get('weir_request_errors_total{reason="client_gone"}'), 1);
  assert.equal(samples.get('weir_requests_rejected_total{reason="invalid_api_key"}'), 1);
  assert.equal(sum(samples, "weir_requests_total", 'status="4xx"'), 1);
  const duration = "gen_ai_server_request_duration_seconds_count";
  assert.equal(sum(samples, duration, 'error_type="idle_timeout"'), 1);
});

Deno.test("createMetrics() shows the balancer's view and forgets a target that left", async () => {
  const targets = [TARGET];
  const { scrape } = gateway("classic", targets);
  const samples = await scrape();
  const read = (name: string) => samples.get(`${name}{backend="fast",model="llama"}`);
  assert.equal(read("weir_backend_score_seconds"), 0.25);
  assert.equal(read("weir_backend_latency_seconds"), 0.2);
  assert.equal(read("weir_backend_silence_seconds"), 0.05);
  assert.equal(read("weir_backend_decode_factor"), 1.5);
  assert.equal(read("weir_backend_slow_start"), 0.5);
  assert.equal(read("weir_backend_in_flight"), 3);
  assert.equal(read("weir_backend_breaker_state"), 1);
  assert.equal(read("weir_backend_breaker_trips"), 2);
  assert.equal(read("weir_backend_cooldown_seconds"), 4);
  assert.equal(samples.get('weir_retry_budget_tokens{model="chat"}'), 9.5);

  targets[0] = { ...TARGET, backend: "new", breaker: "open", openSeconds: 7 };
  const later = await scrape();
  const series = '{backend="new",model="llama"}';
  assert.equal(later.get(`weir_backend_breaker_open_seconds${series}`), 7);
  assert.equal(later.get(`weir_backend_breaker_state${series}`), 2);
  assert.equal(sum(later, "weir_backend_in_flight", 'backend="fast"'), 0);
});

Deno.test("createMetrics() shows counters at 0 before anything happened", async () => {
  const samples = await gateway().scrape();
  for (
    const series of [
      'weir_requests_total{surface="chat",model="cheap",stream="true",status="200",outcome="ok"}',
      'weir_request_errors_total{reason="no_healthy_backend"}',
      'weir_attempts_total{backend="fast",model="llama",kind="first",outcome="refused"}',
      'weir_retries_total{model="chat",reason="status_5xx"}',
      'weir_hedges_total{model="cheap",result="won"}',
      'weir_continuations_total{model="chat",result="mismatch"}',
      "weir_keep_alives_total",
      "weir_streams_open",
    ]
  ) {
    assert.equal(samples.get(series), 0, series);
  }
});

Deno.test("createMetrics() does not grow with names that nobody configured", async () => {
  const { metrics, scrape } = gateway("both");
  const play = (model: string, backend: string): void => {
    metrics.requestStarted({ surface: "chat", model });
    metrics.requestFinished({ ...REQUEST, model, backend, responseModel: model });
    metrics.attemptFinished({ ...ATTEMPT, model, backend });
    metrics.retry({ model, reason: "reset" });
    metrics.hedge({ model, result: "sent" });
    metrics.continuation({ model, result: "failed" });
  };
  play("nobody", "nowhere");
  const before = [...(await scrape()).keys()].sort();
  for (let i = 0; i < 1_000; i++) play(`model-${i}`, `backend-${i}`);
  const samples = await scrape();
  assert.deepEqual([...samples.keys()].sort(), before);
  assert.ok(before.length < 2_000, `${before.length} series`);
  assert.equal(sum(samples, "weir_requests_total", 'model="_OTHER"'), 1_001);
  assert.equal(sum(samples, "weir_requests_in_flight"), 0);
});

Deno.test("createMetrics() leaves out measurements that are none, and does not throw", async () => {
  const { metrics, scrape } = gateway();
  metrics.requestFinished({ ...REQUEST, firstTokenSeconds: NaN, overheadSeconds: -1 });
  metrics.attemptFinished({ ...ATTEMPT, promptTokens: Infinity, wasted: true });
  metrics.eventLoopLag(NaN);
  const samples = await scrape();
  assert.equal(sum(samples, "gen_ai_server_time_to_first_token_seconds_count"), 0);
  assert.equal(sum(samples, "weir_gateway_overhead_seconds_count"), 0);
  assert.equal(sum(samples, "weir_wasted_tokens_total", 'gen_ai_token_type="input"'), 0);
  assert.equal(sum(samples, "weir_event_loop_lag_seconds_count"), 0);
});

Deno.test("createMetrics() tracks open streams, keep-alives and event-loop lag", async () => {
  const { metrics, scrape } = gateway();
  metrics.streamsOpen(1);
  metrics.streamsOpen(1);
  metrics.streamsOpen(-1);
  metrics.keepAlive();
  metrics.eventLoopLag(0.02);
  const samples = await scrape();
  assert.equal(samples.get("weir_streams_open"), 1);
  assert.equal(samples.get("weir_keep_alives_total"), 1);
  assert.equal(samples.get('weir_event_loop_lag_seconds_bucket{le="0.025"}'), 1);
  assert.equal(samples.get('weir_event_loop_lag_seconds_bucket{le="0.01"}'), 0);
});
