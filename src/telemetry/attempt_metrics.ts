/**
 * Metrics of attempts: what the gateway, as a client, asked of backends.
 *
 * The GenAI conventions renamed their client metrics in autumn 2026. `classic`
 * is the set most dashboards know (core conventions 1.41), `latest` the one of
 * the conventions' own repository, `both` is for the time of moving.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { AttemptKind, FailureReason, TargetSnapshot } from "../balance/types.ts";
import {
  type KnownNames,
  operationName,
  OTHER,
  type Provider,
  providerName,
  type Surface,
} from "./labels.ts";
import {
  declareHistograms,
  declareNumbers,
  type Family,
  type HistogramSeries,
  type Labels,
  type NumberSeries,
  OPERATION_BUCKETS,
} from "./series.ts";

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

/** Adds one attempt to series that were found beforehand. */
type Recorder = (record: AttemptRecord) => void;

/** Finds the series of one kind of attempt under one set of names. */
type ClientSet = (labels: Labels, kind: AttemptRecord) => Recorder;

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
  const own = declareOwn(registry);
  const sets: ClientSet[] = [];
  if (semconv !== "latest") sets.push(declareClassic(registry));
  if (semconv !== "classic") sets.push(declareLatest(registry));
  // Every part of the key comes from a closed list, so the map is bounded.
  const cache = new Map<string, readonly Recorder[]>();
  return {
    attemptFinished(record): void {
      const backend = names.backends.label(record.backend);
      const model = names.upstreamModels.label(record.model);
      const { provider, surface, kind, outcome, wasted } = record;
      const key = `${backend}\0${provider}\0${model}\0${surface}\0${kind}\0${outcome}\0${wasted}`;
      let recorders = cache.get(key);
      if (recorders === undefined) {
        const labels = labelsOf(record, backend, model);
        recorders = [
          ownRecorder(own, record, { backend, model }),
          ...sets.map((set) => set(labels, record)),
        ];
        cache.set(key, recorders);
      }
      for (const recorder of recorders) recorder(record);
    },
    declareTargets(targets): void {
      for (const target of targets) {
        const backend = names.backends.label(target.backend);
        const model = names.upstreamModels.label(target.model);
        if (backend !== OTHER && model !== OTHER) declareTarget(own, { backend, model });
      }
    },
  };
}

function labelsOf(record: AttemptRecord, backend: string, model: string): Labels {
  return {
    gen_ai_operation_name: operationName(record.surface),
    gen_ai_provider_name: providerName(record.provider),
    gen_ai_request_model: model,
    gen_ai_response_model: record.outcome === "ok" ? model : "",
    backend,
    // Absent on success, as the conventions want; Prometheus drops an empty label.
    error_type: record.outcome === "ok" ? "" : record.outcome,
  };
}

interface OwnFamilies {
  readonly attempts: Family<NumberSeries>;
  readonly wasted: Family<NumberSeries>;
}

interface TargetLabels {
  readonly backend: string;
  readonly model: string;
}

function declareOwn(registry: Registry): OwnFamilies {
  return {
    attempts: declareNumbers(registry, "counter", {
      name: "weir_attempts_total",
      help: "Attempts settled, by what they were started for and how they ended.",
      labelNames: ["backend", "model", "kind", "outcome"],
    }),
    wasted: declareNumbers(registry, "counter", {
      name: "weir_wasted_tokens_total",
      help: "Tokens of attempts whose answer no client got, as far as backends said.",
      labelNames: ["backend", "model", "gen_ai_token_type"],
    }),
  };
}

function ownRecorder(own: OwnFamilies, kind: AttemptRecord, target: TargetLabels): Recorder {
  const attempts = own.attempts.of({ ...target, kind: kind.kind, outcome: kind.outcome });
  if (!kind.wasted) return () => void attempts.value++;
  const input = own.wasted.of({ ...target, gen_ai_token_type: "input" });
  const output = own.wasted.of({ ...target, gen_ai_token_type: "output" });
  return (record) => {
    attempts.value++;
    input.value += countOf(record.promptTokens);
    output.value += countOf(record.answerTokens);
  };
}

function declareTarget(own: OwnFamilies, target: TargetLabels): void {
  for (const outcome of Object.keys(OUTCOMES)) {
    own.attempts.of({ ...target, kind: "first", outcome });
  }
  for (const kind of ["retry", "hedge", "rescue", "continuation"]) {
    own.attempts.of({ ...target, kind, outcome: "ok" });
  }
  for (const type of ["input", "output"]) own.wasted.of({ ...target, gen_ai_token_type: type });
}

