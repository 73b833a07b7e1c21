/**
 * The life of messages between a queue's rows and its consumers: a machine
 * without I/O, time or chance.
 *
 * ```
 *            deal                 ack
 *   due row ──────→ leased ─────────────────→ deleted
 *      ↑               │ fail, or the lease ends
 *      │               ↓
 *      │        settling: a commit is under way; nobody else gets the message
 *      │               │
 *      ├── retry at ───┤ attempts left
 *      │   a later     ↓ none left
 *      │   time     dead letter, and undelivered keys are set
 *      └── requeue ────┘
 * ```
 *
 * What is durable are rows and their attempts; leases are in memory alone. So an
 * attempt is counted when it ends, by the commit that ends it. If the node dies
 * first, its leases end uncounted: the message is delivered once more, and its
 * schedule is as long as before. Counting at delivery would cost a commit for each
 * and make a node's crash the consumer's fault.
 *
 * Rows lie in the order in which they are due. `#cursor` parts those that were
 * dealt from those still to be looked at, so that the leased ones at the front are
 * not read again and again. Whatever may have written a row before it moves it
 * back; because rows may be written by others too, the front is looked at every
 * ten seconds.
 *
 * @module
 */
import { endOfSpace } from "../keyspace/spaces.ts";
import { KvError } from "../errors.ts";
import { compareBytes } from "../keyspace/bytes.ts";
import type { Command, Outcome, ReadRange, Row } from "../types.ts";
import { type Lease, LeaseTable } from "./lease_table.ts";
import { decodeMessage } from "./message.ts";
import { appendedKey, keyBehind, textOfKey, timeKey, timeOf } from "./message_key.ts";
import {
  deadCommand,
  identity,
  type KeyedMessage,
  type QueueSpaces,
  removeCommand,
  retryCommand,
  REWRITE_PLACE,
} from "./queue_command.ts";
import type { QueueOptions } from "./queue_options.ts";
import { receiptOf, receiptParts, type Settlement } from "./settlement.ts";
import { type Consumer, type Deal, type Hand, WaitingLine } from "./waiting_line.ts";

/** What time it is, on both clocks: rows go by the wall, leases by the steady one. */
export interface Moment {
  /** Milliseconds since the Unix epoch. */
  readonly wallMs: number;
  /** Milliseconds on a clock that never jumps. */
  readonly steadyMs: number;
}

/** What a queue's machine is made of. */
export interface QueueCoreParts {
  /** Where it lives. */
  readonly spaces: QueueSpaces;
  /** Bounds. */
  readonly options: QueueOptions;
  /** Reads rows, as {@linkcode Database.read} does. */
  readonly read: (ranges: readonly ReadRange[]) => readonly (readonly Row[])[];
  /** Number of the first lease, above all that earlier lives of the node gave. */
  readonly firstLease: number;
  /** Told of a row that cannot be read; it is passed over. */
  readonly onUnreadable: () => void;
}

/** A message in a consumer's hands. */
export interface Delivery {
  /** What settles it. */
  readonly receipt: string;
  /** The lease behind the receipt. */
  readonly lease: Lease;
  /** The message; payload and keys belong to the store. */
  readonly message: KeyedMessage;
  /** Its identity, in hex. */
  readonly id: string;
  /** How long the consumer has it, in milliseconds. */
  readonly leaseMs: number;
}

/** A commit that ends a lease. */
export interface QueueWrite {
  /** What it makes of the message. */
  readonly kind: "ack" | "retry" | "dead";
  /** What to commit. */
  readonly command: Command;
  /** The lease. */
  readonly lease: Lease;
  /** Complete key of the row that it writes, if `stamp` is its versionstamp; `null` for none. */
  readonly rewritten: ((stamp: Uint8Array) => Uint8Array) | null;
}

/** What is to be done now. */
export interface QueueStep {
  /** Consumers that are served, with their messages. */
  readonly served: readonly Hand<Delivery>[];
  /** Consumers that waited in vain. */
  readonly over: readonly number[];
  /** Commits for leases that ended. */
  readonly writes: readonly QueueWrite[];
  /** When there is something to do again if nothing happens before, in milliseconds. */
  readonly wakeInMs: number | null;
}

/** What a settlement came to: `lost` if the lease had ended, `later` if it could not be written. */
export type SettlementResult = "ok" | "lost" | "later";

/** Why an attempt failed that nobody reported on. */
export const LEASE_ENDED = "the lease ended before the message was settled";

const RETRY_MS = 1_000;
const FRONT_MS = 10_000;

/** Deals messages to consumers. */
export class QueueCore {
  readonly #parts: QueueCoreParts;
  readonly #leases: LeaseTable;
  readonly #line = new WaitingLine();
  readonly #end: Uint8Array;
  #cursor: Uint8Array;
  #frontMs = -Infinity;

