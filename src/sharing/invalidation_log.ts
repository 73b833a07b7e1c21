/**
 * Invalidations that concern every gateway.
 *
 *     gateway A                     store                      gateway B
 *     invalidate(tag:x)
 *       own store: void at once
 *       | read record, version v ---->|
 *       | check v, write 8: tag:x --->| counter 8
 *       |<---------------------- ok   |-- watch or heartbeat: 8? --->|
 *     onInvalidation(8, tag:x)        |<-- read record --------------|
 *                                     |-- 7: id 5, 8: tag:x -------->|
 *                                     |               onInvalidation(7, id 5)
 *                                     |               onInvalidation(8, tag:x)
 *
 * - The number comes from the check loop on one record, never from a clock.
 * - An entry carries the number that its gateway had seen when its request began.
 *   It is valid as long as nothing that matches it has a larger one.
 * - The counter is read together with every shared entry, as of one moment: an
 *   entry is judged by all invalidations that were made before it was read.
 * - Until an invalidation has its number, it counts here as the latest of all.
 *   If the store is away it is kept and sent later.
 * - A record of another lineage, or one that went back, is of an emptied, replaced
 *   or restored store. Nobody knows what was missed, so everything is invalidated,
 *   under a number above all that were seen here.
 *
 * @module
 */
import type { StoreEntryMaybe } from "deno-kv-compat";
import type { CacheEntry, Selector } from "../cache/types.ts";
import type { Clock, Random } from "../ports.ts";
import { backOffMs, pause } from "./pause.ts";
import {
  appended,
  decodeInvalidations,
  encodeCounter,
  encodeInvalidations,
  type InvalidationRecord,
  missed,
  nameOf,
  numberInCounter,
} from "./records/invalidation_record.ts";
import { LAYOUT } from "./records/layout.ts";
import { sequenceOf, sharedNumberOf } from "./records/numbering.ts";
import type { StoreLink } from "./store_link.ts";

/** Invalidations that wait for the store; beyond them everything is invalidated. */
const PENDING_MAX = 256;
const TRIES_MAX = 20;
const PAUSE_FIRST_MS = 2;
const PAUSE_MAX_MS = 100;

/** What an entry says about what makes it void. */
export type Voidable = Pick<CacheEntry, "id" | "tags" | "sequence">;

interface Pending {
  readonly selector: Selector;
  sequence: number | null;
  /** Whether somebody waits for its number, who then need not be told again. */
  isAwaited: boolean;
}

/** What the log needs. */
export interface InvalidationLogOptions {
  /** The way to the store. */
  readonly link: StoreLink;
  /** Paces the check loop. */
  readonly clock: Clock;
  /** Spreads it, and names a new record. */
  readonly random: Random;
  /** How long the store may take for one question, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * Called for each invalidation, in order, with its number as a local sequence;
   * not for those of this gateway whose number `invalidate` returns. Must not throw.
   */
  readonly onInvalidation: (sequence: number, selector: Selector) => void;
  /** Called when the store turns out to be another one than before. */
  readonly onReset: () => void;
}

/** The invalidations of all gateways, as seen from one. */
export class InvalidationLog {
  readonly #options: InvalidationLogOptions;
  /** What the last record says. */
  #lineage: string | null = null;
  #floor = 0;
  #marks: ReadonlyMap<string | number, number> = new Map();
  #number = 0;
  /** What a counter said whose record was lost: the next number is above it. */
  #numberMin = 0;
  #pending: Pending[] = [];
  #sending: Promise<void> | null = null;
  #refreshing: Promise<StoreEntryMaybe | null> | null = null;
  #received = 0;
  #sent = 0;

  /** Knows of nothing yet. */
  constructor(options: InvalidationLogOptions) {
    this.#options = options;
  }

