/**
 * A disk in memory that can lose power, fill up, fail and rot, for tests.
 *
 * What was written and not synced is kept apart by sectors of 512 bytes, and so is
 * what was done to the folder. A power cut keeps any part of both.
 *
 * @module
 */
import { type Disk, DiskError, type DiskFailure, type DiskFile } from "../ports.ts";

/** Something that is done to the disk, for {@linkcode MemoryDisk.fault}. */
export type DiskOperation = "create" | "read" | "write" | "sync" | "rename" | "remove" | "syncAll";

const SECTOR_BYTES = 512;

interface Inode {
  bytes: Uint8Array;
  length: number;
  durable: Uint8Array;
  /** Sectors that are not on disk, each with the number of the write that changed it last. */
  readonly dirty: Map<number, number>;
  writes: number;
}

type FolderChange =
  | { readonly type: "create"; readonly name: string; readonly inode: Inode }
  | {
    readonly type: "rename";
    readonly from: string;
    readonly to: string;
    readonly inode: Inode;
  }
  | { readonly type: "remove"; readonly name: string };

/** One flat folder in memory. */
export class MemoryDisk implements Disk {
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #changes: FolderChange[] = [];
  /** How many bytes all files may have together. */
  capacityBytes = Infinity;
  /** Says whether an operation fails, and how; a failing write writes half. */
  fault: (operation: DiskOperation, name: string) => DiskFailure | null = () => null;
  /** Waited for by every sync, before anything is on disk. */
  beforeSync: (name: string) => Promise<void> = () => Promise.resolve();
  /** Called with each write that succeeded. */
  onWrite: (name: string, offset: number, bytes: Uint8Array) => void = () => {};

