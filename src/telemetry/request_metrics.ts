/**
 * Metrics of requests as clients see them.
 *
 * `gen_ai_server_*` are the GenAI conventions' three server metrics with their
 * buckets; `weir_*` is what the conventions lack. Time starts when the request's
 * headers have arrived.
 *
 * @module
 */
import type { Registry } from "prom-client";
import { type GatewayErrorCode, STATUS_BY_CODE } from "../errors.ts";
import {
  type KnownNames,
  operationName,
  type Provider,
  providerName,
  statusLabel,
  type Surface,
  SURFACES,
} from "./labels.ts";
import {
  declareHistograms,
  declareNumbers,
  type Family,
  type HistogramSeries,
  type NumberSeries,
  OPERATION_BUCKETS,
} from "./series.ts";

/**
 * How a request ended for its client: `ok` complete; `error` an error status or
 * an in-band error; `cut` an abnormal close after content; `client_gone` the
 * client left first; `rejected` refused before any backend was asked.
 */
export type RequestOutcome = "ok" | "error" | "cut" | "client_gone" | "rejected";

/** Why a request did not end well; `upstream_error` is a backend's own error passed on. */
export type RequestReason = GatewayErrorCode | "none" | "upstream_error";

/** One request, ended. */
export interface RequestRecord {
  /** The API shape the client spoke. */
  readonly surface: Surface;
  /** The configured alias that was asked for, or "_OTHER". */
  readonly model: string;
  /** The backend whose answer the client got, or `null`. */
  readonly backend: string | null;
  /** That backend's wire format, or `null`. */
  readonly provider: Provider | null;
  /** The upstream model that answered, as configured, or `null`. */
  readonly responseModel: string | null;
  /** Whether the client asked for a stream. */
  readonly stream: boolean;
  /** HTTP status the client got. */
  readonly status: number;
  /** How it ended. */
  readonly outcome: RequestOutcome;
  /** Why, where it did not end well. */
  readonly reason: RequestReason;
  /** From request headers to the last byte of the answer. */
  readonly durationSeconds: number;
  /** From request headers to the first content sent; `null` where there was none. */
  readonly firstTokenSeconds: number | null;
  /** Mean time from content to content after the first; `null` where not known. */
  readonly timePerOutputTokenSeconds: number | null;
  /** Time spent in the gateway itself: neither waiting for a backend nor for the client. */
  readonly overheadSeconds: number | null;
  /** Attempts made; 0 where no backend was asked. */
  readonly attempts: number;
}

/** Records requests. */
export interface RequestMetrics {
  /** A request was admitted. */
  requestStarted(labels: { readonly surface: Surface; readonly model: string }): void;
  /** A request that was reported started has ended. */
  requestFinished(record: RequestRecord): void;
  /** A request was refused at the door, before it was reported started. */
  rejected(reason: GatewayErrorCode): void;
  /** Shows the series of every configured model at 0, so that their rates are right. */
  declareModels(models: readonly string[]): void;
}

