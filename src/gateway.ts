/**
 * The composition root: a configuration and the outside world in, a gateway out.
 *
 * The only file that knows all parts. `createGateway(...).fetch` serves under
 * `Deno.serve`, `deno serve`, Deno Deploy and in tests alike.
 *
 * @module
 */
import { Registry } from "./telemetry/prometheus.ts";
import { Balancer } from "./balance/balancer.ts";
import type { BalancerPolicy } from "./balance/policy.ts";
import type { TargetSpec } from "./balance/types.ts";
import type { Config, ModelConfig } from "./config/schema.ts";
import type { Store } from "deno-kv-compat";
import { backendRoute } from "./assembly/backend_route.ts";
import { createGatewayCache, type GatewayCache } from "./assembly/cache.ts";
import type { CacheDeps } from "./assembly/cache_deps.ts";
import { hasCache } from "./assembly/cache_rules.ts";
import type { LocalEmbedding } from "./assembly/embedding.ts";
import { GatewayError, type GatewayErrorCode } from "./errors.ts";
import { Access } from "./http/access.ts";
import { createAdmin } from "./http/admin.ts";
import { type CompletionRequest, createApp, type Explanation } from "./http/app.ts";
import { errorReply } from "./http/reply.ts";
import type { Clock, Random, Reply, ServerRequest, Upstream } from "./ports.ts";
import { Deadlines } from "./relay/deadlines.ts";
import { readInbound } from "./relay/inbound.ts";
import { BackendReply, detailOf } from "./relay/outcome.ts";
import { Relay, type RelayModel } from "./relay/relay.ts";
import { randomSource, systemClock } from "./runtime/clock.ts";
import { fetchResponse, serverRequest } from "./runtime/fetch_adapter.ts";
import { FetchUpstream } from "./runtime/upstream_fetch.ts";
import { SocketUpstream } from "./runtime/upstream_socket.ts";
import type { Semconv } from "./telemetry/attempt_metrics.ts";
import { createCacheMetrics } from "./telemetry/cache_metrics.ts";
import { renderMetrics } from "./telemetry/exposition.ts";
import { KnownNames } from "./telemetry/labels.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";
import { type ProcessReaders, registerProcessMetrics } from "./telemetry/process_metrics.ts";
import { VERSION } from "./version.ts";

/** The outside world, as a gateway needs it. */
export interface GatewayPorts {
  /** Time. */
  readonly clock: Clock;
  /** Chance. */
  readonly random: Random;
  /** The network; made from the configuration where left out. */
  readonly upstream: Upstream;
  /** API key by backend name. */
  readonly secrets: ReadonlyMap<string, string>;
  /** PEM certificates to trust besides the built-in ones. */
  readonly caCertificates: readonly string[];
  /** Takes log lines. */
  readonly writeLog: (line: string) => void;
  /** Which names client metrics have. */
  readonly semconv: Semconv;
  /** Memory and processor time, where they can be read. */
  readonly process: ProcessReaders;
  /** The store that `cache.store` names, open; the gateway closes it. `null` for none. */
  readonly store: Store | null;
  /** The model of one's own that `cache.embedder` names, loaded. `null` for none. */
  readonly localEmbedder: LocalEmbedding | null;
}

/** A running gateway. */
export interface Gateway {
  /** Serves clients, whatever server they came by. */
  handle(request: ServerRequest): Promise<Reply>;
  /** The answer to a request that could not even be read. */
  refuse(status: number, message: string): Reply;
  /** Serves clients of a platform that brings its own server. */
  fetch(request: Request): Promise<Response>;
  /** Serves operators. */
  readonly admin: { fetch(request: Request): Promise<Response> };
  /** Requests under way. */
  readonly running: number;
  /** Settles when the cache serves again what outlived the last process. */
  readonly cacheReady: Promise<void>;
  /** Takes a measurement of how late the event loop ran a timer. */
  reportLag(seconds: number): void;
  /**
   * Takes no more requests and waits for those under way; after `graceMs` the
   * rest is ended with an error.
   */
  drain(graceMs: number): Promise<void>;
  /** Ends what is under way and closes idle connections. */
  close(): Promise<void>;
}

/** Codes for requests that the server could not read. */
const UNREADABLE: Readonly<Record<number, GatewayErrorCode>> = {
  400: "invalid_request",
  408: "body_timeout",
  413: "body_too_large",
  431: "headers_too_large",
};

/** Time between two looks at the time limits of streams, in milliseconds. */
const SWEEP_MS = 100;

/**
 * Builds a gateway.
 *
 * @param config A checked configuration, references resolved.
 * @param ports The outside world; Deno's own where left out.
 */
