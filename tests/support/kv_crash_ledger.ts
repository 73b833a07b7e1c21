/**
 * What was written to a store, and what came back: enough to say of everything
 * that is found later whether it has to be there, may be there, or must not.
 *
 * A store may lose what it did not acknowledge, whole. It may not lose, change or
 * split what it did, and two commits never have one versionstamp, nor a later one
 * a smaller.
 *
 * @module
 */
import assert from "node:assert/strict";

/** What is known of a commit. */
export type Fate =
  | "pending" // nobody has answered yet
  | "acknowledged"
  | "unknown" // the client said that it does not know
  | "refused"; // nothing of it may be there

/** One commit. */
export interface Commit {
  /** The run of the node in which it was begun. */
  readonly epoch: number;
  /** What is written with all its keys; no two commits have the same. */
  readonly id: string;
  /** Its keys, without the epoch. */
  readonly keys: readonly string[];
  /** What it adds to the sum of its epoch. */
  readonly amount: number;
  /** When the keys are gone, counted from somewhere between call and return; 0 for never. */
  readonly expireInMs: number;
  /** Whether its client sends it again by itself when a connection breaks. */
  readonly isResent: boolean;
  /** Kills before it began. */
  readonly killsBefore: number;
  /** Wall clock at the call. */
  readonly calledMs: number;
  /** Wall clock at the return. */
  returnedMs: number;
  /** What is known of it. */
  fate: Fate;
  /** Its versionstamp, if it was acknowledged. */
  stamp: string;
  /** How often the node was killed while it was under way, once it is over. */
  kills: number;
  /** Whether somebody deleted its keys since. */
  deletion: "none" | "pending" | "unknown" | "done";
}

/** All commits of a test. */
export class Ledger {
  /** Commits by the key that they wrote, by epoch. */
  readonly epochs = new Map<number, Map<string, Commit>>();
  /** Commits without keys of their own: blind sums. */
  readonly sums = new Map<number, Commit[]>();
  /** Commits that were acknowledged. */
  acknowledged = 0;
  /** Commits of which the client did not know what became. */
  unknown = 0;
  /** Kills so far. */
  kills = 0;
  readonly #stamps = new Set<string>();
  #highest = "";
  #awaited: { readonly count: number; readonly reached: () => void } | null = null;

  /** Notes that a commit begins; returns how its end is noted. */
  begin(
    facts: Pick<Commit, "epoch" | "id" | "keys" | "amount" | "expireInMs" | "isResent">,
  ): (fate: Exclude<Fate, "pending">, stamp?: string) => void {
    const commit: Commit = {
      ...facts,
      killsBefore: this.kills,
      calledMs: Date.now(),
      returnedMs: Infinity,
      fate: "pending",
      stamp: "",
      kills: 0,
      deletion: "none",
    };
    const floor = this.#highest;
    const epoch = this.#epoch(facts.epoch);
    for (const key of facts.keys) {
      assert.equal(epoch.get(key), undefined, `${key} is written twice by the test itself`);
      epoch.set(key, commit);
    }
    if (facts.keys.length === 0) this.#sums(facts.epoch).push(commit);
    return (fate, stamp = "") => {
      commit.kills = this.kills - commit.killsBefore;
      commit.returnedMs = Date.now();
      // A client that sends again by itself is told no by what it has done before.
      const mayBeThere = commit.isResent && commit.kills > 0 && stamp === "conflict";
      commit.fate = mayBeThere ? "unknown" : fate;
      if (fate === "unknown") this.unknown++;
      if (fate === "acknowledged") this.#acknowledge(commit, stamp, floor);
    };
  }

  /** Settles when so many more commits have been acknowledged. */
  awaitAcknowledged(more: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awaited = { count: this.acknowledged + more, reached: resolve };
    return promise;
  }

  /** Highest versionstamp so far. */
  get highest(): string {
    return this.#highest;
  }

  /** Notes a versionstamp of something that is in no table here, such as a deletion. */
  noteStamp(stamp: string, floor: string): void {
    assert.match(stamp, /^[0-9a-f]{20}$/);
    assert.ok(!this.#stamps.has(stamp), `two commits have the versionstamp ${stamp}`);
    assert.ok(
      stamp > floor,
      `versionstamp ${stamp} is not above ${floor}, which was acknowledged before`,
    );
    this.#stamps.add(stamp);
    if (stamp > this.#highest) this.#highest = stamp;
  }

  /** Forgets an epoch. */
  forget(epoch: number): void {
    this.epochs.delete(epoch);
    this.sums.delete(epoch);
  }

  #acknowledge(commit: Commit, stamp: string, floor: string): void {
    commit.stamp = stamp;
    this.noteStamp(stamp, floor);
    this.acknowledged++;
    if (this.#awaited !== null && this.acknowledged >= this.#awaited.count) {
      this.#awaited.reached();
      this.#awaited = null;
    }
  }

  #epoch(number: number): Map<string, Commit> {
    const epoch = this.epochs.get(number) ?? new Map<string, Commit>();
    this.epochs.set(number, epoch);
    return epoch;
  }

  #sums(number: number): Commit[] {
    const sums = this.sums.get(number) ?? [];
    this.sums.set(number, sums);
    return sums;
  }
}

/** What was found under a key. */
export interface Found {
  /** The id that was written with it. */
  readonly id: string;
  /** Versionstamp. */
  readonly stamp: string;
}

/** What was known of a commit before its keys were read. */
export type Before = Pick<Commit, "fate" | "deletion" | "returnedMs">;

/**
 * What is wrong with a key.
 *
 * @param commit What is known of its commit after it was read.
 * @param askedMs Wall clock before it was read.
 * @param answeredMs Wall clock after that.
 * @returns `null` if it may be as it is.
 */
export function complaintAbout(
  commit: Commit,
  before: Before,
  found: Found | null,
  askedMs: number,
  answeredMs: number,
): string | null {
  const { fate, stamp, id, expireInMs, deletion } = commit;
  if (found !== null) {
    if (found.id !== id) return `holds ${found.id} in place of ${id}`;
    if (fate === "refused") return "is there, and its commit was refused";
    if (before.fate === "acknowledged" && found.stamp !== stamp) {
      return `has the versionstamp ${found.stamp}, acknowledged was ${stamp}`;
    }
    if (before.deletion === "done") return "is there, and its deletion was acknowledged";
    const isOver = expireInMs > 0 && before.returnedMs + expireInMs < askedMs;
    return isOver ? "is there, and has expired" : null;
  }
  const mayHaveExpired = expireInMs > 0 && commit.calledMs + expireInMs <= answeredMs;
  if (before.fate !== "acknowledged" || deletion !== "none" || mayHaveExpired) return null;
  return `is lost, and was acknowledged with ${stamp}`;
}
