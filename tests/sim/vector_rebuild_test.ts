/**
 * The index over a rebuild, in simulated workers that may die at any step.
 *
 * Client, worker code and protocol are the real ones; simulated are the channels
 * between them, time, and the graph, which here is exact and breaks on demand.
 * An owner adds, replaces and removes vectors all the while. When everything has
 * come to rest, the index must hold exactly the owner's ids, each with its last
 * vector: none lost, none resurrected.
 *
 * @module
 */
import assert from "node:assert/strict";
import { EmbedError, type Random } from "../../src/ports.ts";
import { VectorClient } from "../../src/vectors/client.ts";
import { VectorHost } from "../../src/vectors/host.ts";
import type { WorkerListener, WorkerPort } from "../../src/vectors/link.ts";
import type { FromWorker, ToWorker } from "../../src/vectors/messages.ts";
import { ExactGraph } from "../../src/vectors/store/exact_graph_fixture.ts";
import type { GraphMaker } from "../../src/vectors/store/graph.ts";
import { VECTOR_DEFAULTS, type VectorEvent } from "../../src/vectors/types.ts";
import { randomFrom, seeds, VirtualTime } from "./harness.ts";

const DIMS = 8;
const SCOPES = ["a", "b", "c"];
const STEPS = 500;
/** Rounds in which everything must have come to rest. */
const ROUNDS_MAX = 2_000;

/** A worker as queues: what it was sent, what it will do, what it has said. */
class SimulatedWorker implements WorkerPort {
  readonly #listener: WorkerListener;
  readonly #host: VectorHost;
  readonly #inbox: ToWorker[] = [];
  readonly #outbox: (FromWorker | Error)[] = [];
  readonly #tasks: (() => void)[] = [];
  #isAlive = true;
  #nowMs = 0;
  /** Changes to graphs until it dies in the middle of one; `null` for never. */
  changesLeft: number | null = null;