  /** A queue whose messages nobody has. */
  constructor(parts: QueueCoreParts) {
    this.#parts = parts;
    this.#leases = new LeaseTable(parts.firstLease);
    this.#cursor = parts.spaces.queue;
    this.#end = endOfSpace(parts.spaces.queue);
  }

  /** Consumers that wait. */
  get waiting(): number {
    return this.#line.size;
  }

  /** Messages that are leased. */
  get leased(): number {
    return this.#leases.size;
  }

  /**
   * Lets a consumer wait; the next {@linkcode step} serves it.
   *
   * @throws {KvError} `overloaded` if too many wait.
   */
  receive(consumer: Consumer): void {
    const { waitingMax } = this.#parts.options;
    if (this.#line.size >= waitingMax) {
      throw new KvError(
        "overloaded",
        `Cannot wait for messages: ${waitingMax} consumers wait already; try again`,
      );
    }
    this.#line.add(consumer);
  }

  /** A consumer waits no more; returns whether it did. */
  leave(id: number): boolean {
    return this.#line.remove(id);
  }

  /** Does all that is due. */
  step(now: Moment): QueueStep {
    const writes = this.#endLeases(now);
    const served = this.#deal(now);
    const over = this.#line.takeOver(now.steadyMs);
    return { served, over, writes, wakeInMs: this.#wakeInMs(now) };
  }

  /** Settles a message: at once, or by a commit whose outcome goes to {@linkcode written}. */
  settle(settlement: Settlement, now: Moment): SettlementResult | QueueWrite {
    const parts = receiptParts(settlement.receipt, this.#parts.spaces.queue);
    if (parts === null) return "lost";
    const name = textOfKey(parts.key);
    let lease = this.#leases.get(name);
    if (lease === undefined) {
      // A lease of the node's last life: nobody else has the message, so its end still counts.
      if (parts.number >= this.#parts.firstLease) return "lost";
      if (settlement.type !== "ack" && settlement.type !== "fail") return "lost";
      lease = this.#leases.add(parts.key, name, now.steadyMs);
    } else if (lease.number !== parts.number || lease.isSettling) return "lost";
    switch (settlement.type) {
      case "ack":
        this.#leases.settle(lease);
        return { kind: "ack", command: removeCommand(lease.key), lease, rewritten: null };
      case "fail":
        return this.#fail(lease, settlement.error, settlement.isFinal, now) ?? "lost";
      case "extend":
        this.#leases.extend(lease, now.steadyMs + settlement.leaseMs);
        return "ok";
      case "release":
        this.#release(lease);
        return "ok";
    }
  }

  /** A commit was made, or had no effect because the row had changed. */
  written(write: QueueWrite, outcome: Outcome): SettlementResult {
    this.#leases.drop(write.lease);
    if (outcome.type !== "committed") return "lost";
    if (write.kind === "retry" && write.rewritten !== null) {
      this.touched(write.rewritten(outcome.stamp));
    }
    return "ok";
  }

  /** A commit could not be made; its consumer keeps the message and may try again. */
  unwritten({ lease }: QueueWrite, now: Moment): void {
    this.#leases.extend(lease, Math.max(lease.endMs, now.steadyMs + RETRY_MS));
  }

  /** A message was written under that complete key. */
  touched(key: Uint8Array): void {
    if (compareBytes(key, this.#cursor) < 0) this.#cursor = key;
  }

  /** Takes back what its consumer never got; no attempt is counted. */
  takeBack(deliveries: readonly Delivery[]): void {
    for (const { lease } of deliveries) {
      const current = this.#leases.get(lease.name);
      if (current === lease && !lease.isSettling) this.#release(lease);
    }
  }

  #release(lease: Lease): void {
    this.#leases.drop(lease);
    this.touched(lease.key);
  }

  #endLeases(now: Moment): QueueWrite[] {
    const writes: QueueWrite[] = [];
    // Many may end together: the rest follows in the next step, which comes at once.
    while (writes.length < this.#parts.options.batchMax) {
      const lease = this.#leases.over(now.steadyMs);
      if (lease === null) break;
      const write = this.#fail(lease, LEASE_ENDED, false, now);
      if (write !== null) writes.push(write);
    }
    return writes;
  }

  /** Ends an attempt; `null` if the message is not there any more. */
  #fail(lease: Lease, error: string, isFinal: boolean, now: Moment): QueueWrite | null {
    const message = this.#find(lease.key);
    if (message === null) {
      this.#leases.drop(lease);
      return null;
    }
    this.#leases.settle(lease);
    const { spaces } = this.#parts;
    const waitMs = isFinal ? undefined : message.backoffMs[message.attempts];
    if (waitMs === undefined) {
      const command = deadCommand(spaces, message, now.wallMs, error);
      const rewritten = rewrittenKey(spaces.dead, now.wallMs);
      return { kind: "dead", command, lease, rewritten };
    }
    const dueMs = now.wallMs + waitMs;
    const command = retryCommand(spaces, message, dueMs, error);
    return { kind: "retry", command, lease, rewritten: rewrittenKey(spaces.queue, dueMs) };
  }

  #find(key: Uint8Array): KeyedMessage | null {
    const range = { start: key, end: keyBehind(key), limit: 1, reverse: false };
    const row = this.#parts.read([range])[0]?.[0];
    return row === undefined ? null : messageOf(row);
  }

  #deal(now: Moment): readonly Hand<Delivery>[] {
    const { options, spaces } = this.#parts;
    if (this.#line.size === 0) return [];
    if (now.steadyMs - this.#frontMs >= FRONT_MS) {
      this.#frontMs = now.steadyMs;
      this.#cursor = spaces.queue;
    }
    let wanted = this.#line.room(Math.min(options.batchMax, options.leasedMax - this.#leases.size));
    if (wanted <= 0) return [];
    let rows = this.#dueRows(wanted, now);
    // Most steps find nothing: they make nothing either.
    if (rows.length === 0) return [];
    const deal = this.#line.deal<Delivery>(wanted, options.answerBytesMax);
    for (;;) {
      const dealt = this.#dealRows(rows, deal, now);
      if (dealt === null || rows.length < wanted) break;
      wanted -= dealt;
      if (wanted <= 0) break;
      rows = this.#dueRows(wanted, now);
    }
    const { hands } = deal;
    for (const { consumer } of hands) this.#line.remove(consumer.id);
    return hands;
  }

  /** The next rows that are due, leased or not. */
  #dueRows(limit: number, { wallMs }: Moment): readonly Row[] {
    const start = this.#cursor;
    const end = timeKey(this.#parts.spaces.queue, Math.floor(wallMs) + 1);
    if (compareBytes(start, end) >= 0) return [];
    return this.#parts.read([{ start, end, limit, reverse: false }])[0] ?? [];
  }

  /** Deals rows in their order; returns how many, or `null` if nobody has room for the next. */
  #dealRows(
    rows: readonly Row[],
    deal: Deal<Delivery>,
    now: Moment,
  ): number | null {
    let dealt = 0;
    for (const row of rows) {
      const name = textOfKey(row.key);
      if (!this.#leases.has(name)) {
        const message = messageOf(row);
        if (message === null) this.#parts.onUnreadable();
        else {
          const sizeBytes = message.payload.data.length;
          const hand = deal.next(sizeBytes);
          if (hand === null) return null;
          hand.items.push(this.#lease(message, name, hand.consumer, now));
          hand.sizeBytes += sizeBytes;
          dealt++;
        }
      }
      this.#cursor = keyBehind(row.key);
    }
    return dealt;
  }

  #lease(message: KeyedMessage, name: string, consumer: Consumer, now: Moment): Delivery {
    const { leaseMs } = consumer;
    const lease = this.#leases.add(message.key, name, now.steadyMs + leaseMs);
    const id = identity(message).toHex();
    return { receipt: receiptOf(lease), lease, message, id, leaseMs };
  }