export function createGateway(config: Config, ports: Partial<GatewayPorts> = {}): Gateway {
  const clock = ports.clock ?? systemClock;
  const random = ports.random ?? randomSource;
  const secrets = ports.secrets ?? new Map<string, string>();
  const hidden = new Set([...secrets.values(), ...secretHeaders(config)]);
  const log = createLog({
    write: ports.writeLog ?? ((): void => {}),
    clock,
    level: config.log.level,
    secrets: hidden,
  });
  const upstream = ports.upstream ?? defaultUpstream(config, ports.caCertificates ?? []);
  const balancer = new Balancer(random, balancerPolicy(config));
  const registry = new Registry();
  const targets = (): ReturnType<Balancer["snapshots"]> =>
    balancer.snapshots(clock.nowMs() / 1_000);
  const metrics = createMetrics(registry, {
    semconv: ports.semconv ?? "classic",
    collect: {
      models: () => config.models.map((model) => model.name),
      targets,
      retryTokens: () => relay.retryTokens(),
    },
  });
  if (ports.process !== undefined) registerProcessMetrics(registry, ports.process);
  const deadlines = new Deadlines(clock, SWEEP_MS);
  const routes = new Map(
    config.backends.map((backend) => [backend.name, backendRoute(backend, secrets)]),
  );
  const relay = new Relay({
    models: new Map(config.models.map((model) => [model.name, relayModel(config, model)])),
    routes,
    balancer,
    ports: {
      clock,
      upstream,
      deadlines,
      errorBodyBytes: config.limits.errorBodyBytes,
      scrub: scrubber(hidden),
    },
    limits: {
      answerBytes: config.limits.answerBytes,
      eventBytes: config.limits.eventBytes,
      keepAliveMs: config.keepAliveSeconds * 1_000,
    },
    requestsMax: config.limits.streamsMax,
    metrics,
    log,
  });
  const deps = { relay, routes, secrets, upstream, clock, random, metrics, registry, log };
  const cache = createCache(config, ports, deps);
  const parts = { config, clock, random, relay, cache, registry, metrics, log, upstream };
  return assemble({ ...parts, deadlines, targets });
}

/** The cache, if any model has one: else nothing of it is made. */
function createCache(
  config: Config,
  ports: Partial<GatewayPorts>,
  deps: Omit<CacheDeps, "store" | "localEmbedder" | "declare"> & { readonly registry: Registry },
): GatewayCache | null {
  if (!hasCache(config)) return null;
  return createGatewayCache(config, {
    ...deps,
    store: ports.store ?? null,
    localEmbedder: ports.localEmbedder ?? null,
    declare: (sources) => {
      const names = new KnownNames(() => config.models.map((model) => model.name));
      return createCacheMetrics(deps.registry, names, sources);
    },
  });
}

interface Assembly {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly relay: Relay;
  readonly cache: GatewayCache | null;
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly upstream: Upstream;
  readonly deadlines: Deadlines;
  readonly targets: () => ReturnType<Balancer["snapshots"]>;
}

function assemble(parts: Assembly): Gateway {
  const { config, clock, relay, cache, registry, metrics, log, deadlines } = parts;
  let draining = false;
  const nextRequestId = requestIds(parts.random);
  const app = createApp({
    completions: {
      models: relay.models,
      complete: (request) => complete(parts, request),
      reportWrong: (id, tenant) => cache?.operator.reportWrong(id, tenant) ?? false,
    },
    access: new Access(config.access.keys),
    limits: {
      bodyBytes: config.limits.bodyBytes,
      bodyMs: config.limits.bodySeconds * 1_000,
      headersBytes: config.limits.headersBytes,
    },
    nowMs: () => clock.nowMs(),
    createdSeconds: Math.floor(clock.wallMs() / 1_000),
    after: (delayMs, run) => deadlines.after(delayMs, run),
    nextRequestId,
    accepting: () => !draining,
    explain: (error, requestId) => explain(error, requestId, metrics, log),
  });
  const admin = createAdmin({
    metrics: (accept) => renderMetrics(registry, accept),
    ready: () => !draining,
    targets: parts.targets,
    running: () => relay.running,
    cache: cache?.operator ?? null,
    version: VERSION,
  });
  return {
    handle: app,
    refuse(status, message) {
      metrics.rejected(UNREADABLE[status] ?? "invalid_request");
      const detail = { status, code: UNREADABLE[status] ?? "invalid_request", message };
      return errorReply("chat", detail, nextRequestId(), null);
    },
    fetch: async (request) => fetchResponse(await app(serverRequest(request))),
    admin: { fetch: async (request) => await admin.fetch(request) },
    cacheReady: cache?.ready ?? Promise.resolve(),
    reportLag: (seconds) => metrics.eventLoopLag(seconds),
    get running() {
      return relay.running;
    },
    async drain(graceMs) {
      draining = true;
      const late = Promise.withResolvers<void>();
      const timer = clock.after(graceMs, () => late.resolve());
      await Promise.race([relay.drained(), late.promise]);
      timer[Symbol.dispose]();
      relay.abort();
    },
    async close() {
      draining = true;
      relay.abort();
      await relay.drained();
      await cache?.close();
      parts.upstream.close();
      deadlines.close();
    },
  };
}

