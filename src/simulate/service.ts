/**
 * The simulated backend without its socket: routes, attempts, log, control.
 *
 * @module
 */

import { AnswerCache } from "./answer_cache.ts";
import { applySettings, type SimulatorSettings } from "./control.ts";
import { FAILOVER_MODELS, isFailoverModel } from "./faults/failover_models.ts";
import { type Faults, looksOf } from "./faults/faults.ts";
import type { Script, Step } from "./transport/framing.ts";
import type { HttpRequest } from "./transport/http1.ts";
import type { Ending } from "./transport/pieces.ts";
import {
  type Circumstances,
  faultsFor,
  type Plan,
  planAnswer,
  planJson,
  planRefusal,
} from "./plan.ts";
import { Refusal } from "./refusal.ts";
import type { LogEntry, OpenLogEntry } from "./request_log.ts";
import type { JsonObject } from "./requests/fields.ts";
import { readMessages } from "./requests/messages.ts";
import { readChat, readCompletion, readEmbeddings } from "./requests/openai.ts";
import { promptTokens, type SimulatedRequest } from "./requests/request.ts";
import { readResponse } from "./requests/responses.ts";

import {
  connectionOf,
  credentialOf,
  jsonBody,
  ownFault,
  type Surface,
  surfaceOf,
  unknownRoute,
  withDeployment,
} from "./routes.ts";

/** The moment a request is handled. */
export interface Moment {
  /** Monotonic, in milliseconds. */
  readonly nowMs: number;
  /** Milliseconds since the Unix epoch. */
  readonly wallMs: number;
  /** Number of the connection, from 1. */
  readonly connection: number;
}

/** What to send, and the log entry to keep up to date meanwhile. */
export interface Handling {
  /** What happens. */
  readonly plan: Plan;
  /** `null` for requests that are not logged: control, health, model list. */
  readonly entry: OpenLogEntry | null;
}

const READERS: Readonly<Record<Surface, (body: JsonObject) => SimulatedRequest>> = {
  chat: readChat,
  completions: readCompletion,
  responses: readResponse,
  messages: readMessages,
  embeddings: readEmbeddings,
};

const IDLE_POLL_MS = 5;
const LATIN1 = new TextDecoder("latin1");

/** Everything a simulated backend knows between requests. */
export class SimulatorService {
  readonly #seed: number;
  readonly #apiKey: string | null;
  #cache = new AnswerCache();
  #settings: SimulatorSettings;
  #log: OpenLogEntry[] = [];
  #attempts = new Map<string, number>();
  #resetAtMs: number;
  #sequence = 0;
  #active = 0;

  /** Starts with an empty log at `nowMs`. */
  constructor(
    settings: SimulatorSettings,
    options: { readonly seed: number; readonly apiKey: string | null; readonly nowMs: number },
  ) {
    this.#settings = settings;
    this.#seed = options.seed;
    this.#apiKey = options.apiKey;
    this.#resetAtMs = options.nowMs;
  }

  /** Requests since the last reset, in order of arrival. */
  get log(): readonly LogEntry[] {
    return this.#log;
  }

  /** Requests being answered now. */
  get activeRequests(): number {
    return this.#active;
  }

  /** Forgets log and attempts; `nowMs` is the new zero of time. */
  reset(nowMs: number): void {
    this.#log = [];
    this.#attempts = new Map();
    this.#resetAtMs = nowMs;
  }

  /** Notes that the answer behind `entry` is over. */
  settle(entry: OpenLogEntry, nowMs: number): void {
    entry.endedAtMs = nowMs;
    this.#active--;
  }

  /** Decides what happens for a request. */
  handle(request: HttpRequest, moment: Moment): Handling {
    const sequence = this.#sequence++;
    const surface = request.method === "POST" ? surfaceOf(request.path) : null;
    if (surface !== null) return this.#handleModel(request, surface, { ...moment, sequence });
    try {
      return { plan: this.#route(request, moment), entry: null };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const wire = { seed: this.#seed, sequence, ...connectionOf(request) };
      return { plan: planRefusal(error, "openai", wire), entry: null };
    }
  }

  /** The plan for bytes that are no request. */
  refuseConnection(refusal: Refusal): Plan {
    const wire = { seed: this.#seed, sequence: this.#sequence++, keepAlive: false, oldHttp: false };
    return planRefusal(refusal, "openai", wire);
  }

  #handleModel(
    http: HttpRequest,
    surface: Surface,
    moment: Moment & { readonly sequence: number },
  ): Handling {
    const entry = this.#openEntry(http, surface, moment);
    this.#log.push(entry);
    const circumstances = this.#circumstances(http, moment);
    this.#active++;
    try {
      const plan = this.#planModel(http, { surface, entry, circumstances });
      entry.action = plan.action;
      entry.status = plan.status;
      return { plan, entry };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const shape = surface === "messages" ? "anthropic" : "openai";
      const plan = planRefusal(error, shape, circumstances);
      entry.action = plan.action;
      entry.status = plan.status;
      return { plan, entry };
    }
  }

  #planModel(
    http: HttpRequest,
    about: {
      readonly surface: Surface;
      readonly entry: OpenLogEntry;
      readonly circumstances: Circumstances;
    },
  ): Plan {
    const { surface, entry, circumstances } = about;
    if (!this.#isAuthorized(http)) {
      throw new Refusal(401, "Incorrect API key provided", { code: "invalid_api_key" });
    }
    if (surface === "messages" && !http.headers.has("anthropic-version")) {
      throw new Refusal(400, 'Cannot accept request: header "anthropic-version" is missing');
    }
    const cacheable = this.#settings.profile.preEncoded === true &&
      http.body.length <= 65_536;
    const key = cacheable
      ? [entry.fault, http.path, http.keepAlive, http.oldHttp, LATIN1.decode(http.body)].join("\n")
      : "";
    const kept = cacheable ? this.#cache.get(key) : null;
    if (kept !== null) {
      this.#describe(entry, kept.request, kept.promptTokens);
      return kept.plan();
    }
    const request = READERS[surface](withDeployment(jsonBody(http.body), http.path));
    const tokens = promptTokens(request);
    this.#describe(entry, request, tokens);
    const faults = faultsFor(request.model, ownFault(http), this.#settings);
    const plan = planAnswer(request, faults, { ...circumstances, attempt: entry.attempt });
    const repeatable = cacheable && isRepeatable(faults, this.#settings) &&
      !isFailoverModel(request.model);
    return repeatable ? this.#cache.keep(key, plan, { request, promptTokens: tokens }) : plan;
  }

  /** Fills in what the request says, and counts the attempt. */
  #describe(entry: OpenLogEntry, request: SimulatedRequest, tokens: number): void {
    entry.model = request.model;
    entry.promptTokens = tokens;
    if (request.surface !== "embeddings") {
      entry.stream = request.stream;
      entry.lastRole = request.lastRole;
    }
    const key = `${request.model}\n${entry.fault}`;
    entry.attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, entry.attempt);
  }

