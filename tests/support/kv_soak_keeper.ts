/**
 * A client of a soak that reads, lists, writes and deletes keys of its own, changes
 * counters that others change too, and looks at the keys of others.
 *
 * @module
 */
import type { Store } from "../../kv_node/compat/mod.ts";
import type { SharedCounters } from "./kv_soak_counters.ts";
import type { Slots } from "./kv_soak_slots.ts";
import { drawSize, soakValue } from "./kv_soak_values.ts";
import type { SoakWorld } from "./kv_soak_world.ts";
import type { Random } from "./random.ts";

/** What a keeper works with. */
export interface KeeperParts {
  /** The shared state. */
  readonly world: SoakWorld;
  /** Its client. */
  readonly store: Store;
  /** Its keys. */
  readonly own: Slots;
  /** Keys of others in the same database. */
  readonly others: readonly Slots[];
  /** Counters of the database. */
  readonly counters: SharedCounters;
  /** Its choices. */
  readonly random: Random;
}

const MANY = 10;
const LIST_MAX = 20;
const SEVERAL_MAX = 5;

/** One client. */
export class Keeper {
  readonly #parts: KeeperParts;

  /** See {@linkcode KeeperParts}. */
  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** One operation, whichever. */
  async step(): Promise<void> {
    const { counters, random, store, world } = this.#parts;
    const draw = random.below(100);
    if (draw < 34) return await this.#get();
    if (draw < 38) return await this.#getMany();
    if (draw < 44) return await this.#list();
    if (draw < 74) return await this.#set();
    if (draw < 82) return await this.#delete();
    if (world.isAtRisk) return await this.#set();
    if (draw < 88) return await this.#several();
    if (draw < 92) return await counters.add(store, random);
    if (draw < 94) return await counters.readSum(store, random);
    return await counters.raise(store, random);
  }

  /** Writes all of its keys, so that there is a level number of them from the beginning. */
  async fill(): Promise<void> {
    for (let place = 0; place < this.#parts.own.count; place++) await this.#setAt(place);
  }

  async #get(): Promise<void> {
    const { others, own, random, store, world } = this.#parts;
    const slots = random.below(2) === 0 ? own : random.of([own, ...others]);
    const place = random.below(slots.count);
    const floor = slots.at(place).acked;
    const done = await world.attempt("get", () => store.get(slots.key(place)));
    if (done !== null) slots.judge(place, floor, done.value);
  }

  async #getMany(): Promise<void> {
    const { others, own, random, store, world } = this.#parts;
    const slots = random.of([own, ...others]);
    const places = Array.from({ length: MANY }, () => random.below(slots.count));
    const floors = places.map((place) => slots.at(place).acked);
    const keys = places.map((place) => slots.key(place));
    const done = await world.attempt("getMany", () => store.getMany(keys));
    if (done === null) return;
    if (done.value.length !== MANY) return world.complain("getMany does not answer every key");
    for (const [at, entry] of done.value.entries()) {
      slots.judge(places[at] ?? 0, floors[at] ?? 0, entry);
    }
  }

  /** Lists from a key on: no key between that was acknowledged may be left out. */
  async #list(): Promise<void> {
    const { others, own, random, store, world } = this.#parts;
    const slots = random.of([own, ...others]);
    const first = random.below(slots.count);
    const floors = Array.from({ length: slots.count }, (_, place) => slots.at(place).acked);
    const selector = { prefix: ["slot", slots.name], start: slots.key(first) };
    const done = await world.attempt(
      "list",
      () => Array.fromAsync(store.list(selector, { limit: LIST_MAX, batchSize: LIST_MAX })),
    );
    if (done === null) return;
    let next = first;
    for (const entry of done.value) {
      const place = Number(entry.key[2]);
      if (place < next) return world.complain(`list of ${slots.name} has an entry out of order`);
      for (; next < place; next++) this.#judgeAbsent(slots, next, floors[next] ?? 0);
      slots.judge(place, floors[place] ?? 0, entry);
      next = place + 1;
    }
    if (done.value.length === LIST_MAX) return;
    for (; next < slots.count; next++) this.#judgeAbsent(slots, next, floors[next] ?? 0);
  }

  #judgeAbsent(slots: Slots, place: number, floor: number): void {
    slots.judge(place, floor, { key: slots.key(place), value: null, versionstamp: null });
  }

  async #set(): Promise<void> {
    const { own, random } = this.#parts;
    await this.#setAt(random.below(own.count));
  }

  async #setAt(place: number): Promise<void> {
    const { own, random, store, world } = this.#parts;
    const { floor } = world;
    const value = soakValue(own.begin(place, false), own.textOf(place), drawSize(random));
    const done = await world.attempt("set", () => store.set(own.key(place), value));
    if (done === null) return;
    world.committed(floor, done.value.versionstamp);
    own.acknowledge(place, done.value.versionstamp);
  }

  async #delete(): Promise<void> {
    const { own, random, store, world } = this.#parts;
    const place = random.below(own.count);
    own.begin(place, true);
    const done = await world.attempt("delete", () => store.delete(own.key(place)));
    if (done !== null) own.acknowledge(place, null);
  }

  /** Several keys in one commit, under a check on each that is known; it has to hold. */
  async #several(): Promise<void> {
    const { own, random, store, world } = this.#parts;
    const places = new Set<number>();
    for (let more = 2 + random.below(SEVERAL_MAX - 1); more > 0; more--) {
      places.add(random.below(own.count));
    }
    const { floor } = world;
    const atomic = store.atomic();
    for (const place of places) {
      const { stamp } = own.at(place);
      if (stamp !== undefined) atomic.check({ key: own.key(place), versionstamp: stamp });
      const n = own.begin(place, false);
      atomic.set(own.key(place), soakValue(n, own.textOf(place), drawSize(random) >> 2));
    }
    const done = await world.attempt("atomic", () => atomic.commit());
    if (done === null) return;
    if (!done.value.ok) {
      return world.complain(`${own.name}: a check failed on a key that nobody else writes`);
    }
    world.committed(floor, done.value.versionstamp);
    for (const place of places) own.acknowledge(place, done.value.versionstamp);
  }
}
