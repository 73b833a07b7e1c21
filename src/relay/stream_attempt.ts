/**
 * An attempt whose answer is sent on as it comes.
 *
 * Until the first content the client has been sent nothing of it, so a failure
 * can be retried elsewhere; {@linkcode StreamAttempt.open} ends there. From then
 * on {@linkcode StreamAttempt.advance} is called only when the client has room,
 * which pauses the backend of a slow reader. Only whole events are handed on: a
 * cut in the middle of one leaves no half of it behind.
 *
 * @module
 */
import { classify } from "../backends/error_shape.ts";
import type { FailureReason } from "../balance/types.ts";
import type { UpstreamResponse } from "../ports.ts";
import { Progress, readEvent, type Reading } from "../stream/reading.ts";
import { EventScanner, type SseEvent, SseLimitError } from "../stream/sse.ts";
import { AttemptFailed, AttemptRun, failureWords } from "./attempt.ts";
import { Frames } from "./frames.ts";
import { ContinuationMismatch, type Outlet } from "./outlet.ts";

/** How long the connection of a finished stream may take to end, in milliseconds. */
const DRAIN_MS = 1_000;

/** What a stream showed. */
export interface StreamFigures {
  /** First content, on the caller's clock; `null` where there was none. */
  readonly firstTokenMs: number | null;
  /** From first to last content, in milliseconds; `null` where there was none. */
  readonly decodeMs: number | null;
  /** Events with content, or answer tokens where the backend counted them. */
  readonly tokens: number;
  /** What was seen of usage and finish. */
  readonly progress: Progress;
}

/** An attempt for a stream. */
export class StreamAttempt extends AttemptRun {
  /** What is ready for the client. */
  readonly frames = new Frames();
  #progress = new Progress();
  #outlet: Outlet | null = null;
  #scanner: EventScanner | null = null;
  #firstTokenMs: number | null = null;
  #lastTokenMs: number | null = null;
  #opened = false;
  #terminal = false;
  #ended = false;

  /** Whether the whole answer has been handed on. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What the stream showed so far. */
  get figures(): StreamFigures {
    const first = this.#firstTokenMs;
    const last = this.#lastTokenMs;
    return {
      firstTokenMs: first,
      decodeMs: first === null || last === null ? null : last - first,
      tokens: this.#progress.usage?.answerTokens ?? this.#progress.contentEvents,
      progress: this.#progress,
    };
  }

  /**
   * Sends the request and reads up to the first content.
   *
   * @param outlet Where events go.
   * @param options `eventBytesMax`: longest event, in bytes; `choices`: how many were asked for.
   * @throws {AttemptFailed} If it failed before any content.
   * @throws {AttemptCancelled} If it was called off.
   */
  async open(
    outlet: Outlet,
    options: { readonly eventBytesMax: number; readonly choices: number },
  ): Promise<void> {
    this.#outlet = outlet;
    this.#scanner = new EventScanner({ eventBytesMax: options.eventBytesMax });
    this.#progress = new Progress({ choices: options.choices });
    try {
      const response = await this.connect();
      this.#checkType(response);
      while (!this.state.hasContent && !this.#ended) await this.#step(response);
      this.#opened = true;
    } catch (error) {
      this.#settle(error);
    }
  }

  /**
   * Reads one piece and queues what it brings.
   *
   * @throws {AttemptFailed} If the stream broke; what came before is queued.
   * @throws {AttemptCancelled} If it was called off.
   */
  async advance(): Promise<void> {
    const { response } = this;
    if (response === null || this.#ended) return;
    try {
      await this.#step(response);
    } catch (error) {
      this.#settle(error);
    }
  }

  /** Ends the attempt as what was thrown says: quietly if the answer was complete. */
  #settle(error: unknown): void {
    const ending = error instanceof ContinuationMismatch ? error : this.ending(error);
    if (ending === "ended") return this.#finish(null);
    this.release(true);
    this.state.fail();
    throw ending;
  }

  /** A stream that answers with JSON or a page is no stream. */
  #checkType(response: UpstreamResponse): void {
    const type = response.header("content-type") ?? "";
    if (!/json|html/i.test(type)) return;
    throw this.failure("unreadable", `it answered a stream with ${type.split(";")[0]?.trim()}`);
  }

