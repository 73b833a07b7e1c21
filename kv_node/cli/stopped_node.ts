/**
 * The data directory of a node that does not run.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { CommandError } from "../../src/cli/command_error.ts";
import { createProgress } from "../../src/cli/progress.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { openStorage, type Storage } from "../assembly/storage.ts";
import { LOCK_NAME } from "../disk/folder_lock.ts";
import { readIdentity } from "../disk/identity.ts";

const SEGMENT_BYTES = 64 * 1_048_576;
const WAITING_BYTES = 64 * 1_048_576;

/**
 * Opens a data directory as its node would: locked, with its log replayed.
 *
 * @throws {CommandError} If there is none.
 */
export async function openStopped(folder: string): Promise<Storage> {
  if (readIdentity(folder) === null) {
    throw new CommandError(`Cannot open ${folder}: it is not the data directory of a node`);
  }
  const progress = createProgress("replaying the log", 1_000);
  let told = 0;
  try {
    return await openStorage({
      folder,
      clock: systemClock,
      segmentBytes: SEGMENT_BYTES,
      limits: {
        waitingMax: 1,
        waitingBytesMax: WAITING_BYTES,
        commandBytesMax: WAITING_BYTES,
        holdMs: 0,
        retryMs: 0,
      },
      random16: () => randomBytes(16),
      onProgress: (doneBytes, totalBytes) => {
        const done = totalBytes === 0 ? 1_000 : Math.floor(1_000 * doneBytes / totalBytes);
        progress.step(done - told);
        told = done;
      },
      onSync: () => {},
      onBatch: () => {},
      onFatal: () => {}, // Nothing is committed.
    });
  } finally {
    progress.end();
  }
}

/**
 * Makes sure that no node runs in a directory, and that none starts in it, without
 * writing anything there.
 *
 * @throws {CommandError} If one runs, or there is no such directory.
 */
export function holdFolder(folder: string): Disposable {
  let file: Deno.FsFile;
  try {
    if (!Deno.statSync(folder).isDirectory) throw new Deno.errors.NotFound();
    file = Deno.openSync(join(folder, LOCK_NAME), { read: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (isFolder(folder)) return { [Symbol.dispose]: () => {} }; // No node ever ran in it.
    throw new CommandError(`Cannot open ${folder}: there is no such directory`);
  }
  if (!file.tryLockSync(true)) {
    file.close();
    throw new CommandError(`Cannot open ${folder}: a node has it open; stop that first`);
  }
  return { [Symbol.dispose]: () => file.close() };
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