  #openEntry(http: HttpRequest, surface: Surface, moment: Moment): OpenLogEntry {
    return {
      sinceResetSeconds: (moment.nowMs - this.#resetAtMs) / 1_000,
      surface,
      target: `${http.method} ${http.path}`,
      model: "",
      fault: [this.#settings.fault, ownFault(http)].filter((text) => text !== "").join(","),
      attempt: 1,
      stream: false,
      lastRole: null,
      promptTokens: 0,
      requestId: http.headers.get("x-request-id") ?? null,
      hasCredential: credentialOf(http) !== null,
      connection: moment.connection,
      action: "",
      status: null,
      startedAtMs: moment.nowMs,
      endedAtMs: null,
      clientGoneAtMs: null,
      bytesSent: 0,
      bodyBytesSent: 0,
    };
  }

  #circumstances(
    http: HttpRequest,
    moment: Moment & { readonly sequence: number },
  ): Circumstances {
    return {
      profile: this.#settings.profile,
      failoverTiming: this.#settings.failoverTiming,
      randomAnswers: this.#settings.randomAnswers,
      seed: this.#seed,
      sequence: moment.sequence,
      attempt: 1,
      sinceResetSeconds: (moment.nowMs - this.#resetAtMs) / 1_000,
      wallMs: moment.wallMs,
      activeRequests: this.#active,
      ...connectionOf(http),
    };
  }

  #route(http: HttpRequest, moment: Moment): Plan {
    const json = (value: unknown) => planJson(value, connectionOf(http));
    const route = `${http.method} ${http.path.replace(/(?<=.)\/$/, "")}`;
    if (route.startsWith("GET ") && /\/models(\/|$)/.test(http.path)) {
      if (!this.#isAuthorized(http)) {
        throw new Refusal(401, "Incorrect API key provided", { code: "invalid_api_key" });
      }
      return json(this.#models(http.path));
    }
    switch (route) {
      case "GET /":
      case "GET /health":
      case "GET /control/health":
        return json({ status: "ok", profile: this.#settings.profile.name });
      case "GET /control/log":
        return json({ nowMs: moment.nowMs, active: this.#active, log: this.#log });
      case "GET /control/idle":
        return { action: "idle", status: 200, script: this.#whenIdle(json({ idle: true }).script) };
      case "POST /control/reset":
        this.reset(moment.nowMs);
        return json({ nowMs: moment.nowMs });
      case "POST /control/config":
        this.#settings = applySettings(this.#settings, jsonBody(http.body));
        this.#cache = new AnswerCache();
        return json(this.#settings);
      default:
        return unknownRoute(http);
    }
  }

  #models(path: string): unknown {
    const { profile } = this.#settings;
    const entry = (id: string) => ({ id, object: "model", created: 0, owned_by: profile.name });
    const ids = [...profile.models, ...FAILOVER_MODELS];
    const asked = /\/models\/(.+)$/.exec(path)?.[1];
    if (asked === undefined) return { object: "list", data: ids.map(entry) };
    const id = decodeURIComponent(asked);
    if (ids.includes(id)) return entry(id);
    const message = `Cannot find model "${id}": it does not exist`;
    throw new Refusal(404, message, { code: "model_not_found", param: "model" });
  }

  /** Sends nothing until no request to a model is being answered. */
  *#whenIdle(answer: Script): Generator<Step, Ending> {
    while (this.#active > 0) {
      yield { waitMs: IDLE_POLL_MS, bytes: new Uint8Array(0), bodyBytes: 0 };
    }
    for (;;) {
      const next = answer.next();
      if (next.done === true) return next.value;
      yield next.value;
    }
  }

  #isAuthorized(http: HttpRequest): boolean {
    return this.#apiKey === null || credentialOf(http) === this.#apiKey;
  }
}

/** Whether an equal request later on is to get an equal answer. */
function isRepeatable(faults: Faults, settings: SimulatorSettings): boolean {
  const { failureRate, maxConcurrency, jitter } = settings.profile;
  const steady = failureRate === 0 && maxConcurrency === undefined && jitter === 0;
  const random = settings.randomAnswers || faults.random === true;
  const looks = Object.keys(looksOf(faults)).length;
  return steady && !random && looks === Object.keys(faults).length;
}
