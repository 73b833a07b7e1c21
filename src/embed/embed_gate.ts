/**
 * What stands before every embedder that works elsewhere, be it a backend or a
 * worker: a bounded queue, batches, deadlines and a memo.
 *
 *     embed --memo--> vectors
 *       |
 *       +--same text under way--> joins it
 *       |
 *       +--> queue (queueMax) --> batch (batchMax, callsMax at once) --> vectors, memo
 *
 * A call that is late is told so at once. A batch that was sent goes on without
 * it and fills the memo, since the text is wanted again when its answer is
 * stored; a text that was not sent yet and that nobody waits for is dropped.
 *
 * @module
 */
import { type Clock, type Embedder, EmbedError, type EmbedFailure } from "../ports.ts";
import { EmbedCall } from "./embed_call.ts";
import { VectorMemo } from "./vector_memo.ts";

/** What happened in an embedder, for metrics. */
export type EmbedEvent =
  /** A batch came back; `texts` of it have vectors. */
  | { readonly type: "embedded"; readonly seconds: number; readonly texts: number }
  /** Texts of one call that the memo knew. */
  | { readonly type: "memo_hit"; readonly texts: number }
  /** A call was rejected. */
  | { readonly type: "failed"; readonly kind: EmbedFailure }
  /** The breaker moved. */
  | { readonly type: "breaker"; readonly phase: "closed" | "open" | "half_open" };

/** Tells a batch on its way whether it is still wanted. */
export interface BatchInterest {
  /** Whether a call waits for it. */
  readonly wanted: boolean;
  /** Calls `listener` once, when the last call that waited has gone. */
  onDeserted(listener: () => void): void;
}

/** How an {@linkcode EmbedGate} behaves. */
export interface EmbedGateOptions {
  /** See {@linkcode Embedder.id}. */
  readonly id: string;
  /** See {@linkcode Embedder.dims}. */
  readonly dims: number;
  /** Measures deadlines. */
  readonly clock: Clock;
  /** Texts that may wait to be sent; a call with more is always refused. */
  readonly queueMax: number;
  /** Texts of one batch. */
  readonly batchMax: number;
  /** How long a batch that is not full waits for more, in milliseconds; 0 collects one turn. */
  readonly batchWaitMs: number;
  /** Batches on their way at the same time. */
  readonly callsMax: number;
  /** Texts whose vectors are remembered. */
  readonly memoEntries: number;
  /** Told of everything that happens. */
  readonly onEvent: (event: EmbedEvent) => void;
  /** Asked when a call comes that the memo cannot answer: why it need not wait, or `null`. */
  readonly refusal: () => EmbedError | null;
  /**
   * Embeds a batch: for each text a vector of length 1, or what is wrong with it.
   *
   * @throws {EmbedError} If the whole batch failed.
   */
  readonly ask: (
    texts: readonly string[],
    interest: BatchInterest,
  ) => Promise<readonly (Float32Array | EmbedError)[]>;
  /** Ends what `ask` needs. */
  readonly onClose: () => void;
}

/** A text to be embedded, with the calls that wait for it. */
interface Job {
  readonly text: string;
  readonly waiting: { readonly call: EmbedCall; readonly place: number }[];
  batch: Batch | null;
}

class Batch implements BatchInterest {
  readonly jobs: readonly Job[];
  #listener: (() => void) | null = null;

  constructor(jobs: readonly Job[]) {
    this.jobs = jobs;
    for (const job of jobs) job.batch = this;
  }

  get wanted(): boolean {
    return this.jobs.some(isWanted);
  }

  onDeserted(listener: () => void): void {
    if (this.wanted) this.#listener = listener;
    else listener();
  }

  /** A call that waited for one of its texts is over. */
  left(): void {
    const listener = this.#listener;
    if (listener === null || this.wanted) return;
    this.#listener = null;
    listener();
  }
}

/** Queue, batches, deadlines and memo. */
export class EmbedGate implements Embedder {
  /** See {@linkcode Embedder.id}. */
  readonly id: string;
  /** See {@linkcode Embedder.dims}. */
  readonly dims: number;
  readonly #options: EmbedGateOptions;
  readonly #memo: VectorMemo;
  /** Waiting and on their way, by text. */
  readonly #jobs = new Map<string, Job>();
  #queue: Job[] = [];
  #calls = 0;
  #flushing: Disposable | null = null;
  #closed = false;

  /** Opens nothing. */
  constructor(options: EmbedGateOptions) {
    this.id = options.id;
    this.dims = options.dims;
    this.#options = options;
    this.#memo = new VectorMemo(options.memoEntries);
  }

  /** Texts that wait to be sent. */
  get queued(): number {
    return this.#queue.length;
  }

