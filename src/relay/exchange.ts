/**
 * One client request on its way through attempts: does what {@linkcode Dispatch}
 * decides, and tells it what happened.
 *
 *     dispatch --send--> attempt --first token, failure, end--> dispatch
 *                 abort <-+                                        |
 *                         +----------- wake, give up <-------------+
 *
 * The two kinds of exchange differ in what the client gets: a whole answer
 * (`answer_exchange.ts`) or a stream (`stream_exchange.ts`).
 *
 * @module
 */
import type { Dispatch } from "../balance/dispatch.ts";
import type { Pool } from "../balance/pool.ts";
import type {
  Attempt,
  AttemptKind,
  Demand,
  DispatchAction,
  DispatchEvent,
  FailureReason,
} from "../balance/types.ts";
import { GatewayError } from "../errors.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { RequestOutcome, RequestReason } from "../telemetry/request_metrics.ts";
import type { Departure } from "../ports.ts";
import type { Usage } from "../stream/reading.ts";
import { AttemptCancelled, AttemptFailed, type AttemptPorts, type AttemptRun } from "./attempt.ts";
import type { AttemptLimits } from "./attempt_state.ts";
import type { Inbound } from "./inbound.ts";
import { type Refusal, refusalOf } from "./outcome.ts";
import { type BackendRoute, type Plan, planAttempt } from "./plan.ts";
import type { Rostered } from "./roster.ts";

/** What the configuration says about a model. */
export interface ModelRules {
  /** The alias that clients ask for. */
  readonly name: string;
  /** Time limits, in milliseconds. */
  readonly connectMs: number;
  /** From an attempt's start to its first content. */
  readonly firstTokenMs: number;
  /** Between two pieces. */
  readonly idleMs: number;
  /** For the whole request. */
  readonly totalMs: number;
  /** Whether a broken stream is carried on elsewhere. */
  readonly continuation: boolean;
}

/** Limits and intervals of the relay. */
export interface RelayLimits {
  /** Longest answer that is held whole, in bytes. */
  readonly answerBytes: number;
  /** Longest event, in bytes. */
  readonly eventBytes: number;
  /** Silence after which a comment is sent; 0 for never. */
  readonly keepAliveMs: number;
}

/** What an exchange needs. */
export interface ExchangeContext {
  /** The client's request. */
  readonly inbound: Inbound;
  /** What it needs of a target. */
  readonly demand: Demand;
  /** Rules of the model asked for. */
  readonly rules: ModelRules;
  /** Candidates. */
  readonly pool: Pool;
  /** How to reach each backend. */
  readonly routes: ReadonlyMap<string, BackendRoute>;
  /** The outside world. */
  readonly ports: Omit<AttemptPorts, "connectMs">;
  /** Limits and intervals. */
  readonly limits: RelayLimits;
  /** Client headers to pass on. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** Name of this request in logs and response headers. */
  readonly requestId: string;
  /** When the request had arrived, on the clock. */
  readonly startedMs: number;
  /** Aborts when the client goes away. */
  readonly signal: Departure;
  /** Whether usage is handed on although the client did not ask for it. */
  readonly keepsUsage: boolean;
  /** Told who answered, once the answer is complete. */
  readonly answered: ((by: AnsweredBy) => void) | null;
  /** What is counted. */
  readonly metrics: Metrics;
  /** What is written down. */
  readonly log: Log;
  /** Told once the request is over for its client. */
  readonly left: (exchange: Rostered) => void;
}

/** Who gave a complete answer, and how. */
export interface AnsweredBy {
  /** The backend's name. */
  readonly backend: string;
  /** What the backend calls the model. */
  readonly model: string;
  /** The target's tier. */
  readonly tier: number;
  /** Whether it was put together from more than one attempt. */
  readonly spliced: boolean;
  /** Whether the backend forbids keeping it. */
  readonly noStore: boolean;
}

/** What an attempt showed when it was settled. */
export interface AttemptFigures {
  /** First content, on the clock. */
  readonly firstTokenMs: number | null;
  /** Seconds a token, after the first. */
  readonly timePerOutputSeconds: number | null;
  /** What the backend counted. */
  readonly usage: Usage | null;
}

