/**
 * One data directory, one process.
 *
 * @module
 */
import { DiskError } from "../ports.ts";
import { diskErrorOf } from "./disk_errors.ts";

/** The file that is locked; it stays when the lock goes. */
export const LOCK_NAME = "lock";

/** The most that is read of a lock file: a process number. */
const HOLDER_BYTES_MAX = 20;

/**
 * Locks a folder for this process, until disposed or the process has ended in
 * whatever way: the system drops the lock (`flock`) with the last open file.
 *
 * The file is never removed, for whoever removes it could not know whether
 * another process has just opened it and locks what has no name any more.
 *
 * @throws {DiskError} `denied` if another process has it, or the folder may not be written.
 */
export function lockFolder(path: string): Disposable {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(`${path}/${LOCK_NAME}`, { read: true, write: true, create: true });
  } catch (cause) {
    throw diskErrorOf(cause, "lock data directory");
  }
  try {
    if (!file.tryLockSync(true)) throw heldError(file);
    writeHolder(file);
  } catch (cause) {
    file.close();
    throw cause instanceof DiskError ? cause : diskErrorOf(cause, "lock data directory");
  }
  let isHeld = true;
  return {
    [Symbol.dispose](): void {
      if (!isHeld) return;
      isHeld = false;
      file.close();
    },
  };
}

function heldError(file: Deno.FsFile): DiskError {
  const bytes = new Uint8Array(HOLDER_BYTES_MAX);
  const text = new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  const holder = /^\d+\n$/.test(text) ? `process ${text.trim()}` : "another process";
  return new DiskError(
    "denied",
    `Cannot lock data directory: ${holder} has it open; end that one first, or use another directory`,
  );
}

/** Notes who holds it, for the message alone: a full disk must not keep a node from starting. */
function writeHolder(file: Deno.FsFile): void {
  try {
    file.truncateSync(0);
    file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
  } catch {
    // The lock holds all the same.
  }
}
