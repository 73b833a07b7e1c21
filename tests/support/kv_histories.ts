/**
 * Clients of a key-value store that write down what they ask and what they are
 * told, in a form that can be checked for linearizability.
 *
 * What an answer says differs between clients:
 *
 * - `Deno.openKv` sends again by itself what was not answered or answered 503. An
 *   attempt that a dying node carried out is carried out once more, so a blind `set`
 *   or `sum` may take effect once for each death on its way, beside the time that was
 *   answered. Such a commit stands in the history once for sure, and once as unknown
 *   for each death. One with checks takes effect once at most, and a conflict may be
 *   its own first attempt: then nobody knows. An answer that is cut off behind its head
 *   is an error, and nobody knows either.
 * - `@deno/kv` sends again what was answered 503, which a node says only of what it did
 *   not carry out. A broken connection is an error, and nobody knows.
 * - Our own client sends nothing twice, and says where it does not know; of every other
 *   error it is taken at its word that nothing was changed.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type Store,
  type StoreAtomic,
  type StoreCommit,
  type StoreEntryMaybe,
  StoreOperationError,
} from "../../kv_node/compat/mod.ts";
import { isCutOff } from "./kv_clients.ts";
import type { Histories } from "./kv_history_record.ts";
import type { Operation } from "./linearizability.ts";
import type { Random } from "./random.ts";

/** What of a store is used here. */
export interface HistoryStore extends Pick<Store, "get" | "getMany" | "delete"> {
  /** Sets a value. */
  set(key: readonly (string | number)[], value: unknown): Promise<StoreCommit>;
  /** Begins a commit. */
  atomic(): StoreAtomic;
}

/** What a client is. */
export interface HistoryClient {
  /** Its name. */
  readonly name: string;
  /** Its connection. */
  readonly store: HistoryStore;
  /** Which one it is: `Deno.openKv`, `@deno/kv`, our own. */
  readonly kind: "deno" | "npm" | "weir";
  /** Its chance. */
  readonly random: Random;
}

/** What became of a commit. */
interface Answer {
  readonly calledAt: number;
  readonly returnedAt: number;
  readonly outcome: "done" | "conflict" | "refused" | "unknown";
  /** Deaths of the node while it was under way. */
  readonly deaths: number;
}

const PLAIN_KEYS = 3;
const SWAPPED_KEYS = 2;
const LIST_KEYS = 3;
const ACCOUNTS = ["a0", "a1", "a2", "a3"];
const PAIRS = [["p0", "q0"], ["p1", "q1"]] as const;
const OPENING_BALANCE = 100;

/** One client in one round. */
export class HistoryWriter {
  readonly #client: HistoryClient;
  readonly #histories: Histories;
  readonly #round: number;
  #count = 0;

  /** Writes below the key `round`, which nobody used before. */
  constructor(client: HistoryClient, histories: Histories, round: number) {
    this.#client = client;
    this.#histories = histories;
    this.#round = round;
  }

  /** So many operations of all kinds. */
  async run(operations: number): Promise<void> {
    const { random } = this.#client;
    for (let count = 0; count < operations; count++) {
      const draw = random.below(100);
      if (draw < 25) await this.#plain();
      else if (draw < 45) await this.#swap();
      else if (draw < 60) await this.#count_();
      else if (draw < 85) await this.#transact();
      else await this.#append();
    }
  }

  /** Opens the accounts; before anything else. */
  async open(): Promise<void> {
    const writes = Object.fromEntries(ACCOUNTS.map((key) => [key, String(OPENING_BALANCE)]));
    const answer = await this.#commit(() => {
      const atomic = this.#client.store.atomic();
      for (const [key, value] of Object.entries(writes)) {
        atomic.check({ key: this.#key(key), versionstamp: null }).set(this.#key(key), value);
      }
      return atomic.commit();
    });
    assert.equal(answer.outcome, "done");
    this.#note(this.#histories.database, answer, { reads: {}, writes });
  }

