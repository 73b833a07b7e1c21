/**
 * A store that goes wrong on demand.
 *
 * - `latencyMs`: every answer comes later, by the clock.
 * - `failing`: every question is refused.
 * - `hanging`: nothing is answered until it is `well` again; then everything is.
 * - `split`: nothing gets through, watches included; when it is `well` again, what
 *   was asked meanwhile fails without having been carried out, and watches end.
 * - `deaf`: writes are carried out, but reported as failed.
 *
 * @module
 */
import type {
  Store,
  StoreAtomic,
  StoreCheck,
  StoreCommit,
  StoreEntry,
  StoreEntryMaybe,
  StoreIterator,
  StoreKey,
  StoreListOptions,
  StoreSelector,
} from "deno-kv-compat";
import type { Clock } from "../../src/ports.ts";

/** How a store behaves. */
export type StoreHealth = "well" | "failing" | "hanging" | "split" | "deaf";

/** A store with faults in front of another one, which it closes with itself. */
export class FaultyStore implements Store {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #waiting = new Set<(health: StoreHealth) => void>();
  readonly #watches = new Set<ReadableStreamDefaultController<readonly StoreEntryMaybe[]>>();
  #health: StoreHealth = "well";
  /** How much later answers come, in milliseconds. */
  latencyMs = 0;
  /** Questions so far. */
  asked = 0;

  /** Well at first. */
  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** How it behaves. */
  get health(): StoreHealth {
    return this.#health;
  }

  set health(health: StoreHealth) {
    const before = this.#health;
    this.#health = health;
    if (health === "hanging" || health === "split") return;
    for (const go of this.#waiting) go(before);
    this.#waiting.clear();
    if (before === "split") this.breakWatches();
  }

  /** Questions that hang. */
  get hanging(): number {
    return this.#waiting.size;
  }

  /** Watches that are open. */
  get watching(): number {
    return this.#watches.size;
  }

  /** Ends all watches with an error. */
  breakWatches(): void {
    for (const watch of this.#watches) watch.error(new Error("Connection was lost"));
    this.#watches.clear();
  }

  /** Reads one key. */
  get(key: StoreKey): Promise<StoreEntryMaybe> {
    return this.#ask(() => this.#store.get(key));
  }

  /** Reads keys. */
  getMany(keys: readonly StoreKey[]): Promise<readonly StoreEntryMaybe[]> {
    return this.#ask(() => this.#store.getMany(keys));
  }

  /** Sets a value. */
  set(
    key: StoreKey,
    value: unknown,
    options?: { expireIn?: number },
  ): Promise<{ readonly ok: true; readonly versionstamp: string }> {
    return this.#write(() => this.#store.set(key, value, options));
  }

  /** Deletes a key. */
  delete(key: StoreKey): Promise<void> {
    return this.#write(() => this.#store.delete(key));
  }

  /** Lists entries; each step is a question. */
  list(selector: StoreSelector, options?: StoreListOptions): StoreIterator {
    const inner = this.#store.list(selector, options);
    return {
      get cursor() {
        return inner.cursor;
      },
      next: () => this.#ask(() => inner.next() as Promise<IteratorResult<StoreEntry, undefined>>),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Begins a commit. */
  atomic(): StoreAtomic {
    return new FaultyAtomic(this.#store.atomic(), (commit) => this.#write(commit));
  }

  /** Watches, unless it is failing. */
  watch(keys: readonly StoreKey[]): ReadableStream<readonly StoreEntryMaybe[]> {
    if (this.#health === "failing") throw new Error("Store is broken");
    const reader = this.#store.watch(keys).getReader();
    let controller: ReadableStreamDefaultController<readonly StoreEntryMaybe[]>;
    const forward = async (): Promise<void> => {
      for (;;) {
        const { done, value } = await reader.read();
        if (!this.#watches.has(controller)) return;
        if (done) {
          this.#watches.delete(controller);
          return controller.close();
        }
        if (this.#health !== "split" && this.#health !== "hanging") controller.enqueue(value);
      }
    };
    return new ReadableStream({
      start: (own) => {
        controller = own;
        this.#watches.add(controller);
        forward().catch((error) => {
          if (this.#watches.delete(controller)) controller.error(error);
        });
      },
      cancel: async () => {
        this.#watches.delete(controller);
        await reader.cancel();
      },
    });
  }

  /** Ends it; what hangs is refused. */
  close(): void {
    this.health = "failing";
    this.#store.close();
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    this.asked += 1;
    if (this.latencyMs > 0) {
      await new Promise<void>((resolve) => void this.#clock.after(this.latencyMs, resolve));
    }
    if (this.#health === "hanging" || this.#health === "split") {
      const was = await new Promise<StoreHealth>((resolve) => void this.#waiting.add(resolve));
      if (was === "split") throw new Error("Connection was lost");
    }
    if (this.#health === "failing") throw new Error("Store is broken");
    return await question();
  }

  async #write<T>(write: () => Promise<T>): Promise<T> {
    const result = await this.#ask(write);
    if (this.#health === "deaf") throw new Error("Connection was lost");
    return result;
  }
}

class FaultyAtomic implements StoreAtomic {
  readonly #atomic: StoreAtomic;
  readonly #commit: (commit: () => Promise<StoreCommit>) => Promise<StoreCommit>;

  constructor(
    atomic: StoreAtomic,
    commit: (commit: () => Promise<StoreCommit>) => Promise<StoreCommit>,
  ) {
    this.#atomic = atomic;
    this.#commit = commit;
  }

  check(...checks: StoreCheck[]): this {
    this.#atomic.check(...checks);
    return this;
  }

  set(key: StoreKey, value: unknown, options?: { expireIn?: number }): this {
    this.#atomic.set(key, value, options);
    return this;
  }

  delete(key: StoreKey): this {
    this.#atomic.delete(key);
    return this;
  }

  sum(key: StoreKey, n: bigint): this {
    this.#atomic.sum(key, n);
    return this;
  }

  commit(): Promise<StoreCommit> {
    return this.#commit(() => this.#atomic.commit());
  }
}
