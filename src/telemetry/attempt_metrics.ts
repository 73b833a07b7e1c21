/**
 * Metrics of attempts: what the gateway, as a client, asked of backends.
 *
 * The GenAI conventions renamed their client metrics in autumn 2026. `classic`
 * is the set most dashboards know (core conventions 1.41), `latest` the one of
 * the conventions' own repository, `both` is for the time of moving.
 *
 * @module
 */
import { Counter, type Registry } from "prom-client";
import type { AttemptKind, FailureReason, TargetSnapshot } from "../balance/types.ts";
import { declareHistogram, type Labels, OPERATION_BUCKETS } from "./histograms.ts";
import {
  type KnownNames,
  operationName,
  OTHER,
  type Provider,
  providerName,
  type Surface,
} from "./labels.ts";

/** Which names the client metrics have. */
export type Semconv = "classic" | "latest" | "both";

/** How an attempt ended: `cancelled` with its request, `lost_hedge` against a faster twin. */
export type AttemptOutcome = "ok" | FailureReason | "cancelled" | "lost_hedge";

/** One attempt, settled. */
export interface AttemptRecord {
  /** Backend name from the configuration. */
  readonly backend: string;
  /** The backend's wire format. */
  readonly provider: Provider;
  /** Upstream model from the configuration. */
  readonly model: string;
  /** The surface the request came in by. */
  readonly surface: Surface;
  /** Why it was started. */
  readonly kind: AttemptKind;
  /** How it ended. */
  readonly outcome: AttemptOutcome;
  /** From sending to settlement. */
  readonly durationSeconds: number;
  /** From sending to the first content; `null` for none, or for an answer that is no stream. */
  readonly firstTokenSeconds: number | null;
  /** Mean time from content to content after the first, or `null`. */
  readonly timePerOutputSeconds: number | null;
  /** Prompt tokens as the backend counted them, or `null`. */
  readonly promptTokens: number | null;
  /** Answer tokens as the backend counted them, or `null`. */
  readonly answerTokens: number | null;
  /** Whether no client got this answer: its tokens are counted apart. */
  readonly wasted: boolean;
}

/** Records attempts. */
export interface AttemptMetrics {
  /** An attempt was settled. */
  attemptFinished(record: AttemptRecord): void;
  /** Shows the series of every configured target at 0, so that their rates are right. */
  declareTargets(targets: readonly TargetSnapshot[]): void;
}

/** Records an attempt under one set of names. */
type ClientSet = (labels: Labels, record: AttemptRecord) => void;

/** Every outcome, for the series shown at 0; the type makes the compiler check the list. */
const OUTCOMES: Readonly<Record<AttemptOutcome, true>> = {
  ok: true,
  cancelled: true,
  lost_hedge: true,
  refused: true,
  dns: true,
  tls: true,
  connect_timeout: true,
  reset: true,
  status_5xx: true,
  rate_limited: true,
  unauthorized: true,
  model_missing: true,
  context_length: true,
  bad_request: true,
  content_filter: true,
  unreadable: true,
  in_band: true,
  first_token_timeout: true,
  cut: true,
  idle_timeout: true,
  malformed: true,
  total_timeout: true,
};

const TOKEN_BUCKETS = Array.from({ length: 14 }, (_, power) => 4 ** power);
const LABEL_NAMES = [
  "gen_ai_operation_name",
  "gen_ai_provider_name",
  "gen_ai_request_model",
  "gen_ai_response_model",
  "backend",
];

/** Declares the metrics of attempts. */
export function createAttemptMetrics(registry: Registry, semconv: Semconv, names: {
  readonly backends: KnownNames;
  readonly upstreamModels: KnownNames;
}): AttemptMetrics {
  const sets: ClientSet[] = [];
  if (semconv !== "latest") sets.push(declareClassic(registry));
  if (semconv !== "classic") sets.push(declareLatest(registry));
  const attempts = new Counter({
    name: "weir_attempts_total",
    help: "Attempts settled, by what they were started for and how they ended.",
    labelNames: ["backend", "model", "kind", "outcome"],
    registers: [registry],
  });
  const wasted = new Counter({
    name: "weir_wasted_tokens_total",
    help: "Tokens of attempts whose answer no client got, as far as backends said.",
    labelNames: ["backend", "model", "gen_ai_token_type"],
    registers: [registry],
  });
  return {
    attemptFinished(record): void {
      const backend = names.backends.label(record.backend);
      const model = names.upstreamModels.label(record.model);
      attempts.inc({ backend, model, kind: record.kind, outcome: record.outcome });
      if (record.wasted) {
        wasted.inc({ backend, model, gen_ai_token_type: "input" }, countOf(record.promptTokens));
        wasted.inc({ backend, model, gen_ai_token_type: "output" }, countOf(record.answerTokens));
      }
      const labels = {
        gen_ai_operation_name: operationName(record.surface),
        gen_ai_provider_name: providerName(record.provider),
        gen_ai_request_model: model,
        gen_ai_response_model: record.outcome === "ok" ? model : "",
        backend,
      };
      for (const set of sets) set(labels, record);
    },
    declareTargets(targets): void {
      for (const target of targets) {
        const backend = names.backends.label(target.backend);
        const model = names.upstreamModels.label(target.model);
        if (backend !== OTHER && model !== OTHER) {
          declareTarget({ attempts, wasted }, backend, model);
        }
      }
    },
  };
}

