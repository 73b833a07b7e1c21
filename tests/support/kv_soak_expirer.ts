/**
 * A client of a soak whose values expire: each is there until its time is over and
 * gone from then on.
 *
 * @module
 */
import type { Store } from "../../kv_node/compat/mod.ts";
import { complaintAboutValue, drawSize, soakValue } from "./kv_soak_values.ts";
import type { SoakWorld } from "./kv_soak_world.ts";
import type { Random } from "./random.ts";

/** A value that expires; wall clock, in milliseconds. */
interface Expiring {
  readonly n: number;
  /** It is there if it is asked for and answered before. */
  readonly thereUntilMs: number;
  /** It is not there if it is asked for after. */
  readonly goneFromMs: number;
}

const EXPIRY_MS_MIN = 300;
const EXPIRY_MS_MAX = 8_000;

/** Sets values that expire and looks after them. */
export class Expirer {
  /** Values that were seen to be gone. */
  gone = 0;
  readonly #world: SoakWorld;
  readonly #name: string;
  readonly #store: Store;
  readonly #random: Random;
  readonly #expiring: Expiring[] = [];
  #count = 0;

  /** `name` is of this one alone in its database. */
  constructor(world: SoakWorld, name: string, store: Store, random: Random) {
    this.#world = world;
    this.#name = name;
    this.#store = store;
    this.#random = random;
  }

  /** Values that may be there still. */
  get outstanding(): number {
    return this.#expiring.length;
  }

  /** Sets one, or looks for one. */
  async step(): Promise<void> {
    const at = this.#random.below(Math.max(1, this.#expiring.length));
    const one = this.#expiring[at];
    if (one === undefined || this.#random.below(5) < 2) return await this.#set();
    if (await this.#look(one)) this.#expiring.splice(at, 1);
  }

  /** Waits until all are gone, and sees that they are. */
  async finish(): Promise<void> {
    for (const one of this.#expiring.splice(0)) {
      const leftMs = one.goneFromMs - Date.now();
      if (leftMs >= 0) await new Promise((resolve) => setTimeout(resolve, leftMs + 1));
      await this.#look(one);
    }
  }

  async #set(): Promise<void> {
    const n = ++this.#count;
    const expireIn = EXPIRY_MS_MIN + this.#random.below(EXPIRY_MS_MAX - EXPIRY_MS_MIN);
    const value = soakValue(n, this.#name, drawSize(this.#random));
    const { floor } = this.#world;
    const calledMs = Date.now();
    const done = await this.#world.attempt(
      "set of an expiring value",
      () => this.#store.set(this.#key(n), value, { expireIn }),
    );
    // Not acknowledged: it may be there or not, and nobody looks for it.
    if (done === null) return;
    this.#world.committed(floor, done.value.versionstamp);
    const goneFromMs = Date.now() + expireIn;
    this.#expiring.push({ n, thereUntilMs: calledMs + expireIn, goneFromMs });
  }

  /** Judges one; returns whether its time is over. */
  async #look({ n, thereUntilMs, goneFromMs }: Expiring): Promise<boolean> {
    const askedMs = Date.now();
    const done = await this.#world.attempt(
      "get of an expiring value",
      () => this.#store.get(this.#key(n)),
    );
    if (done === null) return false;
    const { value, versionstamp } = done.value;
    const isOver = askedMs > goneFromMs;
    if (versionstamp === null) {
      if (Date.now() < thereUntilMs) this.#world.complain(`${this.#name} ${n} went too early`);
      if (isOver) this.gone++;
      return isOver;
    }
    if (isOver) this.#world.complain(`${this.#name} ${n} is there after its time`);
    const complaint = complaintAboutValue(value, this.#name);
    if (complaint !== null) this.#world.complain(`${this.#name} ${n} ${complaint}`);
    return isOver;
  }

  #key(n: number): readonly [string, string, number] {
    return ["expiring", this.#name, n];
  }
}
