/**
 * Listing: one batch after the other, each of one moment.
 *
 * @module
 */
import {
  cursorBehind,
  type KeyRange,
  type ListSelector,
  rangeBehind,
  rangeOfKey,
  type Selection,
  selectionOf,
} from "../keyspace/selector.ts";
import { encodeSnapshotRead } from "../wire/read.ts";
import type {
  StoreEntry,
  StoreIterator,
  StoreKey,
  StoreListOptions,
  StoreSelector,
} from "./store.ts";
import { keyBytesOf, listedEntryOf, partOf } from "./weir_entry.ts";
import { checkBatch, checkReadKey } from "./weir_limits.ts";
import type { WeirLink } from "./weir_link.ts";

const BATCH_SIZE = 100;

/** Entries of a store, fetched when they are asked for. */
export class WeirIterator implements StoreIterator {
  readonly #link: WeirLink;
  readonly #selection: Selection;
  readonly #isReverse: boolean;
  readonly #batchSize: number;
  #left: number;
  #range: KeyRange;
  #entries: readonly StoreEntry[] = [];
  #at = 0;
  #isLast = false;
  #isOver = false;
  /** Where it begins, until the first entry was given out. */
  readonly #given: string;
  #lastGiven: StoreEntry | null = null;
  /** The batch that is on its way; there is one at most, however many entries are asked for. */
  #fetching: Promise<void> | null = null;

  /**
   * Fetches nothing yet.
   *
   * @throws {TypeError} If the selector, an option or the cursor makes no sense.
   */
  constructor(link: WeirLink, selector: StoreSelector, options: StoreListOptions) {
    const { limit, reverse = false, cursor = "" } = options;
    const batchSize = options.batchSize ?? Math.min(limit ?? BATCH_SIZE, BATCH_SIZE);
    if (limit !== undefined) positive("Limit", limit);
    positive("batchSize", batchSize);
    checkBatch(batchSize, link.limits);
    this.#link = link;
    this.#isReverse = reverse;
    this.#batchSize = batchSize;
    this.#left = limit ?? Infinity;
    this.#selection = selectionOf(selectorOf(selector));
    this.#range = rangeBehind(this.#selection, cursor, reverse);
    this.#given = cursor;
    checkReadKey(this.#range.start, link.limits);
    checkReadKey(this.#range.end, link.limits);
  }

  /** See {@linkcode StoreIterator.cursor}. */
  get cursor(): string {
    if (this.#isOver && this.#left > 0) return "";
    if (this.#lastGiven === null) return this.#given;
    return cursorBehind(this.#selection, keyBytesOf(this.#lastGiven.key));
  }

  /** The next entry. */
  next(): Promise<IteratorResult<StoreEntry, undefined>> {
    const entry = this.#entries[this.#at];
    if (entry !== undefined && this.#left > 0 && !this.#isOver) {
      this.#at++;
      this.#left--;
      this.#lastGiven = entry;
      return Promise.resolve({ done: false, value: entry });
    }
    if (this.#left <= 0 || this.#isLast || this.#isOver) {
      this.#isOver = true;
      return Promise.resolve({ done: true, value: undefined });
    }
    this.#fetching ??= this.#fetch();
    return this.#fetching.then(() => this.next());
  }

  /** Leaves the list where it is. */
  return(): Promise<IteratorResult<StoreEntry, undefined>> {
    this.#isOver = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  async #fetch(): Promise<void> {
    try {
      const limit = Math.min(this.#batchSize, this.#left);
      const reverse = this.#isReverse;
      let lastKey: Uint8Array | undefined;
      this.#entries = await this.#link.read(
        encodeSnapshotRead([{ ...this.#range, limit, reverse }]),
        ([rows = []]) => {
          lastKey = rows.at(-1)?.key.slice();
          return rows.map(listedEntryOf);
        },
      );
      this.#at = 0;
      this.#isLast = this.#entries.length < limit || lastKey === undefined;
      if (lastKey !== undefined) this.#range = rangeFrom(this.#range, lastKey, reverse);
    } finally {
      this.#fetching = null;
    }
  }
}

/** What is left of a range behind a key that was read. */
function rangeFrom(range: KeyRange, key: Uint8Array, isReverse: boolean): KeyRange {
  return isReverse ? { start: range.start, end: key } : { ...range, start: rangeOfKey(key).end };
}

function positive(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new TypeError(`${name} must be a positive integer: received ${value}`);
}

function selectorOf(selector: StoreSelector): ListSelector {
  const of = (key: StoreKey | undefined) => key?.map(partOf);
  return {
    prefix: "prefix" in selector ? of(selector.prefix) : undefined,
    start: "start" in selector ? of(selector.start) : undefined,
    end: "end" in selector ? of(selector.end) : undefined,
  };
}
