/**
 * The load of a soak: which actors there are, and at what pace they go.
 *
 * @module
 */
import type { Store } from "../../kv_node/compat/mod.ts";
import type { KillableNode } from "./kv_killable_node.ts";
import { SharedCounters } from "./kv_soak_counters.ts";
import { Expirer } from "./kv_soak_expirer.ts";
import { Keeper } from "./kv_soak_keeper.ts";
import { SoakQueue } from "./kv_soak_queue.ts";
import { Slots } from "./kv_soak_slots.ts";
import { Beat, lookIn, Watcher } from "./kv_soak_watches.ts";
import {
  CLIENT_KINDS,
  type ClientKind,
  openClient,
  pace,
  pause,
  type SoakWorld,
} from "./kv_soak_world.ts";
import { Random } from "./random.ts";

const DATABASES = ["default", "orders", "people"];
const QUEUES = ["default", "orders"];
const WATCHED = "default";
const EXPIRING = "people";
/** Keepers of each kind of client in each database. */
const KEEPERS = 2;
/** Keys of one keeper: enough for several segments of values, few enough to be written often. */
const KEYS = 150;
const HOT_BEATS = 3;
const SLOW_MS = 2_000;
const SELDOM_MS = 12_000;
/** Steps in a second, of each actor of that sort. */
const PACE = { keeper: 60, expirer: 30, beat: 16, enqueue: 16, glance: 3, visit: 2, bury: 0.25 };

/** What was counted. */
export interface LoadFigures {
  /** Commits that lost against another one. */
  readonly conflicts: number;
  /** Values that were seen to have expired. */
  readonly expired: number;
  /** Messages that were done. */
  readonly messages: number;
  /** Messages that came again after they were done. */
  readonly repeated: number;
  /** Dead letters. */
  readonly dead: number;
  /** Frames of watches. */
  readonly frames: number;
  /** Watches that were opened again. */
  readonly reopened: number;
}

/** Every actor of a soak. */
export class SoakLoad {
  readonly #world: SoakWorld;
  readonly #node: KillableNode;
  readonly #random: Random;
  readonly #stores: Store[] = [];
  readonly #slots = new Map<string, Slots[]>();
  readonly #counters = new Map<string, SharedCounters>();
  readonly #keepers: Keeper[] = [];
  readonly #expirers: Expirer[] = [];
  readonly #queues: SoakQueue[] = [];
  readonly #hot: Beat[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #fragile: Watcher[] = [];
  #seldom: Beat | null = null;
  #seeds = 0;

  /** Nothing is opened yet. */
  constructor(world: SoakWorld, node: KillableNode, seed: number) {
    this.#world = world;
    this.#node = node;
    this.#random = new Random(seed);
  }