/** How a request ended for its client. */
export interface RequestEnd {
  /** HTTP status the client got. */
  readonly status: number;
  /** In one word. */
  readonly outcome: RequestOutcome;
  /** Why, where it did not end well. */
  readonly reason: RequestReason;
  /** The gateway's own time, where an answer was sent. */
  readonly overheadSeconds: number | null;
}

/** Nothing was seen. */
export const NO_FIGURES: AttemptFigures = {
  firstTokenMs: null,
  timePerOutputSeconds: null,
  usage: null,
};

/** How long usage and end marker may take after a finish reason, in milliseconds. */
const ENDING_MS = 700;

/** One client request. */
export abstract class Exchange<Run extends AttemptRun> implements Rostered {
  /** Place among the requests under way. */
  rosterPlace = -1;
  /** What the request is about. */
  protected readonly context: ExchangeContext;
  /** Attempts on the wire. */
  protected readonly runs = new Map<number, Run>();
  readonly #dispatch: Dispatch;
  readonly #failures = new Map<number, AttemptFailed>();
  #wake: Disposable | null = null;
  #firstSendMs: number | null = null;
  #calledOff = false;
  #over = false;

  /** Takes a request; {@linkcode start} sends it. */
  constructor(context: ExchangeContext) {
    this.context = context;
    this.#dispatch = context.pool.dispatch(context.demand, context.startedMs / 1_000);
  }

  /** Attempts sent so far. */
  get attempts(): number {
    return this.#dispatch.attempts;
  }

  /** Whether the client has its answer, an error, or is gone. */
  get over(): boolean {
    return this.#over;
  }

  /** Calls every attempt off: nothing more is tried, whoever decided so. */
  protected callOffAll(): void {
    this.#calledOff = true;
    this.tell({ type: "cancelled" });
    for (const run of this.runs.values()) this.callOff(run, "cancelled");
  }

