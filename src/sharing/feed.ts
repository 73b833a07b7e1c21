/**
 * Entries that other gateways have written since the last look.
 *
 * Each gateway numbers what it writes 1, 2, 3, …, and writes the highest number in
 * the same commit. So a reader who remembers one number for each writer misses
 * nothing, sees nothing twice, and needs no clock.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import type { EntryReader, SharedEntry } from "./entry_reader.ts";
import { LAYOUT } from "./records/layout.ts";
import type { StoreLink } from "./store_link.ts";

/** Entries of one look; the next follows at once. */
const ENTRIES_MAX = 128;
/** Entries read together. */
const GROUP = 10;
/** Whoever is further behind goes on from here: older entries are found when they are asked for. */
const BEHIND_MAX = 20_000;
/** Gateways whose feeds are followed. */
const WRITERS_MAX = 1_000;

/** What a look at the feeds came to. */
export interface Pulled {
  /** Entries handed over. */
  readonly entries: number;
  /** Entries that were too far behind to be looked at. */
  readonly skipped: number;
  /** Whether more are there. */
  readonly more: boolean;
}

/** What following feeds needs. */
export interface FeedOptions {
  /** The way to the store. */
  readonly link: StoreLink;
  /** Reads entries. */
  readonly reader: EntryReader;
  /** Name of this gateway's own feed, which is left out. */
  readonly writer: string;
  /** How long the store may take for one question, in milliseconds. */
  readonly timeoutMs: number;
  /** Called for each entry. Must not throw. */
  readonly onEntry: (shared: SharedEntry) => void;
}

/** Follows the feeds of other gateways. */
export class Feed {
  readonly #options: FeedOptions;
  /** The last number seen, by writer; `null` before the first look. */
  #seen: Map<string, number> | null = null;

  /** Nothing is seen yet. */
  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /**
   * Looks once. The first look hands nothing over: what was written before it is
   * what a restart loads.
   *
   * @returns `null` if the store did not answer.
   */
  async pull(): Promise<Pulled | null> {
    const ends = await this.#ends();
    if (ends === null) return null;
    if (this.#seen === null) {
      this.#seen = ends;
      return { entries: 0, skipped: 0, more: false };
    }
    const seen = this.#seen;
    // A feed that is gone has expired as a whole.
    for (const writer of seen.keys()) if (!ends.has(writer)) seen.delete(writer);
    let room = ENTRIES_MAX;
    let entries = 0;
    let skipped = 0;
    for (const [writer, end] of ends) {
      const known = seen.get(writer) ?? 0;
      if (end <= known || room === 0) continue;
      const start = Math.max(known, end - BEHIND_MAX);
      skipped += start - known;
      const page = await this.#page(writer, start, end, room);
      if (page === null) return null;
      for (let from = 0; from < page.exactKeys.length; from += GROUP) {
        const handed = await this.#handOver(page.exactKeys.slice(from, from + GROUP));
        if (handed === null) return null;
        entries += handed;
      }
      seen.set(writer, page.end);
      room -= page.exactKeys.length;
    }
    const more = [...ends].some(([writer, end]) => end > (seen.get(writer) ?? 0));
    return { entries, skipped, more };
  }

  async #ends(): Promise<Map<string, number> | null> {
    const { link, writer, timeoutMs } = this.#options;
    const outcome = await link.work(timeoutMs, async (store) => {
      const ends = new Map<string, number>();
      const writers = store.list({ prefix: LAYOUT.writers }, { limit: WRITERS_MAX });
      for await (const { key, value } of writers) {
        const name = key.at(-1);
        if (name === writer || typeof name !== "string") continue;
        if (Number.isSafeInteger(value)) ends.set(name, Number(value));
      }
      return ends;
    });
    return outcome.type === "done" ? outcome.value : null;
  }

  /** Exact keys after `start`; where some have expired, the end is still reached. */
  async #page(
    writer: string,
    start: number,
    end: number,
    limit: number,
  ): Promise<{ readonly exactKeys: readonly string[]; readonly end: number } | null> {
    const outcome = await this.#options.link.work(this.#options.timeoutMs, async (store) => {
      const exactKeys: string[] = [];
      let last = start;
      const range = { start: LAYOUT.feed(writer, start + 1), end: LAYOUT.feed(writer, end + 1) };
      for await (const { key, value } of store.list(range, { limit, batchSize: limit })) {
        last = Number(key.at(-1));
        if (typeof value === "string") exactKeys.push(value);
      }
      return { exactKeys, end: exactKeys.length < limit ? end : last };
    });
    return outcome.type === "done" ? outcome.value : null;
  }

  async #handOver(exactKeys: readonly string[]): Promise<number | null> {
    const { link, reader, timeoutMs, onEntry } = this.#options;
    const outcome = await link.work(
      timeoutMs,
      (store: Store) => reader.readMany(store, exactKeys),
    );
    if (outcome.type !== "done") return null;
    for (const shared of outcome.value) onEntry(shared);
    return outcome.value.length;
  }
}
