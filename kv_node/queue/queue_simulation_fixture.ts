/**
 * For tests of the machine: virtual time under a seed, commits that take time, fail
 * or get lost with the node, consumers that settle, forget, come late and go.
 *
 * After every step it is checked that no message is delivered while another consumer
 * has it, after it was settled, before its time, past one that was due earlier, or
 * more often than its schedule allows; that no consumer waits beside a free message;
 * and in the end that none was lost and undelivered keys are those of dead letters.
 *
 * @module
 */
import assert from "node:assert/strict";
import { bytesEqual, compareBytes } from "../keyspace/bytes.ts";
import { spaceOf } from "../keyspace/spaces.ts";
import { type Command, ENCODING_BYTES } from "../types.ts";
import { type Evaluate, SortedRows } from "./database_fixture.ts";
import { decodeMessage } from "./message.ts";
import { appendedKey, messageId, timeOf } from "./message_key.ts";
import { enqueueMutations, type NewMessage } from "./queue_command.ts";
import type { Delivery, Moment, QueueCore, QueueCoreParts, QueueWrite } from "./queue_core.ts";
import { DEFAULT_QUEUE_OPTIONS } from "./queue_options.ts";
import type { Settlement } from "./settlement.ts";

/** The spaces of the simulated database. */
export const SPACES = {
  data: spaceOf(1, "data"),
  queue: spaceOf(1, "queue"),
  dead: spaceOf(1, "dead"),
};
const OPTIONS = { ...DEFAULT_QUEUE_OPTIONS, waitingMax: 20, leasedMax: 12, batchMax: 8 };
const EVENTS = 350;

/** What a simulation is made of. */
export interface SimulationParts {
  /** Decides everything. */
  readonly seed: number;
  /** Makes the machine, again after each restart. */
  readonly make: (parts: QueueCoreParts) => QueueCore;
  /** Applies commands. */
  readonly evaluate: Evaluate;
  /** Gives versionstamps. */
  readonly nextStamp: (wallMs: number) => Uint8Array;
}

/** What is known of a message from outside. */
interface Known {
  readonly backoffMs: readonly number[];
  readonly undeliveredKey: Uint8Array | null;
  state: "queued" | "acknowledged" | "dead";
  /** When it is due. */
  dueMs: number;
  /** Attempts that ended in a commit. */
  ended: number;
  /** Who has it, and until when nobody else may. */
  holder: { readonly receipt: string; endMs: number } | null;
}

/** A commit on its way. */
interface Pending {
  readonly atMs: number;
  readonly fate: "commit" | "fail";
  readonly command: Command;
  readonly done: (stamp: Uint8Array | null, isCommitted: boolean) => void;
}

/** One schedule. */
export class Simulation {
  readonly #parts: SimulationParts;
  readonly #random: () => number;
  readonly #rows = new SortedRows();
  readonly #known = new Map<string, Known>();
  readonly #receipts: { readonly id: string; readonly receipt: string }[] = [];
  #core: QueueCore;
  #pending: Pending[] = [];
  #nowMs = 1_000_000;
  #wakeMs = Infinity;
  #consumers = 0;
  readonly #waiting = new Set<number>();
  /** Messages that were dealt. */
  deliveries = 0;
  /** Dead letters. */
  dead = 0;
  /** Restarts of the node. */
  restarts = 0;

  /** At its start. */
  constructor(parts: SimulationParts) {
    this.#parts = parts;
    this.#random = mulberry32(parts.seed);
    this.#core = this.#boot();
  }

