/**
 * What a node keeps on disk, opened in the order that makes it safe:
 * lock → identity → states → log and replay → groups.
 *
 * ```
 * DIR/lock  identity.json            whose it is
 * DIR/wal/*.wal                      the log of all groups
 * DIR/state/0.db                     databases, tokens, signing keys
 * DIR/state/1.db                     all rows of all databases
 * ```
 *
 * @module
 */
import { join } from "node:path";
import type { Clock } from "../../src/ports.ts";
import { StampOracle } from "../clock/stamps.ts";
import { openFolder } from "../disk/folder.ts";
import { lockFolder } from "../disk/folder_lock.ts";
import { type Identity, openIdentity } from "../disk/identity.ts";
import { KvError } from "../errors.ts";
import { type BatchFigures, GroupEngine, type GroupLimits } from "../group/engine.ts";
import { Keeper } from "../group/keeper.ts";
import { Replay, ReplayError } from "../group/replay.ts";
import { type Disk, DiskError } from "../ports.ts";
import { openSqliteState, type SqliteState } from "../store/sqlite_state.ts";
import { StateError } from "../store/state_error.ts";
import type { StateWorker } from "../store/worker_client.ts";
import { createStateWorker } from "../store/workers.ts";
import { uuidBytes } from "../uuid.ts";
import type { SegmentLog, SyncReport } from "../wal/log.ts";
import { openLog } from "../wal/open_log.ts";
import { removeIfThere, RESERVE_NAME } from "../wal/spare_segments.ts";

/** The group of databases and tokens. */
export const META_GROUP = 0;
/** The group of all rows. */
export const DATA_GROUP = 1;

/** The last files of the log, of which one at most was being written. */
const SYNCED_SEGMENTS = 4;

/** How storage is opened. */
export interface StorageOptions {
  /** The data directory; made where there is none. */
  readonly folder: string;
  /** Time. */
  readonly clock: Clock;
  /** Size of a new log segment. */
  readonly segmentBytes: number;
  /** What may wait. */
  readonly limits: GroupLimits;
  /** 16 random bytes. */
  readonly random16: () => Uint8Array;
  /** Told how much of the log has been read. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void | Promise<void>;
  /** Told of each sync of the log. */
  readonly onSync: (report: SyncReport) => void;
  /** Told of each batch of the data group. */
  readonly onBatch: (figures: BatchFigures) => void;
  /** Called when nothing may be trusted any more; the process has to end. */
  readonly onFatal: (error: unknown) => void;
  /** Called for each read that found a state file damaged; all but that row is served. */
  readonly onDamage?: (path: string, error: unknown) => void;
}

/** What was found when storage was opened. */
export interface ReplayReport {
  /** Entries that the states did not have yet. */
  readonly entries: number;
  /** How long reading and applying took. */
  readonly seconds: number;
  /** Where the end of the log was torn off and has been mended, or `null`. */
  readonly torn: { readonly file: string; readonly offset: number } | null;
}

/** A node's storage, replayed and ready. */
export interface Storage {
  /** Whose it is. */
  readonly identity: Identity;
  /** The log. */
  readonly log: SegmentLog;
  /** Databases and tokens. */
  readonly meta: GroupEngine;
  /** Rows. */
  readonly data: GroupEngine;
  /** Makes states last and cuts the log. */
  readonly keeper: Keeper;
  /** Checkpoints and snapshots, off the event loop. */
  readonly worker: StateWorker;
  /** State files by group. */
  readonly states: ReadonlyMap<number, SqliteState>;
  /** What the start found. */
  readonly replay: ReplayReport;
  /** Ends the groups after the commits under way, makes all last, closes everything. */
  close(): Promise<void>;
}

