/**
 * A simulated disk: a page cache that a power cut empties, and faults on demand.
 *
 * What is written lives in the cache until a sync of the file; what is created,
 * renamed or removed until a sync of the folder. A crash leaves every unsynced
 * sector lost, kept or torn, and a prefix of the unsynced folder operations.
 * All of it follows from the seed.
 *
 * @module
 */
import { type Disk, DiskError, type DiskFile } from "../../kv_node/ports.ts";
import type { Clock, Random } from "../../src/ports.ts";
import { SECTOR_BYTES, SimFile } from "./sim_file.ts";

/** How a disk is made. */
export interface SimDiskOptions {
  /** Seeded chance. */
  readonly random: Random;
  /** Time in which syncs take time. */
  readonly clock: Clock;
  /** How long the next sync takes, in milliseconds; 1 if not given. */
  readonly syncMs?: (random: Random) => number;
}

/** What can be made to fail. */
export type SimOperation = "sync" | "folder_sync" | "read" | "write" | "folder";

/** A fault that waits for its operation. */
export interface SimFault {
  /** What fails. */
  readonly operation: SimOperation;
  /** How. */
  readonly kind: "io" | "full" | "denied";
  /** How many such operations still go well before. */
  readonly after: number;
  /** Only on files of which this is true; not asked for folders. */
  readonly on?: (name: string) => boolean;
}

type FolderChange =
  | { readonly type: "create"; readonly name: string; readonly file: SimFile }
  | { readonly type: "rename"; readonly from: string; readonly to: string }
  | { readonly type: "remove"; readonly name: string };

/** Sectors of files that are gone, which may show up again in blocks never written. */
const STALE_SECTORS_MAX = 64;

/** A folder on a simulated disk. */
export class SimDisk implements Disk {
  readonly #options: SimDiskOptions;
  /** What programs see. */
  #names = new Map<string, SimFile>();
  /** What a power cut leaves at least, before `#changes`. */
  #durableNames = new Map<string, SimFile>();
  /** Not synced yet, oldest first. */
  #changes: FolderChange[] = [];
  /** Folder operations that were synced, ever. */
  #settled = 0;
  #stale: Uint8Array[] = [];
  #faults: { fault: SimFault; left: number }[] = [];
  #isDead = false;
  #crashIn: { operations: number; readonly crashed: () => void } | null = null;
  #operations = 0;
  /** The most that all files may hold together, in bytes. */
  capacityBytes: number = Infinity;

  /** An empty disk. */
  constructor(options: SimDiskOptions) {
    this.#options = options;
  }

  /** Whether the power is off: nothing that it is told is done, and nothing is answered. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** Operations so far that change something, syncs included. */
  get operations(): number {
    return this.#operations;
  }

