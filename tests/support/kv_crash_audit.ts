/**
 * Compares what a store holds with what was noted of it.
 *
 * It may run while clients write: only what was known before a read is demanded
 * of it, and what is judged as a whole is read as of one moment.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Store, StoreKey } from "../../kv_node/compat/mod.ts";
import {
  type Before,
  type Commit,
  complaintAbout,
  type Found,
  type Ledger,
} from "./kv_crash_ledger.ts";

const BATCH = 500;
/** Mutations of one commit that deletes. */
const DELETIONS = 300;

/**
 * Everything of one epoch is as it has to be.
 *
 * @param isWritten Whether new commits of that epoch may be begun meanwhile.
 */
export async function auditEpoch(
  store: Store,
  ledger: Ledger,
  epoch: number,
  isWritten: boolean,
): Promise<void> {
  const known = new Map<string, Commit>(ledger.epochs.get(epoch));
  const before = new Map<string, Before>();
  for (const [key, commit] of known) before.set(key, { ...commit });
  const isSettled = !isWritten && isOver(ledger, epoch);
  const askedMs = Date.now();
  const rows = await rowsBelow(store, ["t", epoch]);
  const answeredMs = Date.now();
  for (const [key, commit] of known) {
    const complaint = complaintAbout(
      commit,
      before.get(key) ?? commit,
      rows.get(key) ?? null,
      askedMs,
      answeredMs,
    );
    assert.equal(complaint, null, `epoch ${epoch}: ${key} ${complaint}: ${text(commit)}`);
  }
  for (const key of rows.keys()) {
    const isKnown = ledger.epochs.get(epoch)?.has(key) ?? false;
    assert.ok(isKnown, `epoch ${epoch}: ${key} is there, and nobody wrote it`);
  }
  await auditWholes(store, epoch, known, rows);
  await auditSums(store, ledger, epoch, { rows, before, isSettled });
  if (isSettled) await auditCounters(store, epoch, rows);
}

/**
 * Whether nothing of an epoch is under way any more: a commit whose client gave up may
 * be, until the node that has it is killed.
 */
export function isOver(ledger: Ledger, epoch: number): boolean {
  const commits = [
    ...ledger.epochs.get(epoch)?.values() ?? [],
    ...ledger.sums.get(epoch) ?? [],
  ];
  return commits.every(({ fate, deletion, killsBefore, kills }) =>
    fate !== "pending" && deletion !== "pending" &&
    (fate !== "unknown" || ledger.kills > killsBefore + kills)
  );
}

/** Deletes an epoch for good, and looks whether it is gone. */
export async function retireEpoch(store: Store, ledger: Ledger, epoch: number): Promise<void> {
  const keys: StoreKey[] = [["sum", epoch], ["blind", epoch]];
  for (const prefix of ["t", "n", "taken"]) {
    const entries = store.list({ prefix: [prefix, epoch] }, { batchSize: BATCH });
    for await (const { key } of entries) keys.push(key);
  }
  for (let at = 0; at < keys.length; at += DELETIONS) {
    const atomic = store.atomic();
    for (const key of keys.slice(at, at + DELETIONS)) atomic.delete(key);
    const floor = ledger.highest;
    const done = await atomic.commit();
    assert.ok(done.ok);
    ledger.noteStamp(done.versionstamp, floor);
  }
  for (const prefix of ["t", "n", "taken"]) {
    const { done } = await store.list({ prefix: [prefix, epoch] }).next();
    assert.ok(done, `epoch ${epoch}: deleted, and something is there`);
  }
  ledger.forget(epoch);
}

/** Commits of several keys are there with all of them, under one versionstamp, or with none. */
async function auditWholes(
  store: Store,
  epoch: number,
  known: ReadonlyMap<string, Commit>,
  rows: ReadonlyMap<string, Found>,
): Promise<void> {
  for (const commit of new Set(known.values())) {
    if (commit.keys.length < 2) continue;
    const stamps = commit.keys.map((key) => rows.get(key)?.stamp);
    if (new Set(stamps).size === 1) continue;
    // A listing of many rows is not of one moment, and it may just have been written.
    const now = await store.getMany(commit.keys.map((key) => ["t", epoch, key]));
    const found = new Set(now.map(({ versionstamp }) => versionstamp));
    assert.equal(found.size, 1, `epoch ${epoch}: half there: ${text(commit)}: ${[...found]}`);
  }
}

