/**
 * One attempt on the wire: the shell around {@linkcode AttemptState}.
 *
 * Sends the request, keeps the limits and turns everything that can go wrong
 * into one {@linkcode AttemptFailed}. What the answer's bytes mean is left to
 * the two kinds of attempt, `stream_attempt.ts` and `answer_attempt.ts`.
 *
 * @module
 */
import { classify, type ErrorDetail, readErrorBody } from "../backends/error_shape.ts";
import type { Attempt, FailureReason } from "../balance/types.ts";
import {
  type Clock,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamResponse,
} from "../ports.ts";
import { type AttemptLimits, AttemptState } from "./attempt_state.ts";
import type { Deadlines, Watched } from "./deadlines.ts";
import type { BackendRoute, Plan } from "./plan.ts";
import { retryAfterSeconds } from "./retry_after.ts";

/** What every attempt needs. */
export interface AttemptPorts {
  /** Time. */
  readonly clock: Clock;
  /** The network. */
  readonly upstream: Upstream;
  /** The sweep over time limits. */
  readonly deadlines: Deadlines;
  /** Limit on connecting, in milliseconds. */
  readonly connectMs: number;
  /** Longest error body read, in bytes. */
  readonly errorBodyBytes: number;
  /** Takes credentials out of a backend's words. */
  readonly scrub: (text: string) => string;
}

/** Why an attempt ended without an answer. */
export class AttemptFailed extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "AttemptFailed";
  /** The reason, from the closed list. */
  readonly reason: FailureReason;
  /** HTTP status of the backend, where one arrived. */
  readonly status: number | null;
  /** The backend's Retry-After, in seconds. */
  readonly retryAfterSeconds: number | null;
  /** What the backend said, where it said anything. */
  readonly detail: ErrorDetail | null;

  /** `message` says what happened to which backend. */
  constructor(
    reason: FailureReason,
    message: string,
    options: ErrorOptions & {
      readonly status?: number;
      readonly retryAfterSeconds?: number | null;
      readonly detail?: ErrorDetail;
    } = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.status = options.status ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
    this.detail = options.detail ?? null;
  }
}

/** The attempt was called off: by the client, or because another one won. */
export class AttemptCancelled extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "AttemptCancelled";
}

const WORDS: Readonly<Record<string, string>> = {
  refused: "it refused the connection",
  dns: "its name could not be resolved",
  tls: "the TLS handshake failed",
  connect_timeout: "it could not be reached in time",
  reset: "it closed the connection before it answered",
  cut: "it closed the connection in the middle of the answer",
  first_token_timeout: "it sent no first token in time",
  idle_timeout: "it went silent in the middle of the answer",
  total_timeout: "the request took longer than its total limit",
};

/** What happened, in words. */
export function failureWords(reason: FailureReason): string {
  return WORDS[reason] ?? "it failed";
}

/** An attempt on the wire. */
export abstract class AttemptRun implements Watched {
  /** Place among what the sweep watches. */
  rosterPlace = -1;
  /** The balancer's record of it. */
  readonly attempt: Attempt;
  /** Headers of the answer, once there. */
  protected response: UpstreamResponse | null = null;
  /** Its state. */
  protected readonly state: AttemptState;
  /** What it sends and how to read the answer. */
  protected readonly plan: Plan;
  /** The outside world. */
  protected readonly ports: AttemptPorts;
  readonly #route: BackendRoute;
  #call: UpstreamCall | null = null;
  #limit: FailureReason | "ended" | null = null;
  #cancelled = false;
  /** When it was started, in milliseconds. */
  readonly startedMs: number;

  /** Prepares an attempt; {@linkcode open} sends it. */
  constructor(
    attempt: Attempt,
    plan: Plan,
    route: BackendRoute,
    ports: AttemptPorts,
    limits: AttemptLimits,
  ) {
    this.attempt = attempt;
    this.plan = plan;
    this.ports = ports;
    this.#route = route;
    this.startedMs = ports.clock.nowMs();
    this.state = new AttemptState(this.startedMs, limits);
  }

