/**
 * Makes a new data directory of what can be read of a damaged one.
 *
 * Of each group: the rows of its state that are as they were written, then the entries of the log that follow on
 * them, one by one, up to the first that is missing: an entry's checks and sums
 * mean something only on what all entries before it have left. If the state cannot
 * be opened, the entries that there are begin on nothing, which is told.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { DATA_GROUP, META_GROUP } from "../assembly/storage.ts";
import { StampOracle } from "../clock/stamps.ts";
import { readIdentity } from "../disk/identity.ts";
import { Replay } from "../group/replay.ts";
import { partsOfSpace, spaceOf } from "../keyspace/spaces.ts";
import { DiskError } from "../ports.ts";
import {
  type DatabaseRecord,
  DEFAULT_DATABASE,
  registration,
  Registry,
} from "../registry/registry.ts";
import { openSqliteState, type SqliteState } from "../store/sqlite_state.ts";
import { NewDirectory } from "../transfer/shell/new_directory.ts";
import type { Finding } from "./directory_check.ts";
import { type EntryGap, readEntries } from "./log_entries.ts";
import { SalvagedState, type SavedState } from "./state_salvage.ts";

/** What came of one group. */
export interface SalvagedGroup {
  /** Its number. */
  readonly group: number;
  /** Rows in the new state. */
  readonly rows: number;
  /** Rows of the old state that could not be read. */
  readonly rowsLost: number;
  /** Whether the old state opened; if not, the new one has what the log tells alone. */
  readonly hasState: boolean;
  /**
   * Whether it said how far the log was in it; if not, entries of the log may have been
   * applied twice, or left out.
   */
  readonly isPositionCertain: boolean;
  /** The last entry in the new state. */
  readonly lastIndex: number;
  /** Entries that were applied from the log. */
  readonly applied: number;
  /** Entries that are missing. */
  readonly missing: readonly EntryGap[];
  /** Entries that can be read and were left out, being behind a gap. */
  readonly leftOut: number;
  /** Whether entries behind the last one may be missing: a damaged place is all that follows. */
  readonly isEndUnknown: boolean;
}

/** What came of a directory. */
export interface SalvageOutcome {
  /** By group. */
  readonly groups: readonly SalvagedGroup[];
  /** Damaged places. */
  readonly problems: readonly Finding[];
  /** Databases whose registration was lost, by the names that they have now. */
  readonly renamed: readonly string[];
}

/** First database that a node makes: the one behind `/`. */
const FIRST_NUMBER = 1;
const BEHIND_ALL = new Uint8Array(5).fill(0xff);

/** A group on its way. */
interface Salvaging {
  readonly group: number;
  readonly state: SqliteState;
  readonly oracle: StampOracle;
  readonly saved: SavedState;
  readonly isPositionCertain: boolean;
  readonly missing: EntryGap[];
  /** The next entry that follows on; `null` while it may be any. */
  next: number | null;
  applied: number;
  leftOut: number;
  isEndUnknown: boolean;
}

/**
 * Salvages; the damaged directory is only read.
 *
 * @throws {DiskError} If something is in the new one, or there is no room.
 */
export async function salvageDirectory(from: string, into: string): Promise<SalvageOutcome> {
  const problems: Finding[] = [];
  noteIdentity(from, problems);
  using directory = await NewDirectory.begin(into);
  const groups = new Map<number, Salvaging>();
  try {
    for (const group of [META_GROUP, DATA_GROUP]) {
      groups.set(group, takeState(from, directory, group, problems));
    }
    await applyLog(from, groups, problems);
    const renamed = registerLost(groups);
    const outcome = { groups: Array.from(groups.values(), reportOf), problems, renamed };
    for (const { state } of groups.values()) {
      await state.checkpoint();
      await state.close();
    }
    directory.finish();
    return outcome;
  } finally {
    for (const { state } of groups.values()) await state.close();
  }
}

/** An unreadable identity is no hindrance: the new directory has its own. */
function noteIdentity(from: string, problems: Finding[]): void {
  const file = "identity.json";
  try {
    if (readIdentity(from) === null) problems.push({ file, offset: null, reason: "it is missing" });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "IdentityError") throw error;
    problems.push({ file, offset: null, reason: error.message });
  }
}

function takeState(
  from: string,
  directory: NewDirectory,
  group: number,
  problems: Finding[],
): Salvaging {
  const { cluster } = directory.identity;
  const path = directory.statePath(group);
  const state = openSqliteState(path, { cluster, group, checkpointer: null });
  using old = new SalvagedState(join(from, "state", `${group}.db`), directory.scratch, group);
  let saved: SavedState | null = null;
  const { applied } = old;
  if (applied !== null && applied.index > 0) {
    state.transact(applied, (writer) => {
      saved = old.copyInto(writer);
    });
  }
  saved ??= { applied, rows: 0, lost: 0 };
  const file = `state/${group}.db`;
  for (const reason of old.problems) problems.push({ file, offset: null, reason });
  return {
    group,
    state,
    oracle: new StampOracle(group, applied?.stamp ?? null),
    saved,
    isPositionCertain: old.isPositionCertain,
    missing: [],
    next: applied === null ? null : applied.index + 1,
    applied: 0,
    leftOut: 0,
    isEndUnknown: false,
  };
}

