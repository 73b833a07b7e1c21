/**
 * A file that is there when all of it is: written beside under another name,
 * synced, renamed.
 *
 * @module
 */
import { dirname } from "node:path";

/** What is added to a name while the file is not whole. */
const PARTIAL = ".partial";

/** A file on its way. */
export class NewFile implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #isDone = false;

  /**
   * Begins; what an interrupted run left under the other name is written over.
   *
   * @param path What it will be called; a file of that name is replaced in the end.
   * @throws {Error} If somebody else is writing it.
   */
  constructor(path: string) {
    this.#path = path;
    this.#file = Deno.openSync(path + PARTIAL, { write: true, create: true, mode: 0o600 });
    // Locked, so that two runs do not write into one file; and it must be the one of that
    // name still, for whoever had the lock may just have finished and renamed it.
    if (!this.#file.tryLockSync(true) || this.#isRenamed()) {
      this.#file.close();
      throw new BusyFileError(path);
    }
    this.#file.truncateSync();
  }

  /** Where it grows, for whoever writes it by other means. */
  get partialPath(): string {
    return this.#path + PARTIAL;
  }

  /** Writes the next bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) rest = rest.subarray(await this.#file.write(rest));
  }

  /** All was written: it gets its name, and both will survive a power cut. */
  async finish(): Promise<void> {
    await this.#file.sync();
    Deno.renameSync(this.partialPath, this.#path);
    this.#isDone = true;
    syncFolder(dirname(this.#path));
  }

  /** Throws it away, if it was not finished. */
  [Symbol.dispose](): void {
    if (!this.#isDone) Deno.removeSync(this.partialPath);
    this.#file.close();
  }

  #isRenamed(): boolean {
    try {
      return Deno.statSync(this.#path + PARTIAL).ino !== this.#file.statSync().ino;
    } catch {
      return true;
    }
  }
}

/** Somebody else is writing the file. */
export class BusyFileError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "BusyFileError";

  /** Says which. */
  constructor(path: string) {
    super(`Cannot write ${path}: another process is writing it`);
  }
}

/** Makes what was created, renamed and removed in a folder last. */
export function syncFolder(path: string): void {
  using folder = Deno.openSync(path, { read: true });
  folder.syncSync();
}
