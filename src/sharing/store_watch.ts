/**
 * Tells when another gateway has written something, as soon as the store says so.
 *
 * It only wakes: what has changed is read afterwards. A watch that ends is begun
 * again, later each time; until then the heartbeat notices, a little later. (A
 * watch on a file hears nothing of other processes.)
 *
 * @module
 */
import type { Store, StoreEntryMaybe } from "deno-kv-compat";
import type { Clock, Random } from "../ports.ts";
import { backOffMs } from "./pause.ts";
import { LAYOUT } from "./records/layout.ts";
import { reasonOf } from "./store_link.ts";

const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 15_000;

/** What watching needs. */
export interface StoreWatchOptions {
  /** What is watched. */
  readonly store: Store;
  /** Paces new beginnings. */
  readonly clock: Clock;
  /** Spreads them. */
  readonly random: Random;
  /** Called when something has changed. */
  readonly onChange: () => void;
  /** Called when the store ended a watch. */
  readonly onLost: (reason: string) => void;
}

/** Watches a store until it is closed. */
export class StoreWatch {
  readonly #options: StoreWatchOptions;
  #reader: ReadableStreamDefaultReader<readonly StoreEntryMaybe[]> | null = null;
  #isWatching = false;
  #isClosed = false;
  #tries = 0;
  #wake: () => void = () => {};
  #running: Promise<void> = Promise.resolve();

  /** Does nothing yet. */
  constructor(options: StoreWatchOptions) {
    this.#options = options;
  }

  /** Whether the store has said something since the watch was begun. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  /** Begins. */
  start(): void {
    this.#running = this.#run();
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    // The stream is given up, whatever it says to that.
    this.#reader?.cancel().catch(() => {});
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const reason = await this.#watch();
      this.#isWatching = false;
      if (this.#isClosed) return;
      this.#options.onLost(reason);
      await this.#rest();
    }
  }

  /** Watches until the stream ends, and says why. */
  async #watch(): Promise<string> {
    try {
      this.#reader = this.#options.store.watch([LAYOUT.counter, LAYOUT.bump]).getReader();
      for (;;) {
        const { done } = await this.#reader.read();
        if (done || this.#isClosed) return "the store ended it";
        this.#isWatching = true;
        this.#tries = 0;
        this.#options.onChange();
      }
    } catch (error) {
      return reasonOf(error);
    }
  }

  async #rest(): Promise<void> {
    const { clock, random } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _timer = clock.after(
      backOffMs(this.#tries++, PAUSE_FIRST_MS, PAUSE_MAX_MS, random),
      resolve,
    );
    await promise;
  }
}