  /** Goes through all of it. */
  run(): void {
    for (let event = 0; event < EVENTS; event++) this.#event();
    this.#drain();
    for (const [id, { state }] of this.#known) {
      assert.notEqual(state, "queued", `message ${id} is lost: neither settled nor delivered`);
    }
    assert.equal(this.#rows.below(SPACES.queue).length, 0, "rows are left in the queue");
    const dead = [...this.#known.values()].filter(({ state }) => state === "dead");
    assert.equal(this.#rows.below(SPACES.dead).length, dead.length, "dead letters");
    const keys = dead.flatMap(({ undeliveredKey }) => undeliveredKey ?? []);
    const written = this.#rows.below(SPACES.data).map(({ key }) => key);
    assert.deepEqual(
      written.map((key) => key.toHex()).sort(),
      keys.map((key) => key.toHex()).sort(),
      "undelivered keys are those of dead letters",
    );
  }

  #event(): void {
    const dice = this.#random();
    if (dice < 0.2) this.#enqueue();
    else if (dice < 0.45) this.#receive();
    else if (dice < 0.75) this.#settle();
    else if (dice < 0.77) this.#leave();
    else if (dice < 0.785) this.#restart();
    else this.#advance(this.#random() < 0.2 ? 4_000 : 60);
    this.#step();
  }

  #boot(): QueueCore {
    return this.#parts.make({
      spaces: SPACES,
      options: OPTIONS,
      read: (ranges) => ranges.map((range) => this.#rows.scan(range, this.#nowMs)),
      firstLease: this.#nowMs * 1_024,
      onUnreadable: () => assert.fail("a row cannot be read"),
    });
  }

  #now(): Moment {
    return { wallMs: this.#nowMs, steadyMs: this.#nowMs + 77 };
  }

  #enqueue(): void {
    const messages: NewMessage[] = [];
    for (let count = this.#below(3); count >= 0; count--) {
      const backoffMs = Array.from({ length: this.#below(4) }, () => this.#below(900));
      const undeliveredKeys = this.#random() < 0.7
        ? [Uint8Array.of(1, ...new TextEncoder().encode(String(this.#random())))]
        : [];
      messages.push({
        payload: { data: new Uint8Array(this.#below(30)), encoding: ENCODING_BYTES },
        delayMs: this.#random() < 0.5 ? 0 : this.#below(3_000),
        backoffMs,
        undeliveredKeys,
      });
    }
    const wallMs = this.#nowMs;
    const mutations = enqueueMutations(SPACES, messages, wallMs);
    this.#commit({ checks: [], mutations }, (stamp) => {
      if (stamp === null) return;
      messages.forEach(({ delayMs, backoffMs, undeliveredKeys: [key] }, place) => {
        const undeliveredKey = key === undefined ? null : Uint8Array.of(...SPACES.data, ...key);
        this.#known.set(messageId(stamp, place), {
          backoffMs,
          undeliveredKey,
          state: "queued",
          dueMs: wallMs + delayMs,
          ended: 0,
          holder: null,
        });
        this.#core.touched(appendedKey(SPACES.queue, wallMs + delayMs, stamp, place));
      });
    });
  }

  #receive(): void {
    const id = this.#consumers++;
    if (this.#core.waiting >= OPTIONS.waitingMax) return;
    this.#waiting.add(id);
    this.#core.receive({
      id,
      messagesMax: 1 + this.#below(4),
      leaseMs: 50 + this.#below(3_000),
      untilMs: this.#now().steadyMs + this.#below(4_000),
    });
  }

  #leave(): void {
    for (const id of this.#waiting) {
      this.#waiting.delete(id);
      assert.ok(this.#core.leave(id));
      return;
    }
  }

  #settle(): void {
    const chosen = this.#receipts[this.#below(this.#receipts.length)];
    if (chosen === undefined) return;
    // Some are settled twice or late, most once.
    if (this.#random() < 0.8) this.#receipts.splice(this.#receipts.indexOf(chosen), 1);
    const { id, receipt } = chosen;
    const dice = this.#random();
    if (dice < 0.4) this.#say(id, { type: "ack", receipt });
    else if (dice < 0.75) {
      this.#say(id, { type: "fail", receipt, error: "no", isFinal: this.#random() < 0.05 });
    } else if (dice < 0.9) {
      this.#receipts.push(chosen);
      this.#say(id, { type: "extend", receipt, leaseMs: 100 + this.#below(4_000) });
    } else this.#say(id, { type: "release", receipt });
  }

  #say(id: string, settlement: Settlement): void {
    const known = this.#knownOf(id);
    const isHolder = known.holder?.receipt === settlement.receipt;
    const result = this.#core.settle(settlement, this.#now());
    if (typeof result !== "string") return this.#write(result, settlement);
    if (result !== "ok" || settlement.type === "ack" || settlement.type === "fail") return;
    assert.ok(isHolder && known.holder !== null, "somebody settles what another one has");
    if (settlement.type === "release") known.holder = null;
    else known.holder.endMs = this.#now().steadyMs + settlement.leaseMs;
  }

