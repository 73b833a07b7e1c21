/**
 * The life of one attempt, as a state machine without clock or socket.
 *
 *     awaiting_headers --headers--> awaiting_first_token --content--> streaming
 *            |                              |                            |
 *            |                              |        end marker, finish  v
 *            |                              |                         ending --end--> done
 *            +---------- failure -----------+-------- failure -----------+----> failed
 *
 * `connecting` is the transport's part of `awaiting_headers`: it has a limit of
 * its own there. An attempt ends in exactly one of `done` and `failed`, and
 * `done` can only be reached once the protocol has said that the answer is
 * complete: a closed connection is no end.
 *
 * @module
 */
import type { FailureReason } from "../balance/types.ts";

/** Where an attempt stands. */
export type Phase =
  | "awaiting_headers"
  | "awaiting_first_token"
  | "streaming"
  | "ending"
  | "done"
  | "failed";

/** The time limits of an attempt, in milliseconds. */
export interface AttemptLimits {
  /** From the start to the first content. */
  readonly firstTokenMs: number;
  /** Between two pieces, once content flows. */
  readonly idleMs: number;
  /** For usage and end marker, once the finish reason has come. */
  readonly endingMs: number;
  /** When the whole request is over, on the caller's clock. */
  readonly deadlineMs: number;
}

/** What a sweep finds: nothing, a limit passed, or an end marker that will not come. */
export type LimitVerdict = FailureReason | "ended" | null;

/** One attempt's state. Mutable: it stands on the path of every chunk. */
export class AttemptState {
  #phase: Phase = "awaiting_headers";
  #waitingSinceMs: number;
  #waiting = true;
  readonly #startedMs: number;
  readonly #limits: AttemptLimits;

  /** A fresh attempt, waiting for its headers. */
  constructor(startedMs: number, limits: AttemptLimits) {
    this.#startedMs = startedMs;
    this.#waitingSinceMs = startedMs;
    this.#limits = limits;
  }

  /** Where the attempt stands. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Whether the attempt is over. */
  get over(): boolean {
    return this.#phase === "done" || this.#phase === "failed";
  }

  /** Whether content has arrived. */
  get hasContent(): boolean {
    return this.#phase === "streaming" || this.#phase === "ending" || this.#phase === "done";
  }

  /** The headers of a good answer have arrived. */
  headersArrived(): void {
    if (this.#phase === "awaiting_headers") this.#phase = "awaiting_first_token";
  }

  /** The first content has arrived; an answer without any reaches this by its end. */
  contentArrived(): void {
    if (this.#phase === "awaiting_first_token") this.#phase = "streaming";
  }

  /** The protocol says that nothing of the answer is missing. */
  answerComplete(): void {
    if (this.#phase === "streaming") this.#phase = "ending";
  }

  /** Everything has been handed on. */
  finish(): void {
    if (this.#phase !== "ending") {
      throw new TypeError(`Cannot finish attempt: it is ${this.#phase}, not ending`);
    }
    this.#phase = "done";
  }

  /** The attempt has failed; returns whether this call ended it. */
  fail(): boolean {
    if (this.over) return false;
    this.#phase = "failed";
    return true;
  }

  /** The relay waits for the backend's next piece. */
  waitStarted(nowMs: number): void {
    this.#waitingSinceMs = nowMs;
    this.#waiting = true;
  }

  /** A piece has arrived; until the next wait the client, not the backend, sets the pace. */
  waitEnded(): void {
    this.#waiting = false;
  }

  /** Says which limit has passed at `nowMs`. */
  limitPassed(nowMs: number): LimitVerdict {
    if (this.over) return null;
    if (this.#phase === "ending") {
      const over = this.#waiting && nowMs - this.#waitingSinceMs >= this.#limits.endingMs;
      return over ? "ended" : null;
    }
    if (nowMs >= this.#limits.deadlineMs) return "total_timeout";
    if (this.#phase !== "streaming") {
      return nowMs - this.#startedMs >= this.#limits.firstTokenMs ? "first_token_timeout" : null;
    }
    const idle = this.#waiting && nowMs - this.#waitingSinceMs >= this.#limits.idleMs;
    return idle ? "idle_timeout" : null;
  }

  /**
   * What the loss of the connection, or its proper end without an end marker,
   * means in this phase.
   */
  connectionLost(): FailureReason | "ended" {
    if (this.#phase === "ending") return "ended";
    return this.#phase === "streaming" ? "cut" : "reset";
  }
}