  /** What was counted so far. */
  get figures(): LoadFigures {
    const total = <Item>(items: Iterable<Item>, of: (item: Item) => number) =>
      Array.from(items, of).reduce((sum, count) => sum + count, 0);
    return {
      conflicts: total(this.#counters.values(), ({ conflicts }) => conflicts),
      expired: total(this.#expirers, ({ gone }) => gone),
      messages: total(this.#queues, ({ done }) => done),
      repeated: total(this.#queues, ({ repeated }) => repeated),
      dead: total(this.#queues, ({ dead }) => dead),
      frames: total(this.#watchers, ({ frames }) => frames),
      reopened: total(this.#watchers, ({ reopened }) => reopened),
    };
  }

  /** Opens all clients, writes the level data set, and begins to watch and to listen. */
  async open(): Promise<void> {
    for (const database of DATABASES) await this.#addKeepers(database);
    await Promise.all(this.#keepers.map((keeper) => keeper.fill()));
    for (const kind of CLIENT_KINDS) {
      const store = await this.#open(kind, EXPIRING);
      this.#expirers.push(new Expirer(this.#world, kind, store, this.#nextRandom()));
    }
    for (const database of QUEUES) {
      const random = this.#nextRandom();
      this.#queues.push(await SoakQueue.open(this.#world, this.#node, database, random));
    }
    await this.#watch();
  }

  /** Starts the actors; settles when they have all ended because there is no load any more. */
  async run(): Promise<void> {
    const world = this.#world;
    const go = (perSecond: number, step: () => Promise<void>) =>
      pace(world, this.#nextRandom(), perSecond, step);
    await Promise.all([
      ...this.#keepers.map((keeper) => go(PACE.keeper, () => keeper.step())),
      ...this.#expirers.map((expirer) => go(PACE.expirer, () => expirer.step())),
      ...this.#queues.map((queue) => go(PACE.enqueue, () => queue.step())),
      ...this.#queues.map((queue) => go(PACE.bury, () => queue.bury())),
      ...this.#hot.map((beat) => go(PACE.beat, async () => void await beat.beat())),
      ...CLIENT_KINDS.map((kind) => this.#glances(kind)),
      ...CLIENT_KINDS.map((kind) => this.#visits(kind)),
      this.#beatSeldom(),
      this.#checkWatches(),
    ]);
  }

  /** Load that goes on through a killed node: keys, messages, beats; nothing that may not. */
  async runThroughOutage(): Promise<void> {
    const go = (perSecond: number, step: () => Promise<void>) =>
      pace(this.#world, this.#nextRandom(), perSecond, step);
    await Promise.all([
      ...this.#keepers.map((keeper) => go(PACE.keeper, () => keeper.step())),
      ...this.#queues.map((queue) => go(PACE.enqueue, () => queue.step())),
      ...this.#hot.map((beat) => go(PACE.beat, async () => void await beat.beat())),
    ]);
  }

  /** Writes every beat once more. */
  async beatAll(): Promise<void> {
    for (const beat of this.#beats) await beat.beat();
  }

  /** Lets slow readers of watches go on as fast as they can, or be slow again. */
  hurry(isHurried: boolean): void {
    for (const watcher of this.#watchers) watcher.hurry(isHurried);
  }

  /**
   * Ends the watches of npm's client, which do not outlive a node that goes: see
   * `isFaultOfNpm`.
   */
  async endFragileWatches(): Promise<void> {
    for (const watcher of this.#fragile) await watcher.stop();
  }

  /** Begins them again. */
  resumeFragileWatches(): void {
    for (const watcher of this.#fragile) watcher.start();
  }

  /** Whether every watch has told something. */
  get areWatchesOpen(): boolean {
    return this.#watchers.every(({ frames }) => frames > 0);
  }

  /** Whether every watch has seen the last value. */
  get areWatchesUpToDate(): boolean {
    return this.#watchers.every(({ isUpToDate }) => isUpToDate);
  }

  /** Names of watches that have not. */
  get lateWatches(): readonly string[] {
    return this.#watchers.filter(({ isUpToDate }) => !isUpToDate).map(({ name }) => name);
  }

  /** Messages that were acknowledged and are neither done nor dead. */
  get outstandingMessages(): number {
    return this.#queues.reduce((sum, { outstanding }) => sum + outstanding, 0);
  }

  /** Takes dead letters away. */
  async bury(): Promise<void> {
    for (const queue of this.#queues) await queue.bury();
  }

  /** Sees that all that expires has gone. */
  async finishExpiring(): Promise<void> {
    await Promise.all(this.#expirers.map((expirer) => expirer.finish()));
  }

  /**
   * Compares everything that is stored with what was acknowledged.
   *
   * @returns How many rows there have to be in the node.
   */
  async audit(): Promise<number> {
    let rows = 0;
    for (const database of DATABASES) {
      const store = await openClient(this.#random.of(CLIENT_KINDS), this.#node, database);
      try {
        for (const slots of this.#slots.get(database) ?? []) rows += await slots.audit(store);
        rows += await this.#counters.get(database)?.audit(store) ?? 0;
      } finally {
        store.close();
      }
    }
    for (const queue of this.#queues) rows += await queue.audit();
    return rows + this.#beats.filter(({ begun }) => begun > 0).length;
  }

  /** Ends watches and listeners, closes clients. */
  async close(): Promise<void> {
    for (const watcher of this.#watchers) await watcher.stop();
    for (const queue of this.#queues) await queue.stop();
    for (const store of this.#stores) store.close();
  }

  get #beats(): readonly Beat[] {
    return this.#seldom === null ? this.#hot : [...this.#hot, this.#seldom];
  }

  async #addKeepers(database: string): Promise<void> {
    const counters = new SharedCounters(this.#world, database);
    const kinds = CLIENT_KINDS.flatMap((kind) => Array<ClientKind>(KEEPERS).fill(kind));
    const slots = kinds.map((kind, at) => new Slots(this.#world, `${database}/${kind}${at}`, KEYS));
    this.#counters.set(database, counters);
    this.#slots.set(database, slots);
    for (const [at, own] of slots.entries()) {
      const store = await this.#open(kinds[at] ?? "stock", database);
      const others = slots.filter((one) => one !== own);
      const random = this.#nextRandom();
      this.#keepers.push(new Keeper({ world: this.#world, store, own, others, counters, random }));
    }
  }

  async #open(kind: ClientKind, database: string): Promise<Store> {
    const store = await openClient(kind, this.#node, database);
    this.#stores.push(store);
    return store;
  }

  #nextRandom(): Random {
    return new Random(this.#random.next() + ++this.#seeds);
  }

  /** Of each kind of client: one watch of quick keys, a slow reader of them, one of a seldom key. */
  async #watch(): Promise<void> {
    const writer = await this.#open("stock", WATCHED);
    for (let number = 0; number < HOT_BEATS; number++) {
      this.#hot.push(new Beat(this.#world, writer, number));
    }
    const seldom = new Beat(this.#world, await this.#open("weir", WATCHED), HOT_BEATS);
    this.#seldom = seldom;
    for (const kind of CLIENT_KINDS) {
      const store = await this.#open(kind, WATCHED);
      const add = (name: string, beats: readonly Beat[], slowMs: number, seesAll: boolean) => {
        const options = { name: `${kind} ${name}`, beats, slowMs, seesAll };
        const watcher = new Watcher(this.#world, store, options);
        this.#watchers.push(watcher);
        if (kind === "npm") this.#fragile.push(watcher);
      };
      add("quick", this.#hot, 0, false);
      add("slow", this.#hot.slice(1), SLOW_MS, false);
      add("seldom", [seldom], 0, true);
      add("mixed", [seldom, ...this.#hot.slice(0, 1)], 0, false);
    }
    // Not every client tells of keys that are not there.
    await this.beatAll();
    for (const watcher of this.#watchers) watcher.start();
  }

  /** Short watches over a client that stays. */
  async #glances(kind: ClientKind): Promise<void> {
    const store = await this.#open(kind, WATCHED);
    const random = this.#nextRandom();
    await pace(this.#world, random, PACE.glance, async () => {
      const beats = this.#hot.slice(0, 1 + random.below(HOT_BEATS));
      await lookIn(this.#world, store, beats, 1 + random.below(3));
    });
  }

  /** Clients that come, look and go. */
  async #visits(kind: ClientKind): Promise<void> {
    const random = this.#nextRandom();
    await pace(this.#world, random, PACE.visit, async () => {
      await this.#world.attempt(`visit of a ${kind} client`, async () => {
        const store = await openClient(kind, this.#node, random.of(DATABASES));
        try {
          await store.get(["slot", "nobody"]);
          await store.list({ prefix: ["slot"] }, { limit: 3 }).next();
        } finally {
          store.close();
        }
      });
    });
  }

  /** The seldom key beats when every watch has seen it, and some seconds have passed. */
  async #beatSeldom(): Promise<void> {
    const isSeen = () => this.#watchers.every(({ isComplete }) => isComplete);
    for (let nextMs = 0; this.#world.isLoaded; await pause(100)) {
      if (performance.now() < nextMs || !isSeen()) continue;
      await this.#seldom?.beat();
      nextMs = performance.now() + SELDOM_MS;
    }
  }

  async #checkWatches(): Promise<void> {
    for (; this.#world.isLoaded; await pause(1_000)) {
      for (const watcher of this.#watchers) watcher.check();
    }
  }
}