  #write(write: QueueWrite, settlement: Settlement | null): void {
    const core = this.#core;
    const row = this.#rows.get(write.lease.key);
    const id = row === null ? null : this.#idOf(row.key, row.data);
    const known = id === null ? null : this.#knownOf(id);
    if (settlement !== null && known !== null && known.holder !== null) {
      assert.equal(known.holder.receipt, settlement.receipt, "another one's lease is settled");
    }
    // Until the commit is known nobody may get it; it may be settled by who had it before a restart.
    if (known !== null) {
      const receipt = known.holder?.receipt ?? settlement?.receipt ?? "";
      known.holder = { receipt, endMs: Infinity };
    }
    const wallMs = this.#nowMs;
    this.#commit(write.command, (stamp, isCommitted) => {
      if (stamp === null) {
        core.unwritten(write, this.#now());
        const { steadyMs } = this.#now();
        if (known?.holder) known.holder.endMs = Math.max(write.lease.endMs, steadyMs + 1_000);
        return;
      }
      const outcome = isCommitted
        ? { type: "committed", stamp } as const
        : { type: "conflict", failedChecks: [0] } as const;
      const result = core.written(write, outcome);
      if (result !== "ok") return;
      assert.ok(known !== null, "a commit for a message that is not there had an effect");
      this.#ended(write, known, settlement, wallMs);
    });
  }

  #ended(
    write: QueueWrite,
    known: Known,
    settlement: Settlement | null,
    wallMs: number,
  ): void {
    assert.equal(known.state, "queued", "a message is settled twice");
    known.holder = null;
    if (settlement?.type === "ack") {
      assert.equal(write.kind, "ack");
      known.state = "acknowledged";
      return;
    }
    known.ended++;
    const isFinal = settlement?.type === "fail" && settlement.isFinal;
    const isExhausted = isFinal || known.ended > known.backoffMs.length;
    assert.equal(write.kind, isExhausted ? "dead" : "retry", "attempts follow the schedule");
    const key = known.undeliveredKey;
    const isSet = key !== null && this.#rows.get(key) !== null;
    assert.equal(isSet, isExhausted && key !== null, "undelivered keys are set when exhausted");
    if (!isExhausted) {
      known.dueMs = wallMs + (known.backoffMs[known.ended - 1] ?? NaN);
      return;
    }
    known.state = "dead";
    this.dead++;
  }

  #commit(command: Command, done: Pending["done"]): void {
    const last = this.#pending.at(-1)?.atMs ?? 0;
    const atMs = Math.max(last, this.#nowMs + this.#below(25));
    this.#pending.push({ atMs, fate: this.#random() < 0.06 ? "fail" : "commit", command, done });
  }

  /** Everything that happens by itself, in its order. */
  #advance(byMs: number): void {
    const endMs = this.#nowMs + this.#below(byMs);
    for (;;) {
      const commitMs = this.#pending[0]?.atMs ?? Infinity;
      const nextMs = Math.min(commitMs, this.#wakeMs);
      if (nextMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, nextMs);
      if (commitMs <= nextMs) this.#apply();
      this.#step();
    }
    this.#nowMs = endMs;
    this.#checkProgress(0);
    this.#checkLeases();
  }

  #apply(): void {
    const next = this.#pending.shift();
    if (next === undefined) return;
    if (next.fate === "fail") return next.done(null, false);
    const stamp = this.#parts.nextStamp(this.#nowMs);
    const outcome = this.#parts.evaluate(stamp, next.command, this.#rows);
    next.done(stamp, outcome.type === "committed");
  }

  /** The node dies: what was in the log is applied, answered or not; leases are forgotten. */
  #restart(): void {
    this.restarts++;
    const logged = this.#below(this.#pending.length + 1);
    const survivors = this.#pending.slice(0, logged);
    this.#pending = survivors.map((each) => ({ ...each, atMs: this.#nowMs }));
    while (this.#pending.length > 0) this.#apply();
    this.#nowMs += 500;
    this.#core = this.#boot();
    this.#waiting.clear();
    this.#wakeMs = Infinity;
    for (const known of this.#known.values()) known.holder = null;
  }

  #step(): void {
    const now = this.#now();
    const { served, over, writes, wakeInMs } = this.#core.step(now);
    this.#wakeMs = wakeInMs === null ? Infinity : this.#nowMs + wakeInMs;
    for (const write of writes) this.#write(write, null);
    for (const { consumer, items } of served) {
      assert.ok(this.#waiting.delete(consumer.id), "served is who waits");
      assert.ok(items.length > 0 && items.length <= consumer.messagesMax);
      for (const delivery of items) this.#delivered(delivery, now);
    }
    for (const id of over) assert.ok(this.#waiting.delete(id));
    this.#checkOrder(served.flatMap(({ items }) => items));
    this.#checkProgress(writes.length);
  }

  #delivered({ receipt, id, message, leaseMs }: Delivery, now: Moment): void {
    this.deliveries++;
    const known = this.#knownOf(id);
    assert.equal(known.state, "queued", "a settled message is delivered");
    assert.ok(known.dueMs <= now.wallMs, "a message is delivered before its time");
    assert.equal(timeOf(message.key), known.dueMs, "a message is due when its schedule says");
    assert.ok(
      known.holder === null || known.holder.endMs <= now.steadyMs,
      "a message is delivered while another one has it",
    );
    assert.equal(message.attempts, known.ended, "attempts are counted");
    assert.ok(message.attempts <= known.backoffMs.length, "more attempts than the schedule has");
    known.holder = { receipt, endMs: now.steadyMs + leaseMs };
    this.#receipts.push({ id, receipt });
  }

  /** Whatever was due before a delivered message is in somebody's hands. */
  #checkOrder(delivered: readonly Delivery[]): void {
    const last = delivered.map(({ message }) => message.key).sort(compareBytes).at(-1);
    if (last === undefined) return;
    for (const { key, data } of this.#rows.below(SPACES.queue)) {
      if (compareBytes(key, last) >= 0) break;
      const { holder } = this.#knownOf(this.#idOf(key, data));
      const isAdopted = this.#pending.some(({ command }) => touches(command, key));
      assert.ok(holder !== null || isAdopted, "a message that was due earlier is passed over");
    }
  }

  /** Nobody waits beside a message that is due and free. */
  #checkProgress(writes: number): void {
    const isFull = this.#core.leased >= OPTIONS.leasedMax || this.#wakeMs <= this.#nowMs;
    if (this.#core.waiting === 0 || isFull || writes > 0) return;
    for (const { key, data } of this.#rows.below(SPACES.queue)) {
      if (timeOf(key) > this.#nowMs) break;
      const { holder } = this.#knownOf(this.#idOf(key, data));
      const isAdopted = this.#pending.some(({ command }) => touches(command, key));
      assert.ok(holder !== null || isAdopted, "a consumer waits beside a free message");
    }
  }

  /** A lease that ends is noticed. */
  #checkLeases(): void {
    for (const { state, holder } of this.#known.values()) {
      if (state !== "queued" || holder === null) continue;
      assert.ok(holder.endMs >= this.#now().steadyMs, "a lease has ended and nothing happens");
    }
  }

  /** Lets all that is left be delivered and acknowledged, driven by wakes alone. */
  #drain(): void {
    for (let round = 0; round < 400 && this.#rows.below(SPACES.queue).length > 0; round++) {
      this.#receive();
      this.#step();
      this.#advance(10_000);
      for (const { id, receipt } of this.#receipts.splice(0)) {
        this.#say(id, { type: "ack", receipt });
      }
      this.#advance(100);
    }
    while (this.#pending.length > 0) this.#advance(1_000);
  }

  #knownOf(id: string): Known {
    const known = this.#known.get(id);
    assert.ok(known !== undefined, "a message that nobody enqueued");
    return known;
  }

  #idOf(key: Uint8Array, data: Uint8Array): string {
    return (decodeMessage(data)?.origin ?? key.subarray(12)).toHex();
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }
}

/** Runs one schedule; throws what went wrong, with its seed. */
export function simulate(parts: SimulationParts): Simulation {
  const simulation = new Simulation(parts);
  try {
    simulation.run();
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot trust QueueCore, SEED=${parts.seed}: ${said}`, { cause });
  }
  return simulation;
}

function touches({ mutations }: Command, key: Uint8Array): boolean {
  return mutations.some((mutation) => bytesEqual(mutation.key, key));
}

/** A small generator of 32 bits (Tommy Ettinger's mulberry32). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
