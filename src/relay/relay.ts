/**
 * The relay: takes checked requests, finds the model's pool and runs an
 * exchange for each.
 *
 * @module
 */
import { type Protocol, type Surface, upstreamSurface } from "../backends/surface.ts";
import { translation } from "../backends/translate.ts";
import type { Balancer } from "../balance/balancer.ts";
import type { Pool } from "../balance/pool.ts";
import type { PoolPolicy } from "../balance/policy.ts";
import type { Demand, TargetSpec } from "../balance/types.ts";
import { GatewayError } from "../errors.ts";
import type { Departure, Reply } from "../ports.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { AnswerExchange } from "./answer_exchange.ts";
import type { AttemptPorts } from "./attempt.ts";
import type { AnsweredBy, ExchangeContext, ModelRules, RelayLimits } from "./exchange.ts";
import type { Inbound } from "./inbound.ts";
import type { BackendRoute } from "./plan.ts";
import { Roster, type Rostered } from "./roster.ts";
import { StreamExchange } from "./stream_exchange.ts";

/** A model as the relay knows it. */
export interface RelayModel {
  /** Time limits and continuation. */
  readonly rules: ModelRules;
  /** Who may answer. */
  readonly targets: readonly TargetSpec[];
  /** Retries, hedging, affinity. */
  readonly policy: Partial<PoolPolicy>;
  /** Whether affinity is wanted at all. */
  readonly affinity: boolean;
}

/** What the relay is made of. */
export interface RelayParts {
  /** Models by alias. */
  readonly models: ReadonlyMap<string, RelayModel>;
  /** Backends by name. */
  readonly routes: ReadonlyMap<string, BackendRoute>;
  /** Measures targets. */
  readonly balancer: Balancer;
  /** The outside world. */
  readonly ports: Omit<AttemptPorts, "connectMs">;
  /** Limits and intervals. */
  readonly limits: RelayLimits;
  /** Requests in flight at most. */
  readonly requestsMax: number;
  /** What is counted. */
  readonly metrics: Metrics;
  /** What is written down. */
  readonly log: Log;
}

/** A request as it comes from the HTTP side. */
export interface RelayRequest {
  /** The checked body. */
  readonly inbound: Inbound;
  /** Name of this request in logs and response headers. */
  readonly requestId: string;
  /** Who asks: the access key's name; `null` where no keys are set. */
  readonly tenant: string | null;
  /** Session named by a header, for affinity. */
  readonly session: string | null;
  /** Client headers to pass on. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** When the request had arrived, on the clock. */
  readonly startedMs: number;
  /** Aborts when the client goes away. */
  readonly signal: Departure;
  /** Whether usage is handed on although the client did not ask for it. */
  readonly keepsUsage?: boolean;
  /** Told who answered, once the answer is complete. */
  readonly answered?: (by: AnsweredBy) => void;
}

interface Pools {
  /** All targets that can serve the surface, be it by translation. */
  readonly all: Pool;
  /** Those that speak it themselves; `null` where these are all, or none. */
  readonly native: Pool | null;
  /** Protocols that need translation. */
  readonly translated: readonly Protocol[];
}

const SURFACES: readonly Surface[] = ["chat", "completions", "responses", "embeddings", "messages"];

/** Prompts shorter than this, in tokens, have no cache worth going back to. */
const AFFINITY_TOKENS_MIN = 1_024;

/** Relays requests to backends. */
export class Relay {
  readonly #parts: RelayParts;
  /** By model, then by surface; `null` where no backend has that API. */
  readonly #pools = new Map<string, Map<Surface, Pools | null>>();
  readonly #running = new Roster<AnswerExchange | StreamExchange>();
  readonly #left = (exchange: Rostered): void => this.#leave(exchange);
  #idle: PromiseWithResolvers<void> | null = null;
  /** Set by the end: clients whose shared request was ended must not start another. */
  #ended = false;

