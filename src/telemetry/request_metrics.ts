/**
 * Metrics of requests as clients see them.
 *
 * `gen_ai_server_*` are the GenAI conventions' three server metrics with their
 * buckets; `weir_*` is what the conventions lack. Time starts when the request's
 * headers have arrived.
 *
 * @module
 */
import { Counter, Gauge, type Registry } from "prom-client";
import { type GatewayErrorCode, STATUS_BY_CODE } from "../errors.ts";
import { declareHistogram, type Labels, OPERATION_BUCKETS } from "./histograms.ts";
import {
  type KnownNames,
  operationName,
  type Provider,
  providerName,
  statusLabel,
  type Surface,
  SURFACES,
} from "./labels.ts";

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
  const server = declareServerHistograms(registry);
  const own = declareOwn(registry);
  return {
    requestStarted({ surface, model }): void {
      own.inFlight.inc({ surface, model: models.label(model) });
    },
    requestFinished(record): void {
      const { surface, outcome, reason } = record;
      const model = models.label(record.model);
      const stream = String(record.stream);
      own.inFlight.dec({ surface, model });
      const status = statusLabel(record.status);
      own.requests.inc({ surface, model, stream, status, outcome });
      if (outcome !== "ok") own.errors.inc({ reason: reason === "none" ? outcome : reason });
      own.overhead({ surface, stream }, record.overheadSeconds);
      own.attempts({ model }, record.attempts);
      const labels = {
        gen_ai_operation_name: operationName(surface),
        gen_ai_provider_name: providerName(record.provider),
        gen_ai_request_model: model,
        gen_ai_response_model: names.upstreamModels.label(record.responseModel),
        backend: names.backends.label(record.backend),
      };
      server.firstToken(labels, record.firstTokenSeconds);
      server.outputToken(labels, record.timePerOutputTokenSeconds);
      server.duration({ ...labels, error_type: errorType(record) }, record.durationSeconds);
    },
    rejected: (reason) => own.rejected.inc({ reason }),
    declareModels: (names) => names.forEach((name) => declareModel(own, models.label(name))),
  };
}

/** `error_type` is absent on success, as the conventions want; Prometheus drops an empty label. */
function errorType({ outcome, reason }: RequestRecord): string {
  if (outcome === "ok") return "";
  return reason === "none" ? outcome : reason;
}

interface ServerHistograms {
  readonly duration: (labels: Labels, seconds: number | null) => void;
  readonly firstToken: (labels: Labels, seconds: number | null) => void;
  readonly outputToken: (labels: Labels, seconds: number | null) => void;
}

function declareServerHistograms(registry: Registry): ServerHistograms {
  const labelNames = [
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "backend",
  ];
  return {
    duration: declareHistogram(registry, {
      name: "gen_ai_server_request_duration_seconds",
      help: "Request duration, from the request's headers to the end of the answer.",
      labelNames: [...labelNames, "error_type"],
      buckets: OPERATION_BUCKETS,
    }),
    firstToken: declareHistogram(registry, {
      name: "gen_ai_server_time_to_first_token_seconds",
      help: "Time from the request's headers to the first content sent to the client.",
      labelNames,
      buckets: FIRST_TOKEN_BUCKETS,
    }),
    outputToken: declareHistogram(registry, {
      name: "gen_ai_server_time_per_output_token_seconds",
      help: "Mean time between pieces of content after the first.",
      labelNames,
      buckets: OUTPUT_TOKEN_BUCKETS,
    }),
  };
}

interface OwnMetrics {
  readonly requests: Counter;
  readonly errors: Counter;
  readonly rejected: Counter;
  readonly inFlight: Gauge;
  readonly overhead: (labels: Labels, seconds: number | null) => void;
  readonly attempts: (labels: Labels, attempts: number | null) => void;
}

function declareOwn(registry: Registry): OwnMetrics {
  const registers = [registry];
  const own: OwnMetrics = {
    requests: new Counter({
      name: "weir_requests_total",
      help: "Requests ended, by how they ended for the client.",
      labelNames: ["surface", "model", "stream", "status", "outcome"],
      registers,
    }),
    errors: new Counter({
      name: "weir_request_errors_total",
      help: "Requests that did not end well, by reason.",
      labelNames: ["reason"],
      registers,
    }),
    rejected: new Counter({
      name: "weir_requests_rejected_total",
      help: "Requests refused at the door, by reason; not counted in weir_requests_total.",
      labelNames: ["reason"],
      registers,
    }),
    inFlight: new Gauge({
      name: "weir_requests_in_flight",
      help: "Requests admitted and not yet ended.",
      labelNames: ["surface", "model"],
      registers,
    }),
    overhead: declareHistogram(registry, {
      name: "weir_gateway_overhead_seconds",
      help: "Time spent in the gateway itself, waiting for neither backend nor client.",
      labelNames: ["surface", "stream"],
      buckets: OVERHEAD_BUCKETS,
    }),
    attempts: declareHistogram(registry, {
      name: "weir_request_attempts",
      help: "Attempts made for one request.",
      labelNames: ["model"],
      buckets: [0, 1, 2, 3, 4, 5, 8],
    }),
  };
  for (const reason of Object.keys(STATUS_BY_CODE)) {
    own.errors.inc({ reason }, 0);
    own.rejected.inc({ reason }, 0);
  }
  for (const reason of ["upstream_error", "error", "cut", "client_gone", "rejected"]) {
    own.errors.inc({ reason }, 0);
  }
  return own;
}

function declareModel(own: OwnMetrics, model: string): void {
  for (const surface of SURFACES) {
    own.inFlight.inc({ surface, model }, 0);
    for (const stream of surface === "embeddings" ? ["false"] : ["false", "true"]) {
      own.requests.inc({ surface, model, stream, status: "200", outcome: "ok" }, 0);
    }
  }
}
