/**
 * Counters of a soak that many actors change at once: sums, which never conflict,
 * and numbers that are read, raised by one and written under a check, which do.
 *
 * @module
 */
import type { Store } from "../../kv_node/compat/mod.ts";
import type { Random } from "./random.ts";
import type { SoakWorld } from "./kv_soak_world.ts";

interface Count {
  acked: number;
  begun: number;
}

const SUMS = 4;
const CHECKED = 2;
const AMOUNT_MAX = 1_000;

/** The counters of one database. */
export class SharedCounters {
  /** Commits that lost against another one. */
  conflicts = 0;
  readonly #world: SoakWorld;
  readonly #database: string;
  readonly #sums: readonly Count[] = counts(SUMS);
  readonly #checked: readonly Count[] = counts(CHECKED);

  /** All at 0, and not there. */
  constructor(world: SoakWorld, database: string) {
    this.#world = world;
    this.#database = database;
  }

  /** Adds to one of the sums. Not to be called where an outage may come. */
  async add(store: Store, random: Random): Promise<void> {
    const place = random.below(SUMS);
    const amount = 1 + random.below(AMOUNT_MAX);
    const count = at(this.#sums, place);
    count.begun += amount;
    const { floor } = this.#world;
    const done = await this.#world.attempt(
      "sum",
      () => store.atomic().sum(["sum", place], BigInt(amount)).commit(),
    );
    if (done === null) return;
    if (!done.value.ok) return this.#world.complain("a sum without a check conflicted");
    this.#world.committed(floor, done.value.versionstamp);
    count.acked += amount;
  }

  /** Reads one of the sums. */
  async readSum(store: Store, random: Random): Promise<void> {
    const place = random.below(SUMS);
    const floor = at(this.#sums, place).acked;
    const done = await this.#world.attempt("get of a sum", () => store.get(["sum", place]));
    if (done !== null) this.#judge(`sum ${place}`, at(this.#sums, place), floor, done.value.value);
  }

  /** Raises one of the checked numbers, once; loses if another actor is quicker. */
  async raise(store: Store, random: Random): Promise<void> {
    const place = random.below(CHECKED);
    const count = at(this.#checked, place);
    const asked = count.acked;
    const read = await this.#world.attempt("get", () => store.get(["checked", place]));
    if (read === null) return;
    this.#judge(`checked ${place}`, count, asked, read.value.value ?? 0);
    count.begun++;
    const { floor } = this.#world;
    const done = await this.#world.attempt("check and set", () => {
      const { versionstamp } = read.value;
      return store.atomic().check({ key: ["checked", place], versionstamp })
        .set(["checked", place], Number(read.value.value ?? 0) + 1).commit();
    });
    if (done === null) return;
    if (!done.value.ok) {
      count.begun--;
      this.conflicts++;
      return;
    }
    this.#world.committed(floor, done.value.versionstamp);
    count.acked++;
  }

  /** Compares all with what was acknowledged; nothing may be under way. Returns how many are there. */
  async audit(store: Store): Promise<number> {
    let found = 0;
    for (const [name, all] of [["sum", this.#sums], ["checked", this.#checked]] as const) {
      for (const [place, count] of all.entries()) {
        const { value, versionstamp } = await store.get([name, place]);
        if (versionstamp !== null) found++;
        this.#judge(`${name} ${place}`, count, count.acked, value);
      }
    }
    return found;
  }

  #judge(name: string, count: Count, floor: number, found: unknown): void {
    const number = plainNumber(found);
    if (number >= floor && number <= count.begun) return;
    this.#world.complain(
      `${this.#database}: ${name} is ${number}: ${floor} was acknowledged, ${count.begun} begun`,
    );
  }
}

/** Numbers that were summed come as an object with a bigint. */
function plainNumber(found: unknown): number {
  if (typeof found === "number") return found;
  if (found === null) return 0;
  if (typeof found === "object" && "value" in found) return Number(found.value);
  return NaN;
}

function counts(length: number): readonly Count[] {
  return Array.from({ length }, () => ({ acked: 0, begun: 0 }));
}

function at(all: readonly Count[], place: number): Count {
  const count = all[place];
  if (count === undefined) throw new RangeError(`Cannot find counter ${place}`);
  return count;
}