  /** Sends the first attempt. */
  protected start(): void {
    this.perform(this.#dispatch.start(this.context.startedMs / 1_000));
  }

  /** Puts one attempt on the wire. */
  protected abstract launch(attempt: Attempt, plan: Plan, route: BackendRoute): void;

  /** Ends the request without an answer. */
  protected abstract refuse(refusal: Refusal): void;

  /** What an attempt has shown so far. */
  protected abstract figures(run: Run): AttemptFigures;

  /** Reports an event to the balancer and does what it asks for. */
  protected tell(event: DispatchEvent): void {
    this.perform(this.#dispatch.step(event, this.context.ports.clock.nowMs() / 1_000));
  }

  /** Ends the exchange's own timers. */
  protected close(): void {
    this.#over = true;
    this.#wake?.[Symbol.dispose]();
    this.#wake = null;
    this.context.left(this);
  }

  /** Ends the request from outside, with an error. */
  interrupt(refusal: Refusal): void {
    if (this.#over) return;
    this.callOffAll();
    this.refuse(refusal);
  }

  /** Limits of an attempt that starts now. */
  protected limits(firstTokenMs: number): AttemptLimits {
    const { rules, startedMs } = this.context;
    return {
      firstTokenMs,
      idleMs: rules.idleMs,
      endingMs: ENDING_MS,
      deadlineMs: startedMs + rules.totalMs,
    };
  }

  /** What an attempt needs of the world. */
  protected get attemptPorts(): AttemptPorts {
    return { ...this.context.ports, connectMs: this.context.rules.connectMs };
  }

  /**
   * Seconds that the gateway itself has spent: before the first attempt, and
   * since `answeredMs`, when the backend had said what is now to be sent.
   */
  protected overheadSeconds(answeredMs: number): number {
    const { startedMs, ports } = this.context;
    const before = (this.#firstSendMs ?? startedMs) - startedMs;
    return Math.max(0, before + ports.clock.nowMs() - answeredMs) / 1_000;
  }

  /** Response headers that say who answered. */
  protected answerHeaders(run: Run, answeredMs: number): [string, string][] {
    const { backend, model } = run.attempt.target;
    return [
      ["x-request-id", this.context.requestId],
      ["x-weir-backend", backend],
      ["x-weir-model", headerText(model)],
      ["x-weir-attempts", String(this.attempts)],
      ["x-weir-cache", "off"],
      ["x-weir-overhead-ms", (this.overheadSeconds(answeredMs) * 1_000).toFixed(3)],
      ...passedHeaders(run),
    ];
  }

  /** An attempt did not succeed: settles it, and asks the balancer what is next. */
  protected attemptFailed(run: Run, error: unknown): void {
    this.runs.delete(run.attempt.id);
    if (error instanceof AttemptCancelled) return;
    if (!(error instanceof AttemptFailed)) {
      this.context.log.error("attempt.bug", this.logFields(run.attempt, { error }));
    }
    const failed = error instanceof AttemptFailed
      ? error
      : new AttemptFailed("unreadable", "Cannot read answer: internal error", { cause: error });
    this.#failures.set(run.attempt.id, failed);
    this.settled(run, failed.reason);
    this.context.log.warn(
      "attempt.failed",
      this.logFields(run.attempt, {
        "error.type": failed.reason,
        "error.message": failed.message,
        "http.response.status_code": failed.status ?? undefined,
      }),
    );
    if (this.#over) return;
    const { reason, status, retryAfterSeconds } = failed;
    this.tell({
      type: "failed",
      attempt: run.attempt,
      failure: { reason, status, retryAfterSeconds },
    });
  }

  /** Calls an attempt off that is still on the wire. */
  protected callOff(run: Run, outcome: "cancelled" | "lost_hedge"): void {
    this.runs.delete(run.attempt.id);
    this.settled(run, outcome);
    run.cancel();
  }

  /** Tells who gave the complete answer. */
  protected tellAnswered(run: Run, spliced: boolean): void {
    const { answered } = this.context;
    if (answered === null) return;
    const { backend, model, tier } = run.attempt.target;
    const noStore = /\bno-store\b/i.test(run.header("cache-control") ?? "");
    answered({ backend, model, tier, spliced, noStore });
  }

  /** Counts an attempt that is over. */
  protected settled(run: Run, outcome: "ok" | FailureReason | "cancelled" | "lost_hedge"): void {
    const { inbound, metrics, ports, routes } = this.context;
    const { target, kind } = run.attempt;
    const { firstTokenMs, timePerOutputSeconds, usage } = this.figures(run);
    metrics.attemptFinished({
      backend: target.backend,
      provider: routes.get(target.backend)?.protocol ?? "openai",
      model: target.model,
      surface: inbound.surface,
      kind,
      outcome,
      durationSeconds: (ports.clock.nowMs() - run.startedMs) / 1_000,
      firstTokenSeconds: firstTokenMs === null ? null : (firstTokenMs - run.startedMs) / 1_000,
      timePerOutputSeconds,
      promptTokens: usage?.promptTokens ?? null,
      answerTokens: usage?.answerTokens ?? null,
      wasted: outcome !== "ok",
    });
  }

  /** Counts the request, once it is over for its client. */
  protected finished(run: Run | null, end: RequestEnd): void {
    const { inbound, metrics, ports, routes, rules, startedMs } = this.context;
    const target = run?.attempt.target;
    const { firstTokenMs, timePerOutputSeconds } = run === null ? NO_FIGURES : this.figures(run);
    metrics.requestFinished({
      surface: inbound.surface,
      model: rules.name,
      backend: target?.backend ?? null,
      provider: target === undefined ? null : routes.get(target.backend)?.protocol ?? null,
      responseModel: target?.model ?? null,
      stream: inbound.stream,
      status: end.status,
      outcome: end.outcome,
      reason: end.reason,
      durationSeconds: (ports.clock.nowMs() - startedMs) / 1_000,
      firstTokenSeconds: firstTokenMs === null || !inbound.stream
        ? null
        : (firstTokenMs - startedMs) / 1_000,
      timePerOutputTokenSeconds: timePerOutputSeconds,
      overheadSeconds: end.overheadSeconds,
      attempts: this.attempts,
    });
    this.context.log.info(
      "request.finished",
      this.logFields(run?.attempt ?? null, {
        "weir.surface": inbound.surface,
        "weir.stream": inbound.stream,
        "weir.outcome": end.outcome,
        "weir.reason": end.reason,
        "weir.attempts": this.attempts,
        "http.response.status_code": end.status,
        "duration_seconds": (ports.clock.nowMs() - startedMs) / 1_000,
      }),
    );
  }

  /** Fields every line about this request carries. */
  protected logFields(
    attempt: Attempt | null,
    more: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    return {
      "request.id": this.context.requestId,
      "gen_ai.request.model": this.context.rules.name,
      ...(attempt === null ? {} : {
        "weir.backend": attempt.target.backend,
        "weir.attempt": attempt.id,
        "weir.attempt.kind": attempt.kind,
      }),
      ...more,
    };
  }

  /** Does what the balancer decided. */
  protected perform(actions: readonly DispatchAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#send(action.attempt);
          break;
        case "abort":
          this.#abort(action.attempt);
          break;
        case "wake":
          this.#sleep(action.atSeconds);
          break;
        case "give_up":
          this.#giveUp(action);
          break;
      }
    }
  }

  #send(attempt: Attempt): void {
    const { inbound, routes, headers, ports } = this.context;
    this.#firstSendMs ??= ports.clock.nowMs();
    this.#countKind(attempt.kind);
    const route = routes.get(attempt.target.backend);
    if (route === undefined) {
      throw new TypeError(`Cannot send to ${attempt.target.backend}: no such backend`);
    }
    let plan: Plan;
    try {
      plan = planAttempt(inbound, attempt.target, route, { headers });
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.callOffAll();
      this.refuse(error);
      return;
    }
    this.launch(attempt, plan, route);
  }

  #countKind(kind: AttemptKind): void {
    const { metrics, rules } = this.context;
    if (kind === "hedge") metrics.hedge({ model: rules.name, result: "sent" });
    if (kind === "continuation") metrics.continuation({ model: rules.name, result: "started" });
    if (kind !== "retry") return;
    const reason = [...this.#failures.values()].at(-1)?.reason;
    if (reason !== undefined) metrics.retry({ model: rules.name, reason });
  }

  #abort(attempt: Attempt): void {
    const run = this.runs.get(attempt.id);
    if (run === undefined) return;
    if (attempt.kind === "hedge") {
      this.context.metrics.hedge({ model: this.context.rules.name, result: "lost" });
    }
    this.callOff(run, this.#calledOff ? "cancelled" : "lost_hedge");
  }

  #sleep(atSeconds: number): void {
    this.#wake?.[Symbol.dispose]();
    const { clock } = this.context.ports;
    const delayMs = Math.max(0, atSeconds * 1_000 - clock.nowMs());
    this.#wake = clock.after(delayMs, () => {
      this.#wake = null;
      if (!this.#over) this.tell({ type: "wake" });
    });
  }

  #giveUp(action: Extract<DispatchAction, { type: "give_up" }>): void {
    const id = action.failure?.attempt.id;
    const failed = id === undefined ? null : this.#failures.get(id) ?? null;
    this.refuse(refusalOf(action, failed, this.context.rules.name));
  }
}

/** Backend headers that a client may want; all others stay behind. */
const PASSED_HEADERS = [
  "request-id",
  "openai-organization",
  "openai-processing-ms",
  "openai-version",
  "x-ratelimit-limit-requests",
  "x-ratelimit-limit-tokens",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-remaining-tokens",
  "x-ratelimit-reset-requests",
  "x-ratelimit-reset-tokens",
  "anthropic-ratelimit-requests-remaining",
  "anthropic-ratelimit-tokens-remaining",
];

function passedHeaders(run: AttemptRun): [string, string][] {
  const passed: [string, string][] = [];
  for (const name of PASSED_HEADERS) {
    const value = run.header(name);
    if (value !== null) passed.push([name, value]);
  }
  const theirs = run.header("x-request-id");
  if (theirs !== null) passed.push(["x-upstream-request-id", theirs]);
  return passed;
}

/** Model names may hold what a header must not. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}