const FIRST_TOKEN_BUCKETS = [
  ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
];
const OUTPUT_TOKEN_BUCKETS = [
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.15,
  0.2,
  0.3,
  0.4,
  0.5,
  0.75,
  1,
  2.5,
];
const OVERHEAD_BUCKETS = [
  ...[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
];

/** Declares the metrics of requests. */
export function createRequestMetrics(registry: Registry, models: KnownNames, names: {
  readonly backends: KnownNames;
  readonly upstreamModels: KnownNames;
}): RequestMetrics {
  const families: Families = { ...declareServer(registry), ...declareOwn(registry) };
  const seriesOf = seriesFinder(families, { models, ...names });
  const started = new Map<string, NumberSeries>();
  return {
    requestStarted(labels): void {
      const { surface } = labels;
      const model = models.label(labels.model);
      const key = `${surface}\0${model}`;
      let series = started.get(key);
      if (series === undefined) {
        series = families.inFlight.of({ surface, model });
        started.set(key, series);
      }
      series.value++;
    },
    requestFinished(record): void {
      const series = seriesOf(record);
      series.inFlight.value--;
      series.requests.value++;
      if (series.errors !== null) series.errors.value++;
      series.overhead.observe(record.overheadSeconds);
      series.attempts.observe(record.attempts);
      series.firstToken.observe(record.firstTokenSeconds);
      series.outputToken.observe(record.timePerOutputTokenSeconds);
      series.duration.observe(record.durationSeconds);
    },
    rejected(reason): void {
      families.rejected.of({ reason }).value++;
    },
    declareModels: (list) => list.forEach((name) => declareModel(families, models.label(name))),
  };
}

interface Families {
  readonly requests: Family<NumberSeries>;
  readonly errors: Family<NumberSeries>;
  readonly rejected: Family<NumberSeries>;
  readonly inFlight: Family<NumberSeries>;
  readonly overhead: Family<HistogramSeries>;
  readonly attempts: Family<HistogramSeries>;
  readonly duration: Family<HistogramSeries>;
  readonly firstToken: Family<HistogramSeries>;
  readonly outputToken: Family<HistogramSeries>;
}

/** Everything that one kind of request adds to. */
interface RequestSeries {
  readonly requests: NumberSeries;
  readonly errors: NumberSeries | null;
  readonly inFlight: NumberSeries;
  readonly overhead: HistogramSeries;
  readonly attempts: HistogramSeries;
  readonly duration: HistogramSeries;
  readonly firstToken: HistogramSeries;
  readonly outputToken: HistogramSeries;
}

/** Finds the series of a request, by one look in a map once they are known. */
function seriesFinder(
  families: Families,
  names: Readonly<Record<"models" | "backends" | "upstreamModels", KnownNames>>,
): (record: RequestRecord) => RequestSeries {
  // Every part of the key comes from a closed list, so the map is bounded.
  const cache = new Map<string, RequestSeries>();
  return (record) => {
    const { surface, provider, stream, outcome, reason } = record;
    const model = names.models.label(record.model);
    const backend = names.backends.label(record.backend);
    const responseModel = names.upstreamModels.label(record.responseModel);
    const status = statusLabel(record.status);
    const key = `${surface}\0${model}\0${backend}\0${provider}\0${responseModel}\0${stream}\0` +
      `${status}\0${outcome}\0${reason}`;
    const known = cache.get(key);
    if (known !== undefined) return known;
    const series = findSeries(families, record, { model, backend, responseModel, status });
    cache.set(key, series);
    return series;
  };
}

function findSeries(
  families: Families,
  record: RequestRecord,
  folded: Readonly<Record<"model" | "backend" | "responseModel" | "status", string>>,
): RequestSeries {
  const { surface, outcome, reason } = record;
  const { model, backend, responseModel, status } = folded;
  const stream = String(record.stream);
  const labels = {
    gen_ai_operation_name: operationName(surface),
    gen_ai_provider_name: providerName(record.provider),
    gen_ai_request_model: model,
    gen_ai_response_model: responseModel,
    backend,
  };
  const why = reason === "none" ? outcome : reason;
  return {
    requests: families.requests.of({ surface, model, stream, status, outcome }),
    errors: outcome === "ok" ? null : families.errors.of({ reason: why }),
    inFlight: families.inFlight.of({ surface, model }),
    overhead: families.overhead.of({ surface, stream }),
    attempts: families.attempts.of({ model }),
    // Absent on success, as the conventions want; Prometheus drops an empty label.
    duration: families.duration.of({ ...labels, error_type: outcome === "ok" ? "" : why }),
    firstToken: families.firstToken.of(labels),
    outputToken: families.outputToken.of(labels),
  };
}

function declareServer(
  registry: Registry,
): Pick<Families, "duration" | "firstToken" | "outputToken"> {
  const labelNames = [
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "backend",
  ];
  const duration = {
    name: "gen_ai_server_request_duration_seconds",
    help: "Request duration, from the request's headers to the end of the answer.",
    labelNames: [...labelNames, "error_type"],
  };
  const firstToken = {
    name: "gen_ai_server_time_to_first_token_seconds",
    help: "Time from the request's headers to the first content sent to the client.",
    labelNames,
  };
  const outputToken = {
    name: "gen_ai_server_time_per_output_token_seconds",
    help: "Mean time between pieces of content after the first.",
    labelNames,
  };
  return {
    duration: declareHistograms(registry, duration, OPERATION_BUCKETS),
    firstToken: declareHistograms(registry, firstToken, FIRST_TOKEN_BUCKETS),
    outputToken: declareHistograms(registry, outputToken, OUTPUT_TOKEN_BUCKETS),
  };
}

function declareOwn(
  registry: Registry,
): Omit<Families, "duration" | "firstToken" | "outputToken"> {
  const own = {
    requests: declareNumbers(registry, "counter", {
      name: "weir_requests_total",
      help: "Requests ended, by how they ended for the client.",
      labelNames: ["surface", "model", "stream", "status", "outcome"],
    }),
    errors: declareNumbers(registry, "counter", {
      name: "weir_request_errors_total",
      help: "Requests that did not end well, by reason.",
      labelNames: ["reason"],
    }),
    rejected: declareNumbers(registry, "counter", {
      name: "weir_requests_rejected_total",
      help: "Requests refused at the door, by reason; not counted in weir_requests_total.",
      labelNames: ["reason"],
    }),
    inFlight: declareNumbers(registry, "gauge", {
      name: "weir_requests_in_flight",
      help: "Requests admitted and not yet ended.",
      labelNames: ["surface", "model"],
    }),
    overhead: declareHistograms(registry, {
      name: "weir_gateway_overhead_seconds",
      help: "Time spent in the gateway itself, waiting for neither backend nor client.",
      labelNames: ["surface", "stream"],
    }, OVERHEAD_BUCKETS),
    attempts: declareHistograms(registry, {
      name: "weir_request_attempts",
      help: "Attempts made for one request.",
      labelNames: ["model"],
    }, [0, 1, 2, 3, 4, 5, 8]),
  };
  for (const reason of Object.keys(STATUS_BY_CODE)) {
    own.errors.of({ reason });
    own.rejected.of({ reason });
  }
  for (const reason of ["upstream_error", "error", "cut", "client_gone", "rejected"]) {
    own.errors.of({ reason });
  }
  return own;
}

function declareModel(families: Families, model: string): void {
  for (const surface of SURFACES) {
    families.inFlight.of({ surface, model });
    for (const stream of surface === "embeddings" ? ["false"] : ["false", "true"]) {
      families.requests.of({ surface, model, stream, status: "200", outcome: "ok" });
    }
  }
}
