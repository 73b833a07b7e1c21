/**
 * Embeddings from any backend that speaks OpenAI's `/v1/embeddings`.
 *
 * Texts are sent in batches; equal texts in flight are asked once, and recent
 * ones not at all. A backend that fails, or that always answers after the last
 * caller has gone, is left alone for a while (`embed_breaker.ts`).
 *
 * A server refuses a whole batch for one text it does not like, such as one that
 * is too long. The batch is then halved until the text stands alone, so that it
 * fails by itself; that the server has said so counts as being well.
 *
 * @module
 */
import {
  type Clock,
  type Embedder,
  EmbedError,
  type Upstream,
  type UpstreamCall,
} from "../ports.ts";
import { exchangeWhole, type WholeAnswer } from "./bounded_exchange.ts";
import type { EmbedBreakerPhase, EmbedBreakerPolicy } from "./embed_breaker.ts";
import { type BatchInterest, type EmbedEvent, EmbedGate } from "./embed_gate.ts";
import { EmbedGuard, type Settle } from "./embed_guard.ts";
import {
  answerBytesMax,
  decodeAnswer,
  type EmbedResult,
  encodeQuestion,
} from "./embeddings_wire.ts";

/** What a backend embedder is made from. */
export interface BackendEmbedderOptions {
  /** The backend's name in the configuration. */
  readonly name: string;
  /** URL of the embeddings endpoint, whole. */
  readonly url: string;
  /** Header fields, names in lower case; credentials among them. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** The model, in the backend's words. */
  readonly model: string;
  /** Length of the vectors; one of another length is refused. */
  readonly dims: number;
  /** Whether to ask for `dims`: some models can shorten, some servers refuse the field. */
  readonly sendDimensions: boolean;
  /** How numbers are asked for, `float` by default; either is understood in the answer. */
  readonly encoding?: "float" | "base64";
  /** Measures deadlines. */
  readonly clock: Clock;
  /** Sends the requests; its owner closes it. */
  readonly upstream: Upstream;
  /** Limit for opening a connection, in milliseconds. */
  readonly connectMs: number;
  /** Limit for one request, in milliseconds; 30,000 by default. */
  readonly totalMs?: number;
  /** Texts of one request at most; fewer where their vectors are long. */
  readonly batchMax: number;
  /** How long a batch waits for more texts, in milliseconds; 0 collects one turn of the loop. */
  readonly batchWaitMs: number;
  /** Requests at the same time; 8 by default, more than failures trip the breaker. */
  readonly callsMax?: number;
  /** Texts that may wait to be sent; a call with more is always refused. */
  readonly queueMax: number;
  /** Texts whose vectors are remembered. */
  readonly memoEntries: number;
  /** When the backend is left alone. */
  readonly breaker: EmbedBreakerPolicy;
  /** Told of everything that happens. */
  readonly onEvent: (event: EmbedEvent) => void;
}

/** An embedder of which can be seen how it is. */
export interface BackendEmbedder extends Embedder {
  /** Texts that wait to be sent. */
  readonly queued: number;
  /** Where its breaker stands. */
  readonly breaker: EmbedBreakerPhase;
}

/**
 * Numbers of one answer: reading them as JSON holds the event loop for some 2 ms
 * (1.3 ms measured for 16 vectors of 1,536).
 */
const NUMBERS_MAX = 24_576;

/** Statuses that say something of the texts and nothing of the backend's health. */
const TEXT_REFUSED: readonly number[] = [400, 413, 422];

/**
 * Makes an embedder over a backend; nothing is sent before the first text.
 *
 * @throws {TypeError} If the URL is not an absolute `http:` or `https:` one.
 */
export function createBackendEmbedder(options: BackendEmbedderOptions): BackendEmbedder {
  if (!/^https?:$/.test(new URL(options.url).protocol)) {
    throw new TypeError("Cannot embed: the URL of the backend is neither http: nor https:");
  }
  const backend = new Backend(options);
  const gate = new EmbedGate({
    id: `backend:${options.name}/${options.model}/${options.dims}`,
    dims: options.dims,
    clock: options.clock,
    queueMax: options.queueMax,
    batchMax: Math.max(1, Math.min(options.batchMax, Math.floor(NUMBERS_MAX / options.dims))),
    batchWaitMs: options.batchWaitMs,
    callsMax: options.callsMax ?? 8,
    memoEntries: options.memoEntries,
    onEvent: options.onEvent,
    refusal: () => backend.refusal(),
    ask: (texts, interest) => backend.ask(texts, interest),
    onClose: () => backend.close(),
  });
  return {
    id: gate.id,
    dims: gate.dims,
    get queued() {
      return gate.queued;
    },
    get breaker() {
      return backend.phase;
    },
    embed: (texts, deadlineMs) => gate.embed(texts, deadlineMs),
    close: () => gate.close(),
  };
}

