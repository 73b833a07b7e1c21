/**
 * Reads a whole data directory and says everything that is wrong with it.
 *
 * @module
 */
import { join } from "node:path";
import { DATA_GROUP, META_GROUP } from "../assembly/storage.ts";
import { type Identity, IDENTITY_NAME, IdentityError, readIdentity } from "../disk/identity.ts";
import { DiskError } from "../ports.ts";
import type { SegmentHeader } from "../wal/segment.ts";
import { type GroupEntries, readEntries } from "./log_entries.ts";
import { checkState, type StateFindings } from "./state_check.ts";

/** Something that is not as it should be. */
export interface Finding {
  /** The file, below the data directory; or a backup. */
  readonly file: string;
  /** Where in it, in bytes; `null` where that says nothing. */
  readonly offset: number | null;
  /** What is wrong. */
  readonly reason: string;
}

/** What a directory holds of one group. */
export interface GroupReport {
  /** Its number. */
  readonly group: number;
  /** Rows of its state. */
  readonly rows: number;
  /** Last entry in its state. */
  readonly appliedIndex: number;
  /** Last entry in the log; `null` if the log has none of it. */
  readonly loggedIndex: number | null;
}

/** A data directory that was read. */
export interface DirectoryReport {
  /** Everything that is wrong; nothing if it is sound. */
  readonly problems: readonly Finding[];
  /** What a start would mend by itself. */
  readonly notes: readonly Finding[];
  /** Its groups. */
  readonly groups: readonly GroupReport[];
  /** The log. */
  readonly log: { readonly segments: number; readonly bytes: number; readonly entries: number };
}

/**
 * Reads every checksum that there is, and compares states and log. Changes nothing.
 *
 * @throws {DiskError} If the directory cannot be read.
 */
export async function checkDirectory(folder: string): Promise<DirectoryReport> {
  const problems: Finding[] = [];
  const notes: Finding[] = [];
  const identity = checkIdentity(folder, problems);
  const states = new Map<number, StateFindings | null>();
  for (const group of [META_GROUP, DATA_GROUP]) {
    const found = isThere(join(folder, "state", `${group}.db`))
      ? checkState(join(folder, "state", `${group}.db`), group)
      : null;
    states.set(group, found);
    const file = `state/${group}.db`;
    for (const reason of found?.problems ?? []) problems.push({ file, offset: null, reason });
    if (identity !== null && found?.meta && found.meta.cluster !== identity.cluster) {
      problems.push({ file, offset: null, reason: "it belongs to another cluster" });
    }
  }
  const log = await checkLog(folder, identity, problems, notes);
  for (const [group, found] of states) {
    comparePositions(group, found, log.groups.get(group), { problems, isNew: log.isNew });
  }
  const groups = Array.from(states, ([group, found]) => ({
    group,
    rows: found?.meta?.rows ?? 0,
    appliedIndex: found?.meta?.applied.index ?? 0,
    loggedIndex: log.groups.get(group)?.lastIndex ?? null,
  }));
  return { problems, notes, groups, log: log.figures };
}

function checkIdentity(folder: string, problems: Finding[]): Identity | null {
  try {
    const identity = readIdentity(folder);
    if (identity !== null) return identity;
    problems.push({ file: IDENTITY_NAME, offset: null, reason: "it is missing" });
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    problems.push({ file: IDENTITY_NAME, offset: null, reason: error.message });
  }
  return null;
}

async function checkLog(
  folder: string,
  identity: Identity | null,
  problems: Finding[],
  notes: Finding[],
): Promise<{
  readonly groups: ReadonlyMap<number, GroupEntries>;
  readonly figures: DirectoryReport["log"];
  readonly isNew: boolean;
}> {
  const none = { groups: new Map(), figures: { segments: 0, bytes: 0, entries: 0 }, isNew: true };
  try {
    const { extent, groups } = await readEntries(folder, {
      problem: (problem) => problems.push(problem),
      header(header) {
        if (identity === null || isOwner(header, identity)) return;
        const file = join("wal", `${String(header.sequence).padStart(16, "0")}.wal`);
        problems.push({ file, offset: 0, reason: "it belongs to another cluster or node" });
      },
    });
    if (extent.torn !== null) {
      notes.push({ ...extent.torn, file: join("wal", extent.torn.file) });
    }
    for (const [group, { gaps }] of groups) {
      for (const { fromIndex, toIndex } of gaps) {
        const reason = `entries ${fromIndex} to ${toIndex} of group ${group} are missing`;
        problems.push({ file: "wal", offset: null, reason });
      }
    }
    let entries = 0;
    for (const { count } of groups.values()) entries += count;
    const figures = { segments: extent.segments, bytes: extent.bytes, entries };
    return { groups, figures, isNew: extent.segments === 0 };
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== "missing") throw error;
    return none;
  }
}

/** What is in the log has to follow on what is in the state, and reach as far. */
function comparePositions(
  group: number,
  found: StateFindings | null,
  entries: GroupEntries | undefined,
  { problems, isNew }: { readonly problems: Finding[]; readonly isNew: boolean },
): void {
  const file = `state/${group}.db`;
  const first = entries?.firstIndex ?? null;
  if (found === null) {
    if (isNew || first === 1) return; // Killed before it was made: it is made of the log.
    return void problems.push({ file, offset: null, reason: "it is missing" });
  }
  if (found.meta === null) return; // It has been said.
  const { index } = found.meta.applied;
  if (isNew && index > 0) {
    const reason = `there is no log, and the state of group ${group} has ${index} entries of one`;
    problems.push({ file: "wal", offset: null, reason });
  }
  if (first !== null && first > index + 1) {
    const reason = `it ends with entry ${index}, and the log begins with ${first}: ` +
      "what is between is missing";
    problems.push({ file, offset: null, reason });
  }
  const last = entries?.lastIndex ?? null;
  if (last !== null && last < index) {
    const reason = `the last entry of group ${group} is ${last}, and its state has ${index}: ` +
      "the end of the log is missing";
    problems.push({ file: "wal", offset: null, reason });
  }
}

function isOwner(header: SegmentHeader, { cluster, node }: Identity): boolean {
  return header.clusterId.toHex() === cluster.replaceAll("-", "") &&
    header.nodeId.toHex() === node.replaceAll("-", "");
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