  /** A header of the backend's answer. */
  header(name: string): string | null {
    return this.response?.header(name) ?? null;
  }

  /** Calls the attempt off, at any stage; its connection is closed at once. */
  cancel(): void {
    this.#cancelled = true;
    this.release(this.state.fail());
  }

  checkLimits(nowMs: number): void {
    const verdict = this.state.limitPassed(nowMs);
    if (verdict === null) return;
    this.#limit = verdict;
    this.#call?.cancel();
  }

  /** Sends the request and waits for the headers of a good answer. */
  protected async connect(): Promise<UpstreamResponse> {
    const { upstream, deadlines, connectMs } = this.ports;
    this.#call = upstream.start(this.plan.request, { connectMs });
    deadlines.watch(this);
    const response = await this.#call.response;
    this.response = response;
    if (response.status < 200 || response.status >= 300) throw await this.#refusal(response);
    this.state.headersArrived();
    return response;
  }

  /** Reads the next piece of the answer; `null` at the end of its framing. */
  protected async readPiece(response: UpstreamResponse): Promise<Uint8Array<ArrayBuffer> | null> {
    this.state.waitStarted(this.ports.clock.nowMs());
    const piece = await response.read();
    this.state.waitEnded();
    return piece;
  }

  /** Turns whatever was thrown into this attempt's end; "ended" is a good one. */
  protected ending(error: unknown): AttemptFailed | AttemptCancelled | "ended" {
    if (this.#cancelled) return new AttemptCancelled("Attempt was called off", { cause: error });
    if (error instanceof AttemptFailed) return error;
    if (!(error instanceof UpstreamError)) {
      this.cancel();
      throw error;
    }
    if (this.#limit !== null) return this.#limit === "ended" ? "ended" : this.failure(this.#limit);
    switch (error.kind) {
      case "cancelled":
        return new AttemptCancelled("Attempt was called off", { cause: error });
      case "protocol":
        return this.failure("unreadable", "its answer is no valid HTTP", error);
      case "reset": {
        const lost = this.state.connectionLost();
        return lost === "ended" ? lost : this.failure(lost, undefined, error);
      }
      default:
        return this.failure(error.kind, undefined, error);
    }
  }

  /** Builds a failure whose message names the backend. */
  protected failure(reason: FailureReason, why?: string, cause?: unknown): AttemptFailed {
    const words = why ?? failureWords(reason);
    const message = `Cannot answer from backend ${this.#route.name}: ${words}`;
    return new AttemptFailed(reason, message, { cause });
  }

  /** Ends the watch; closes the connection where `close` says so. */
  protected release(close: boolean): void {
    this.ports.deadlines.unwatch(this);
    if (close) this.#call?.cancel();
  }

  /** Closes the connection of an attempt that is over. */
  protected hangUp(): void {
    this.#call?.cancel();
  }

  async #refusal(response: UpstreamResponse): Promise<AttemptFailed> {
    const { status } = response;
    const text = this.ports.scrub(await this.#errorText(response));
    if (status < 400) {
      return new AttemptFailed(
        "unreadable",
        `Cannot answer from backend ${this.#route.name}: it answered with status ${status}`,
        { status },
      );
    }
    const detail = readErrorBody(this.#route.protocol, status, text);
    return new AttemptFailed(classify(status, detail), detail.message, {
      status,
      detail,
      retryAfterSeconds: retryAfterSeconds(
        (name) => response.header(name),
        this.ports.clock.wallMs(),
      ),
    });
  }

  /** Reads an error's body as far as its limit; what is lost of it is not worth a retry. */
  async #errorText(response: UpstreamResponse): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let sizeBytes = 0;
    try {
      for (;;) {
        const piece = await response.read();
        if (piece === null) return text + decoder.decode();
        sizeBytes += piece.byteLength;
        if (sizeBytes > this.ports.errorBodyBytes) {
          this.hangUp();
          return text;
        }
        text += decoder.decode(piece, { stream: true });
      }
    } catch (error) {
      if (!(error instanceof UpstreamError) || this.#cancelled) throw error;
      return text;
    }
  }
}
