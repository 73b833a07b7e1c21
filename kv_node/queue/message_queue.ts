/**
 * The queue of one database: carries out what {@linkcode QueueCore} decides, with
 * the database's rows and the clock's timers.
 *
 * @module
 */
import type { Clock, Departure } from "../../src/ports.ts";
import { KvError } from "../errors.ts";
import type { Command, Database, Outcome } from "../types.ts";
import { DeadLetters } from "./dead_letters.ts";
import { appendedKey, messageId, timeOf } from "./message_key.ts";
import { checkDelay, checkMessages } from "./message_limits.ts";
import { enqueueMutations, type NewMessage, type QueueSpaces } from "./queue_command.ts";
import {
  type Delivery,
  type Moment,
  QueueCore,
  type QueueWrite,
  type SettlementResult,
} from "./queue_core.ts";
import { QueueCounts } from "./queue_counts.ts";
import type { QueueMetrics, QueueOptions, QueueStats } from "./queue_options.ts";
import type { Settlement } from "./settlement.ts";

/** What a queue is made of. */
export interface MessageQueueParts {
  /** Where its rows are. */
  readonly database: Database;
  /** Time and timers. */
  readonly clock: Clock;
  /** Bounds. */
  readonly options: QueueOptions;
  /** Told what happens. */
  readonly metrics: QueueMetrics;
  /**
   * Judges what a client wants committed beside its messages.
   *
   * @throws {KvError} If that asks for too much.
   */
  readonly checkCommand: (command: Command, limits: Database["limits"]) => void;
}

/** What an enqueue came to. */
export type EnqueueResult =
  | { readonly type: "committed"; readonly stamp: Uint8Array; readonly ids: readonly string[] }
  | { readonly type: "conflict"; readonly failedChecks: readonly number[] };

/** How to receive; within the queue's bounds. */
export interface ReceiveRequest {
  /** The most messages. */
  readonly messagesMax: number;
  /** For how long they are leased, in milliseconds. */
  readonly leaseMs: number;
  /** How long to wait for one, in milliseconds. */
  readonly waitMs: number;
}

interface Waiting {
  readonly resolve: (deliveries: readonly Delivery[]) => void;
  readonly reject: (error: unknown) => void;
}

const RETRY_MS = 1_000;
const TRIM_MS = 3_600_000;
/** Leases that one millisecond has numbers for, so that numbers rise over restarts. */
const LEASES_PER_MS = 1_024;

/** A queue. Whoever makes it disposes it. */
export class MessageQueue implements Disposable {
  /** Messages whose attempts have all failed. */
  readonly dead: DeadLetters;
  readonly #parts: MessageQueueParts;
  readonly #spaces: QueueSpaces;
  readonly #core: QueueCore;
  readonly #counts: QueueCounts;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watch: Disposable;
  #nextConsumer = 0;
  #isPlanned = false;
  #isTrimming = false;
  #closed = false;
  #timer: Disposable | null = null;
  #trimTimer: Disposable | null = null;

