/**
 * Every metric of the gateway, behind one interface.
 *
 * Names follow the GenAI conventions where those have one (by OpenTelemetry's
 * rule for Prometheus names), else the prefix is `weir_`: base units, unit last,
 * `_total` for counters.
 *
 * Invariant: every label value comes from the configuration or from a closed
 * type. A request never adds one: a name nobody configured becomes `_OTHER`.
 *
 * What every request touches is kept in `series.ts`; what is rare, or read at
 * scrape time only, are plain metrics of `prom-client`.
 *
 * @module
 */
import { Counter, Gauge, type Registry } from "./prometheus.ts";
import type { FailureReason, TargetSnapshot } from "../balance/types.ts";
import {
  type AttemptMetrics,
  type AttemptRecord,
  createAttemptMetrics,
  type Semconv,
} from "./attempt_metrics.ts";
import { createBackendMetrics } from "./backend_metrics.ts";
import { KnownNames } from "./labels.ts";
import {
  createRequestMetrics,
  type RequestMetrics,
  type RequestRecord,
} from "./request_metrics.ts";
import { declareHistograms } from "./series.ts";

/** What happened to a hedge. */
export type HedgeResult = "sent" | "won" | "lost";

/** What happened to the continuation of a broken stream. */
export type ContinuationResult = "started" | "completed" | "mismatch" | "failed";

/** What the gateway records. No method throws, and none waits. */
export interface Metrics extends Omit<RequestMetrics, "declareModels"> {
  /** A request that was reported started has ended. */
  requestFinished(record: RequestRecord): void;
  /** An attempt was settled. */
  attemptFinished(record: AttemptRecord): void;
  /** A request is tried again because of `reason`. */
  retry(labels: { readonly model: string; readonly reason: FailureReason }): void;
  /** A hedge was sent, or the race it started was decided. */
  hedge(labels: { readonly model: string; readonly result: HedgeResult }): void;
  /** A continuation began or ended. */
  continuation(labels: { readonly model: string; readonly result: ContinuationResult }): void;
  /** A stream to a client opened or closed. */
  streamsOpen(delta: 1 | -1): void;
  /** A keep-alive comment was sent. */
  keepAlive(): void;
  /** The event loop ran a timer this much late. */
  eventLoopLag(seconds: number): void;
}

/** What is read when somebody looks; each is called at most a few times a scrape. */
export interface MetricsSources {
  /** Every configured model alias. */
  models(): readonly string[];
  /** Every configured target as the balancer sees it now. */
  targets(): readonly TargetSnapshot[];
  /** Retry tokens left, by model alias. */
  retryTokens(): ReadonlyArray<{ readonly model: string; readonly tokens: number }>;
}

/** How metrics are named, and where the rest is read. */
export interface MetricsOptions {
  /** Names of the client metrics. */
  readonly semconv: Semconv;
  /** The balancer and the configuration. */
  readonly collect: MetricsSources;
}

/** Reasons that retries have; the others end a request, so their series start when needed. */
const RETRIED: readonly FailureReason[] = [
  "refused",
  "dns",
  "tls",
  "connect_timeout",
  "reset",
  "status_5xx",
  "rate_limited",
  "unreadable",
  "in_band",
  "first_token_timeout",
];
const HEDGE_RESULTS: readonly HedgeResult[] = ["sent", "won", "lost"];
const CONTINUATION_RESULTS: readonly ContinuationResult[] = [
  "started",
  "completed",
  "mismatch",
  "failed",
];
const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/**
 * Declares the metrics in `registry`; every test brings its own.
 *
 * @throws {Error} If `registry` already holds a metric of one of these names.
 */