  constructor(listener: WorkerListener) {
    this.#listener = listener;
    const graphs: GraphMaker = {
      create: () => new ExactGraph(() => this.#countChange()),
      load: () => assert.fail("nothing is kept here"),
    };
    this.#host = new VectorHost({
      // Cloned as a real channel does it, so that nobody shares what should be copied.
      post: (message, transfer = []) =>
        void this.#outbox.push(structuredClone(message, { transfer })),
      later: (run) => void this.#tasks.push(run),
      nowMs: () => this.#nowMs += 0.2,
      embed: () => assert.fail("no texts here"),
      graphs: () => graphs,
      disk: () => assert.fail("no directory here"),
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  post(message: ToWorker, transfer: Transferable[]): void {
    if (this.#isAlive) this.#inbox.push(structuredClone(message, { transfer }));
  }

  end(): void {
    this.#isAlive = false;
    this.#inbox.length = 0;
    this.#tasks.length = 0;
    this.#outbox.length = 0;
  }

  /** Dies: some of its last words are lost, and it may go without a word of it. */
  crash(random: Random): void {
    const saidUpTo = Math.floor(random() * (this.#outbox.length + 1));
    const said = this.#outbox.slice(0, saidUpTo);
    this.end();
    this.#outbox.push(...said);
    if (random() < 0.7) this.#outbox.push(new Error("crashed"));
  }

  /** What could happen next. */
  get actions(): (() => Promise<void>)[] {
    const actions: (() => Promise<void>)[] = [];
    if (this.#inbox.length > 0) actions.push(() => this.#receive());
    if (this.#tasks.length > 0) actions.push(() => this.#work());
    if (this.#outbox.length > 0) actions.push(() => this.#speak());
    return actions;
  }

  async #receive(): Promise<void> {
    const message = this.#inbox.shift();
    if (message === undefined) return;
    try {
      this.#host.handle(message);
      await Promise.resolve();
    } catch (error) {
      this.#break(error);
    }
  }

  async #work(): Promise<void> {
    try {
      this.#tasks.shift()?.();
      await Promise.resolve();
    } catch (error) {
      this.#break(error);
    }
  }

  async #speak(): Promise<void> {
    const message = this.#outbox.shift();
    if (message instanceof Error) this.#listener.died(message.message);
    else if (message !== undefined) this.#listener.message(message);
    await Promise.resolve();
  }

  #break(error: unknown): void {
    if (!(error instanceof Injected)) throw error;
    const said = [...this.#outbox];
    this.end();
    this.#outbox.push(...said, error);
  }

  #countChange(): void {
    if (this.changesLeft !== null && this.changesLeft-- === 0) throw new Injected("in a graph");
  }
}

class Injected extends Error {}

/** When workers die, and how. */
interface Faults {
  /** Chance of a death at each step. */
  readonly chance: number;
  /** The one step at which a worker dies, and which. */
  readonly at: { readonly step: number; readonly role: "index" | "builder" } | null;
}

/** An owner, an index, and everything between. */
class World {
  readonly events: VectorEvent[] = [];
  readonly #time = new VirtualTime();
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #workers: SimulatedWorker[] = [];
  readonly #client: VectorClient;
  /** Scope and vector of each live id. */
  readonly #live = new Map<number, { readonly scope: string; readonly vector: Float32Array }>();
  /** Ids that were removed before the last rest and were not added since. */
  #gone = new Set<number>();
  readonly #problems: string[] = [];
  #lastId = 0;
  #step = 0;

  constructor(seed: number, faults: Faults) {
    this.#random = randomFrom(seed);
    this.#faults = faults;
    this.#client = new VectorClient({
      ...VECTOR_DEFAULTS,
      dims: DIMS,
      embedderId: "simulated",
      builtin: false,
      clock: this.#time,
      random: this.#random,
      graphFrom: 6,
      changesMax: 1_000,
      silentMs: 400,
      rebuild: {
        ...VECTOR_DEFAULTS.rebuild,
        placesMin: 16,
        pieceRows: 6,
        journalMax: 80,
        holdOffMs: 50,
      },
      onEvent: (event) => void this.events.push(event),
    }, { spawn: (listener) => this.#spawn(listener), native: "simulated" });
  }

  get steps(): number {
    return this.#step;
  }

  count(type: VectorEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** Lets things happen in a random order, a worker dying now and then. */
  async run(steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      this.#step++;
      this.#injectFaults();
      const actions = this.#workers.flatMap((worker) => worker.actions);
      actions.push(() => this.#own(), () => this.#pass());
      await pick(actions, this.#random)?.();
    }
  }

  /** Lets everything come to rest, and compares. */
  async compare(): Promise<void> {
    const settled = this.#client.settled();
    await this.#rest(() => !this.#client.stats().rebuilding && this.#workersAreIdle());
    await this.#await(settled);
    assert.deepEqual(this.#problems, []);

    const expected = new Map<string, number[]>();
    for (const [id, { scope }] of this.#live) {
      expected.set(scope, [...expected.get(scope) ?? [], id].toSorted((a, b) => a - b));
    }
    const found = await this.#ask(() => this.#client.ids());
    const sorted = [...found].map(([scope, ids]) =>
      [scope, ids.toSorted((a, b) => a - b)] as const
    );
    assert.deepEqual(new Map(sorted), expected);
    assert.equal(this.#client.stats().live, this.#live.size);
    for (const [id, { scope, vector }] of this.#live) {
      const matches = await this.#ask(() => this.#client.search(scope, { vector }, Infinity));
      assert.equal(matches[0]?.id, id);
      assert.ok((matches[0]?.similarity ?? 0) > 0.999);
    }
    this.#gone = new Set(
      Array.from({ length: this.#lastId }, (_, i) => i + 1).filter((id) => !this.#live.has(id)),
    );
  }

  async close(): Promise<void> {
    await this.#client.close();
    assert.ok(this.#workers.every((worker) => !worker.isAlive));
  }

  #spawn(listener: WorkerListener): WorkerPort {
    const worker = new SimulatedWorker(listener);
    if (this.#random() < this.#faults.chance * 10) {
      worker.changesLeft = Math.floor(this.#random() * 20);
    }
    this.#workers.push(worker);
    return worker;
  }

  #injectFaults(): void {
    const alive = this.#workers.filter((worker) => worker.isAlive);
    if (this.#random() < this.#faults.chance) pick(alive, this.#random)?.crash(this.#random);
    if (this.#faults.at?.step !== this.#step) return;
    // Of two workers the younger is the builder, until the old one has ended.
    const victim = this.#faults.at.role === "index" ? alive[0] : alive[1];
    victim?.crash(this.#random);
  }

  /** The owner does something. */
  async #own(): Promise<void> {
    const chance = this.#random();
    const known = pick([...this.#live.keys()], this.#random);
    if (chance < 0.4) this.#add(++this.#lastId);
    else if (chance < 0.45 && known !== undefined) this.#add(known);
    else if (chance < 0.5 && this.#lastId > 0) {
      this.#add(1 + Math.floor(this.#random() * this.#lastId));
    } else if (chance < 0.8 && known !== undefined) {
      this.#client.remove(this.#live.get(known)?.scope ?? "", known);
      this.#live.delete(known);
    } else if (chance < 0.95) this.#search();
    else this.#client.rebuild();
    await Promise.resolve();
  }

  #add(id: number): void {
    const scope = pick(SCOPES, this.#random) ?? "";
    const vector = Float32Array.from({ length: DIMS }, () => this.#random() - 0.5);
    const old = this.#live.get(id);
    // An owner's entry does not change its scope; it is another entry then.
    if (old !== undefined && old.scope !== scope) this.#client.remove(old.scope, id);
    this.#live.set(id, { scope, vector });
    this.#gone.delete(id);
    this.#client.add(scope, id, { vector });
  }

  #search(): void {
    const scope = pick(SCOPES, this.#random) ?? "";
    const vector = Float32Array.from({ length: DIMS }, () => this.#random() - 0.5);
    const gone = new Set(this.#gone);
    this.#client.search(scope, { vector }, this.#time.nowMs() + 300).then((matches) => {
      for (const { id } of matches) {
        if (gone.has(id) && this.#gone.has(id)) this.#problems.push(`${id} was resurrected`);
      }
    }, () => {}); // Late, or its worker died.
  }

  async #pass(): Promise<void> {
    this.#time.runUntil(this.#time.nowMs() + this.#random() * 40);
    await Promise.resolve();
  }

  #workersAreIdle(): boolean {
    return this.#workers.every((worker) => worker.actions.length === 0);
  }

  /** Asks until there is an answer: that a worker is gone may show only when it is asked. */
  async #ask<Value>(question: () => Promise<Value>): Promise<Value> {
    for (;;) {
      await this.#await(this.#client.settled());
      try {
        return await this.#await(question());
      } catch (error) {
        if (!(error instanceof EmbedError && error.kind === "failed")) throw error;
      }
    }
  }

  async #await<Value>(promise: Promise<Value>): Promise<Value> {
    let isDone = false;
    promise.then(() => isDone = true, () => isDone = true);
    await this.#rest(() => isDone);
    return await promise;
  }

  async #rest(isAtRest: () => boolean): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (const worker of this.#workers) {
        for (let action = worker.actions[0]; action !== undefined; action = worker.actions[0]) {
          await action();
        }
      }
      for (let turn = 0; turn < 8; turn++) await Promise.resolve();
      if (isAtRest()) return;
      if (this.#workersAreIdle()) this.#time.runUntil(this.#time.nowMs() + 100);
    }
    assert.fail("nothing came to rest");
  }
}

function pick<Item>(items: readonly Item[], random: Random): Item | undefined {
  return items[Math.floor(random() * items.length)];
}

/** Two stretches of trouble, each followed by peace and a comparison. */
async function play(seed: number, faults: Faults): Promise<World> {
  const world = new World(seed, faults);
  await world.run(STEPS / 2);
  await world.compare();
  await world.run(STEPS / 2);
  await world.compare();
  await world.close();
  return world;
}

Deno.test("VectorClient loses and resurrects nothing in 1,000 schedules with deaths", async () => {
  const totals = { finished: 0, failed: 0, died: 0 };
  for (const seed of seeds(1_000)) {
    try {
      const world = await play(seed, { chance: 0.01, at: null });
      totals.finished += world.count("rebuild_finished");
      totals.failed += world.count("rebuild_failed");
      totals.died += world.count("worker_died");
    } catch (error) {
      throw new Error(`Cannot pass with SEED=${seed}`, { cause: error });
    }
  }
  // Otherwise the schedules would not show what they are meant to.
  assert.ok(totals.finished > 500, `${totals.finished} rebuilds`);
  assert.ok(totals.failed > 1_000, `${totals.failed} failed rebuilds`);
  assert.ok(totals.died > 2_000, `${totals.died} deaths`);
});

for (const role of ["index", "builder"] as const) {
  Deno.test(`VectorClient survives the death of its ${role} at each single step`, async () => {
    let died = 0;
    for (const seed of [1, 2]) {
      for (let step = 1; step <= STEPS; step++) {
        const world = await play(seed, { chance: 0, at: { step, role } });
        died += world.count("worker_died");
      }
    }
    assert.ok(died > 100, `${died} deaths`);
  });
}

Deno.test("VectorClient rebuilds without any death and ends where its owner is", async () => {
  const world = await play(7, { chance: 0, at: null });
  assert.ok(world.count("rebuild_finished") > 1);
  assert.equal(world.count("worker_died"), 0);
});