  /** Reads everything once. */
  async readAll(): Promise<void> {
    for (let at = 0; at < PLAIN_KEYS; at++) await this.#readRegister(`k${at}`, "plain");
    for (let at = 0; at < SWAPPED_KEYS; at++) await this.#readRegister(`s${at}`, "swapped");
    await this.#readCounter();
    await this.#look([...ACCOUNTS, ...PAIRS.flat()]);
    const keys = Array.from({ length: LIST_KEYS }, (_, at) => `l${at}`);
    const { calledAt, lists } = await this.#readLists(keys);
    this.#histories.lists.push({
      client: this.#client.name,
      calledAt,
      returnedAt: this.#histories.tick(),
      reads: lists,
      appends: {},
      outcome: "done",
    });
  }

  async #plain(): Promise<void> {
    const { random, store } = this.#client;
    const name = `k${random.below(PLAIN_KEYS)}`;
    const draw = random.below(10);
    if (draw < 5) return void await this.#readRegister(name, "plain");
    const value = draw < 9 ? this.#unique() : null;
    using _pending = this.#histories.begin([value]);
    const answer = await this.#commit(async () => {
      if (value !== null) return await store.set(this.#key(name), value);
      await store.delete(this.#key(name));
      return { ok: true, versionstamp: "" };
    });
    this.#note(this.#histories.plain, answer, { type: "write", key: name, value });
  }

  async #swap(): Promise<void> {
    const { random, store } = this.#client;
    const name = `s${random.below(SWAPPED_KEYS)}`;
    const before = await this.#readRegister(name, "swapped");
    if (before === null || random.below(3) === 0) return;
    const [from, value] = [textIn(before), this.#unique()];
    using _pending = this.#histories.begin([value]);
    const answer = await this.#commit(() =>
      store.atomic().check(before).set(this.#key(name), value).commit()
    );
    const action = { type: "swap", key: name, from, value } as const;
    if (answer.outcome === "conflict" && answer.deaths === 0) {
      const { calledAt, returnedAt } = answer;
      this.#push(this.#histories.swapped, { calledAt, returnedAt }, { ...action, isDone: false });
      return;
    }
    this.#note(this.#histories.swapped, answer, { ...action, isDone: true });
  }

  async #count_(): Promise<void> {
    const { random, store } = this.#client;
    if (random.below(2) === 0) return await this.#readCounter();
    const count = 1 + random.below(9);
    const answer = await this.#commit(() =>
      store.atomic().sum(this.#key("n"), BigInt(count)).commit()
    );
    this.#note(this.#histories.counters, answer, { type: "add", key: "n", count });
  }

  async #transact(): Promise<void> {
    const { random, store } = this.#client;
    const pair = random.of(PAIRS);
    const draw = random.below(10);
    if (draw < 3) return void await this.#look([...ACCOUNTS, ...PAIRS.flat()]);
    const keys = draw < 7 ? [...twoOf(ACCOUNTS, random)] : [...pair];
    const entries = await this.#look(keys);
    if (entries === null) return;
    const reads = readsOf(keys, entries);
    const writes = draw < 7
      ? transfer(keys, reads, 1 + random.below(30))
      : this.#claim(keys, reads, random);
    if (writes === null) return;
    using _pending = this.#histories.begin(Object.values(writes).filter(isUnique));
    const answer = await this.#commit(() => {
      const atomic = store.atomic().check(...entries);
      for (const [key, value] of Object.entries(writes)) atomic.set(this.#key(key), value);
      return atomic.commit();
    });
    // A conflict says no more than that something was written meanwhile.
    if (answer.outcome === "conflict" && answer.deaths === 0) return;
    this.#note(this.#histories.database, answer, { reads, writes });
  }

  /** Takes one of a pair, if nobody has the other: both together would be write skew. */
  #claim(
    [one = "", other = ""]: readonly string[],
    reads: Readonly<Record<string, string>>,
    random: Random,
  ): Record<string, string> | null {
    if (reads[one] !== "" && reads[other] !== "") assert.fail(`both of ${one}, ${other} are taken`);
    const taken = [one, other].find((key) => reads[key] !== "");
    if (taken !== undefined) return { [taken]: "" };
    return { [random.of([one, other])]: this.#unique() };
  }

  async #append(): Promise<void> {
    const { random, store, name } = this.#client;
    const all = Array.from({ length: LIST_KEYS }, (_, at) => `l${at}`);
    const keys = random.below(2) === 0 ? [random.of(all)] : [...twoOf(all, random)];
    const { calledAt, lists, entries } = await this.#readLists(keys);
    if (entries === null) return;
    const appends: Record<string, number> = {};
    for (const key of keys) {
      if (random.below(4) > 0) appends[key] = this.#histories.tick();
    }
    using _pending = this.#histories.begin(Object.values(appends));
    const answer = await this.#commit(() => {
      const atomic = store.atomic().check(...entries);
      for (const [key, value] of Object.entries(appends)) {
        atomic.set(this.#key(key), [...lists[key] ?? [], value]);
      }
      return atomic.commit();
    });
    const { outcome, deaths } = answer;
    const isUnclear = outcome === "unknown" || (outcome === "conflict" && deaths > 0);
    this.#histories.lists.push({
      client: name,
      calledAt: outcome === "done" ? calledAt : answer.calledAt,
      returnedAt: isUnclear ? Infinity : answer.returnedAt,
      reads: lists,
      appends,
      outcome: outcome === "done" ? "done" : isUnclear ? "unknown" : "failed",
    });
  }

  async #readLists(keys: readonly string[]): Promise<{
    readonly calledAt: number;
    readonly lists: Record<string, readonly number[]>;
    readonly entries: readonly StoreEntryMaybe[] | null;
  }> {
    const calledAt = this.#histories.tick();
    const entries = await this.#read(() =>
      this.#client.store.getMany(keys.map((key) => this.#key(key)))
    );
    const lists: Record<string, readonly number[]> = {};
    for (const [at, key] of keys.entries()) {
      const value: unknown = entries?.[at]?.value ?? [];
      assert.ok(Array.isArray(value));
      lists[key] = value;
      this.#histories.noteRead(value.at(-1));
    }
    return { calledAt, lists, entries };
  }

  async #readRegister(
    name: string,
    history: "plain" | "swapped",
  ): Promise<StoreEntryMaybe | null> {
    const calledAt = this.#histories.tick();
    const entry = await this.#read(() => this.#client.store.get(this.#key(name)));
    if (entry === null) return null;
    const action = { type: "read", key: name, value: textIn(entry) } as const;
    this.#histories.noteRead(action.value);
    this.#push(this.#histories[history], { calledAt, returnedAt: this.#histories.tick() }, action);
    return entry;
  }

  async #readCounter(): Promise<void> {
    const calledAt = this.#histories.tick();
    const entry = await this.#read(() => this.#client.store.get(this.#key("n")));
    if (entry === null) return;
    const { value } = entry;
    const count = typeof value === "object" && value !== null && "value" in value
      ? Number(value.value)
      : 0;
    const time = { calledAt, returnedAt: this.#histories.tick() };
    this.#push(this.#histories.counters, time, { type: "read", key: "n", count });
  }

  /** Reads several keys as of one moment. */
  async #look(keys: readonly string[]): Promise<readonly StoreEntryMaybe[] | null> {
    const calledAt = this.#histories.tick();
    const entries = await this.#read(() =>
      this.#client.store.getMany(keys.map((key) => this.#key(key)))
    );
    if (entries === null) return null;
    const reads = readsOf(keys, entries);
    for (const value of Object.values(reads)) this.#histories.noteRead(value);
    const time = { calledAt, returnedAt: this.#histories.tick() };
    this.#push(this.#histories.database, time, { reads, writes: {} });
    return entries;
  }

  /** What was read, or `null` if no node answered in time. */
  async #read<Result>(ask: () => Promise<Result>): Promise<Result | null> {
    try {
      const result = await ask();
      this.#histories.answers++;
      return result;
    } catch (error) {
      await this.#failure(error);
      return null;
    }
  }

  async #commit(commit: () => Promise<StoreCommit>): Promise<Answer> {
    const histories = this.#histories;
    const { deathsOver } = histories;
    const calledAt = histories.tick();
    let outcome: Answer["outcome"];
    try {
      outcome = (await commit()).ok ? "done" : "conflict";
      histories.answers++;
    } catch (error) {
      outcome = await this.#failure(error);
    }
    const deaths = this.#client.kind === "deno" ? histories.deathsBegun - deathsOver : 0;
    return { calledAt, returnedAt: histories.tick(), outcome, deaths };
  }

  /** What an error says of a commit, once there is somebody to ask again. */
  async #failure(error: unknown): Promise<"refused" | "unknown"> {
    if (error instanceof StoreOperationError) {
      return error.kind === "outcome_unknown" ? "unknown" : "refused";
    }
    if (!(error instanceof Error)) throw error;
    const { kind } = this.#client;
    if (kind === "deno" && isCutOff(error)) return "unknown";
    // What `fetch` throws, which this client passes on: to ask at once would be no use.
    if (kind !== "npm" || !(error instanceof TypeError)) throw error;
    await this.#histories.serving;
    return /\(Connect\)/.test(error.message) ? "refused" : "unknown";
  }

  /** Notes a commit as often as it may have taken effect. */
  #note<Action>(history: Operation<Action>[], answer: Answer, action: Action): void {
    const { calledAt, returnedAt, outcome, deaths } = answer;
    if (outcome === "refused") return;
    const { name: client } = this.#client;
    for (let more = 0; more < deaths; more++) {
      history.push({ client, calledAt, returnedAt, action, isUnknown: true });
    }
    if (outcome === "done") this.#push(history, { calledAt, returnedAt }, action);
    if (outcome === "unknown") {
      history.push({ client, calledAt, returnedAt: Infinity, action, isUnknown: true });
    }
  }

  #push<Action>(
    history: Operation<Action>[],
    time: { readonly calledAt: number; readonly returnedAt: number },
    action: Action,
  ): void {
    history.push({ client: this.#client.name, ...time, action, isUnknown: false });
  }

  #unique(): string {
    return `${this.#client.name}-${this.#round}-${this.#count++}`;
  }

  #key(name: string): readonly (string | number)[] {
    return ["round", this.#round, name];
  }
}