export function createMetrics(registry: Registry, options: MetricsOptions): Metrics {
  const { collect, semconv } = options;
  const models = new KnownNames(() => collect.models());
  const names = {
    backends: new KnownNames(() => collect.targets().map((target) => target.backend)),
    upstreamModels: new KnownNames(() => collect.targets().map((target) => target.model)),
  };
  let refresh = (): void => {};
  // Declared first: a scrape collects in the order of declaration, so this one's
  // collect brings all that follow up to date.
  const retryTokens = new Gauge({
    name: "weir_retry_budget_tokens",
    help: "Retries that may be sent now.",
    labelNames: ["model"],
    registers: [registry],
    collect: () => refresh(),
  });
  const setBackends = createBackendMetrics(registry);
  const requests = createRequestMetrics(registry, models, names);
  const attempts = createAttemptMetrics(registry, semconv, names);
  const flow = createFlowMetrics(registry, models);
  refresh = () => {
    const targets = collect.targets();
    retryTokens.reset();
    for (const { model, tokens } of collect.retryTokens()) {
      retryTokens.set({ model: models.label(model) }, tokens);
    }
    setBackends(targets);
    declareNew({ requests, attempts, flow }, collect.models(), targets);
  };
  return compose(requests, attempts, flow);
}

function compose(
  { requestStarted, requestFinished, rejected }: RequestMetrics,
  { attemptFinished }: AttemptMetrics,
  { retry, hedge, continuation, streamsOpen, keepAlive, eventLoopLag }: FlowMetrics,
): Metrics {
  return {
    requestStarted,
    requestFinished,
    rejected,
    attemptFinished,
    retry,
    hedge,
    continuation,
    streamsOpen,
    keepAlive,
    eventLoopLag,
  };
}

/** Shows what the configuration names at 0. Adding 0 to a series that counts changes nothing. */
function declareNew(
  parts: {
    readonly requests: RequestMetrics;
    readonly attempts: AttemptMetrics;
    readonly flow: FlowMetrics;
  },
  models: readonly string[],
  targets: readonly TargetSnapshot[],
): void {
  parts.requests.declareModels(models);
  parts.attempts.declareTargets(targets);
  parts.flow.declareModels(models);
}

interface FlowMetrics extends
  Pick<
    Metrics,
    "retry" | "hedge" | "continuation" | "streamsOpen" | "keepAlive" | "eventLoopLag"
  > {
  declareModels(names: readonly string[]): void;
}

function createFlowMetrics(registry: Registry, models: KnownNames): FlowMetrics {
  const registers = [registry];
  const retries = new Counter({
    name: "weir_retries_total",
    help: "Requests tried again, by what made it necessary.",
    labelNames: ["model", "reason"],
    registers,
  });
  const hedges = new Counter({
    name: "weir_hedges_total",
    help: "Hedges sent, and how their races ended.",
    labelNames: ["model", "result"],
    registers,
  });
  const continuations = new Counter({
    name: "weir_continuations_total",
    help: "Broken streams carried on elsewhere, and how that ended.",
    labelNames: ["model", "result"],
    registers,
  });
  const streams = new Gauge({
    name: "weir_streams_open",
    help: "Streams open to clients.",
    registers,
  });
  const keepAlives = new Counter({
    name: "weir_keep_alives_total",
    help: "Keep-alive comments sent on silent streams.",
    registers,
  });
  const lag = declareHistograms(registry, {
    name: "weir_event_loop_lag_seconds",
    help: "How late the event loop ran a timer.",
    labelNames: [],
  }, LAG_BUCKETS).of({});
  return {
    retry: ({ model, reason }) => retries.inc({ model: models.label(model), reason }),
    hedge: ({ model, result }) => hedges.inc({ model: models.label(model), result }),
    continuation: ({ model, result }) => continuations.inc({ model: models.label(model), result }),
    streamsOpen: (delta) => streams.inc(delta),
    keepAlive: () => keepAlives.inc(),
    eventLoopLag: (seconds) => lag.observe(seconds),
    declareModels(names): void {
      for (const name of names) {
        const model = models.label(name);
        for (const reason of RETRIED) retries.inc({ model, reason }, 0);
        for (const result of HEDGE_RESULTS) hedges.inc({ model, result }, 0);
        for (const result of CONTINUATION_RESULTS) continuations.inc({ model, result }, 0);
      }
    },
  };
}