  /** What has been seen, as a local sequence. */
  get sequence(): number {
    return sequenceOf(this.#number);
  }

  /** Seen, sent, and waiting for the store. */
  get counts(): { readonly received: number; readonly sent: number; readonly unsent: number } {
    return { received: this.#received, sent: this.#sent, unsent: this.#pending.length };
  }

  /** Whether an entry is void by all that is known here. */
  isVoid(entry: Voidable): boolean {
    const seen = sharedNumberOf(entry.sequence);
    const isAfter = (name: string | number): boolean => (this.#marks.get(name) ?? 0) > seen;
    return this.#floor > seen || isAfter(entry.id) || entry.tags.some(isAfter) ||
      this.#pending.some(({ selector }) => matches(selector, entry));
  }

  /** Whether the store's counter says that nothing is new. */
  isCurrent(counter: unknown): boolean {
    if (this.#lineage === null) return counter === null;
    return counter === encodeCounter({ lineage: this.#lineage, number: this.#number });
  }

  /** Whether everything has been seen here that the store's counter says. */
  hasSeen(counter: unknown): boolean {
    return this.isCurrent(counter) ||
      (typeof counter === "string" && counter.startsWith(`${this.#lineage} `) &&
        numberInCounter(counter) <= this.#number);
  }

  /** Catches up with the store, together with whoever else does; `false` if it did not answer. */
  async refresh(): Promise<boolean> {
    this.#refreshing ??= this.#read().finally(() => this.#refreshing = null);
    return (await this.#refreshing) !== null;
  }

  /**
   * Invalidates for every gateway.
   *
   * @returns Its number as a local sequence, once the store has it; `null` if the
   * store does not answer: it is sent as soon as it does.
   */
  async invalidate(selector: Selector): Promise<number | null> {
    const pending: Pending = { selector, sequence: null, isAwaited: true };
    this.#add(pending);
    while (this.#sending !== null) await this.#sending;
    if (this.#pending.includes(pending)) await this.send();
    pending.isAwaited = false;
    return pending.sequence;
  }

  /** Sends what waits. */
  async send(): Promise<void> {
    if (this.#pending.length === 0) return;
    this.#sending ??= this.#send().finally(() => this.#sending = null);
    await this.#sending;
  }

  #add(pending: Pending): void {
    this.#pending.push(pending);
    if (this.#pending.length <= PENDING_MAX) return;
    this.#pending = [{ selector: { type: "all" }, sequence: null, isAwaited: false }];
  }

  async #send(): Promise<void> {
    const { link, clock, random, timeoutMs } = this.#options;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (tries > 0) await pause(clock, backOffMs(tries, PAUSE_FIRST_MS, PAUSE_MAX_MS, random));
      const entry = await this.#read();
      if (entry === null) return;
      const batch = [...this.#pending];
      const selectors = batch.map(({ selector }) => selector);
      const before = decodeInvalidations(entry.value) ?? this.#firstRecord();
      const record = appended(
        before,
        selectors,
        Math.max(this.#number, this.#numberMin),
      );
      const { versionstamp } = entry;
      const commit = await link.work(timeoutMs, (store) =>
        store.atomic()
          .check({ key: LAYOUT.invalidations, versionstamp })
          .set(LAYOUT.invalidations, encodeInvalidations(record))
          .set(LAYOUT.counter, encodeCounter(record))
          .commit());
      if (commit.type !== "done") return;
      if (!commit.value.ok) continue;
      const first = record.number - batch.length + 1;
      const awaited = new Map<number, Selector["type"]>();
      for (const [i, pending] of batch.entries()) {
        pending.sequence = sequenceOf(first + i);
        if (pending.isAwaited) awaited.set(first + i, pending.selector.type);
      }
      this.#pending = this.#pending.filter((pending) => !batch.includes(pending));
      this.#sent += batch.length;
      this.#ingest(record, this.#number, awaited);
      return;
    }
  }

  #firstRecord(): InvalidationRecord {
    const lineage = Math.floor(this.#options.random() * Number.MAX_SAFE_INTEGER).toString(36);
    return { lineage, number: 0, floor: 0, recent: [] };
  }

  /** Reads the record, after everything up to the present number had been seen. */
  async #read(): Promise<StoreEntryMaybe | null> {
    const { link, timeoutMs } = this.#options;
    const seen = this.#number;
    const outcome = await link.work(
      timeoutMs,
      (store) => store.getMany([LAYOUT.invalidations, LAYOUT.counter]),
    );
    if (outcome.type !== "done") return null;
    const [entry, counter] = outcome.value;
    if (entry === undefined || counter === undefined) return null;
    const record = decodeInvalidations(entry.value);
    if (record !== null) this.#ingest(record, seen);
    else if (entry.versionstamp !== null || counter.versionstamp !== null || seen > 0) {
      this.#numberMin = Math.max(this.#numberMin, numberInCounter(counter.value));
      this.#startOver();
    }
    return entry;
  }

  /** Takes in what was read after everything up to `seen` had been seen. */
  #ingest(
    record: InvalidationRecord,
    seen: number,
    awaited: ReadonlyMap<number, Selector["type"]> = new Map(),
  ): void {
    const isForeign = this.#lineage !== null && this.#lineage !== record.lineage;
    this.#lineage = record.lineage;
    // Another gateway may have noticed first, and have invalidated everything since.
    if (record.number < seen || (isForeign && record.floor <= this.#number)) {
      this.#startOver();
      return;
    }
    if (record.number <= this.#number) return;
    const news = missed(record, this.#number);
    this.#number = record.number;
    this.#floor = record.floor;
    this.#marks = new Map(record.recent.map((item) => [nameOf(item.selector), item.number]));
    for (const { number, selector } of news) {
      // A tag that did not fit is told as "all": whoever waits for it does not know that.
      if (awaited.get(number) === selector.type) continue;
      this.#received += 1;
      this.#options.onInvalidation(sequenceOf(number), selector);
    }
  }

  /** Invalidates everything, once the store takes it. */
  #startOver(): void {
    if (this.#pending.some(({ selector }) => selector.type === "all")) return;
    this.#add({ selector: { type: "all" }, sequence: null, isAwaited: false });
    this.#options.onReset();
  }
}

function matches(selector: Selector, { id, tags }: Voidable): boolean {
  if (selector.type === "all") return true;
  return selector.type === "id" ? selector.id === id : tags.includes(selector.tag);
}