/** Sum of all accounts, which no transfer changes. */
export const TOTAL_BALANCE: number = ACCOUNTS.length * OPENING_BALANCE;

/** The sum of the accounts in what was read, or `null` if some are missing. */
export function balanceIn(reads: Readonly<Record<string, string>>): number | null {
  if (!ACCOUNTS.every((key) => key in reads)) return null;
  return ACCOUNTS.reduce((sum, key) => sum + Number(reads[key]), 0);
}

/** Whether it is more than a balance, which many writes may have. */
function isUnique(text: string): boolean {
  return text.includes("-");
}

function transfer(
  [from = "", to = ""]: readonly string[],
  reads: Readonly<Record<string, string>>,
  amount: number,
): Record<string, string> | null {
  const [rest, more] = [Number(reads[from]) - amount, Number(reads[to]) + amount];
  return rest < 0 ? null : { [from]: String(rest), [to]: String(more) };
}

function readsOf(
  keys: readonly string[],
  entries: readonly StoreEntryMaybe[],
): Record<string, string> {
  return Object.fromEntries(keys.map((key, at) => [key, textIn(entries[at]) ?? ""]));
}

function textIn(entry: StoreEntryMaybe | undefined): string | null {
  const value = entry?.value ?? null;
  assert.ok(value === null || typeof value === "string");
  return value;
}

function twoOf<Item>(items: readonly Item[], random: Random): readonly [Item, Item] {
  const one = random.of(items);
  return [one, random.of(items.filter((item) => item !== one))];
}
