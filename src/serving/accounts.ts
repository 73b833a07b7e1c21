/**
 * Counts the requests that no exchange counts: hits, and clients that share one.
 *
 * @module
 */
import { GatewayError } from "../errors.ts";
import { BackendReply, detailOf } from "../relay/outcome.ts";
import { reasonOf } from "../relay/reason.ts";
import type { RelayRequest } from "../relay/relay.ts";
import type { CacheResult } from "../telemetry/cache_metrics.ts";
import type { RequestReason } from "../telemetry/request_metrics.ts";
import { FlightClient, type FlightEnd } from "./flight_client.ts";
import type { Found } from "./found.ts";
import type { CachedRoute, ServingParts } from "./parts.ts";

const MILLION = 1_000_000;

/** Keeps the accounts. */
export class Accounts {
  readonly #parts: ServingParts;

  /** Takes its parts. */
  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  /** A client that may share a request; its part is counted when its stream is over. */
  client(request: RelayRequest): FlightClient {
    const { clock, routes } = this.#parts;
    return new FlightClient(request, () => clock.nowMs(), (client, end) => {
      const route = routes.get(request.inbound.model);
      if (route !== undefined && !client.leads) this.followed(client, route, end);
    });
  }

  /** A follower has its answer, or what there was of it. */
  followed(client: FlightClient, route: CachedRoute, end: FlightEnd): void {
    const { request } = client;
    this.#parts.cacheMetrics.answered(route.name, "flight");
    this.#count(request, end, {
      cache: "flight",
      status: end === "client_gone" && client.firstBytesMs === null ? 499 : 200,
      firstBytesMs: client.firstBytesMs,
    });
  }

  /** An entry answers. */
  hit(request: RelayRequest, route: CachedRoute, found: Found, result: CacheResult): void {
    const { cacheMetrics, clock } = this.#parts;
    const { entry } = found;
    cacheMetrics.answered(route.name, result);
    cacheMetrics.age(Math.max(0, clock.wallMs() - entry.storedMs) / 1_000);
    const { inputTokens, outputTokens } = tokensOf(entry.answer.usage);
    const { prices } = route;
    const cost = prices === null
      ? 0
      : (inputTokens * prices.input + outputTokens * prices.output) / MILLION;
    cacheMetrics.saved(route.name, { inputTokens, outputTokens, cost });
    // What is served for want of a backend was counted by the exchange that failed.
    if (found.stale) return;
    this.#count(request, "ok", { cache: result, status: 200, firstBytesMs: clock.nowMs() });
  }

  /** A follower is refused with what its leader was refused with: the request is to blame. */
  refused(request: RelayRequest, error: unknown): void {
    if (!(error instanceof GatewayError || error instanceof BackendReply)) return;
    const { status } = detailOf(error);
    this.#count(request, "error", {
      cache: "flight",
      status,
      reason: reasonOf(error),
      firstBytesMs: null,
    });
  }

  #count(
    request: RelayRequest,
    outcome: FlightEnd | "error",
    more: {
      readonly cache: CacheResult;
      readonly status: number;
      readonly reason?: RequestReason;
      readonly firstBytesMs: number | null;
    },
  ): void {
    const { metrics, log, clock } = this.#parts;
    const { inbound, startedMs, requestId } = request;
    const { surface, model, stream } = inbound;
    const nowMs = clock.nowMs();
    const durationSeconds = (nowMs - startedMs) / 1_000;
    metrics.requestStarted({ surface, model });
    metrics.requestFinished({
      surface,
      model,
      backend: null,
      provider: null,
      responseModel: null,
      stream,
      status: more.status,
      outcome,
      reason: more.reason ?? (outcome === "cut" ? "stream_cut" : "none"),
      durationSeconds,
      firstTokenSeconds: stream && more.firstBytesMs !== null
        ? (more.firstBytesMs - startedMs) / 1_000
        : null,
      timePerOutputTokenSeconds: null,
      overheadSeconds: more.cache === "flight" ? null : durationSeconds,
      attempts: 0,
    });
    log.info("request.finished", {
      "request.id": requestId,
      "gen_ai.request.model": model,
      "weir.surface": surface,
      "weir.stream": stream,
      "weir.outcome": outcome,
      "weir.cache": more.cache,
      "http.response.status_code": more.status,
      "duration_seconds": durationSeconds,
    });
  }
}

/** Token counts of a record, under whichever names its API has for them. */
function tokensOf(usage: Readonly<Record<string, unknown>> | null): {
  readonly inputTokens: number;
  readonly outputTokens: number;
} {
  const count = (...names: readonly string[]): number => {
    const value = names.map((name) => usage?.[name]).find((found) => typeof found === "number");
    return typeof value === "number" && value > 0 ? value : 0;
  };
  return {
    inputTokens: count("prompt_tokens", "input_tokens"),
    outputTokens: count("completion_tokens", "output_tokens"),
  };
}
