/**
 * Everything that is in the store, after a restart.
 *
 * Heads and vectors lie in the same order, so two listings side by side bring each
 * entry together with its vector. While one page is dealt with, the next is read.
 *
 * @module
 */
import type { Store, StoreEntry, StoreKey } from "deno-kv-compat";
import type { Clock } from "../ports.ts";
import type { EmbedderIdentity, EntryReader, SharedEntry } from "./entry_reader.ts";
import { decodeEntryHead } from "./records/entry_record.ts";
import { LAYOUT } from "./records/layout.ts";

/** Entries read together: dealing with them holds the event loop for a few milliseconds. */
const PAGE = 200;

/** What a restart brought. */
export interface Loaded {
  /** Entries handed over. */
  readonly entries: number;
  /** How many of them with a vector. */
  readonly vectors: number;
  /** Entries that had expired, or were void. */
  readonly outdated: number;
  /** Entries that were torn, garbled or of another release. */
  readonly unusable: number;
}

/** What is loaded before anything is. */
export const NOTHING_LOADED: Loaded = { entries: 0, vectors: 0, outdated: 0, unusable: 0 };

/** What a restart needs. */
export interface WarmStartOptions {
  /** The store. */
  readonly store: Store;
  /** Notices that the store stalls. */
  readonly clock: Clock;
  /** Reads entries. */
  readonly reader: EntryReader;
  /** Whose vectors are read; `null` for none. */
  readonly embedder: EmbedderIdentity | null;
  /** How long the store may give nothing, in milliseconds. */
  readonly stallMs: number;
  /** Called for each live entry. Must not throw. */
  readonly onEntry: (shared: SharedEntry) => void;
}

/** Reads everything, once. */
export class WarmStart {
  readonly #options: WarmStartOptions;
  readonly #over = Promise.withResolvers<void>();
  readonly #loaded = { ...NOTHING_LOADED };
  #steps = 0;
  #isOver = false;
  #timer: Disposable | null = null;

  /** Reads nothing yet. */
  constructor(options: WarmStartOptions) {
    this.#options = options;
  }

  /** Reads; where the store fails or stalls, what it had given until then counts. */
  async run(): Promise<Loaded & { readonly complete: boolean }> {
    this.#guard();
    const all = this.#all().then(() => true, () => false);
    const complete = await Promise.race([all, this.#over.promise.then(() => false)]);
    this.stop();
    return { ...this.#loaded, complete };
  }

  /** Hands over nothing more. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.[Symbol.dispose]();
    this.#over.resolve();
  }

  #guard(): void {
    const stepsBefore = this.#steps;
    this.#timer = this.#options.clock.after(this.#options.stallMs, () => {
      if (this.#steps === stepsBefore) this.stop();
      else this.#guard();
    });
  }

  async #all(): Promise<void> {
    const { store, embedder } = this.#options;
    const vectors = embedder === null ? null : new VectorCursor(store, embedder.id);
    const heads = new Pages(store, LAYOUT.heads);
    for (let page = await heads.next(); page !== null; page = await heads.next()) {
      for (const { value } of page) {
        if (this.#isOver) return;
        this.#steps++;
        await this.#one(value, vectors);
      }
    }
  }

  async #one(value: unknown, vectors: VectorCursor | null): Promise<void> {
    const { store, reader, onEntry } = this.#options;
    const loaded = this.#loaded;
    const head = decodeEntryHead(value);
    if (head !== null && reader.refusalOf(head) !== null) {
      loaded.outdated++;
      return;
    }
    const entry = head === null ? null : await reader.complete(store, head);
    if (entry === null) {
      loaded.unusable++;
      return;
    }
    const vector = reader.vectorOf(await vectors?.of(entry.exactKey, entry.id) ?? null);
    if (this.#isOver) return;
    loaded.entries++;
    if (vector !== null) loaded.vectors++;
    onEntry({ entry, vector });
  }
}

/** Goes through everything under a prefix, and reads a page ahead. */
class Pages {
  readonly #store: Store;
  readonly #prefix: StoreKey;
  #ahead: Promise<{ readonly entries: readonly StoreEntry[]; readonly cursor: string }>;
  #hasEnded = false;

  constructor(store: Store, prefix: StoreKey) {
    this.#store = store;
    this.#prefix = prefix;
    this.#ahead = this.#read("");
  }

  /** The next page; `null` after the last one. */
  async next(): Promise<readonly StoreEntry[] | null> {
    if (this.#hasEnded) return null;
    const { entries, cursor } = await this.#ahead;
    if (cursor === "") this.#hasEnded = true;
    else this.#ahead = this.#read(cursor);
    return entries;
  }

  #read(cursor: string): Promise<{ entries: StoreEntry[]; cursor: string }> {
    const read = this.#page(cursor);
    // It fails when it is waited for, and not before.
    read.catch(() => {});
    return read;
  }

  async #page(cursor: string): Promise<{ entries: StoreEntry[]; cursor: string }> {
    const options = { limit: PAGE, batchSize: PAGE, ...(cursor === "" ? {} : { cursor }) };
    const list = this.#store.list({ prefix: this.#prefix }, options);
    const entries: StoreEntry[] = [];
    for await (const entry of list) entries.push(entry);
    return { entries, cursor: list.cursor };
  }
}

/** Goes through the vectors of one embedder, forward only. */
class VectorCursor {
  readonly #pages: Pages;
  #page: readonly StoreEntry[] | null = [];
  #place = 0;

  constructor(store: Store, embedder: string) {
    this.#pages = new Pages(store, LAYOUT.vectors(embedder));
  }

  /** The vector of an entry, whose key must not be before that of the last one asked for. */
  async of(exactKey: string, id: number): Promise<unknown> {
    while (this.#page !== null) {
      const next = this.#page[this.#place];
      if (next === undefined) {
        this.#page = await this.#pages.next();
        this.#place = 0;
        continue;
      }
      const [key, ofId] = next.key.slice(-2);
      if (typeof key !== "string" || key > exactKey) return null;
      this.#place++;
      if (key === exactKey && ofId === id) return next.value;
    }
    return null;
  }
}
