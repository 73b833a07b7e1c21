/**
 * Writes entries behind the answers: gathers them, tries again, drops the oldest.
 *
 * @module
 */
import type { CacheEntry } from "../cache/types.ts";
import type { Clock, Random } from "../ports.ts";
import type { EntryWriter } from "./entry_writer.ts";
import { backOffMs } from "./pause.ts";
import type { StoreLink } from "./store_link.ts";
import { type EntryVector, WriteQueue } from "./write_queue.ts";

/** Entries, and bytes of them, that are written in one go. */
const BATCH_ENTRIES_MAX = 64;
const BATCH_BYTES_MAX = 1024 * 1024;
const RETRY_FIRST_MS = 100;

/** What writing behind needs. */
export interface WriteBehindOptions {
  /** The way to the store. */
  readonly link: StoreLink;
  /** Time. */
  readonly clock: Clock;
  /** Spreads new tries. */
  readonly random: Random;
  /** Writes batches. */
  readonly writer: EntryWriter;
  /** Bounds and paces, as in `SharingLimits`. */
  readonly limits: {
    readonly queueEntriesMax: number;
    readonly queueBytesMax: number;
    readonly gatherMs: number;
    readonly backOffMaxMs: number;
  };
  /** Called for what became of entries. */
  readonly onEvent: (event: WriteEvent) => void;
}

/** What became of entries. */
export type WriteEvent =
  | { readonly type: "written"; readonly entries: number; readonly lagSeconds: number }
  | { readonly type: "dropped"; readonly entries: number }
  | { readonly type: "failed"; readonly entries: number; readonly reason: string };

/** Writes entries behind the answers. */
export class WriteBehind {
  readonly #options: WriteBehindOptions;
  readonly #queue: WriteQueue;
  readonly #counts = { written: 0, dropped: 0, failed: 0, outdated: 0 };
  /** Removed while they were being written. */
  readonly #discarded = new Set<number>();
  #timer: Disposable | null = null;
  #flushing: Promise<boolean> | null = null;
  #failuresInRow = 0;
  #isClosed = false;

  /** Nothing waits. */
  constructor(options: WriteBehindOptions) {
    this.#options = options;
    const { queueEntriesMax: entriesMax, queueBytesMax: bytesMax } = options.limits;
    this.#queue = new WriteQueue({ entriesMax, bytesMax });
  }

  /** Adds an entry. */
  push(entry: CacheEntry, vector: EntryVector | null): void {
    if (this.#isClosed) return this.#dropped(1);
    this.#dropped(this.#queue.push({ entry, vector, sinceMs: this.#options.clock.nowMs() }));
    this.#schedule(this.#options.limits.gatherMs);
  }

  /** Forgets an entry, if it waits; one that is being written is waited for. */
  async discard(id: number): Promise<void> {
    this.#queue.discard(id);
    if (this.#flushing === null) return;
    this.#discarded.add(id);
    await this.#flushing;
    this.#discarded.delete(id);
  }

  /** The store has come back. */
  flushSoon(): void {
    this.#failuresInRow = 0;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    if (this.#queue.size > 0) this.#schedule(0);
  }

  /** Writes everything now; stops at the first failure. */
  async drain(): Promise<void> {
    await this.#flushing;
    await this.#flush();
  }

  /** What waits, and what became of the rest. */
  stats(): {
    readonly queued: number;
    readonly queuedBytes: number;
    readonly lagSeconds: number;
    readonly writes: Readonly<Record<"written" | "dropped" | "failed" | "outdated", number>>;
  } {
    const { size: queued, bytes: queuedBytes, oldestMs } = this.#queue;
    const lagMs = oldestMs === null ? 0 : this.#options.clock.nowMs() - oldestMs;
    return { queued, queuedBytes, lagSeconds: lagMs / 1000, writes: { ...this.#counts } };
  }

  /** Stops; what still waits is dropped. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#flushing;
    this.#dropped(this.#queue.take(Infinity, Infinity).length);
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = null;
      void this.#flush();
    });
  }

  /** Writes until nothing waits; `false` if something went wrong. */
  #flush(): Promise<boolean> {
    this.#flushing ??= this.#writeAll().finally(() => this.#flushing = null);
    return this.#flushing;
  }

  async #writeAll(): Promise<boolean> {
    const { link, writer, clock, random, limits } = this.#options;
    while (this.#queue.size > 0 && link.isUp && !this.#isClosed) {
      const batch = this.#queue.take(BATCH_ENTRIES_MAX, BATCH_BYTES_MAX);
      const oldestMs = batch[0]?.sinceMs ?? clock.nowMs();
      const { written, outdated, refused, left, failure } = await writer.write(batch);
      this.#counts.outdated += outdated;
      this.#written(written, (clock.nowMs() - oldestMs) / 1000);
      if (refused > 0) this.#failed(refused, "too large");
      if (failure === null) {
        this.#failuresInRow = 0;
        continue;
      }
      this.#failed(0, failure);
      this.#dropped(
        this.#queue.putBack(left.filter(({ entry }) => !this.#discarded.has(entry.id))),
      );
      this.#failuresInRow += 1;
      this.#schedule(backOffMs(this.#failuresInRow, RETRY_FIRST_MS, limits.backOffMaxMs, random));
      return false;
    }
    return this.#queue.size === 0;
  }

  #written(entries: number, lagSeconds: number): void {
    this.#counts.written += entries;
    if (entries > 0) this.#options.onEvent({ type: "written", entries, lagSeconds });
  }

  #dropped(entries: number): void {
    this.#counts.dropped += entries;
    if (entries > 0) this.#options.onEvent({ type: "dropped", entries });
  }

  #failed(entries: number, reason: string): void {
    this.#counts.failed += entries;
    this.#options.onEvent({ type: "failed", entries, reason });
  }
}