async function complete(parts: Assembly, request: CompletionRequest): Promise<Reply> {
  const { surface, text, requestId, tenant, startedMs, signal } = request;
  const inbound = readInbound(surface, text, parts.config.limits);
  const headers: [string, string][] = [["x-request-id", requestId]];
  for (const name of parts.config.forwardHeaders) {
    const value = request.headers.get(name);
    if (value !== null) headers.push([name, value]);
  }
  const asked = {
    inbound,
    requestId,
    tenant,
    session: request.headers.get("x-session-id"),
    headers,
    startedMs,
    signal,
  };
  const { relay, cache } = parts;
  return await (cache === null
    ? relay.complete(asked)
    : cache.relay.complete(asked, request.headers));
}

function explain(error: unknown, requestId: string, metrics: Metrics, log: Log): Explanation {
  if (error instanceof BackendReply) {
    return { detail: error.detail, retryAfterSeconds: error.retryAfterSeconds };
  }
  if (!(error instanceof GatewayError)) {
    log.error("request.bug", { "request.id": requestId, error });
    const internal = new GatewayError(
      "internal_error",
      `Cannot answer: internal error; the log has it under request ${requestId}`,
    );
    return { detail: detailOf(internal), retryAfterSeconds: null };
  }
  if (error.status < 500) metrics.rejected(error.code);
  return { detail: detailOf(error), retryAfterSeconds: error.retryAfterSeconds };
}

function defaultUpstream(config: Config, caCertificates: readonly string[]): Upstream {
  return config.transport === "fetch"
    ? new FetchUpstream({ caCerts: [...caCertificates] })
    : new SocketUpstream({ clock: systemClock, caCerts: [...caCertificates] });
}

function balancerPolicy(config: Config): Partial<BalancerPolicy> {
  const { decaySeconds, slowStartSeconds, breaker } = config.balancing;
  return {
    decaySeconds,
    slowStartSeconds,
    failuresInRow: breaker.consecutiveFailures,
    failureShare: breaker.failureRatio,
    outcomesMin: breaker.minimumOutcomes,
    windowSeconds: breaker.windowSeconds,
    openBaseSeconds: breaker.openSeconds,
    openMaxSeconds: breaker.openSecondsMax,
  };
}

function relayModel(config: Config, model: ModelConfig): RelayModel {
  const timeouts = { ...config.timeouts, ...model.timeouts };
  return {
    rules: {
      name: model.name,
      connectMs: timeouts.connectSeconds * 1_000,
      firstTokenMs: timeouts.firstTokenSeconds * 1_000,
      idleMs: timeouts.idleSeconds * 1_000,
      totalMs: timeouts.totalSeconds * 1_000,
      continuation: model.continuation === "verified",
    },
    targets: model.targets.map((target) => targetSpec(config, target)),
    policy: {
      attemptsMax: model.retries.attemptsMax,
      retryBudgetMax: model.retries.budget.max,
      retryPerRequest: model.retries.budget.perRequest,
      retryPerSecond: model.retries.budget.perSecond,
      retryAfterWaitMaxSeconds: model.retries.retryAfterWaitMaxSeconds,
      hedging: model.hedging.enabled,
      affinity: model.affinity.enabled,
      spill: model.spill,
    },
    affinity: model.affinity.enabled,
  };
}

function targetSpec(config: Config, target: ModelConfig["targets"][number]): TargetSpec {
  const backend = config.backends.find(({ name }) => name === target.backend);
  if (backend === undefined) {
    throw new TypeError(`Cannot build target: there is no backend ${target.backend}`);
  }
  return {
    key: `${target.backend}/${target.model}`,
    backend: target.backend,
    model: target.model,
    weight: target.weight,
    tier: target.tier,
    maxConcurrency: backend.maxConcurrency ?? null,
    hedge: backend.hedge,
    capabilities: { ...backend.capabilities, ...target.capabilities },
  };
}

/** Configured headers whose name says that their value is nobody's business. */
function secretHeaders(config: Config): string[] {
  return config.backends.flatMap((backend) =>
    Object.entries(backend.headers ?? {})
      .filter(([name]) => /auth|key|token|secret|cookie/i.test(name))
      .map(([, value]) => value)
  );
}

/** Backends sometimes quote the key they were given. */
function scrubber(secrets: ReadonlySet<string>): (text: string) => string {
  const known = [...secrets].filter((secret) => secret.length >= 4);
  return (text) => known.reduce((clean, secret) => clean.replaceAll(secret, "[redacted]"), text);
}

/** Names that no other gateway, and no other request of this one, has. */
function requestIds(random: Random): () => string {
  const prefix = Math.floor(random() * 2 ** 48).toString(36);
  let count = 0;
  return () => `${prefix}-${(++count).toString(36)}`;
}