async function applyLog(
  from: string,
  groups: ReadonlyMap<number, Salvaging>,
  problems: Finding[],
): Promise<void> {
  const replay = new Replay(groups);
  try {
    await readEntries(from, {
      problem(problem) {
        problems.push(problem);
        for (const group of groups.values()) group.isEndUnknown = true;
      },
      entry(record) {
        const group = groups.get(record.group);
        if (group === undefined) return;
        group.isEndUnknown = false; // What is missing before it shows in its index.
        if (record.index < (group.next ?? 0)) return;
        if (group.next === null && record.index > 1) beginAt(group, record.index);
        const next = group.next ?? record.index;
        if (record.index > next && group.leftOut === 0) {
          group.missing.push({ fromIndex: next, toIndex: record.index - 1 });
        }
        if (record.index !== next || group.leftOut > 0) return void group.leftOut++;
        replay.take(record);
        group.next = next + 1;
        group.applied++;
      },
    });
    replay.finish();
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== "missing") throw error;
    problems.push({ file: "wal", offset: null, reason: "it is missing" });
  }
}

/** The log begins in the middle, and there is no state: nobody knows what was before. */
function beginAt(group: Salvaging, index: number): void {
  group.missing.push({ fromIndex: 1, toIndex: index - 1 });
  group.state.transact({ term: 0, index: index - 1, stamp: null }, () => {});
  group.next = index;
}

/**
 * Gives databases back a name whose registration was lost, so that no new one gets
 * their number, and with it their rows.
 */
function registerLost(groups: ReadonlyMap<number, Salvaging>): string[] {
  const [meta, data] = [groups.get(META_GROUP), groups.get(DATA_GROUP)];
  if (meta === undefined || data === undefined) return [];
  const known = registeredIn(meta.state);
  const numbers = new Set(known.map(({ number }) => number));
  const names = new Set(known.map(({ name }) => name));
  const lost = numbersIn(data.state).filter((number) => !numbers.has(number));
  const records = lost.map((number): DatabaseRecord => {
    const isDefault = number === FIRST_NUMBER && !names.has(DEFAULT_DATABASE);
    let name = isDefault ? DEFAULT_DATABASE : `salvaged-${number}`;
    while (names.has(name)) name += "_";
    const shut = { readDisabled: false, writeDisabled: false };
    return { number, name, id: randomUUID(), limits: {}, epoch: 0, ...shut, tokens: [] };
  });
  if (records.length === 0) return [];
  const { term, index } = meta.state.applied;
  const stamp = meta.oracle.next(Date.now());
  meta.state.transact({ term, index: index + 1, stamp }, (writer) => {
    for (const { key, value } of records.flatMap(registration)) {
      writer.put({ key, ...value, stamp, expiresMs: null });
    }
  });
  return records.map(({ name }) => name);
}

function registeredIn(state: SqliteState): readonly DatabaseRecord[] {
  using registry = new Registry({
    store: {
      read: (ranges) => ranges.map((range) => state.scan(range, 0)),
      propose: () => Promise.reject(new Error("Cannot register: this is a look only")),
      watchPrefix: () => ({ [Symbol.dispose]: () => {} }),
    },
    randomBytes: (count) => new Uint8Array(count),
    databasesMax: 0,
  });
  return registry.list();
}

/** Numbers of the databases that have rows, by one look at each. */
function numbersIn(state: SqliteState): number[] {
  const numbers: number[] = [];
  for (let start = spaceOf(0, "data");;) {
    const [row] = state.scan({ start, end: BEHIND_ALL, limit: 1, reverse: false }, 0);
    if (row === undefined) return numbers;
    const { databaseNumber } = partsOfSpace(row.key);
    numbers.push(databaseNumber);
    start = spaceOf(databaseNumber + 1, "data");
  }
}

function reportOf(salvaging: Salvaging): SalvagedGroup {
  const { group, state, saved, isPositionCertain } = salvaging;
  const { missing, applied, leftOut, isEndUnknown } = salvaging;
  return {
    group,
    rows: state.size().rows,
    rowsLost: saved.lost,
    hasState: saved.applied !== null,
    isPositionCertain,
    lastIndex: state.applied.index,
    applied,
    missing,
    leftOut,
    isEndUnknown,
  };
}