/**
 * Opens a data directory and replays its log.
 *
 * @throws {IdentityError} If it belongs to something else.
 * @throws {LogCorruptError} If the log is damaged.
 * @throws {StateError} If a state file is damaged.
 * @throws {DiskError} `denied` if another process has it, and if the disk fails.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  try {
    return await openOnce(options, false);
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== "full") throw error;
    // What the log holds has to be applied before anything can be read.
    return await openOnce(options, true);
  }
}

async function openOnce(options: StorageOptions, isFull: boolean): Promise<Storage> {
  const { folder, clock } = options;
  const [walFolder, stateFolder] = [join(folder, "wal"), join(folder, "state")];
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  await using opened = new AsyncDisposableStack();
  opened.use(lockFolder(folder));
  const identity = await openIdentity(folder, options.random16);
  for (const path of [walFolder, stateFolder]) {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  if (isFull) removeIfThere(openFolder(walFolder), RESERVE_NAME);
  const worker = createStateWorker(stateFolder, { clock });
  opened.defer(() => worker.close());
  const states = new Map<number, SqliteState>();
  for (const group of [META_GROUP, DATA_GROUP]) {
    const path = join(stateFolder, `${group}.db`);
    const state = openSqliteState(path, { cluster: identity.cluster, group, checkpointer: worker });
    opened.defer(() => state.close());
    states.set(group, state);
  }
  const { log, groups, replay } = await replayLog(options, identity, walFolder, states);
  opened.defer(() => log.close());
  const [meta, data] = [META_GROUP, DATA_GROUP].map((group) =>
    engineOf(group, options, log, groups)
  );
  if (meta === undefined || data === undefined) throw new Error("Cannot open storage: no group");
  const keeper = new Keeper([meta, data], log);
  opened.defer(async () => {
    await Promise.all([meta.stop(), data.stop()]);
    // What is not made last now is replayed at the next start.
    await keeper.keep().catch(() => {});
  });
  const closing = opened.move();
  const close = () => closing.disposeAsync();
  return { identity, log, meta, data, keeper, worker, states, replay, close };
}

interface GroupPart {
  readonly state: SqliteState;
  readonly oracle: StampOracle;
}

async function replayLog(
  options: StorageOptions,
  identity: Identity,
  walFolder: string,
  states: ReadonlyMap<number, SqliteState>,
): Promise<{
  readonly log: SegmentLog;
  readonly groups: ReadonlyMap<number, GroupPart>;
  readonly replay: ReplayReport;
}> {
  const { clock, segmentBytes, limits, onProgress, onSync, onFatal } = options;
  const startMs = clock.nowMs();
  const groups = new Map(
    Array.from(states, ([group, state]) => {
      const oracle = new StampOracle(group, state.applied.stamp);
      return [group, { state, oracle }];
    }),
  );
  const replay = new Replay(groups);
  const disk = openFolder(walFolder);
  // Records may be in the page cache only. A state that got them would be ahead of the
  // log after a power cut, and later entries would pass for ones that it has.
  const segments = disk.list().filter((name) => name.endsWith(".wal"));
  for (const name of segments.slice(-SYNCED_SEGMENTS)) await syncFile(disk, name);
  for (const [group, { applied }] of states) {
    if (segments.length === 0 && applied.index > 0) throw lostLog(group, applied.index);
  }
  const { log, torn } = await openLog(disk, {
    clusterId: uuidBytes(identity.cluster),
    nodeId: uuidBytes(identity.node),
    segmentBytes,
    queueBytesMax: 2 * limits.waitingBytesMax,
    nowMs: () => clock.nowMs(),
    onRecord: (record) => replay.take(record),
    onProgress,
    onSync,
    onFatal,
  });
  try {
    replay.finish();
  } catch (error) {
    await log.close();
    throw error;
  }
  const seconds = (clock.nowMs() - startMs) / 1_000;
  return { log, groups, replay: { entries: replay.applied, seconds, torn } };
}

function lostLog(group: number, index: number): ReplayError {
  return new ReplayError(
    `Cannot open the log: there is none, but the state of group ${group} holds ${index} entries ` +
      "of one; put the files of DIR/wal back, restore a backup, or use `kv salvage`",
  );
}

async function syncFile(disk: Disk, name: string): Promise<void> {
  const file = disk.open(name, "write");
  try {
    await file.sync();
  } finally {
    file.close();
  }
}

function engineOf(
  group: number,
  { clock, limits, onBatch, onFatal, onDamage }: StorageOptions,
  log: SegmentLog,
  groups: ReadonlyMap<number, GroupPart>,
): GroupEngine | undefined {
  const part = groups.get(group);
  if (part === undefined) return undefined;
  // Alone there is one leader for good, and one term.
  const term = Math.max(1, part.state.applied.term);
  const report = group === DATA_GROUP ? { onBatch } : {};
  const onUnreadable = (error: unknown): unknown => {
    if (!(error instanceof StateError) || error.kind !== "damaged") return error;
    onDamage?.(part.state.path, error);
    return unreadable(error);
  };
  const parts = { ...part, ...report, group, term, log, clock, limits };
  return new GroupEngine({ ...parts, onFatal, onUnreadable });
}

/** What a client is told; where the file is, is told in the log of the node. */
function unreadable(cause: StateError): KvError {
  return new KvError(
    "internal",
    "Cannot read: something that was asked for is damaged on the disk of this node; its log " +
      "names the file",
    { cause },
  );
}