  /** Takes its parts; nothing is sent yet. */
  constructor(parts: RelayParts) {
    this.#parts = parts;
    for (const [name, model] of parts.models) {
      this.#pools.set(
        name,
        new Map(SURFACES.map((surface) => [surface, this.#makePools(surface, model)])),
      );
    }
  }

  /** Models that clients may ask for. */
  get models(): readonly string[] {
    return [...this.#parts.models.keys()];
  }

  /** Requests under way. */
  get running(): number {
    return this.#running.size;
  }

  /** Retries left, by model: of its scarcest pool, where surfaces have several. */
  retryTokens(): { readonly model: string; readonly tokens: number }[] {
    const nowSeconds = this.#parts.ports.clock.nowMs() / 1_000;
    return this.models.map((model) => {
      const pools = [...this.#pools.get(model)?.values() ?? []];
      const tokens = pools.map((pool) => pool?.all.retryTokens(nowSeconds) ?? Infinity);
      return { model, tokens: Math.min(...tokens) };
    });
  }

  /**
   * Answers a request.
   *
   * @throws {GatewayError | BackendReply} If nobody could.
   */
  async complete(request: RelayRequest): Promise<Reply> {
    const { inbound } = request;
    if (this.#ended) throw shuttingDown();
    const model = this.#parts.models.get(inbound.model);
    if (model === undefined) throw this.#unknownModel(inbound.model);
    if (this.#running.size >= this.#parts.requestsMax) {
      throw new GatewayError(
        "overloaded",
        `Cannot take request: ${this.#parts.requestsMax} are under way, the limit`,
        { retryAfterSeconds: 1 },
      );
    }
    const pool = this.#poolFor(inbound);
    const context = this.#context(request, model, pool);
    this.#parts.metrics.requestStarted({ surface: inbound.surface, model: model.rules.name });
    const exchange = inbound.stream ? new StreamExchange(context) : new AnswerExchange(context);
    this.#running.add(exchange);
    return await exchange.run();
  }

  /** Waits until no request is under way. */
  async drained(): Promise<void> {
    if (this.#running.size === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  /**
   * Ends what is still under way, with an error, never as if it were complete; and
   * begins nothing new.
   */
  abort(): void {
    this.#ended = true;
    for (const exchange of this.#running.snapshot()) exchange.interrupt(shuttingDown());
  }

  #leave(exchange: Rostered): void {
    this.#running.delete(exchange);
    if (this.#running.size > 0) return;
    this.#idle?.resolve();
    this.#idle = null;
  }

  #context(request: RelayRequest, model: RelayModel, pool: Pool): ExchangeContext {
    const { routes, ports, limits, metrics, log } = this.#parts;
    const { inbound, requestId, headers, startedMs, signal } = request;
    const { keepsUsage = false, answered = null } = request;
    return {
      inbound,
      demand: demandOf(request, model),
      rules: model.rules,
      pool,
      routes,
      ports,
      limits,
      headers,
      requestId,
      startedMs,
      signal,
      keepsUsage,
      answered,
      metrics,
      log,
      left: this.#left,
    };
  }

  /** The pool for a surface; targets that would need an impossible translation are left out. */
  #poolFor(inbound: Inbound): Pool {
    const { surface } = inbound;
    const pools = this.#pools.get(inbound.model)?.get(surface) ?? null;
    if (pools === null) {
      throw new GatewayError(
        "unsupported_translation",
        `Cannot answer ${surface} for model ${inbound.model}: none of its backends has this API`,
        { param: "model" },
      );
    }
    if (pools.native === null) return pools.all;
    for (const protocol of pools.translated) {
      const form = upstreamSurface(surface, protocol);
      if (form === null) continue;
      try {
        translation(surface, form).request({ ...inbound.body }, inbound.model);
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        return pools.native;
      }
    }
    return pools.all;
  }

  #makePools(surface: Surface, model: RelayModel): Pools | null {
    const { balancer, routes, ports } = this.#parts;
    const nowSeconds = ports.clock.nowMs() / 1_000;
    const protocolOf = (target: TargetSpec): Protocol =>
      routes.get(target.backend)?.protocol ?? "openai";
    const able = model.targets.filter((target) =>
      upstreamSurface(surface, protocolOf(target)) !== null
    );
    if (able.length === 0) return null;
    const native = able.filter((target) =>
      upstreamSurface(surface, protocolOf(target)) === surface
    );
    const { name } = model.rules;
    const mixed = native.length > 0 && native.length < able.length;
    return {
      all: balancer.pool(name, able, model.policy, nowSeconds),
      native: mixed ? balancer.pool(name, native, model.policy, nowSeconds) : null,
      translated: [...new Set(able.filter((target) => !native.includes(target)).map(protocolOf))],
    };
  }

  #unknownModel(model: string): GatewayError {
    const known = this.models.slice(0, 10).join(", ");
    const shown = JSON.stringify(model.slice(0, 100));
    return new GatewayError(
      "model_not_found",
      `Cannot find model ${shown}: this gateway has ${known}; GET /v1/models lists them all`,
      { param: "model" },
    );
  }
}

function demandOf(request: RelayRequest, model: RelayModel): Demand {
  const { inbound, startedMs } = request;
  return {
    ...inbound.demand,
    streaming: inbound.stream,
    replayable: true,
    continuable: model.rules.continuation && inbound.stream && inbound.surface !== "responses",
    affinityKey: model.affinity ? affinityKey(request) : null,
    deadlineSeconds: (startedMs + model.rules.totalMs) / 1_000,
  };
}

/** A session's name, a cache key, or the head of a long prompt. */
function affinityKey(request: RelayRequest): string | null {
  const { inbound, session, tenant } = request;
  const scope = `${tenant ?? ""}\n${inbound.model}\n`;
  if (session !== null) return `${scope}s:${session}`;
  if (inbound.cacheKey !== null) return `${scope}k:${inbound.cacheKey}`;
  if (inbound.demand.promptTokens < AFFINITY_TOKENS_MIN) return null;
  return `${scope}p:${inbound.promptHead}`;
}

function shuttingDown(): GatewayError {
  return new GatewayError("shutting_down", "Cannot finish answer: the gateway is shutting down");
}