  /** See {@linkcode Embedder.embed}. */
  embed(texts: readonly string[], deadlineMs: number): Promise<readonly Float32Array[]> {
    const call = new EmbedCall(texts.length, (over) => this.#left(over));
    if (call.over) return call.promise;
    const refusal = this.#refusal(texts, deadlineMs) ?? this.#enter(call, texts);
    if (refusal !== null) this.#fail(call, refusal);
    else if (!call.over) this.#limit(call, deadlineMs);
    return call.promise;
  }

  /** Ends everything: calls under way are rejected as `closed`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#flushing?.[Symbol.dispose]();
    this.#options.onClose();
    this.#queue = [];
    const jobs = [...this.#jobs.values()];
    this.#jobs.clear();
    this.#memo.clear();
    for (const job of jobs) this.#failJob(job, closedError());
  }

  #refusal(texts: readonly string[], deadlineMs: number): EmbedError | null {
    if (this.#closed) return closedError();
    if (this.#options.clock.nowMs() >= deadlineMs) return lateError();
    // One empty text would get the whole batch refused by most servers.
    if (texts.every((text) => text.trim() !== "")) return null;
    return new EmbedError("unusable", "Cannot embed text: it is empty");
  }

  /** Answers from the memo and queues what it does not know, all of it or nothing. */
  #enter(call: EmbedCall, texts: readonly string[]): EmbedError | null {
    const known = texts.map((text) => this.#memo.get(text));
    const unknown = new Set(texts.filter((_, place) => known[place] === undefined));
    if (unknown.size > 0) {
      const refusal = this.#options.refusal() ?? this.#full(unknown);
      if (refusal !== null) return refusal;
    }
    const hits = known.filter((vector) => vector !== undefined).length;
    if (hits > 0) this.#options.onEvent({ type: "memo_hit", texts: hits });
    for (const [place, text] of texts.entries()) {
      const vector = known[place];
      if (vector === undefined) this.#wait(text, call, place);
      else call.fill(place, vector);
    }
    this.#schedule();
    return null;
  }

  #full(unknown: ReadonlySet<string>): EmbedError | null {
    const { queueMax } = this.#options;
    const more = [...unknown].filter((text) => !this.#jobs.has(text)).length;
    if (this.#queue.length + more > queueMax) this.#dropUnwanted();
    if (this.#queue.length + more <= queueMax) return null;
    return new EmbedError("full", `Cannot embed: ${this.#queue.length} of ${queueMax} texts wait`);
  }

  #wait(text: string, call: EmbedCall, place: number): void {
    let job = this.#jobs.get(text);
    if (job === undefined) {
      job = { text, waiting: [], batch: null };
      this.#jobs.set(text, job);
      this.#queue.push(job);
    }
    job.waiting.push({ call, place });
  }

  #limit(call: EmbedCall, deadlineMs: number): void {
    const { clock } = this.#options;
    if (deadlineMs === Number.POSITIVE_INFINITY) return;
    call.keep(clock.after(deadlineMs - clock.nowMs(), () => this.#fail(call, lateError())));
  }

  #schedule(): void {
    const { batchMax, batchWaitMs, clock } = this.#options;
    if (this.#flushing !== null || this.#queue.length === 0) return;
    if (batchWaitMs > 0 && this.#queue.length < batchMax) {
      this.#flushing = clock.after(batchWaitMs, () => this.#flush());
      return;
    }
    let stopped = false;
    this.#flushing = { [Symbol.dispose]: () => stopped = true };
    Promise.resolve().then(() => stopped || this.#flush());
  }

  #flush(): void {
    this.#flushing?.[Symbol.dispose]();
    this.#flushing = null;
    const { batchMax, callsMax } = this.#options;
    if (this.#calls < callsMax) this.#dropUnwanted();
    while (this.#calls < callsMax && this.#queue.length > 0) {
      void this.#send(new Batch(this.#queue.splice(0, batchMax)));
    }
  }

  #dropUnwanted(): void {
    this.#queue = this.#queue.filter((job) => {
      if (!isWanted(job)) this.#jobs.delete(job.text);
      return isWanted(job);
    });
  }

  async #send(batch: Batch): Promise<void> {
    const { ask, clock, onEvent } = this.#options;
    this.#calls++;
    const startedMs = clock.nowMs();
    let results: readonly unknown[];
    try {
      results = await ask(batch.jobs.map(({ text }) => text), batch);
    } catch (cause) {
      results = batch.jobs.map(() => cause);
    }
    this.#calls--;
    if (this.#closed) return;
    const embedded = results.filter((result) => result instanceof Float32Array).length;
    if (embedded > 0) {
      const seconds = (clock.nowMs() - startedMs) / 1_000;
      onEvent({ type: "embedded", seconds, texts: embedded });
    }
    for (const [place, job] of batch.jobs.entries()) this.#settle(job, results[place]);
    this.#flush();
  }

  #settle(job: Job, result: unknown): void {
    this.#jobs.delete(job.text);
    if (!(result instanceof Float32Array)) return this.#failJob(job, result);
    this.#memo.set(job.text, result);
    for (const { call, place } of job.waiting) call.fill(place, result);
  }

  #failJob(job: Job, cause: unknown): void {
    for (const { call } of job.waiting) this.#fail(call, cause);
  }

  #fail(call: EmbedCall, cause: unknown): void {
    if (call.over) return;
    const kind = cause instanceof EmbedError ? cause.kind : "failed";
    this.#options.onEvent({ type: "failed", kind });
    call.fail(cause);
  }

  /** A call is over: whoever works for it alone is told. */
  #left(over: EmbedCall): void {
    for (const job of this.#jobs.values()) {
      if (job.batch !== null && job.waiting.some(({ call }) => call === over)) job.batch.left();
    }
  }
}

function isWanted(job: Job): boolean {
  return job.waiting.some(({ call }) => !call.over);
}

function closedError(): EmbedError {
  return new EmbedError("closed", "Cannot embed: the embedder is closed");
}

function lateError(): EmbedError {
  return new EmbedError("late", "Cannot embed: there is no vector by the deadline");
}
