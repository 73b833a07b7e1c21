/**
 * The gateway's side of a local model's worker: one question at a time.
 *
 * @module
 */
import { type Clock, EmbedError } from "../ports.ts";
import type {
  FromModel,
  LocalModelProblem,
  ModelWorker,
  ModelWorkerEvents,
  ToModel,
} from "./model_messages.ts";

/** A local model cannot be used. */
export class LocalModelError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "LocalModelError";
  /** What is missing. */
  readonly problem: LocalModelProblem;

  /** Says what is missing, and what would help. */
  constructor(problem: LocalModelProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

/** What a {@linkcode ModelClient} needs. */
export interface ModelClientOptions {
  /** Measures the limits. */
  readonly clock: Clock;
  /** Starts a worker; throws if this process may not. */
  readonly start: (events: ModelWorkerEvents) => ModelWorker;
  /** What a new worker is told first. */
  readonly open: Extract<ToModel, { type: "open" }>;
  /** Limit for loading the model, in milliseconds. */
  readonly openMs: number;
  /** Limit for one batch, in milliseconds. */
  readonly batchMs: number;
}

type Opened = Extract<FromModel, { type: "opened" }>;

/** Asks a worker, and replaces one that has ended. */
export class ModelClient {
  readonly #options: ModelClientOptions;
  #worker: ModelWorker | null = null;
  #digest: string | null = null;
  #waiting: PromiseWithResolvers<FromModel> | null = null;
  #closed = false;

  /** Starts nothing yet. */
  constructor(options: ModelClientOptions) {
    this.#options = options;
  }

  /**
   * Starts a worker that loads the model and runs it once.
   *
   * @throws {LocalModelError} If the model cannot be used, or is not the one of last time.
   */
  async open(): Promise<Opened> {
    const { open, openMs } = this.#options;
    this.#worker = this.#start();
    const reply = await this.#ask(open, openMs);
    if (reply.type === "opened" && reply.digest === (this.#digest ?? reply.digest)) {
      this.#digest = reply.digest;
      return reply;
    }
    this.#retire();
    if (reply.type === "refused") throw new LocalModelError(reply.problem, reply.message);
    throw new LocalModelError("model", "Cannot open local model: its files have changed");
  }

  /**
   * Embeds texts; there must be no other call under way.
   *
   * @returns Vectors as they came out of the model; an empty one for an unreadable text.
   * @throws {EmbedError} Kind `failed` or `closed`.
   */
  async embed(texts: readonly string[]): Promise<readonly Float32Array[]> {
    try {
      if (this.#worker === null) await this.open();
      const reply = await this.#ask({ type: "embed", texts }, this.#options.batchMs);
      if (reply.type === "failed") throw new EmbedError("failed", reply.message);
      if (reply.type === "embedded" && reply.vectors.length === texts.length) return reply.vectors;
    } catch (cause) {
      if (!(cause instanceof LocalModelError)) throw cause;
      throw new EmbedError(this.#closed ? "closed" : "failed", cause.message, { cause });
    }
    throw new EmbedError("failed", "Cannot embed: the worker answered something else");
  }

  /** Ends the worker: by its own hand where it is idle, so that it frees the model. */
  close(): void {
    this.#closed = true;
    if (this.#waiting === null) this.#retire();
    this.#fail("Cannot embed: the embedder is closed");
  }

  #start(): ModelWorker {
    if (this.#closed) throw new LocalModelError("worker", "Cannot open local model: it is closed");
    let isCurrent = () => true;
    try {
      const worker = this.#options.start({
        onMessage: (message) => isCurrent() && this.#waiting?.resolve(message),
        onCrash: (why) => isCurrent() && this.#fail(`Cannot go on: the worker ended: ${why}`),
      });
      isCurrent = () => this.#worker === worker;
      return worker;
    } catch (cause) {
      if (!(cause instanceof Error && cause.name === "NotCapable")) throw cause;
      const { directory } = this.#options.open;
      throw new LocalModelError(
        "permission",
        `Cannot open local model: it needs --allow-ffi and --allow-read=${directory}`,
        { cause },
      );
    }
  }

  async #ask(message: ToModel, limitMs: number): Promise<FromModel> {
    const worker = this.#worker;
    if (worker === null) throw new LocalModelError("worker", "Cannot go on: no worker runs");
    const waiting = Promise.withResolvers<FromModel>();
    this.#waiting = waiting;
    using _timer = this.#options.clock.after(
      limitMs,
      () => this.#fail(`Cannot go on: the worker did not answer within ${limitMs} ms`),
    );
    worker.post(message);
    try {
      return await waiting.promise;
    } finally {
      this.#waiting = null;
    }
  }

  #fail(message: string): void {
    this.#end();
    // A worker's code is read when it starts, with the permissions of this process.
    const isPermission = message.includes("Requires read access");
    this.#waiting?.reject(new LocalModelError(isPermission ? "permission" : "worker", message));
  }

  /** Lets an idle worker free its model and end. */
  #retire(): void {
    this.#worker?.post({ type: "close" });
    this.#worker = null;
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }
}
