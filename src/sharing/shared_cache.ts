/**
 * What gateways share of their caches, through a key-value store.
 *
 *      miss here                                       stored here
 *          | read, 15 ms                                   | write: queue, 20 ms
 *          v                                               v
 *     +------------------------------ store -------------------------------+
 *     | heads, parts, vectors   feed of each gateway   invalidations 1 … n |
 *     +---------------------------------------------------------------------+
 *          | watch, and a heartbeat every 0.5 s            | after a start
 *          v                                               v
 *     onInvalidation, in order; onEntry                load: all of it
 *
 * The store is a help, never a need: it is asked within a deadline, written to
 * behind the answers, and left alone while it is down. Nothing here throws for
 * what a store does.
 *
 * How invalidations are numbered, and why an entry that is void is never served,
 * stands in `invalidation_log.ts`, and how their numbers relate to those of the
 * local store in `records/numbering.ts`. In short: every number that goes in and
 * out here is a sequence of the local store. `CacheEntry.sequence` has to be what
 * the local store's was when the request began, and the local store has to
 * `adopt` what `onInvalidation` and `invalidate` tell it.
 *
 * @module
 */
import type { CacheEntry, Selector } from "../cache/types.ts";
import { EntryReader, type ReadOutcome } from "./entry_reader.ts";
import { EntryWriter } from "./entry_writer.ts";
import { Feed } from "./feed.ts";
import { InvalidationLog } from "./invalidation_log.ts";
import { loadText, saveText } from "./learnt_state.ts";
import { backOffMs } from "./pause.ts";
import { LAYOUT } from "./records/layout.ts";
import { removeEntry } from "./removal.ts";
import {
  type SharedCacheOptions,
  SHARING_LIMITS,
  type SharingEvent,
  type SharingHandlers,
  type SharingLimits,
  type SharingStats,
} from "./settings.ts";
import { StoreLink } from "./store_link.ts";
import { StoreWatch } from "./store_watch.ts";
import { type Loaded, NOTHING_LOADED, WarmStart } from "./warm_start.ts";
import { WriteBehind } from "./write_behind.ts";
import type { EntryVector } from "./write_queue.ts";

export type {
  SharedCacheOptions,
  SharingEvent,
  SharingHandlers,
  SharingStats,
} from "./settings.ts";

