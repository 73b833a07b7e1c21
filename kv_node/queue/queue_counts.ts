/**
 * How many messages and dead letters there are, without asking each time.
 *
 * At the start all rows are read once, page by page between other work; from then
 * on every commit is counted. While that first reading is under way a commit counts
 * at once if it touched what was read already, and otherwise when its row is read.
 * That is exact because pages are read in turns of their own: between a commit that
 * took effect and the call that tells of it no page is read.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import { compareBytes } from "../keyspace/bytes.ts";
import { endOfSpace } from "../keyspace/spaces.ts";
import type { Database } from "../types.ts";
import { DueHistogram } from "./due_histogram.ts";
import { keyBehind, timeOf } from "./message_key.ts";
import type { QueueSpaces } from "./queue_command.ts";

const PAGE_ROWS = 64;
const RETRY_MS = 1_000;

/** The number of rows of a queue and its dead letters. */
export class QueueCounts implements Disposable {
  readonly #database: Database;
  readonly #spaces: QueueSpaces;
  readonly #clock: Clock;
  readonly #queued = new DueHistogram();
  readonly #onCounted: () => void;
  #dead = 0;
  /** Up to where rows were counted; `null` when all were. */
  #position: Uint8Array | null;
  #timer: Disposable | null = null;

  /** Begins to count. */
  constructor(database: Database, spaces: QueueSpaces, clock: Clock, onCounted: () => void) {
    this.#database = database;
    this.#spaces = spaces;
    this.#clock = clock;
    this.#onCounted = onCounted;
    this.#position = spaces.queue;
    this.#plan(0);
  }

  /** Whether all rows were counted. */
  get isCounted(): boolean {
    return this.#position === null;
  }

  /** Messages by the time at which they are due, leased ones included. */
  get queued(): DueHistogram {
    return this.#queued;
  }

  /** Dead letters. */
  get dead(): number {
    return this.#dead;
  }

  /** A message or dead letter was written under this complete key. */
  added(key: Uint8Array): void {
    this.#change(key, 1);
  }

  /** The message or dead letter under this complete key was deleted. */
  removed(key: Uint8Array): void {
    this.#change(key, -1);
  }

  /** Stops counting. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #change(key: Uint8Array, count: number): void {
    if (this.#position !== null && compareBytes(key, this.#position) >= 0) return;
    if (compareBytes(key, this.#spaces.dead) < 0) this.#queued.add(timeOf(key), count);
    else this.#dead = Math.max(0, this.#dead + count);
  }

  #plan(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => this.#readPage());
  }

  #readPage(): void {
    const start = this.#position;
    if (start === null) return;
    const { queue, dead } = this.#spaces;
    const isQueue = compareBytes(start, endOfSpace(queue)) < 0;
    const end = endOfSpace(isQueue ? queue : dead);
    let rows;
    try {
      rows = this.#database.read([{ start, end, limit: PAGE_ROWS, reverse: false }])[0] ?? [];
    } catch {
      // A node that cannot be read yet, or not now.
      return this.#plan(RETRY_MS);
    }
    for (const { key } of rows) {
      if (isQueue) this.#queued.add(timeOf(key), 1);
      else this.#dead++;
    }
    const last = rows.at(-1);
    if (rows.length === PAGE_ROWS && last !== undefined) this.#position = keyBehind(last.key);
    else if (isQueue) this.#position = dead;
    else this.#position = null;
    if (this.#position === null) this.#onCounted();
    else this.#plan(0);
  }
}