async function auditSums(
  store: Store,
  ledger: Ledger,
  epoch: number,
  { rows, before, isSettled }: {
    readonly rows: ReadonlyMap<string, Found>;
    readonly before: ReadonlyMap<string, Before>;
    readonly isSettled: boolean;
  },
): Promise<void> {
  const blindBefore = (ledger.sums.get(epoch) ?? []).filter(({ fate }) => fate === "acknowledged");
  const blindLeast = total(blindBefore, ({ amount }) => amount);
  const [sum = 0, blind = 0] = (await store.getMany([["sum", epoch], ["blind", epoch]]))
    .map(({ value }) => numberIn(value));
  const commits = [...ledger.epochs.get(epoch)?.values() ?? []].filter(({ amount }) => amount > 0);
  const least = total(
    commits,
    ({ keys: [key = ""], amount }) => before.get(key)?.fate === "acknowledged" ? amount : 0,
  );
  const most = total(commits, ({ fate, amount }) => fate === "refused" ? 0 : amount);
  assert.ok(least <= sum && sum <= most, `epoch ${epoch}: sum ${sum} not in ${least} to ${most}`);
  if (isSettled) {
    const there = total(commits, ({ keys: [key = ""], amount }) => rows.has(key) ? amount : 0);
    assert.equal(sum, there, `epoch ${epoch}: the sum is not that of the keys written with it`);
  }
  const blindMost = total(ledger.sums.get(epoch) ?? [], (commit) => {
    if (commit.fate === "refused") return 0;
    const kills = commit.fate === "pending" ? ledger.kills - commit.killsBefore : commit.kills;
    return commit.amount * (commit.isResent ? kills + 1 : 1);
  });
  assert.ok(
    blindLeast <= blind && blind <= blindMost,
    `epoch ${epoch}: blind sum ${blind} not in ${blindLeast} to ${blindMost}`,
  );
}

/** Every number up to the count was taken once, by somebody whose commit is there. */
async function auditCounters(
  store: Store,
  epoch: number,
  rows: ReadonlyMap<string, Found>,
): Promise<void> {
  const takers = new Set<string>();
  const counts = new Map<string, number>();
  const entries = store.list({ prefix: ["taken", epoch] }, { batchSize: BATCH });
  for await (const { key, value, versionstamp } of entries) {
    const [, , counter, number] = key;
    const next = (counts.get(String(counter)) ?? 0) + 1;
    assert.equal(number, next, `epoch ${epoch}: counter ${String(counter)} left out ${next}`);
    counts.set(String(counter), next);
    const id = String(value);
    assert.equal(rows.get(`c ${id}`)?.stamp, versionstamp, `epoch ${epoch}: ${id} is half there`);
    takers.add(id);
  }
  for (const [counter, count] of counts) {
    const { value } = await store.get(["n", epoch, Number(counter)]);
    assert.equal(value, count, `epoch ${epoch}: counter ${counter} does not fit its numbers`);
  }
  for (const key of rows.keys()) {
    if (!key.startsWith("c ")) continue;
    assert.ok(takers.has(key.slice(2)), `epoch ${epoch}: ${key} took no number`);
  }
}

async function rowsBelow(store: Store, prefix: StoreKey): Promise<ReadonlyMap<string, Found>> {
  const rows = new Map<string, Found>();
  for await (const { key, value, versionstamp } of store.list({ prefix }, { batchSize: BATCH })) {
    rows.set(String(key.at(-1)), { id: idIn(value), stamp: versionstamp });
  }
  return rows;
}

function idIn(value: unknown): string {
  return typeof value === "object" && value !== null && "id" in value ? String(value.id) : "?";
}

/** What `sum` has counted. */
function numberIn(value: unknown): number {
  if (value === null) return 0;
  assert.ok(typeof value === "object" && "value" in value);
  return Number(value.value);
}

function total(commits: readonly Commit[], amountOf: (commit: Commit) => number): number {
  return commits.reduce((sum, commit) => sum + amountOf(commit), 0);
}

function text({ fate, stamp, kills, deletion, keys, isResent }: Commit): string {
  return JSON.stringify({ fate, stamp, kills, deletion, isResent, keys });
}
