/**
 * The world of the balancing simulation: backends, their faults, the requests.
 *
 * A backend has slots and a queue beyond them. Its first token comes after
 *
 *     (0.08 + 0.0002 * prompt tokens) / speed * (1 + 0.5 * load) * lognormal(0.2)
 *
 * seconds from the start of service, then a token each 20 ms / speed. The slot is held
 * until the stream ends or is cancelled. The constants are made up: the
 * simulation compares policies, it does not predict.
 *
 * @module
 */
import type { Random } from "../../src/ports.ts";
import type { Failure } from "../../src/balance/types.ts";
import type { VirtualTime } from "./harness.ts";

/** What is wrong with a backend at a time. */
export interface Fault {
  /** Everything takes this many times longer; 1 where not given. */
  readonly slowness?: number;
  /** Tokens after the first take this many times longer; 1 where not given. */
  readonly crawl?: number;
  /** Share of requests answered by a 500; 0 where not given. */
  readonly errors?: number;
  /** Time to such an error, in seconds. */
  readonly errorSeconds?: number;
  /** Nothing ever comes. */
  readonly hole?: boolean;
  /** Share of streams that break after half of their tokens. */
  readonly cuts?: number;
  /** Attempts in flight beyond which a 429 with `Retry-After: 2` is the answer. */
  readonly limit?: number;
  /** Share of first tokens that take ten times longer. */
  readonly stragglers?: number;
}

/** One request of a client. */
export interface SimRequest {
  /** Prompt length. */
  readonly promptTokens: number;
  /** Answer length. */
  readonly answerTokens: number;
  /** Session it belongs to. */
  readonly session: string;
}

/** What an attempt reports. */
export interface SimCallbacks {
  /** The first token. */
  readonly firstToken: () => void;
  /** The end, with the time from first to last token. */
  readonly finished: (decodeSeconds: number) => void;
  /** A failure, before or after the first token. */
  readonly failed: (failure: Failure) => void;
}

/** A calm backend. */
export const CALM: Fault = {};

const TOKEN_SECONDS = 0.02;
const STEP_SECONDS = 0.5;
const ERROR_500: Failure = { reason: "status_5xx", status: 500, retryAfterSeconds: null };
const ERROR_429: Failure = { reason: "rate_limited", status: 429, retryAfterSeconds: 2 };
const CUT: Failure = { reason: "cut", status: 200, retryAfterSeconds: null };

/** First-token latency of an idle, calm backend of speed 1, in seconds. */
export function calmSeconds(promptTokens: number): number {
  return 0.08 + 0.0002 * promptTokens;
}

/** A normally distributed number (Box and Muller). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A request with a lognormal prompt (median 800, sigma 1) and answer (median 150, sigma 0.6). */
export function drawRequest(random: Random): SimRequest {
  return {
    promptTokens: Math.max(1, Math.round(800 * Math.exp(normal(random)))),
    answerTokens: Math.max(1, Math.round(150 * Math.exp(0.6 * normal(random)))),
    session: `session-${Math.floor(random() * 200)}`,
  };
}

/** An attempt at a backend, in a slot or in the queue. */
interface Job {
  readonly request: SimRequest;
  readonly callbacks: SimCallbacks;
  state: "queued" | "served" | "over";
  timer: Disposable | null;
}

/** One backend. */
export class SimBackend {
  /** Its speed, of first tokens and of the others; 1 is normal. */
  readonly speed: number;
  /** Requests it serves at once. */
  readonly slots: number;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #faultAt: (nowSeconds: number) => Fault;
  readonly #queue: Job[] = [];
  #busy = 0;

  /** `faultAt` says what is wrong at a time. */
  constructor(
    time: VirtualTime,
    random: Random,
    traits: {
      readonly speed: number;
      readonly slots: number;
      readonly faultAt: (nowSeconds: number) => Fault;
    },
  ) {
    this.#time = time;
    this.#random = random;
    this.speed = traits.speed;
    this.slots = traits.slots;
    this.#faultAt = traits.faultAt;
  }

  /** What is wrong now. */
  get fault(): Fault {
    return this.#faultAt(this.#time.nowSeconds());
  }

  /** Requests in slots and queue, as a share of the slots. */
  get load(): number {
    return (this.#busy + this.#queue.length) / this.slots;
  }

  /** Takes a request; the returned function cancels it. */
  start(request: SimRequest, callbacks: SimCallbacks): () => void {
    const job: Job = { request, callbacks, state: "queued", timer: null };
    const { fault } = this;
    if (fault.limit !== undefined && this.#busy >= fault.limit) {
      this.#fail(job, ERROR_429, 0.005);
    } else if (this.#random() < (fault.errors ?? 0)) {
      this.#fail(job, ERROR_500, fault.errorSeconds ?? 0.05);
    } else if (this.#busy < this.slots) {
      this.#serve(job);
    } else {
      this.#queue.push(job);
    }
    return () => this.#end(job);
  }

  #fail(job: Job, failure: Failure, afterSeconds: number): void {
    job.timer = this.#time.after(afterSeconds * 1000, () => {
      this.#end(job);
      job.callbacks.failed(failure);
    });
  }

  #serve(job: Job): void {
    const { fault } = this;
    job.state = "served";
    const load = this.#busy / this.slots;
    this.#busy++;
    const noise = Math.exp(0.2 * normal(this.#random));
    const straggles = this.#random() < (fault.stragglers ?? 0) ? 10 : 1;
    const seconds = calmSeconds(job.request.promptTokens) / this.speed * (1 + 0.5 * load) *
      noise * straggles * (fault.slowness ?? 1);
    job.timer = this.#time.after(seconds * 1000, () => this.#answer(job));
  }

  #answer(job: Job): void {
    const { fault } = this;
    if (fault.hole) return; // Waits until somebody loses patience.
    const decodeSeconds = (job.request.answerTokens - 1) * this.#tokenSeconds(fault);
    if (this.#random() < (fault.cuts ?? 0)) this.#fail(job, CUT, decodeSeconds / 2);
    else this.#decode(job, job.request.answerTokens - 1, this.#time.nowSeconds());
    job.callbacks.firstToken();
  }

  /** Decodes the tokens left; in steps while something is wrong, to notice when it is over. */
  #decode(job: Job, tokensLeft: number, startedSeconds: number): void {
    const { fault } = this;
    const tokenSeconds = this.#tokenSeconds(fault);
    const steps = fault === CALM ? tokensLeft : Math.ceil(STEP_SECONDS / tokenSeconds);
    const tokens = Math.min(tokensLeft, steps);
    job.timer = this.#time.after(tokens * tokenSeconds * 1000, () => {
      if (tokensLeft > tokens) return this.#decode(job, tokensLeft - tokens, startedSeconds);
      this.#end(job);
      job.callbacks.finished(this.#time.nowSeconds() - startedSeconds);
    });
  }

  #tokenSeconds(fault: Fault): number {
    return TOKEN_SECONDS / this.speed * (fault.slowness ?? 1) * (fault.crawl ?? 1);
  }

  #end(job: Job): void {
    if (job.state === "over") return;
    const served = job.state === "served";
    job.state = "over";
    job.timer?.[Symbol.dispose]();
    if (!served) {
      const place = this.#queue.indexOf(job);
      if (place >= 0) this.#queue.splice(place, 1);
      return;
    }
    this.#busy--;
    const next = this.#queue.shift();
    if (next !== undefined) this.#serve(next);
  }
}
