/**
 * Decides when the index is written to its directory.
 *
 * @module
 */
import type { FromWorker } from "./messages.ts";
import type { VectorIndexOptions } from "./types.ts";

/** How long closing waits for the last save, in milliseconds. */
const CLOSE_MS = 20_000;
/** The time between saves varies by so much, so that replicas do not save as one. */
const JITTER = 0.1;

/** One save at a time, after enough changes or enough time. */
export class Saver {
  readonly #options: VectorIndexOptions;
  readonly #post: (generation: number) => number | null;
  #generation = 0;
  #unsaved = 0;
  #timer: Disposable | null = null;
  #running:
    | {
      readonly worker: number;
      readonly startMs: number;
      readonly unsaved: number;
      readonly done: PromiseWithResolvers<void>;
    }
    | null = null;
  #isClosed = false;

  /** `post` asks the index to save under a generation, and returns the worker's number. */
  constructor(options: VectorIndexOptions, post: (generation: number) => number | null) {
    this.#options = options;
    this.#post = post;
  }

  /** The worker that is saving, or `null`. */
  get worker(): number | null {
    return this.#running?.worker ?? null;
  }

  /** Goes on after the generation that was found. */
  begin(generation: number): void {
    this.#generation = generation;
  }

  /** Notes changes that the index has applied. */
  changed(count: number): void {
    if (this.#options.directory === null || this.#isClosed) return;
    this.#unsaved += count;
    if (this.#unsaved >= this.#options.save.everyChanges) return void this.#start();
    const { clock, random, save } = this.#options;
    const spread = 1 + JITTER * (2 * random() - 1);
    this.#timer ??= clock.after(save.everyMs * spread, () => {
      this.#timer = null;
      if (this.#unsaved > 0) void this.#start();
    });
  }

  /** Saves now; one that is under way is waited for first, since it lacks what came after it. */
  async save(): Promise<void> {
    if (this.#options.directory === null) return;
    while (this.#running !== null) await this.#running.done.promise;
    await this.#start();
  }

  /**
   * Saves what has changed, for the last time, unless that takes too long.
   *
   * @param isBehind Whether there are changes that the index has not told of yet.
   */
  async close(isBehind: boolean): Promise<void> {
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    if (!isBehind && this.#unsaved === 0 && this.#running === null) return;
    const saved = this.save();
    const limit = Promise.withResolvers<void>();
    using _timer = this.#options.clock.after(CLOSE_MS, limit.resolve);
    await Promise.race([saved, limit.promise]);
  }

  /** The worker's answer. */
  saved(message: Extract<FromWorker, { type: "saved" }>): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    const seconds = (this.#options.clock.nowMs() - running.startMs) / 1_000;
    if (message.problem === null) {
      this.#unsaved -= running.unsaved;
      this.#options.onEvent({ type: "saved", seconds, bytes: message.bytes });
    } else {
      this.#options.onEvent({ type: "save_failed", message: message.problem });
    }
    running.done.resolve();
  }

  /** A worker is gone; what it was writing does not count. */
  died(worker: number): void {
    if (this.#running?.worker !== worker) return;
    const { done } = this.#running;
    this.#running = null;
    this.#options.onEvent({ type: "save_failed", message: "Worker died" });
    done.resolve();
  }

  /** Settles when it is written, or was not. */
  async #start(): Promise<void> {
    if (this.#running !== null) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    const worker = this.#post(this.#generation + 1);
    if (worker === null) return;
    this.#generation++;
    const done = Promise.withResolvers<void>();
    const startMs = this.#options.clock.nowMs();
    this.#running = { worker, startMs, unsaved: this.#unsaved, done };
    await done.promise;
  }
}