function declareTarget(
  counters: { readonly attempts: Counter; readonly wasted: Counter },
  backend: string,
  model: string,
): void {
  for (const outcome of Object.keys(OUTCOMES)) {
    counters.attempts.inc({ backend, model, kind: "first", outcome }, 0);
  }
  for (const kind of ["retry", "hedge", "rescue", "continuation"]) {
    counters.attempts.inc({ backend, model, kind, outcome: "ok" }, 0);
  }
  for (const type of ["input", "output"]) {
    counters.wasted.inc({ backend, model, gen_ai_token_type: type }, 0);
  }
}

/** Tokens as a counter may take them: what is no finite count is 0. */
function countOf(tokens: number | null): number {
  return tokens !== null && tokens >= 0 && tokens < Infinity ? tokens : 0;
}

/** `error_type` is absent on success; Prometheus drops an empty label. */
function withError(labels: Labels, { outcome }: AttemptRecord): Labels {
  return { ...labels, error_type: outcome === "ok" ? "" : outcome };
}

/** The three durations that both sets have, below a prefix. */
function declareDurations(registry: Registry, prefix: string): ClientSet {
  const duration = declareHistogram(registry, {
    name: `${prefix}_duration_seconds`,
    help: "Duration of one attempt at a backend.",
    labelNames: [...LABEL_NAMES, "error_type"],
    buckets: OPERATION_BUCKETS,
  });
  const firstChunk = declareHistogram(registry, {
    name: `${prefix}_time_to_first_chunk_seconds`,
    help: "Time from sending an attempt to its first content; streams only.",
    labelNames: LABEL_NAMES,
    buckets: OPERATION_BUCKETS,
  });
  const outputChunk = declareHistogram(registry, {
    name: `${prefix}_time_per_output_chunk_seconds`,
    help: "Mean time between pieces of content after the first; streams only.",
    labelNames: LABEL_NAMES,
    buckets: OPERATION_BUCKETS,
  });
  return (labels, record) => {
    duration(withError(labels, record), record.durationSeconds);
    firstChunk(labels, record.firstTokenSeconds);
    outputChunk(labels, record.timePerOutputSeconds);
  };
}

function declareClassic(registry: Registry): ClientSet {
  const durations = declareDurations(registry, "gen_ai_client_operation");
  const usage = declareHistogram(registry, {
    name: "gen_ai_client_token_usage",
    help: "Tokens of one attempt as the backend counted them.",
    labelNames: [...LABEL_NAMES, "gen_ai_token_type"],
    buckets: TOKEN_BUCKETS,
  });
  return (labels, record) => {
    durations(labels, record);
    if (record.wasted) return;
    if (record.promptTokens !== null) {
      usage({ ...labels, gen_ai_token_type: "input" }, record.promptTokens);
    }
    if (record.answerTokens !== null) {
      usage({ ...labels, gen_ai_token_type: "output" }, record.answerTokens);
    }
  };
}

function declareLatest(registry: Registry): ClientSet {
  const inference = declareDurations(registry, "gen_ai_client_inference");
  const embeddings = declareHistogram(registry, {
    name: "gen_ai_client_embeddings_duration_seconds",
    help: "Duration of one attempt at embeddings.",
    labelNames: [...LABEL_NAMES, "error_type"],
    buckets: OPERATION_BUCKETS,
  });
  const embeddingsInput = declareTokens(
    registry,
    "gen_ai_client_embeddings_operation_input_tokens",
  );
  const input = declareTokens(registry, "gen_ai_client_inference_operation_input_tokens");
  const output = declareTokens(registry, "gen_ai_client_inference_operation_output_tokens");
  const inputTotal = declareUsage(registry, "input");
  const outputTotal = declareUsage(registry, "output");
  return (labels, record) => {
    if (record.surface === "embeddings") {
      embeddings(withError(labels, record), record.durationSeconds);
      if (!record.wasted) embeddingsInput(labels, record.promptTokens);
      return;
    }
    inference(labels, record);
    if (record.wasted) return;
    input(labels, record.promptTokens);
    output(labels, record.answerTokens);
    // The conventions want these on failures too: the backend's count, or 0.
    const modality = { ...labels, gen_ai_token_modality: "unknown" };
    inputTotal.inc(modality, countOf(record.promptTokens));
    outputTotal.inc(modality, countOf(record.answerTokens));
  };
}

function declareTokens(
  registry: Registry,
  name: string,
): (labels: Labels, tokens: number | null) => void {
  return declareHistogram(registry, {
    name,
    help: "Tokens of one attempt as the backend counted them.",
    labelNames: LABEL_NAMES,
    buckets: TOKEN_BUCKETS,
  });
}

function declareUsage(registry: Registry, direction: "input" | "output"): Counter {
  return new Counter({
    name: `gen_ai_client_inference_usage_${direction}_tokens_total`,
    help: `Sum of ${direction} tokens as backends counted them.`,
    labelNames: [...LABEL_NAMES, "gen_ai_token_modality"],
    registers: [registry],
  });
}