  #wakeInMs(now: Moment): number | null {
    const { nextEndMs } = this.#leases;
    let inMs = nextEndMs === null ? Infinity : nextEndMs - now.steadyMs;
    const lineEndMs = this.#line.nextEndMs;
    if (lineEndMs !== null) {
      inMs = Math.min(inMs, lineEndMs - now.steadyMs, this.#frontMs + FRONT_MS - now.steadyMs);
      if (this.#leases.size < this.#parts.options.leasedMax) {
        inMs = Math.min(inMs, this.#nextDueMs() - now.wallMs);
      }
    }
    return inMs === Infinity ? null : Math.max(0, inMs);
  }

  /** When the first message that was not dealt is due. */
  #nextDueMs(): number {
    const range = { start: this.#cursor, end: this.#end, limit: 1, reverse: false };
    const row = this.#parts.read([range])[0]?.[0];
    return row === undefined ? Infinity : timeOf(row.key);
  }
}

function messageOf(row: Row): KeyedMessage | null {
  const message = decodeMessage(row.data);
  return message === null ? null : { ...message, key: row.key };
}

function rewrittenKey(space: Uint8Array, timeMs: number): (stamp: Uint8Array) => Uint8Array {
  return (stamp) => appendedKey(space, timeMs, stamp, REWRITE_PLACE);
}