/** Tokens as a counter may take them: what is no finite count is 0. */
function countOf(tokens: number | null): number {
  return tokens !== null && tokens >= 0 && tokens < Infinity ? tokens : 0;
}

/** The three durations that both sets have, below a prefix. */
function declareDurations(registry: Registry, prefix: string): ClientSet {
  const durations = declareHistograms(registry, {
    name: `${prefix}_duration_seconds`,
    help: "Duration of one attempt at a backend.",
    labelNames: [...LABEL_NAMES, "error_type"],
  }, OPERATION_BUCKETS);
  const firstChunks = declareHistograms(registry, {
    name: `${prefix}_time_to_first_chunk_seconds`,
    help: "Time from sending an attempt to its first content; streams only.",
    labelNames: LABEL_NAMES,
  }, OPERATION_BUCKETS);
  const outputChunks = declareHistograms(registry, {
    name: `${prefix}_time_per_output_chunk_seconds`,
    help: "Mean time between pieces of content after the first; streams only.",
    labelNames: LABEL_NAMES,
  }, OPERATION_BUCKETS);
  return (labels) => {
    const duration = durations.of(labels);
    const firstChunk = firstChunks.of(labels);
    const outputChunk = outputChunks.of(labels);
    return (record) => {
      duration.observe(record.durationSeconds);
      firstChunk.observe(record.firstTokenSeconds);
      outputChunk.observe(record.timePerOutputSeconds);
    };
  };
}

function declareClassic(registry: Registry): ClientSet {
  const durations = declareDurations(registry, "gen_ai_client_operation");
  const usage = declareHistograms(registry, {
    name: "gen_ai_client_token_usage",
    help: "Tokens of one attempt as the backend counted them.",
    labelNames: [...LABEL_NAMES, "gen_ai_token_type"],
  }, TOKEN_BUCKETS);
  return (labels, kind) => {
    const recordDurations = durations(labels, kind);
    if (kind.wasted) return recordDurations;
    const input = usage.of({ ...labels, gen_ai_token_type: "input" });
    const output = usage.of({ ...labels, gen_ai_token_type: "output" });
    return (record) => {
      recordDurations(record);
      input.observe(record.promptTokens);
      output.observe(record.answerTokens);
    };
  };
}

function declareLatest(registry: Registry): ClientSet {
  const inference = declareInference(registry);
  const durations = declareHistograms(registry, {
    name: "gen_ai_client_embeddings_duration_seconds",
    help: "Duration of one attempt at embeddings.",
    labelNames: [...LABEL_NAMES, "error_type"],
  }, OPERATION_BUCKETS);
  const inputs = declareTokens(registry, "gen_ai_client_embeddings_operation_input_tokens");
  return (labels, kind) => {
    if (kind.surface !== "embeddings") return inference(labels, kind);
    const duration = durations.of(labels);
    const input = inputs.of(labels);
    return (record) => {
      duration.observe(record.durationSeconds);
      if (!record.wasted) input.observe(record.promptTokens);
    };
  };
}

function declareInference(registry: Registry): ClientSet {
  const durations = declareDurations(registry, "gen_ai_client_inference");
  const inputs = declareTokens(registry, "gen_ai_client_inference_operation_input_tokens");
  const outputs = declareTokens(registry, "gen_ai_client_inference_operation_output_tokens");
  const inputTotals = declareUsage(registry, "input");
  const outputTotals = declareUsage(registry, "output");
  return (labels, kind) => {
    const recordDurations = durations(labels, kind);
    if (kind.wasted) return recordDurations;
    const input = inputs.of(labels);
    const output = outputs.of(labels);
    const modality = { ...labels, gen_ai_token_modality: "unknown" };
    const inputTotal = inputTotals.of(modality);
    const outputTotal = outputTotals.of(modality);
    return (record) => {
      recordDurations(record);
      input.observe(record.promptTokens);
      output.observe(record.answerTokens);
      // The conventions want these on failures too: the backend's count, or 0.
      inputTotal.value += countOf(record.promptTokens);
      outputTotal.value += countOf(record.answerTokens);
    };
  };
}

function declareTokens(registry: Registry, name: string): Family<HistogramSeries> {
  return declareHistograms(registry, {
    name,
    help: "Tokens of one attempt as the backend counted them.",
    labelNames: LABEL_NAMES,
  }, TOKEN_BUCKETS);
}

function declareUsage(registry: Registry, direction: "input" | "output"): Family<NumberSeries> {
  return declareNumbers(registry, "counter", {
    name: `gen_ai_client_inference_usage_${direction}_tokens_total`,
    help: `Sum of ${direction} tokens as backends counted them.`,
    labelNames: [...LABEL_NAMES, "gen_ai_token_modality"],
  });
}
