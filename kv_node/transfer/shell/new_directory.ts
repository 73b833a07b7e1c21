/**
 * A data directory made from outside, by a restore or a salvage.
 *
 * It becomes one with its last step: `identity.json` gets its place, when all
 * else is on disk. Until then a node refuses to start in it, since it is not empty
 * and has no identity, and a folder `restore-unfinished` says why.
 *
 * The identity is new, that of the cluster too. What the old cluster wrote after
 * the backup is not in here, and its next entries have the same indexes as this
 * one's: two histories that must never be taken for one. Clients do not see it:
 * databases keep their ids, tokens and signing keys, which are rows.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openFolder } from "../../disk/folder.ts";
import { LOCK_NAME, lockFolder } from "../../disk/folder_lock.ts";
import { type Identity, IDENTITY_NAME, openIdentity } from "../../disk/identity.ts";
import { DiskError } from "../../ports.ts";
import { uuidBytes } from "../../uuid.ts";
import { openLog } from "../../wal/open_log.ts";
import { syncFolder } from "./new_file.ts";

const UNFINISHED = "restore-unfinished";
const WAL = "wal";
const STATE = "state";
/** The first segment of the log; the node makes later ones as long as it is told to. */
const SEGMENT_BYTES = 1_048_576;
/** What may be in an empty directory. */
const NOTHING: ReadonlySet<string> = new Set([LOCK_NAME, "lost+found"]);
/** What an interrupted run leaves. */
const LEFT: ReadonlySet<string> = new Set([...NOTHING, UNFINISHED, WAL, STATE]);

/** A data directory on its way. */
export class NewDirectory implements Disposable {
  /** Whose it will be. */
  readonly identity: Identity;
  /** Its folder, locked. */
  readonly folder: string;
  /** For files that are gone in the end. */
  readonly scratch: string;
  readonly #lock: Disposable;
  #isDone = false;

  private constructor(folder: string, identity: Identity, lock: Disposable) {
    this.folder = folder;
    this.scratch = join(folder, UNFINISHED);
    this.identity = identity;
    this.#lock = lock;
  }

  /**
   * Begins, in a directory that is new or empty, or that an interrupted run left.
   *
   * @throws {DiskError} `exists` if something else is in it.
   */
  static async begin(folder: string): Promise<NewDirectory> {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    refuseUsed(folder);
    const lock = lockFolder(folder);
    try {
      const used = refuseUsed(folder); // Now that nobody else can write.
      if (used) { for (const name of [WAL, STATE, UNFINISHED]) removeFolder(join(folder, name)); }
      const scratch = join(folder, UNFINISHED);
      Deno.mkdirSync(scratch, { mode: 0o700 });
      syncFolder(folder);
      const identity = await openIdentity(scratch, () => randomBytes(16));
      for (const name of [WAL, STATE]) Deno.mkdirSync(join(folder, name), { mode: 0o700 });
      await makeLog(join(folder, WAL), identity);
      return new NewDirectory(folder, identity, lock);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** The file of a group's state. */
  statePath(group: number): string {
    return join(this.folder, STATE, `${group}.db`);
  }

  /** All is there and on disk: it is a data directory from now on. */
  finish(): void {
    syncFolder(join(this.folder, STATE));
    syncFolder(join(this.folder, WAL));
    syncFolder(this.folder);
    Deno.renameSync(join(this.scratch, IDENTITY_NAME), join(this.folder, IDENTITY_NAME));
    syncFolder(this.folder);
    this.#isDone = true;
    removeFolder(this.scratch);
    syncFolder(this.folder);
  }

  /** Takes away what was not finished, and lets go of the directory. */
  [Symbol.dispose](): void {
    try {
      // The folder that says so goes last.
      const names = this.#isDone ? [] : [STATE, WAL, UNFINISHED];
      for (const name of names) removeFolder(join(this.folder, name));
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }
}

/** A node does not take a state without a log: it makes an empty one that follows on. */
async function makeLog(folder: string, { cluster, node }: Identity): Promise<void> {
  const { log } = await openLog(openFolder(folder), {
    clusterId: uuidBytes(cluster),
    nodeId: uuidBytes(node),
    segmentBytes: SEGMENT_BYTES,
    isReserved: false,
    queueBytesMax: SEGMENT_BYTES,
    nowMs: () => 0,
    onFatal: () => {}, // Nothing is appended.
  });
  await log.close();
}

/** @returns Whether an interrupted run left something. */
function refuseUsed(folder: string): boolean {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  if (names.every((name) => NOTHING.has(name))) return false;
  if (names.includes(UNFINISHED) && names.every((name) => LEFT.has(name))) return true;
  throw new DiskError("exists", `Cannot write into ${folder}: it is not empty`);
}

function removeFolder(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