  /** Bytes of all files. */
  get usedBytes(): number {
    let used = 0;
    for (const inode of new Set(this.#names.values())) used += inode.length;
    return used;
  }

  /** Names of the files in it, sorted. */
  list(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  /** Opens or creates a file. */
  open(name: string, mode: "read" | "write" | "create"): DiskFile {
    if (mode === "create") {
      this.check("create", name);
      if (this.#names.has(name)) throw new DiskError("exists", `Cannot create ${name}: it exists`);
      const inode = inodeOf(NOTHING);
      this.#names.set(name, inode);
      this.#changes.push({ type: "create", name, inode });
    }
    const inode = this.#names.get(name);
    if (inode === undefined) throw new DiskError("missing", `Cannot open ${name}: no such file`);
    return new MemoryFile(this, name, inode);
  }

  /** Renames, replacing. */
  rename(from: string, to: string): void {
    this.check("rename", to);
    const inode = this.#names.get(from);
    if (inode === undefined) throw new DiskError("missing", `Cannot rename ${from}: no such file`);
    const one: FolderChange = { type: "rename", from, to, inode };
    this.#changes.push(one);
    change(this.#names, one);
  }

  /** Removes a file. */
  remove(name: string): void {
    this.check("remove", name);
    if (!this.#names.has(name)) throw new DiskError("missing", `Cannot remove ${name}: no file`);
    this.#changes.push({ type: "remove", name });
    this.#names.delete(name);
  }

  /** Makes what was done to the folder last. */
  async sync(): Promise<void> {
    const changes = this.#changes;
    await this.beforeSync("");
    this.check("syncAll", "");
    for (const one of changes) change(this.#durableNames, one);
    this.#changes = this.#changes.filter((one) => !changes.includes(one));
  }

  /** All bytes of a file as they are now; changes to them are changes of the disk. */
  contentOf(name: string): Uint8Array {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new DiskError("missing", `Cannot read ${name}: no such file`);
    return inode.bytes.subarray(0, inode.length);
  }

  /** The same files as they are now, without faults: what a killed process leaves. */
  copy(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const [name, { bytes, length }] of this.#names) {
      const inode = inodeOf(bytes.slice(0, length));
      copy.#names.set(name, inode);
      copy.#durableNames.set(name, inode);
    }
    return copy;
  }

  /** What a power cut leaves; `isKept` is asked for each thing that was not synced. */
  cutPower(isKept: () => boolean): MemoryDisk {
    return this.#survivor(isKept);
  }

  /** Fails as `fault` says. */
  check(operation: DiskOperation, name: string): void {
    const kind = this.fault(operation, name);
    if (kind !== null) throw new DiskError(kind, `Cannot ${operation} ${name}: ${kind}`);
  }

  #survivor(isKept: () => boolean): MemoryDisk {
    const names = new Map(this.#durableNames);
    for (const one of this.#changes) if (isKept()) change(names, one);
    const survivor = new MemoryDisk();
    const inodes = new Map<Inode, Inode>();
    for (const [name, inode] of names) {
      const kept = inodes.get(inode) ?? survivorOf(inode, isKept);
      inodes.set(inode, kept);
      survivor.#names.set(name, kept);
      survivor.#durableNames.set(name, kept);
    }
    return survivor;
  }
}

const NOTHING = new Uint8Array(0);

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk;
  readonly #name: string;
  readonly #inode: Inode;
  #isOpen = true;

  constructor(disk: MemoryDisk, name: string, inode: Inode) {
    this.#disk = disk;
    this.#name = name;
    this.#inode = inode;
  }

  size(): number {
    return this.#inode.length;
  }

  read(offset: number, bytes: Uint8Array): number {
    this.#check("read");
    const part = this.#inode.bytes.subarray(offset, Math.min(offset + bytes.length, this.size()));
    bytes.set(part);
    return part.length;
  }

  write(offset: number, bytes: Uint8Array): void {
    const kind = this.#disk.fault("write", this.#name);
    const growth = Math.max(0, offset + bytes.length - this.#inode.length);
    const room = this.#disk.capacityBytes - this.#disk.usedBytes;
    const isFull = growth > room;
    const half = kind === null ? bytes.length - (growth - Math.max(room, 0)) : bytes.length >> 1;
    put(this.#inode, offset, kind === null && !isFull ? bytes : bytes.subarray(0, half));
    if (kind === null && !isFull) return this.#disk.onWrite(this.#name, offset, bytes);
    throw new DiskError(kind ?? "full", `Cannot write ${this.#name}: ${kind ?? "full"}`);
  }

  truncate(sizeBytes: number): void {
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(this.#inode.bytes.subarray(0, Math.min(sizeBytes, this.#inode.length)));
    this.#inode.bytes = bytes;
    this.#inode.length = sizeBytes;
  }

  async sync(): Promise<void> {
    const inode = this.#inode;
    const { length } = inode;
    const sectors = [...inode.dirty].map(([sector, write]) => {
      const start = sector * SECTOR_BYTES;
      return { sector, write, start, bytes: inode.bytes.slice(start, start + SECTOR_BYTES) };
    });
    await this.#disk.beforeSync(this.#name);
    this.#check("sync");
    if (length > inode.durable.length) inode.durable = resized(inode.durable, length);
    for (const { sector, write, start, bytes } of sectors) {
      inode.durable.set(bytes.subarray(0, inode.durable.length - start), start);
      if (inode.dirty.get(sector) === write) inode.dirty.delete(sector);
    }
  }

  close(): void {
    if (!this.#isOpen) throw new DiskError("io", `Cannot close ${this.#name}: it is closed`);
    this.#isOpen = false;
  }

  #check(operation: DiskOperation): void {
    if (!this.#isOpen) throw new DiskError("io", `Cannot use ${this.#name}: it is closed`);
    this.#disk.check(operation, this.#name);
  }
}

/** A file of which all is on disk. */
function inodeOf(bytes: Uint8Array): Inode {
  return { bytes, length: bytes.length, durable: bytes.slice(), dirty: new Map(), writes: 0 };
}

function put(inode: Inode, offset: number, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  const end = offset + bytes.length;
  if (end > inode.bytes.length) inode.bytes = resized(inode.bytes, Math.max(end, 4096));
  inode.bytes.set(bytes, offset);
  const first = Math.min(offset, inode.length);
  inode.length = Math.max(inode.length, end);
  inode.writes++;
  for (let at = Math.floor(first / SECTOR_BYTES); at * SECTOR_BYTES < end; at++) {
    {
      inode.dirty.set(at, inode.writes);
    }
  }
}

function survivorOf(inode: Inode, isKept: () => boolean): Inode {
  const length = inode.length > inode.durable.length && isKept()
    ? inode.length
    : Math.min(inode.length, inode.durable.length);
  const bytes = resized(inode.durable, length);
  for (const sector of [...inode.dirty.keys()].sort((one, other) => one - other)) {
    if (isKept()) copySector(inode.bytes.subarray(0, length), bytes, sector);
  }
  return inodeOf(bytes);
}

function copySector(from: Uint8Array, to: Uint8Array, sector: number): void {
  const start = sector * SECTOR_BYTES;
  if (start >= to.length) return;
  to.set(from.subarray(start, Math.min(start + SECTOR_BYTES, to.length)), start);
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}

function change(names: Map<string, Inode>, one: FolderChange): void {
  if (one.type === "create") {
    names.set(one.name, one.inode);
  } else if (one.type === "remove") {
    names.delete(one.name);
  } else {
    // It names the same file, even if what was done to the old name before was lost.
    if (names.get(one.from) === one.inode) names.delete(one.from);
    names.set(one.to, one.inode);
  }
}
