/**
 * A store in a file that other processes may have open too.
 *
 * SQLite lets one process write at a time; in `Deno.Kv` the others do not wait
 * but fail at once with "database is locked" (measured on Deno 2.9.6: two
 * processes that count in one file fail several times for each success).
 * Nothing has been written then, so here the write is tried again until its
 * time is over.
 *
 * What stays as it is: a watch sees what this process writes, through any of
 * its connections, and nothing of what another process writes.
 *
 * @module
 */
import type {
  Store,
  StoreAtomic,
  StoreCheck,
  StoreCommit,
  StoreEntryMaybe,
  StoreIterator,
  StoreKey,
  StoreListOptions,
  StoreSelector,
} from "./store.ts";

/** How long a write waits for other processes, in milliseconds. */
const LOCKED_MAX_MS = 5_000;
/** Longest pause between two tries, in milliseconds. */
const PAUSE_MAX_MS = 20;

/** A store whose writes wait their turn. */
export class FileStore implements Store {
  readonly #store: Store;

  /** Takes over the store; closing it is this one's part now. */
  constructor(store: Store) {
    this.#store = store;
  }

  /** Reads one key. */
  get(key: StoreKey): Promise<StoreEntryMaybe> {
    return untilUnlocked(() => this.#store.get(key));
  }

  /** Reads up to ten keys, as of one moment. */
  getMany(keys: readonly StoreKey[]): Promise<readonly StoreEntryMaybe[]> {
    return untilUnlocked(() => this.#store.getMany(keys));
  }

  /** Sets a value. */
  set(
    key: StoreKey,
    value: unknown,
    options?: { expireIn?: number },
  ): Promise<{ readonly ok: true; readonly versionstamp: string }> {
    return untilUnlocked(() => this.#store.set(key, value, options));
  }

  /** Deletes a key. */
  delete(key: StoreKey): Promise<void> {
    return untilUnlocked(() => this.#store.delete(key));
  }

  /** Lists entries. */
  list(selector: StoreSelector, options?: StoreListOptions): StoreIterator {
    return this.#store.list(selector, options);
  }

  /** Begins a commit. */
  atomic(): StoreAtomic {
    return new FileAtomic(this.#store.atomic());
  }

  /** Tells the values of keys, now and after this process has changed them. */
  watch(keys: readonly StoreKey[]): ReadableStream<readonly StoreEntryMaybe[]> {
    return this.#store.watch(keys);
  }

  /** Ends it. */
  close(): void {
    this.#store.close();
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }
}

class FileAtomic implements StoreAtomic {
  readonly #atomic: StoreAtomic;

  constructor(atomic: StoreAtomic) {
    this.#atomic = atomic;
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
    return untilUnlocked(() => this.#atomic.commit());
  }
}

async function untilUnlocked<T>(operation: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + LOCKED_MAX_MS;
  for (let pauseMs = 1;; pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2)) {
    try {
      return await operation();
    } catch (error) {
      if (!isLocked(error) || performance.now() >= endMs) throw error;
    }
    // Processes that were turned away together must not come back together.
    await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && /database (table )?is locked/.test(error.message);
}
