/**
 * A real folder as a {@linkcode Disk}.
 *
 * Reads and writes are synchronous: they end in the page cache within
 * microseconds, where a trip through Deno's thread pool costs ten times that.
 * Only syncs are asynchronous, because they wait for the device.
 *
 * @module
 */
import { type Disk, DiskError, type DiskFile } from "../ports.ts";
import { diskErrorOf } from "./disk_errors.ts";

/**
 * Opens a folder, which must be there.
 *
 * Needs read and write permission for the folder and nothing else. Names are
 * those of files right in it.
 *
 * @throws {DiskError} `missing` if there is no such folder, `denied` without permission.
 */
export function openFolder(path: string): Disk {
  try {
    if (Deno.statSync(path).isDirectory) return new Folder(path);
  } catch (cause) {
    throw diskErrorOf(cause, "open data directory");
  }
  throw new DiskError("missing", "Cannot open data directory: it is not a directory");
}

const OPEN_OPTIONS = {
  read: { read: true },
  write: { read: true, write: true },
  create: { read: true, write: true, createNew: true },
} as const;

class Folder implements Disk {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  list(): readonly string[] {
    try {
      const names: string[] = [];
      for (const entry of Deno.readDirSync(this.#path)) {
        if (entry.isFile) names.push(entry.name);
      }
      return names.sort();
    } catch (cause) {
      throw diskErrorOf(cause, "list data directory");
    }
  }

  open(name: string, mode: "read" | "write" | "create"): DiskFile {
    const path = this.#pathOf(name);
    try {
      return new FolderFile(name, Deno.openSync(path, OPEN_OPTIONS[mode]));
    } catch (cause) {
      throw diskErrorOf(cause, `${mode === "create" ? "create" : "open"} ${name}`);
    }
  }

  rename(from: string, to: string): void {
    const [fromPath, toPath] = [this.#pathOf(from), this.#pathOf(to)];
    try {
      Deno.renameSync(fromPath, toPath);
    } catch (cause) {
      throw diskErrorOf(cause, `rename ${from} to ${to}`);
    }
  }

  remove(name: string): void {
    const path = this.#pathOf(name);
    try {
      Deno.removeSync(path);
    } catch (cause) {
      throw diskErrorOf(cause, `remove ${name}`);
    }
  }

  async sync(): Promise<void> {
    try {
      // A folder opens for reading like a file, and fsync on it makes its entries last
      // (fsync(2): syncing a file does not sync the entry that leads to it).
      using folder = Deno.openSync(this.#path, { read: true });
      await folder.sync();
    } catch (cause) {
      throw diskErrorOf(cause, "sync data directory");
    }
  }

  #pathOf(name: string): string {
    if (name === "" || name === "." || name === ".." || name.includes("/")) {
      throw new DiskError("denied", "Cannot use file: its name leads out of the data directory");
    }
    return `${this.#path}/${name}`;
  }
}

class FolderFile implements DiskFile {
  readonly #name: string;
  readonly #file: Deno.FsFile;
  /** Where the system's cursor stands; −1 when that is not known. */
  #position = 0;

  constructor(name: string, file: Deno.FsFile) {
    this.#name = name;
    this.#file = file;
  }

  size(): number {
    try {
      return this.#file.statSync().size;
    } catch (cause) {
      throw diskErrorOf(cause, `read size of ${this.#name}`);
    }
  }

  read(offset: number, bytes: Uint8Array): number {
    try {
      this.#seek(offset);
      let done = 0;
      while (done < bytes.length) {
        const count = this.#file.readSync(done === 0 ? bytes : bytes.subarray(done));
        if (count === null || count === 0) break;
        done += count;
      }
      this.#position = offset + done;
      return done;
    } catch (cause) {
      this.#position = -1;
      throw diskErrorOf(cause, `read ${this.#name}`);
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    let done = 0;
    try {
      this.#seek(offset);
      while (done < bytes.length) {
        const count = this.#file.writeSync(done === 0 ? bytes : bytes.subarray(done));
        if (count === 0) break;
        done += count;
      }
      this.#position = offset + done;
    } catch (cause) {
      this.#position = -1;
      throw diskErrorOf(cause, `write ${this.#name}`);
    }
    if (done === bytes.length) return;
    throw new DiskError(
      "io",
      `Cannot write ${this.#name}: only ${done} of ${bytes.length} bytes were taken`,
    );
  }

  truncate(sizeBytes: number): void {
    try {
      this.#file.truncateSync(sizeBytes);
    } catch (cause) {
      throw diskErrorOf(cause, `truncate ${this.#name}`);
    }
  }

  async sync(): Promise<void> {
    try {
      await this.#file.syncData();
    } catch (cause) {
      throw diskErrorOf(cause, `sync ${this.#name}`);
    }
  }

  close(): void {
    try {
      this.#file.close();
    } catch (cause) {
      throw diskErrorOf(cause, `close ${this.#name}`);
    }
  }

  /** Moves the cursor; the log writes one piece behind the other, where it already stands. */
  #seek(offset: number): void {
    if (this.#position === offset) return;
    this.#file.seekSync(offset, Deno.SeekMode.Start);
  }
}
