/**
 * The queues of a node, one for each database that uses one.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import type { Database } from "../types.ts";
import { MessageQueue, type MessageQueueParts } from "./message_queue.ts";
import type { QueueMetrics, QueueOptions } from "./queue_options.ts";

/** What the queues of a node share. */
export interface QueuesParts {
  /** Time and timers. */
  readonly clock: Clock;
  /** Bounds of each. */
  readonly options: QueueOptions;
  /** Told what happens. */
  readonly metrics: QueueMetrics;
  /** Judges what a client wants committed beside its messages. */
  readonly checkCommand: MessageQueueParts["checkCommand"];
}

/** All queues together. */
export interface QueueTotals {
  /** Messages that could be delivered now. */
  readonly due: number;
  /** Messages whose time has not come. */
  readonly delayed: number;
  /** Messages that consumers have. */
  readonly leased: number;
  /** Dead letters. */
  readonly dead: number;
  /** How long the first message is due already, in seconds. */
  readonly oldestDueSeconds: number;
}

/** The queues that were used since the start. */
export class Queues implements Disposable {
  readonly #parts: QueuesParts;
  readonly #queues = new Map<string, MessageQueue>();

  /** None yet. */
  constructor(parts: QueuesParts) {
    this.#parts = parts;
  }

  /** The queue of a database; from now on it is counted, and its dead letters are trimmed. */
  of(database: Database): MessageQueue {
    let queue = this.#queues.get(database.id);
    if (queue === undefined) {
      queue = new MessageQueue({ ...this.#parts, database });
      this.#queues.set(database.id, queue);
    }
    return queue;
  }

  /** Forgets the queue of a database that is deleted. */
  drop(databaseId: string): void {
    this.#queues.get(databaseId)?.[Symbol.dispose]();
    this.#queues.delete(databaseId);
  }

  /** How full all are; `null` where none was used. */
  totals(): QueueTotals | null {
    if (this.#queues.size === 0) return null;
    let due = 0;
    let delayed = 0;
    let leased = 0;
    let dead = 0;
    let oldestDueMs = 0;
    for (const queue of this.#queues.values()) {
      const stats = queue.stats();
      due += stats.due;
      delayed += stats.delayed;
      leased += stats.leased;
      dead += stats.dead;
      oldestDueMs = Math.max(oldestDueMs, stats.oldestDueMs);
    }
    return { due, delayed, leased, dead, oldestDueSeconds: oldestDueMs / 1_000 };
  }

  /** Ends all of them. */
  [Symbol.dispose](): void {
    for (const queue of this.#queues.values()) queue[Symbol.dispose]();
  }
}