  /** Serves the queue of a database; there must be one object for each alone. */
  constructor(parts: MessageQueueParts) {
    const { database, clock, options, metrics } = parts;
    this.#parts = parts;
    this.#spaces = {
      data: database.prefixOf("data"),
      queue: database.prefixOf("queue"),
      dead: database.prefixOf("dead"),
    };
    this.#core = new QueueCore({
      spaces: this.#spaces,
      options,
      read: (ranges) => database.read(ranges),
      firstLease: Math.floor(clock.wallMs()) * LEASES_PER_MS,
      onUnreadable: () =>
        metrics.fault(new KvError("internal", "Cannot read message: its form is not known")),
    });
    this.#counts = new QueueCounts(database, this.#spaces, clock, () => this.#trimLater(0));
    this.dead = new DeadLetters(database, this.#spaces, {
      removed: (key) => this.#counts.removed(key),
      requeued: (key) => this.#written(key),
    });
    this.#watch = database.watchPrefix(this.#spaces.queue, () => {
      if (this.#core.waiting > 0) this.#plan();
    });
  }

  /**
   * Puts messages into the queue, together with whatever else is in the commit, or not at all.
   *
   * @param command Checks and mutations beside them, with complete keys.
   * @throws {KvError} If it asks for too much, makes no sense, or cannot be written now.
   */
  async enqueue(messages: readonly NewMessage[], command: Command): Promise<EnqueueResult> {
    this.#checkOpen();
    const { database, checkCommand, clock, metrics } = this.#parts;
    checkCommand(command, database.limits);
    checkMessages(messages, command, database.limits);
    const wallMs = Math.floor(clock.wallMs());
    const { queue } = this.#spaces;
    const outcome = await database.write({
      checks: command.checks,
      mutations: [...command.mutations, ...enqueueMutations(this.#spaces, messages, wallMs)],
    });
    if (outcome.type === "invalid") throw new KvError("invalid_mutation", outcome.message);
    if (outcome.type === "conflict") return outcome;
    const { stamp } = outcome;
    const ids = messages.map(({ delayMs }, index) => {
      const place = command.mutations.length + index;
      this.#written(appendedKey(queue, wallMs + delayMs, stamp, place));
      return messageId(stamp, place);
    });
    metrics.settled("enqueued", messages.length);
    return { type: "committed", stamp, ids };
  }

  /**
   * Leases messages, as soon as there is one; none if there is none in time.
   *
   * @throws {KvError} `overloaded` if too many wait, `stopping`, or if nothing can be read.
   */
  async receive(request: ReceiveRequest, signal: Departure): Promise<readonly Delivery[]> {
    this.#checkOpen();
    if (this.#parts.database.readDisabled) throw closedForReading();
    const { messagesMax, leaseMs, waitMs } = request;
    const id = this.#nextConsumer++;
    const { promise, resolve, reject } = Promise.withResolvers<readonly Delivery[]>();
    this.#core.receive({ id, messagesMax, leaseMs, untilMs: this.#now().steadyMs + waitMs });
    this.#waiting.set(id, { resolve, reject });
    const leave = (): void => {
      if (!this.#core.leave(id)) return;
      this.#waiting.delete(id);
      resolve([]);
    };
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    this.#plan();
    try {
      const deliveries = await promise;
      if (!signal.aborted) {
        this.#parts.metrics.settled("delivered", deliveries.length);
        return deliveries;
      }
      // They were dealt in the moment in which the client went.
      this.#core.takeBack(deliveries);
      this.#plan();
      return [];
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /**
   * Settles messages; one result for each.
   *
   * @throws {KvError} If none of them could be written: why.
   */
  async settle(settlements: readonly Settlement[]): Promise<readonly SettlementResult[]> {
    this.#checkOpen();
    const now = this.#now();
    const errors: unknown[] = [];
    // All are proposed in one turn, so that they go to the disk together.
    const results = await Promise.all(settlements.map((settlement) => {
      const step = this.#core.settle(settlement, now);
      return typeof step === "string" ? step : this.#write(step).catch((error: unknown) => {
        errors.push(error);
        return "later" as const;
      });
    }));
    this.#plan();
    if (errors.length > 0 && errors.length === results.length) throw errors[0];
    return results;
  }

  /** Puts dead letters back into the queue; for each whether it was there. */
  requeue(ids: readonly string[], delayMs: number): Promise<readonly boolean[]> {
    this.#checkOpen();
    checkDelay(delayMs, this.#parts.database.limits);
    const dueMs = Math.floor(this.#parts.clock.wallMs()) + delayMs;
    return Promise.all(ids.map((id) => this.dead.requeue(id, dueMs)));
  }

  /** How full it is. */
  stats(): QueueStats {
    const { wallMs } = this.#now();
    const { queue } = this.#spaces;
    const { queued, dead, isCounted } = this.#counts;
    const range = { start: queue, end: this.#spaces.dead, limit: 1, reverse: false };
    // A node that is stopping is still asked how it is.
    const first = this.#closed ? undefined : this.#parts.database.read([range])[0]?.[0];
    const reached = queued.until(wallMs);
    const { leased, waiting } = this.#core;
    return {
      due: Math.max(0, reached - leased),
      delayed: queued.total - reached,
      leased,
      dead,
      waiting,
      oldestDueMs: first === undefined ? 0 : Math.max(0, wallMs - timeOf(first.key)),
      isCounted,
    };
  }

  /** Serves no more; those who wait get nothing, at once. What is leased is due after a restart. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    this.#counts[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
    this.#trimTimer?.[Symbol.dispose]();
    this.#releaseWaiting((waiting) => waiting.resolve([]));
  }

  #now(): Moment {
    const { clock } = this.#parts;
    return { wallMs: clock.wallMs(), steadyMs: clock.nowMs() };
  }

  #checkOpen(): void {
    if (this.#closed) throw new KvError("stopping", "Cannot use the queue: the node is stopping");
  }

  /** A message was written. */
  #written(key: Uint8Array): void {
    this.#counts.added(key);
    this.#core.touched(key);
    if (this.#core.waiting > 0) this.#plan();
  }

  /** Steps soon: what else happens in this turn goes along. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    Promise.resolve().then(() => {
      this.#isPlanned = false;
      this.#step();
    });
  }

  #step(): void {
    if (this.#closed) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    let wakeInMs: number | null;
    try {
      wakeInMs = this.#carryOut();
    } catch (error) {
      // Nothing can be read: those who wait are told, and leases end later.
      if (!(error instanceof KvError)) this.#parts.metrics.fault(error);
      this.#releaseWaiting((waiting) => waiting.reject(error));
      wakeInMs = RETRY_MS;
    }
    if (wakeInMs !== null) this.#timer = this.#parts.clock.after(wakeInMs, () => this.#step());
  }

  #carryOut(): number | null {
    const { served, over, writes, wakeInMs } = this.#core.step(this.#now());
    for (const write of writes) this.#write(write).catch(() => this.#plan());
    for (const { consumer, items } of served) this.#answer(consumer.id, items);
    for (const id of over) this.#answer(id, []);
    return wakeInMs;
  }

  #answer(id: number, deliveries: readonly Delivery[]): void {
    this.#waiting.get(id)?.resolve(deliveries);
    this.#waiting.delete(id);
  }

  #releaseWaiting(release: (waiting: Waiting) => void): void {
    for (const [id, waiting] of this.#waiting) {
      this.#core.leave(id);
      release(waiting);
    }
    this.#waiting.clear();
  }

  async #write(write: QueueWrite): Promise<SettlementResult> {
    let outcome: Outcome;
    try {
      outcome = await this.#parts.database.write(write.command);
    } catch (error) {
      if (!(error instanceof KvError)) this.#parts.metrics.fault(error);
      this.#core.unwritten(write, this.#now());
      throw error;
    }
    const result = this.#core.written(write, outcome);
    if (outcome.type === "committed") this.#count(write, outcome.stamp);
    // A place among the leased is free again, or there is a new time to wake at.
    if (this.#core.waiting > 0) this.#plan();
    return result;
  }

  #count({ kind, lease, rewritten }: QueueWrite, stamp: Uint8Array): void {
    const { metrics, options } = this.#parts;
    this.#counts.removed(lease.key);
    if (rewritten !== null) this.#counts.added(rewritten(stamp));
    metrics.settled(kind === "ack" ? "acknowledged" : "failed", 1);
    if (kind !== "dead") return;
    metrics.settled("dead", 1);
    if (this.#counts.dead > options.deadMax) this.#trimLater(0);
  }

  #trimLater(delayMs: number): void {
    if (this.#isTrimming || this.#closed) return;
    this.#trimTimer?.[Symbol.dispose]();
    this.#trimTimer = this.#parts.clock.after(delayMs, () => {
      this.#isTrimming = true;
      this.#trim().catch((error: unknown) => {
        if (!(error instanceof KvError)) this.#parts.metrics.fault(error);
      }).then(() => {
        this.#isTrimming = false;
        this.#trimLater(TRIM_MS);
      });
    });
  }

  /** Deletes dead letters that are too old or too many. */
  async #trim(): Promise<void> {
    const { options } = this.#parts;
    while (!this.#closed) {
      const beforeMs = this.#now().wallMs - options.deadAgeMsMax;
      const excess = Math.max(0, this.#counts.dead - options.deadMax);
      if (await this.dead.trim(beforeMs, excess) === 0) return;
    }
  }
}

function closedForReading(): KvError {
  return new KvError("unsupported", "Cannot receive: the database is closed for reading");
}
