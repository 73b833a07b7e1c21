/**
 * A request whose client waits for the whole answer.
 *
 * @module
 */
import type { Attempt } from "../balance/types.ts";
import type { Reply } from "../ports.ts";
import { GatewayError } from "../errors.ts";
import type { Usage } from "../stream/reading.ts";
import { type Answer, AnswerAttempt } from "./answer_attempt.ts";
import { AttemptFailed } from "./attempt.ts";
import { type AttemptFigures, Exchange, NO_FIGURES } from "./exchange.ts";
import { detailOf, type Refusal } from "./outcome.ts";
import type { BackendRoute, Plan } from "./plan.ts";
import { reasonOf } from "./reason.ts";

/** Sends a request until one backend has answered in full. */
export class AnswerExchange extends Exchange<AnswerAttempt> {
  readonly #reply = Promise.withResolvers<Reply>();
  readonly #gone = (): void => this.#clientGone();
  readonly #usages = new Map<number, Usage | null>();

  /**
   * Runs the request.
   *
   * @throws {GatewayError | BackendReply} If no backend could answer, or the client is gone.
   */
  run(): Promise<Reply> {
    const { signal } = this.context;
    signal.addEventListener("abort", this.#gone, { once: true });
    if (signal.aborted) this.#gone();
    else this.start();
    return this.#reply.promise;
  }

  protected override close(): void {
    super.close();
    this.context.signal.removeEventListener("abort", this.#gone);
  }

  protected override launch(attempt: Attempt, plan: Plan, route: BackendRoute): void {
    // A backend that writes the whole answer first shows no first token; half of the
    // total leaves time for another one.
    const limits = this.limits(this.context.rules.totalMs / 2);
    const run = new AnswerAttempt(attempt, plan, route, this.attemptPorts, limits);
    this.runs.set(attempt.id, run);
    run.open(this.context.limits.answerBytes).then(
      (answer) => this.#answered(run, plan, answer),
      (error) => this.attemptFailed(run, error),
    );
  }

  protected override figures(run: AnswerAttempt): AttemptFigures {
    return { ...NO_FIGURES, usage: this.#usages.get(run.attempt.id) ?? null };
  }

  protected override refuse(refusal: Refusal): void {
    if (this.over) return;
    this.close();
    const { status } = detailOf(refusal);
    this.finished(null, {
      status,
      outcome: "error",
      reason: reasonOf(refusal),
      overheadSeconds: null,
    });
    this.#reply.reject(refusal);
  }

  #answered(run: AnswerAttempt, plan: Plan, answer: Answer): void {
    if (this.over || !this.runs.has(run.attempt.id)) return;
    const body = this.#bodyOf(run, plan, answer);
    if (body === null) return;
    this.runs.delete(run.attempt.id);
    const atMs = this.context.ports.clock.nowMs();
    const { usage } = answer.reading;
    this.#usages.set(run.attempt.id, usage);
    this.settled(run, "ok");
    this.tell({ type: "first_token", attempt: run.attempt });
    this.tell({
      type: "finished",
      attempt: run.attempt,
      tokens: usage?.answerTokens ?? 0,
      decodeSeconds: null,
      promptTokens: usage?.promptTokens ?? null,
    });
    this.close();
    const headers = this.answerHeaders(run, atMs);
    headers.push(["content-type", "application/json"]);
    const overheadSeconds = this.overheadSeconds(atMs);
    this.tellAnswered(run, false);
    this.finished(run, { status: 200, outcome: "ok", reason: "none", overheadSeconds });
    this.#reply.resolve({ status: answer.status, headers, body });
  }

  /** The answer in the client's API; `null` if it cannot be translated, which fails the attempt. */
  #bodyOf(run: AnswerAttempt, plan: Plan, { bytes, reading }: Answer): Reply["body"] {
    if (plan.translation === null) return bytes;
    const createdSeconds = Math.floor(this.context.ports.clock.wallMs() / 1_000);
    try {
      return JSON.stringify(plan.translation.answer(reading.json, createdSeconds));
    } catch (cause) {
      const unreadable = cause instanceof GatewayError;
      const error = unreadable ? new AttemptFailed("unreadable", cause.message, { cause }) : cause;
      this.attemptFailed(run, error);
      return null;
    }
  }

  #clientGone(): void {
    if (this.over) return;
    this.callOffAll();
    this.close();
    this.finished(null, {
      status: 499,
      outcome: "client_gone",
      reason: "none",
      overheadSeconds: null,
    });
    // Nobody reads this; it only ends the handler.
    this.#reply.resolve({ status: 499, headers: [], body: null });
  }
}