  async #step(response: UpstreamResponse): Promise<void> {
    const piece = await this.readPiece(response);
    if (piece === null) return this.#framingEnded();
    try {
      this.#scanner?.push(piece, this.#onEvent);
    } catch (error) {
      if (!(error instanceof SseLimitError)) throw error;
      throw this.failure(this.#broken("unreadable"), error.message, error);
    }
    if (this.#terminal) this.#finish(response);
  }

  readonly #onEvent = (event: SseEvent): void => {
    if (this.#terminal) return;
    if (event.data === null) {
      if (this.state.hasContent) this.frames.push(event.raw);
      return;
    }
    const reading = readEvent(this.plan.form, event.event, event.data);
    if (reading.malformed) {
      throw this.failure(
        this.#broken("unreadable", "malformed"),
        "it sent an event that is no JSON",
      );
    }
    if (reading.error !== null) throw this.#inBand(reading.error);
    this.#progress.push(reading);
    if (reading.content) {
      const nowMs = this.ports.clock.nowMs();
      this.#firstTokenMs ??= nowMs;
      this.#lastTokenMs = nowMs;
      this.state.contentArrived();
    }
    this.#outlet?.push(event, reading, this.frames);
    if (this.#progress.finished && this.#finishIsEnd()) this.#complete();
    if (reading.terminal && this.#progress.complete) {
      this.#complete();
      this.#terminal = true;
    }
  };

  /** In these two APIs the finish reason is the end; what follows is usage and a marker. */
  #finishIsEnd(): boolean {
    return this.plan.form === "chat" || this.plan.form === "completions";
  }

  /** An answer may be complete without any content: an empty one. */
  #complete(): void {
    this.state.contentArrived();
    this.state.answerComplete();
  }

  /**
   * The name of a failure before and after content has been handed on: then it
   * cannot be taken back. Content and failure may come in one piece; that is before.
   */
  #broken(before: FailureReason, after: FailureReason = "cut"): FailureReason {
    return this.#opened ? after : before;
  }

  protected override failure(reason: FailureReason, why?: string, cause?: unknown): AttemptFailed {
    const named = reason === "cut" ? this.#broken("reset") : reason;
    return super.failure(named, why ?? failureWords(reason), cause);
  }

  #inBand(error: NonNullable<Reading["error"]>): AttemptFailed {
    const message = this.ports.scrub(error.message);
    const detail = { status: error.status ?? 502, code: error.code, type: error.type, message };
    const before = error.status === null ? "in_band" : classify(error.status, detail);
    return new AttemptFailed(this.#broken(before), message, { status: detail.status, detail });
  }

  /** The body ended as its framing says. Only the protocol can say that the answer did, too. */
  #framingEnded(): void {
    const end = this.state.connectionLost();
    if (end === "ended") return this.#finish(null);
    throw this.failure(
      end === "cut" ? "cut" : "unreadable",
      "it ended the stream without saying that the answer is complete",
    );
  }

  #finish(response: UpstreamResponse | null): void {
    this.#ended = true;
    this.#outlet?.end(this.frames);
    this.state.finish();
    this.release(false);
    if (response !== null) this.#drain(response);
    else this.hangUp();
  }

  /** Reads to the end of the framing, so that the connection can serve again. */
  #drain(response: UpstreamResponse): void {
    const timer = this.ports.clock.after(DRAIN_MS, () => this.hangUp());
    const pump = async (): Promise<void> => {
      while (await response.read() !== null);
    };
    // A connection lost after the answer was complete is nobody's loss.
    pump().catch(() => {}).finally(() => timer[Symbol.dispose]());
  }
}