  /** What all files hold together, in bytes. */
  get usedBytes(): number {
    let bytes = 0;
    for (const file of this.#names.values()) bytes += file.sizeBytes;
    return bytes;
  }

  /** Lets an operation fail. */
  inject(fault: SimFault): void {
    this.#faults.push({ fault, left: fault.after });
  }

  /** Whether all faults that were injected have happened. */
  get hasFailed(): boolean {
    return this.#faults.length === 0;
  }

  /** Cuts the power in the middle of one of the next operations. */
  crashIn(operations: number, crashed: () => void): void {
    this.#crashIn = { operations, crashed };
  }

  /** Cuts the power; the disk as it is found after that. This one is dead from now on. */
  crash(): SimDisk {
    this.#isDead = true;
    const { random } = this.#options;
    const survivor = new SimDisk(this.#options);
    survivor.capacityBytes = this.capacityBytes;
    const names = new Map(this.#durableNames);
    const kept = Math.floor(random() * (this.#changes.length + 1));
    for (const change of this.#changes.slice(0, kept)) applyChange(names, change);
    const stale = (chance: Random): Uint8Array | null =>
      this.#stale[Math.floor(chance() * this.#stale.length)] ?? null;
    for (const [name, file] of names) survivor.#names.set(name, file.afterCrash(random, stale));
    survivor.#durableNames = new Map(survivor.#names);
    survivor.#stale = this.#stale.slice();
    return survivor;
  }

  /** The same disk after an orderly end of the process: the cache stays, open files do not. */
  restart(): SimDisk {
    this.#isDead = true;
    const successor = new SimDisk(this.#options);
    successor.capacityBytes = this.capacityBytes;
    successor.#names = this.#names;
    successor.#durableNames = this.#durableNames;
    successor.#changes = this.#changes;
    successor.#stale = this.#stale;
    return successor;
  }

  /** Flips a bit of a file, on the disk as well as in the cache. */
  rot(name: string, offset: number, bit: number): void {
    this.#fileOf(name, "rot").flipBit(offset, bit);
  }

  /** Whether all of a file, and its name, would be found after a power cut. */
  isDurable(name: string): boolean {
    const file = this.#names.get(name);
    return file !== undefined && file.isClean && this.#durableNames.get(name) === file;
  }

  list(): readonly string[] {
    this.#live("list folder");
    return [...this.#names.keys()].sort();
  }

  open(name: string, mode: "read" | "write" | "create"): DiskFile {
    this.#live(`open ${name}`);
    if (mode !== "create") return this.#handle(name, this.#fileOf(name, "open"), mode);
    if (this.#names.has(name)) {
      throw new DiskError("exists", `Cannot create ${name}: there is such a file`);
    }
    const file = new SimFile();
    this.#change({ type: "create", name, file }, `create ${name}`);
    return this.#handle(name, file, mode);
  }

  rename(from: string, to: string): void {
    this.#fileOf(from, "rename");
    this.#change({ type: "rename", from, to }, `rename ${from}`);
  }

  remove(name: string): void {
    this.#fileOf(name, "remove");
    this.#change({ type: "remove", name }, `remove ${name}`);
  }

  async sync(): Promise<void> {
    this.#begin("folder_sync", null, "sync folder");
    const upTo = this.#settled + this.#changes.length;
    const names = new Map(this.#names);
    await this.#pass();
    this.#finish("folder_sync", null, "sync folder");
    // Another sync that began later may have ended before: then these are settled already.
    if (upTo <= this.#settled) return;
    this.#durableNames = names;
    this.#changes = this.#changes.slice(upTo - this.#settled);
    this.#settled = upTo;
  }

  #handle(name: string, file: SimFile, mode: "read" | "write" | "create"): DiskFile {
    let isOpen = true;
    const check = (action: string): void => {
      this.#live(`${action} ${name}`);
      if (!isOpen) throw new DiskError("io", `Cannot ${action} ${name}: it is closed`);
    };
    const checkWritable = (action: string): void => {
      check(action);
      if (mode !== "read") return;
      throw new DiskError("denied", `Cannot ${action} ${name}: it is open for reading only`);
    };
    return {
      size: () => {
        check("read size of");
        return file.sizeBytes;
      },
      read: (offset, bytes) => {
        check("read");
        this.#throwFault("read", name, `read ${name}`);
        return file.read(offset, bytes);
      },
      write: (offset, bytes) => {
        checkWritable("write");
        this.#write(name, file, offset, bytes);
      },
      truncate: (sizeBytes) => {
        checkWritable("truncate");
        this.#begin("write", name, `truncate ${name}`);
        this.#makeRoom(name, sizeBytes - file.sizeBytes);
        this.#keepStale(file, sizeBytes);
        file.resize(sizeBytes);
      },
      sync: async () => {
        check("sync");
        await this.#syncFile(name, file);
      },
      close: () => {
        check("close");
        isOpen = false;
      },
    };
  }

  #write(name: string, file: SimFile, offset: number, bytes: Uint8Array): void {
    this.#live(`write ${name}`);
    try {
      this.#begin("write", name, `write ${name}`);
      this.#makeRoom(name, offset + bytes.length - file.sizeBytes);
      file.write(offset, bytes);
    } catch (error) {
      // Some of it may have been taken before it failed.
      const room = Math.min(bytes.length, this.#roomBytes + Math.max(0, file.sizeBytes - offset));
      const taken = Math.floor(this.#options.random() * (room + 1));
      if (taken > 0) file.write(offset, bytes.subarray(0, taken));
      throw error;
    }
  }

  async #syncFile(name: string, file: SimFile): Promise<void> {
    this.#begin("sync", name, `sync ${name}`);
    const flush = file.beginFlush();
    await this.#pass();
    try {
      this.#finish("sync", name, `sync ${name}`);
    } catch (error) {
      if (!this.#isDead) file.breakFlush(flush, this.#options.random);
      throw error;
    }
    file.endFlush(flush);
  }

  get #roomBytes(): number {
    return Math.max(0, this.capacityBytes - this.usedBytes);
  }

  #makeRoom(name: string, growthBytes: number): void {
    if (growthBytes <= this.#roomBytes || growthBytes <= 0) return;
    throw new DiskError("full", `Cannot write ${name}: no space left on device`);
  }

  #change(change: FolderChange, action: string): void {
    this.#begin("folder", null, action);
    const goes = change.type === "create"
      ? undefined
      : this.#names.get(change.type === "rename" ? change.to : change.name);
    if (goes !== undefined) this.#keepStale(goes, 0);
    this.#changes.push(change);
    applyChange(this.#names, change);
  }

  /** An operation that changes something begins; the power may go off right here. */
  #begin(operation: SimOperation, name: string | null, action: string): void {
    this.#live(action);
    this.#operations++;
    if (this.#crashIn !== null && this.#crashIn.operations-- <= 0) {
      const { crashed } = this.#crashIn;
      this.#crashIn = null;
      this.#isDead = true;
      crashed();
      this.#live(action);
    }
    if (operation !== "sync" && operation !== "folder_sync") {
      this.#throwFault(operation, name, action);
    }
  }

  /** A sync, slow as it is, has come to its end. */
  #finish(operation: "sync" | "folder_sync", name: string | null, action: string): void {
    this.#live(action);
    this.#throwFault(operation, name, action);
  }

  #throwFault(operation: SimOperation, name: string | null, action: string): void {
    for (const waiting of this.#faults) {
      const { fault } = waiting;
      if (fault.operation !== operation) continue;
      if (name !== null && fault.on !== undefined && !fault.on(name)) continue;
      if (waiting.left-- > 0) continue;
      this.#faults = this.#faults.filter((other) => other !== waiting);
      throw new DiskError(fault.kind, `Cannot ${action}: ${fault.kind} (injected)`);
    }
  }

  /** Waits for the device; for ever if the power goes off meanwhile. */
  async #pass(): Promise<void> {
    const { clock, random, syncMs } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.after(syncMs?.(random) ?? 1, () => {
      if (!this.#isDead) resolve();
    });
    await promise;
  }

  #live(action: string): void {
    if (this.#isDead) throw new DiskError("io", `Cannot ${action}: the power is off`);
  }

  #fileOf(name: string, action: string): SimFile {
    this.#live(`${action} ${name}`);
    const file = this.#names.get(name);
    if (file !== undefined) return file;
    throw new DiskError("missing", `Cannot ${action} ${name}: there is no such file`);
  }

  /** What is cut off a file stays on the platter until something is written over it. */
  #keepStale(file: SimFile, fromBytes: number): void {
    const start = Math.ceil(fromBytes / SECTOR_BYTES) * SECTOR_BYTES;
    for (let offset = start; offset < file.sizeBytes; offset += SECTOR_BYTES) {
      const sector = new Uint8Array(SECTOR_BYTES);
      file.read(offset, sector);
      if (this.#stale.length < STALE_SECTORS_MAX) this.#stale.push(sector);
      else this.#stale[Math.floor(this.#options.random() * STALE_SECTORS_MAX)] = sector;
    }
  }
}

function applyChange(names: Map<string, SimFile>, change: FolderChange): void {
  if (change.type === "create") names.set(change.name, change.file);
  else if (change.type === "remove") names.delete(change.name);
  else {
    const file = names.get(change.from);
    if (file === undefined) return;
    names.delete(change.from);
    names.set(change.to, file);
  }
}