/** The shared part of a cache. */
export class SharedCache {
  readonly #options: SharedCacheOptions;
  readonly #limits: SharingLimits;
  readonly #writer: string;
  readonly #link: StoreLink;
  readonly #log: InvalidationLog;
  readonly #reader: EntryReader;
  readonly #feed: Feed;
  readonly #watch: StoreWatch;
  readonly #behind: WriteBehind;
  readonly #firstLook = Promise.withResolvers<void>();
  readonly #reads: Record<ReadOutcome, number> = {
    hit: 0,
    miss: 0,
    expired: 0,
    void: 0,
    unusable: 0,
    late: 0,
    failed: 0,
    skipped: 0,
  };
  /** Loads under way. */
  readonly #starts = new Set<WarmStart>();
  readonly #pulled = { entries: 0, skipped: 0 };
  #handlers: SharingHandlers | null = null;
  #isClosing = false;
  #watchesLost = 0;
  #writings = 0;
  /** The look under way, and whether another one is wanted after it. */
  #looking: Promise<void> | null = null;
  #looksAgain = false;
  #nextLook: Disposable | null = null;
  #looksFailed = 0;
  #bumpSeen: string | null | undefined = undefined;

  /** Does nothing before `start`. */
  constructor(options: SharedCacheOptions) {
    const { store, clock, random, codec, embedder } = options;
    this.#options = options;
    this.#limits = { ...SHARING_LIMITS, ...options.limits };
    const { timeoutMs } = this.#limits;
    this.#writer = Math.floor(random() * Number.MAX_SAFE_INTEGER).toString(36);
    this.#link = new StoreLink(store, clock, (change) => {
      this.#tell(change);
      if (change.type === "up") this.#behind.flushSoon();
    });
    const link = this.#link;
    this.#log = new InvalidationLog({
      link,
      clock,
      random,
      timeoutMs,
      onInvalidation: (sequence, selector) => this.#handlers?.onInvalidation(sequence, selector),
      onReset: () => this.#tell({ type: "reset" }),
    });
    const log = this.#log;
    this.#reader = new EntryReader({ link, clock, log, codec, embedder });
    this.#feed = new Feed({
      link,
      reader: this.#reader,
      writer: this.#writer,
      timeoutMs,
      onEntry: ({ entry, vector }) => this.#handlers?.onEntry(entry, vector),
    });
    this.#behind = new WriteBehind({
      link,
      clock,
      random,
      limits: this.#limits,
      writer: new EntryWriter({ link, clock, log, codec, writer: this.#writer, timeoutMs }),
      onEvent: (event) => this.#tell(event),
    });
    this.#watch = new StoreWatch({
      store,
      clock,
      random,
      onChange: () => this.#look(),
      onLost: (reason) => {
        this.#watchesLost += 1;
        this.#tell({ type: "watch_lost", reason });
      },
    });
  }

  /** Begins to listen to other gateways. What was invalidated before is told as well. */
  start(handlers: SharingHandlers): void {
    this.#handlers = handlers;
    this.#watch.start();
    this.#look();
  }

  /**
   * Looks for an entry. It may no longer be fresh; it is never void.
   *
   * @param layer Whether the key is of the whole request, or of the folded one.
   * @param deadlineMs When it is of no use any more, on the clock.
   * @returns `null` if there is none, or not in time. Never rejects.
   */
  async read(
    layer: "exact" | "canonical",
    key: string,
    deadlineMs: number,
  ): Promise<CacheEntry | null> {
    const { clock } = this.#options;
    const startMs = clock.nowMs();
    const { outcome, entry } = this.#handlers === null || this.#isClosing
      ? { outcome: "skipped" as const, entry: null }
      : await this.#reader.read(layer, key, deadlineMs);
    this.#reads[outcome] += 1;
    this.#tell({ type: "read", outcome, seconds: (clock.nowMs() - startMs) / 1000 });
    return entry;
  }

  /** Shares an entry, some time soon. Called again, with a vector, it adds that. */
  write(entry: CacheEntry, vector: EntryVector | null): void {
    this.#behind.push(entry, vector);
  }

  /** Takes an entry out of the store; returns whether it was there. Never rejects. */
  async remove(id: number): Promise<boolean> {
    await this.#behind.discard(id);
    if (!this.#link.isUp || this.#isClosing) return false;
    const outcome = await this.#link.work(
      this.#limits.timeoutMs,
      (store) => removeEntry(store, id, this.#options.embedder),
    );
    return outcome.type === "done" && outcome.value;
  }

  /**
   * Invalidates for every gateway. Shared entries that match are void from this
   * call on; those of the local store are the caller's part.
   *
   * @returns Its sequence, to be adopted by the local store; `null` if the store does
   * not answer: it is then sent later, and told by `onInvalidation`. Never rejects.
   */
  async invalidate(selector: Selector): Promise<number | null> {
    return await this.#log.invalidate(selector);
  }

  /**
   * Hears of every invalidation made so far, for answers that must not be older.
   *
   * @param deadlineMs How long to wait, on the clock.
   * @returns The sequence that everything is known up to; `null` if the store did not
   * tell in time. `onInvalidation` has been called for all of it. Never rejects.
   */
  async refresh(deadlineMs: number): Promise<number | null> {
    const leftMs = deadlineMs - this.#options.clock.nowMs();
    if (leftMs <= 0 || this.#handlers === null || !this.#link.isUp) return null;
    const outcome = await this.#link.read(leftMs, async (store) => {
      const counter = (await store.get(LAYOUT.counter)).value;
      return this.#log.isCurrent(counter) ||
        (await this.#log.refresh() && this.#log.hasSeen(counter)) ||
        (await this.#log.refresh() && this.#log.hasSeen(counter));
    });
    return outcome.type === "done" && outcome.value ? this.#log.sequence : null;
  }

  /**
   * Hands over all entries that the store holds, after the invalidations.
   *
   * Never rejects; what a store that fails or stalls had given until then counts.
   */
  async load(
    onEntry: (entry: CacheEntry, vector: Float32Array | null) => void,
  ): Promise<Loaded & { readonly complete: boolean }> {
    if (this.#handlers !== null) await this.#firstLook.promise;
    if (!this.#link.isUp || this.#isClosing) return { ...NOTHING_LOADED, complete: false };
    const { store, clock, embedder } = this.#options;
    const start = new WarmStart({
      store,
      clock,
      reader: this.#reader,
      embedder,
      stallMs: this.#limits.timeoutMs,
      onEntry: ({ entry, vector }) => onEntry(entry, vector),
    });
    this.#starts.add(start);
    const loaded = await start.run();
    this.#starts.delete(start);
    return loaded;
  }

  /** Keeps a text under a name; returns whether it is kept. Never rejects. */
  async saveState(name: string, text: string): Promise<boolean> {
    const writing = `${this.#writer}.${this.#writings++}`;
    const outcome = await this.#link.work(
      this.#limits.timeoutMs,
      (store) => saveText(store, name, writing, text),
    );
    return outcome.type === "done";
  }

  /** The text under a name; `null` if there is none, or the store does not answer. Never rejects. */
  async loadState(name: string): Promise<string | null> {
    const outcome = await this.#link.work(
      this.#limits.timeoutMs,
      (store) => loadText(store, name),
    );
    return outcome.type === "done" ? outcome.value : null;
  }

  /** Counts, and how things stand. */
  stats(): SharingStats {
    return {
      up: this.#link.isUp,
      watching: this.#watch.isWatching,
      watchesLost: this.#watchesLost,
      silentSeconds: this.#link.silentSeconds,
      ...this.#behind.stats(),
      reads: { ...this.#reads },
      feed: { ...this.#pulled },
      invalidations: this.#log.counts,
    };
  }

  /**
   * Writes what waits, as far as the time allows, and stops. Afterwards nothing is
   * pending here; the store can be closed.
   */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#nextLook?.[Symbol.dispose]();
    for (const start of this.#starts) start.stop();
    const { promise: over, resolve } = Promise.withResolvers<void>();
    using _timer = this.#options.clock.after(this.#limits.closeMs, resolve);
    if (this.#link.isUp) {
      await Promise.race([Promise.all([this.#behind.drain(), this.#log.send()]), over]);
    }
    this.#link.giveUp();
    await Promise.all([this.#behind.close(), this.#watch.close(), this.#looking]);
    this.#firstLook.resolve();
  }

  /** Looks what has changed: now, or right after the look under way. */
  #look(): void {
    if (this.#isClosing) return;
    this.#looksAgain = true;
    this.#looking ??= this.#lookWhileWanted().finally(() => this.#looking = null);
  }

  async #lookWhileWanted(): Promise<void> {
    this.#nextLook?.[Symbol.dispose]();
    while (this.#looksAgain && !this.#isClosing) {
      this.#looksAgain = false;
      await this.#lookOnce();
      this.#firstLook.resolve();
    }
    if (this.#isClosing) return;
    const { clock, random } = this.#options;
    const { heartbeatMs, backOffMaxMs } = this.#limits;
    const delayMs = this.#looksFailed === 0
      ? heartbeatMs
      : backOffMs(this.#looksFailed, heartbeatMs / 2, backOffMaxMs, random);
    this.#nextLook = clock.after(delayMs, () => this.#look());
  }

  async #lookOnce(): Promise<void> {
    const outcome = await this.#link.heartbeat(
      this.#limits.timeoutMs,
      (store) => store.getMany([LAYOUT.counter, LAYOUT.bump]),
    );
    if (outcome.type !== "done") {
      this.#looksFailed += 1;
      return;
    }
    this.#looksFailed = 0;
    const [counter, bump] = outcome.value;
    if (!this.#log.isCurrent(counter?.value ?? null)) await this.#log.refresh();
    await this.#log.send();
    if (bump?.versionstamp === this.#bumpSeen || this.#isClosing) return;
    const pulled = await this.#feed.pull();
    if (pulled === null) return;
    this.#pulled.entries += pulled.entries;
    this.#pulled.skipped += pulled.skipped;
    if (pulled.more) this.#looksAgain = true;
    else this.#bumpSeen = bump?.versionstamp;
  }

  #tell(event: SharingEvent): void {
    this.#options.onEvent?.(event);
  }
}
