/**
 * Clients that write without a pause while their node is killed again and again:
 * single keys, several keys at once, counters by check and set, sums, keys that
 * expire, deletions. All that happens is noted in a ledger.
 *
 * @module
 */
import { type Store, StoreOperationError } from "../../kv_node/compat/mod.ts";
import { isCutOff } from "./kv_clients.ts";
import type { Commit, Ledger } from "./kv_crash_ledger.ts";
import type { Random } from "./random.ts";

/** What writers share. */
export interface WriterWorld {
  /** Where everything is noted. */
  readonly ledger: Ledger;
  /** The present run of the node. */
  epoch: number;
  /** Whether writers are to go on. */
  isWriting: boolean;
}

/** Longest filling of a value, in characters. */
const FILLING_MAX = 400;
const COUNTERS = 3;
const EXPIRIES_MS = [400, 1_500, 3_600_000];

/** One client that writes. */
export class CrashWriter {
  readonly #name: string;
  readonly #store: Store;
  readonly #world: WriterWorld;
  readonly #random: Random;
  readonly #isResent: boolean;
  readonly #deletable: Commit[] = [];
  #count = 0;

  /** A writer called `name`; stock clients send again by themselves what was not answered. */
  constructor(
    name: string,
    store: Store,
    world: WriterWorld,
    { random, isStock }: { readonly random: Random; readonly isStock: boolean },
  ) {
    this.#name = name;
    this.#store = store;
    this.#world = world;
    this.#random = random;
    this.#isResent = isStock;
  }

  /** Writes until it is told to end. */
  async run(): Promise<void> {
    while (this.#world.isWriting) {
      const draw = this.#random.below(100);
      if (draw < 35) await this.#single(0);
      else if (draw < 55) await this.#several();
      else if (draw < 70) await this.#counted();
      else if (draw < 82) await this.#summed();
      else if (draw < 90) await this.#blindSum();
      else if (draw < 96) await this.#single(this.#random.of(EXPIRIES_MS));
      else await this.#deletion();
    }
  }

  /** One key. */
  async #single(expireInMs: number): Promise<void> {
    const { epoch } = this.#world;
    const key = this.#next();
    const keys = [`u ${key}`];
    const end = this.#begin({ epoch, id: key, keys, amount: 0, expireInMs });
    const options = expireInMs > 0 ? { expireIn: expireInMs } : {};
    await settle(end, async () => {
      return await this.#store.set(["t", epoch, `u ${key}`], this.#value(key), options);
    });
    const commit = this.#world.ledger.epochs.get(epoch)?.get(`u ${key}`);
    if (commit?.fate === "acknowledged" && expireInMs === 0) this.#deletable.push(commit);
  }

  /** Two to eight keys in one commit. */
  async #several(): Promise<void> {
    const { epoch } = this.#world;
    const id = this.#next();
    const keys = Array.from({ length: 2 + this.#random.below(7) }, (_, at) => `g ${id} ${at}`);
    const end = this.#begin({ epoch, id, keys, amount: 0, expireInMs: 0 });
    await settle(end, () => {
      const atomic = this.#store.atomic();
      for (const key of keys) atomic.set(["t", epoch, key], this.#value(id));
      return atomic.commit();
    });
  }

  /** The next number of a counter, and who took it: two writers never take the same. */
  async #counted(): Promise<void> {
    const { epoch } = this.#world;
    const counter = ["n", epoch, this.#random.below(COUNTERS)];
    const before = await read(() => this.#store.get(counter));
    // Nothing of an epoch is begun when another has come: it counts as over then.
    if (before === null || this.#world.epoch !== epoch) return;
    const count = typeof before.value === "number" ? before.value + 1 : 1;
    const id = this.#next();
    const end = this.#begin({ epoch, id, keys: [`c ${id}`], amount: 0, expireInMs: 0 });
    await settle(end, () =>
      this.#store.atomic().check(before)
        .set(counter, count)
        .set(["taken", epoch, counter[2] ?? 0, count], id)
        .set(["t", epoch, `c ${id}`], this.#value(id))
        .commit());
  }

  /** A sum, with a key that says that it was added: it is added once. */
  async #summed(): Promise<void> {
    const { epoch } = this.#world;
    const id = this.#next();
    const amount = 1 + this.#random.below(1_000);
    const key = `s ${id}`;
    const end = this.#begin({ epoch, id, keys: [key], amount, expireInMs: 0 });
    await settle(end, () =>
      this.#store.atomic()
        .check({ key: ["t", epoch, key], versionstamp: null })
        .set(["t", epoch, key], this.#value(id))
        .sum(["sum", epoch], BigInt(amount))
        .commit());
  }

  /** A sum alone: a client that sends again by itself may add it once for each kill, too. */
  async #blindSum(): Promise<void> {
    const { epoch } = this.#world;
    const amount = 1 + this.#random.below(1_000);
    const id = this.#next();
    const end = this.#begin({ epoch, id, keys: [], amount, expireInMs: 0 });
    await settle(end, () => this.#store.atomic().sum(["blind", epoch], BigInt(amount)).commit());
  }

  async #deletion(): Promise<void> {
    const commit = this.#deletable.shift();
    if (commit === undefined || !this.#world.ledger.epochs.has(commit.epoch)) return;
    const [key = ""] = commit.keys;
    commit.deletion = "pending";
    const isDone = await read(async () => {
      await this.#store.delete(["t", commit.epoch, key]);
      return true;
    });
    commit.deletion = isDone === true ? "done" : "unknown";
  }

  #begin(facts: Omit<Parameters<Ledger["begin"]>[0], "isResent">): ReturnType<Ledger["begin"]> {
    return this.#world.ledger.begin({ ...facts, isResent: this.#isResent });
  }

  #next(): string {
    return `${this.#name}-${this.#count++}`;
  }

  #value(id: string): { readonly id: string; readonly filling: string } {
    return { id, filling: "x".repeat(this.#random.below(FILLING_MAX)) };
  }
}

/** What a commit came to. */
type Committed = { readonly ok: true; readonly versionstamp: string } | { readonly ok: false };

async function settle(
  end: ReturnType<Ledger["begin"]>,
  commit: () => Promise<Committed>,
): Promise<void> {
  try {
    const result = await commit();
    if (result.ok) end("acknowledged", result.versionstamp);
    else end("refused", "conflict");
  } catch (error) {
    if (isCutOff(error)) return end("unknown");
    if (!(error instanceof StoreOperationError)) throw error;
    // Its word is taken: whatever else it says, nothing may be there.
    end(error.kind === "outcome_unknown" ? "unknown" : "refused");
  }
}

/** What was read, or `null` if no node answered in time. */
async function read<Result>(ask: () => Promise<Result>): Promise<Result | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof StoreOperationError || isCutOff(error)) return null;
    throw error;
  }
}
