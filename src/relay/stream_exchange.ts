/**
 * A request whose client reads a stream.
 *
 *     held --content--> flowing --end--> closed
 *       |                 |  ^
 *       |            cut  v  | first token of a continuation
 *       |               broken --nothing left to try--> error event, abnormal close
 *       +--nothing left to try--> error status
 *
 * Invariant: the body is closed cleanly only after the answer was complete.
 * Every other end is an error event followed by an abnormal close.
 *
 * The client's pull drives the backend: nothing is read for a client that does
 * not read, so a slow one costs no memory.
 *
 * @module
 */
import { errorEvent, isPrefillRejection } from "../backends/error_shape.ts";
import type { Attempt } from "../balance/types.ts";
import { GatewayError } from "../errors.ts";
import type { Reply, StreamSource } from "../ports.ts";
import { type ContinuationMode, Transcript } from "../stream/continuation.ts";
import { formatComment } from "../stream/sse.ts";
import { AttemptCancelled, AttemptFailed } from "./attempt.ts";
import type { Watched } from "./deadlines.ts";
import { type AttemptFigures, Exchange, type ExchangeContext } from "./exchange.ts";
import { Frames } from "./frames.ts";
import { detailOf, type Refusal } from "./outcome.ts";
import { ContinuationMismatch, Outlet } from "./outlet.ts";
import { type BackendRoute, type Plan, planAttempt } from "./plan.ts";
import { reasonOf } from "./reason.ts";
import { StreamAttempt } from "./stream_attempt.ts";

const KEEP_ALIVE = formatComment("keep-alive");

/** What one pull brings. */
type Pulled = readonly Uint8Array<ArrayBuffer>[] | null;