/** Requests and their breaker. */
class Backend {
  readonly #options: BackendEmbedderOptions;
  readonly #headers: ReadonlyArray<readonly [string, string]>;
  readonly #calls = new Set<UpstreamCall>();
  readonly #guard: EmbedGuard;

  constructor(options: BackendEmbedderOptions) {
    this.#options = options;
    const own = new Map([["content-type", "application/json"], ["accept", "application/json"]]);
    for (const [name, value] of options.headers) own.set(name, value);
    this.#headers = [...own];
    this.#guard = new EmbedGuard({
      clock: options.clock,
      policy: options.breaker,
      onPhase: (phase) => options.onEvent({ type: "breaker", phase }),
    });
  }

  get phase(): EmbedBreakerPhase {
    return this.#guard.phase;
  }

  /** Why a call need not even wait. */
  refusal(): EmbedError | null {
    return this.#guard.admits ? null : this.#openError();
  }

  /** Embeds a batch, in halves if need be. */
  async ask(texts: readonly string[], interest: BatchInterest): Promise<readonly EmbedResult[]> {
    const settle = this.#guard.admit();
    if (settle === null) throw this.#openError();
    interest.onDeserted(() => settle(false));
    let answer: WholeAnswer;
    try {
      answer = await this.#exchange(texts);
    } catch (cause) {
      settle(false);
      throw cause;
    }
    const { status, retryAfterMs, bytes } = answer;
    if (TEXT_REFUSED.includes(status)) {
      settle(true);
      return texts.length === 1
        ? [this.#statusError(status)]
        : await this.#askHalves(texts, interest);
    }
    if (status < 200 || status > 299) {
      settle(false, retryAfterMs);
      throw this.#statusError(status);
    }
    return this.#read(bytes, texts.length, settle);
  }

  close(): void {
    for (const call of this.#calls) call.cancel();
  }

  async #askHalves(
    texts: readonly string[],
    interest: BatchInterest,
  ): Promise<readonly EmbedResult[]> {
    const middle = Math.ceil(texts.length / 2);
    const results: EmbedResult[] = [];
    for (const half of [texts.slice(0, middle), texts.slice(middle)]) {
      try {
        // What nobody waits for is neither worth more requests nor the backend's fault.
        if (!interest.wanted) throw new EmbedError("late", "Cannot embed: nobody waits any more");
        results.push(...await this.ask(half, interest));
      } catch (cause) {
        if (!(cause instanceof EmbedError)) throw cause;
        results.push(...half.map(() => cause));
      }
    }
    return results;
  }

  #exchange(texts: readonly string[]): Promise<WholeAnswer> {
    const { url, model, dims, sendDimensions, encoding, totalMs } = this.#options;
    const question = {
      model,
      dimensions: sendDimensions ? dims : null,
      encoding: encoding ?? "float",
    };
    const body = encodeQuestion(texts, question);
    return exchangeWhole({ method: "POST", url, headers: this.#headers, body }, {
      upstream: this.#options.upstream,
      clock: this.#options.clock,
      connectMs: this.#options.connectMs,
      totalMs: totalMs ?? 30_000,
      bytesMax: answerBytesMax(texts.length, dims),
      calls: this.#calls,
    });
  }

  #read(bytes: Uint8Array, texts: number, settle: Settle): readonly EmbedResult[] {
    try {
      const results = decodeAnswer(bytes, texts, this.#options.dims);
      settle(results.some((result) => result instanceof Float32Array));
      return results;
    } catch (cause) {
      settle(false);
      throw cause;
    }
  }

  #openError(): EmbedError {
    return new EmbedError("open", `Cannot embed: the breaker of ${this.#options.name} is open`);
  }

  #statusError(status: number): EmbedError {
    return new EmbedError("failed", `Cannot embed: ${this.#options.name} answered ${status}`);
  }
}