/** Sends a request and streams the answer of the first backend that begins one. */
export class StreamExchange extends Exchange<StreamAttempt> implements StreamSource {
  readonly #reply = Promise.withResolvers<Reply>();
  readonly #gone = (): void => this.#clientGone();
  readonly #silence: Watched = {
    rosterPlace: -1,
    checkLimits: (nowMs) => this.#keepAlive(nowMs),
  };
  readonly #queued = new Frames();
  readonly #transcripts = new Map<number, Transcript>();
  #transcript: Transcript | null = null;
  #winner: StreamAttempt | null = null;
  #last: StreamAttempt | null = null;
  #ending: "clean" | "abnormal" | null = null;
  /** The client's open demand for bytes. */
  #demand: PromiseWithResolvers<Pulled> | null = null;
  #reading = false;
  #responded = false;
  #continuing = false;
  #lastWriteMs: number;
  #overheadSeconds: number | null = null;

  /** Takes a request; {@linkcode run} sends it. */
  constructor(context: ExchangeContext) {
    super(context);
    this.#lastWriteMs = context.startedMs;
  }

  /**
   * Runs the request. The promise settles when the answer begins, or when the
   * wait for it has been long enough to say so with a comment.
   *
   * @throws {GatewayError | BackendReply} If no backend could begin an answer.
   */
  run(): Promise<Reply> {
    const { signal, ports, limits, metrics } = this.context;
    metrics.streamsOpen(1);
    signal.addEventListener("abort", this.#gone, { once: true });
    if (limits.keepAliveMs > 0) ports.deadlines.watch(this.#silence);
    if (signal.aborted) this.#gone();
    else this.start();
    return this.#reply.promise;
  }

  #keepAlive(nowMs: number): void {
    if (nowMs - this.#lastWriteMs < this.context.limits.keepAliveMs || this.#ending !== null) {
      return;
    }
    if (!this.#responded) this.#respond(null);
    // Bytes that wait for the client: it does not read, and a comment would not help it.
    else if (this.#demand === null || !this.#queued.empty) return;
    this.#queued.push(KEEP_ALIVE);
    this.#supply();
    this.#lastWriteMs = nowMs;
    this.context.metrics.keepAlive();
  }

  /** The client has room: gives it what is queued, or reads on until there is something. */
  pull(): Promise<Pulled> {
    const demand = Promise.withResolvers<Pulled>();
    this.#demand = demand;
    this.#supply();
    return demand.promise;
  }

  /** Nobody reads on. */
  cancel(): void {
    this.#clientGone();
  }

  protected override launch(attempt: Attempt, plan: Plan, route: BackendRoute): void {
    this.#continuing ||= attempt.kind === "continuation";
    if (this.#continuing && this.#transcript?.canContinue !== true) return this.#cannotContinue();
    this.#open(attempt, plan, route, this.#continuationMode(attempt));
  }

  protected override figures(run: StreamAttempt): AttemptFigures {
    const { firstTokenMs, decodeMs, tokens, progress } = run.figures;
    return {
      firstTokenMs,
      timePerOutputSeconds: tokens < 2 ? null : (decodeMs ?? 0) / 1_000 / (tokens - 1),
      usage: progress.usage,
    };
  }

  protected override refuse(refusal: Refusal): void {
    if (this.over) return;
    this.#shut();
    const detail = detailOf(refusal);
    const end = { reason: reasonOf(refusal), overheadSeconds: this.#overheadSeconds };
    if (!this.#responded) {
      this.finished(null, { ...end, status: detail.status, outcome: "error" });
      this.#reply.reject(refusal);
      return;
    }
    const cut = this.#last !== null;
    this.finished(this.#last, { ...end, status: 200, outcome: cut ? "cut" : "error" });
    if (this.#continuing) this.#countContinuation("failed");
    this.#queued.pushText(errorEvent(this.context.inbound.surface, detail));
    this.#ending = "abnormal";
    this.#supply();
  }

  /** How to carry on: with a prefill where the target takes one, else from the start. */
  #continuationMode(attempt: Attempt): ContinuationMode | null {
    const transcript = this.#transcript;
    if (!this.#continuing || transcript === null) return null;
    const prefill = attempt.target.capabilities.prefill && transcript.canPrefill;
    return prefill ? "prefill" : "restart";
  }

  #open(attempt: Attempt, plan: Plan, route: BackendRoute, mode: ContinuationMode | null): void {
    const { inbound, rules, limits, headers, ports } = this.context;
    let sent = plan;
    const transcript = this.#transcriptOf(attempt, mode);
    if (mode === "prefill") {
      const body = transcript?.prefillRequest(inbound.body) ?? null;
      if (body === null) return this.#open(attempt, plan, route, "restart");
      sent = planAttempt(inbound, attempt.target, route, { headers, body });
    }
    if (mode !== null) transcript?.begin(mode);
    const run = new StreamAttempt(
      attempt,
      sent,
      route,
      this.attemptPorts,
      this.limits(rules.firstTokenMs),
    );
    this.runs.set(attempt.id, run);
    const outlet = new Outlet({
      surface: inbound.surface,
      translator: sent.translation?.stream({
        includeUsage: inbound.wantsUsage || this.context.keepsUsage,
        createdSeconds: Math.floor(ports.clock.wallMs() / 1_000),
        id: `${inbound.surface === "messages" ? "msg" : "chatcmpl"}-${this.context.requestId}`,
      }) ?? null,
      dropUsage: sent.dropUsage && !this.context.keepsUsage,
      transcript,
      splicing: mode !== null,
    });
    run.open(outlet, { eventBytesMax: limits.eventBytes, choices: inbound.choices }).then(
      () => this.#begun(run),
      (error) => {
        if (mode === "prefill" && this.#prefillRefused(run, error)) {
          this.#open(attempt, plan, route, "restart");
        } else this.#failed(run, error);
      },
    );
  }

  /** Each first attempt has a record of its own; the winner's is the client's. */
  #transcriptOf(attempt: Attempt, mode: ContinuationMode | null): Transcript | null {
    if (mode !== null || !this.context.demand.continuable) return this.#transcript;
    const transcript = new Transcript(this.context.inbound.surface);
    this.#transcripts.set(attempt.id, transcript);
    return transcript;
  }

  /**
   * A target that takes no prefill after all: the same one is asked from the
   * start. The prefill is all that this request had more than the first one, so
   * whatever the target says against it is said against that.
   */
  #prefillRefused(run: StreamAttempt, error: unknown): boolean {
    if (this.over || !(error instanceof AttemptFailed) || error.detail === null) return false;
    if (error.reason !== "bad_request" && !isPrefillRejection(error.detail)) return false;
    this.runs.delete(run.attempt.id);
    return true;
  }

  /** An attempt has its first content: it wins, unless another one already has. */
  #begun(run: StreamAttempt): void {
    if (this.over || !this.runs.has(run.attempt.id)) return;
    this.tell({ type: "first_token", attempt: run.attempt });
    this.#winner = run;
    this.#last = run;
    this.#transcript ??= this.#transcripts.get(run.attempt.id) ?? null;
    this.#takeFrames(run);
    if (run.attempt.kind === "hedge") {
      this.context.metrics.hedge({ model: this.context.rules.name, result: "won" });
    }
    this.#respond(run);
    if (run.ended) this.#complete(run);
    this.#supply();
  }

  #failed(run: StreamAttempt, error: unknown): void {
    if (error instanceof ContinuationMismatch) this.#mismatched(run, error);
    else this.attemptFailed(run, error);
  }

  /** What was sent is of a kind that no second stream can be compared with. */
  #cannotContinue(): void {
    this.#continuing = false;
    this.callOffAll();
    this.refuse(
      new GatewayError(
        "stream_cut",
        "Cannot finish stream: the backend broke off, and what it " +
          "had sent so far cannot be carried on",
      ),
    );
  }

  /** What was sent cannot be taken back, and no other backend would repeat it either. */
  #mismatched(run: StreamAttempt, error: ContinuationMismatch): void {
    this.callOff(run, "cancelled");
    if (this.over) return;
    this.#countContinuation("mismatch");
    this.#continuing = false;
    this.callOffAll();
    const options = { cause: error };
    this.refuse(new GatewayError("stream_cut", `Cannot finish stream: ${error.message}`, options));
  }

  /** Answers 200; from here on errors can only be told inside the stream. */
  #respond(run: StreamAttempt | null): void {
    if (this.#responded) return;
    this.#responded = true;
    const headers: [string, string][] = [
      ["content-type", "text/event-stream; charset=utf-8"],
      ["cache-control", "no-cache"],
      ["x-accel-buffering", "no"],
    ];
    if (run === null) {
      headers.push(["x-request-id", this.context.requestId], ["x-weir-cache", "off"]);
    } else {
      const answeredMs = run.figures.firstTokenMs ?? this.context.ports.clock.nowMs();
      this.#overheadSeconds = this.overheadSeconds(answeredMs);
      headers.push(...this.answerHeaders(run, answeredMs));
    }
    this.#reply.resolve({ status: 200, headers, body: this });
  }

  /** Meets the open demand, if there is something to meet it with; else reads on. */
  #supply(): void {
    const demand = this.#demand;
    if (demand === null) return;
    if (!this.#queued.empty) {
      this.#demand = null;
      this.#lastWriteMs = this.context.ports.clock.nowMs();
      demand.resolve(this.#queued.take());
    } else if (this.#ending === "clean") {
      this.#demand = null;
      demand.resolve(null);
    } else if (this.#ending === "abnormal") {
      this.#demand = null;
      demand.reject(new Error("Cannot end stream: its answer is not complete"));
    } else if (this.#winner !== null && !this.#reading) {
      this.#read(this.#winner);
    }
  }

  /** One piece of the backend's; never more than one at a time. */
  #read(winner: StreamAttempt): void {
    this.#reading = true;
    winner.advance().then(
      () => {
        this.#reading = false;
        this.#takeFrames(winner);
        if (winner.ended) this.#complete(winner);
        this.#supply();
      },
      (error) => {
        this.#reading = false;
        this.#takeFrames(winner);
        if (this.#winner === winner) this.#winner = null;
        if (!(error instanceof AttemptCancelled)) this.#failed(winner, error);
        this.#supply();
      },
    );
  }

  #takeFrames(run: StreamAttempt): void {
    if (run.frames.empty) return;
    for (const bytes of run.frames.take()) this.#queued.push(bytes);
  }

  #complete(run: StreamAttempt): void {
    if (this.over) return;
    this.runs.delete(run.attempt.id);
    this.settled(run, "ok");
    const { decodeMs, tokens, progress } = run.figures;
    this.tell({
      type: "finished",
      attempt: run.attempt,
      tokens,
      decodeSeconds: decodeMs === null ? null : decodeMs / 1_000,
      promptTokens: progress.usage?.promptTokens ?? null,
    });
    if (this.#continuing) this.#countContinuation("completed");
    this.tellAnswered(run, this.#continuing);
    this.#winner = null;
    this.#shut();
    this.finished(run, {
      status: 200,
      outcome: "ok",
      reason: "none",
      overheadSeconds: this.#overheadSeconds,
    });
    this.#ending = "clean";
  }

  #clientGone(): void {
    if (this.over) return;
    this.callOffAll();
    this.#shut();
    this.#winner = null;
    this.#ending = "abnormal";
    this.#supply();
    this.finished(this.#last, {
      status: this.#responded ? 200 : 499,
      outcome: "client_gone",
      reason: "none",
      overheadSeconds: this.#overheadSeconds,
    });
    if (!this.#responded) this.#reply.resolve({ status: 499, headers: [], body: null });
  }

  /** Ends timers and listeners. */
  #shut(): void {
    this.close();
    this.context.ports.deadlines.unwatch(this.#silence);
    this.context.signal.removeEventListener("abort", this.#gone);
    this.context.metrics.streamsOpen(-1);
  }

  #countContinuation(result: "completed" | "mismatch" | "failed"): void {
    this.context.metrics.continuation({ model: this.context.rules.name, result });
  }
}
