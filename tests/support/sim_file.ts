/**
 * Content of a simulated file: what is in the page cache, and what is on the disk.
 *
 * @module
 */
import type { Random } from "../../src/ports.ts";

/** What a disk writes whole, or may tear. */
export const SECTOR_BYTES = 512;

/** Content that is being synced: each sector as it was when the sync began. */
export interface Flush {
  readonly sectors: ReadonlyMap<number, Uint8Array>;
  readonly sizeBytes: number;
}

/** A file without a name. */
export class SimFile {
  #cached = new Uint8Array(0);
  #durable = new Uint8Array(0);
  #sizeBytes = 0;
  #durableBytes = 0;
  /** Sectors whose cached content may not be on the disk. */
  #dirty = new Set<number>();
  readonly #flushes = new Set<Flush>();

  /** Its length as programs see it. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Its length as it would be found after a power cut, at least. */
  get durableBytes(): number {
    return this.#durableBytes;
  }

  /** Whether all of it would be found after a power cut. */
  get isClean(): boolean {
    return this.#dirty.size === 0 && this.#sizeBytes === this.#durableBytes;
  }

  /** Reads from the page cache. */
  read(offset: number, bytes: Uint8Array): number {
    const end = Math.min(this.#sizeBytes, offset + bytes.length);
    if (end <= offset) return 0;
    bytes.set(this.#cached.subarray(offset, end));
    return end - offset;
  }

  /** Writes to the page cache. */
  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    this.resize(Math.max(this.#sizeBytes, end));
    this.#cached.set(bytes, offset);
    this.#soil(offset, end);
  }

  /** Cuts or extends by zeros, in the page cache. */
  resize(sizeBytes: number): void {
    if (sizeBytes > this.#cached.length) {
      const grown = new Uint8Array(Math.max(sizeBytes, 2 * this.#cached.length));
      grown.set(this.#cached.subarray(0, this.#sizeBytes));
      this.#cached = grown;
    }
    const [low, high] = [
      Math.min(sizeBytes, this.#sizeBytes),
      Math.max(sizeBytes, this.#sizeBytes),
    ];
    if (low < high) {
      this.#cached.fill(0, low, high);
      this.#soil(low, high);
    }
    this.#sizeBytes = sizeBytes;
  }

  /** A sync begins: what is written from now on is not part of it. */
  beginFlush(): Flush {
    const sectors = new Map<number, Uint8Array>();
    // A sync also waits for what earlier ones have under way.
    for (const flush of this.#flushes) {
      for (const sector of flush.sectors.keys()) this.#dirty.add(sector);
    }
    for (const sector of this.#dirty) sectors.set(sector, this.#cachedSector(sector));
    const flush = { sectors, sizeBytes: this.#sizeBytes };
    this.#dirty = new Set();
    this.#flushes.add(flush);
    return flush;
  }

  /** A sync has ended well, and with it all that began before it. */
  endFlush(flush: Flush): void {
    if (!this.#flushes.has(flush)) return;
    for (const earlier of this.#flushes) {
      this.#flushes.delete(earlier);
      if (earlier === flush) break;
    }
    this.#setDurableSize(flush.sizeBytes);
    for (const [sector, bytes] of flush.sectors) this.#putDurable(sector, bytes);
  }

  /**
   * A sync has failed: each sector is on the disk or is not, the cache shows what was
   * written or what is on the disk, and the system believes all of it to be clean.
   */
  breakFlush(flush: Flush, random: Random): void {
    if (!this.#flushes.delete(flush)) return;
    if (random() < 0.5) this.#setDurableSize(flush.sizeBytes);
    for (const [sector, bytes] of flush.sectors) {
      const chance = random();
      if (chance < 0.4) this.#putDurable(sector, bytes);
      else if (chance < 0.7 && !this.#dirty.has(sector)) {
        const start = sector * SECTOR_BYTES;
        const end = Math.min(start + SECTOR_BYTES, this.#sizeBytes);
        if (end > start) {
          this.#cached.set(this.#durableSector(sector).subarray(0, end - start), start);
        }
      }
    }
  }

  /**
   * The file after a power cut: every sector that was not synced is as it was, as it
   * was to be, or torn between the two; the length is old, new or in between.
   *
   * @param stale What may lie in blocks that never were this file's.
   */
  afterCrash(random: Random, stale: (random: Random) => Uint8Array | null): SimFile {
    const unsynced = new Set(this.#dirty);
    for (const flush of this.#flushes) {
      for (const sector of flush.sectors.keys()) unsynced.add(sector);
    }
    const survivor = new SimFile();
    survivor.#durable = this.#durable.slice();
    survivor.#durableBytes = this.#durableBytes;
    const sizeBytes = this.#survivingSize(random);
    if (sizeBytes !== survivor.#durableBytes) survivor.#setDurableSize(sizeBytes);
    for (const sector of [...unsynced].sort((one, other) => one - other)) {
      if (sector * SECTOR_BYTES >= sizeBytes) continue;
      survivor.#putDurable(sector, this.#survivingSector(sector, random, stale));
    }
    survivor.#cached = survivor.#durable.slice();
    survivor.#sizeBytes = sizeBytes;
    return survivor;
  }

  /** Flips a bit, on the disk and in the cache. */
  flipBit(offset: number, bit: number): void {
    for (const bytes of [this.#durable, this.#cached]) {
      if (offset < bytes.length) bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
    }
  }

  #survivingSize(random: Random): number {
    const sizes = [this.#durableBytes, this.#sizeBytes];
    for (const flush of this.#flushes) sizes.push(flush.sizeBytes);
    const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
    if (low === high) return low;
    const chance = random();
    if (chance < 0.4) return sizes[Math.floor(random() * sizes.length)] ?? low;
    return low + Math.floor(random() * (high - low + 1));
  }

  #survivingSector(
    sector: number,
    random: Random,
    stale: (random: Random) => Uint8Array | null,
  ): Uint8Array {
    const versions = [this.#durableSector(sector)];
    for (const flush of this.#flushes) {
      const bytes = flush.sectors.get(sector);
      if (bytes !== undefined) versions.push(bytes);
    }
    if (this.#dirty.has(sector)) versions.push(this.#cachedSector(sector));
    const isNew = sector * SECTOR_BYTES >= this.#durableBytes;
    if (isNew && random() < 0.1) {
      const garbage = stale(random);
      if (garbage !== null) return garbage;
    }
    const first = versions[Math.floor(random() * versions.length)] ?? new Uint8Array(SECTOR_BYTES);
    if (random() < 0.7) return first;
    const second = versions[Math.floor(random() * versions.length)] ?? first;
    const torn = first.slice();
    const at = Math.floor(random() * SECTOR_BYTES);
    torn.set(second.subarray(at), at);
    return torn;
  }

  #soil(start: number, end: number): void {
    for (let sector = Math.floor(start / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
      this.#dirty.add(sector);
    }
  }

  #cachedSector(sector: number): Uint8Array {
    return sectorOf(this.#cached, sector, this.#sizeBytes);
  }

  #durableSector(sector: number): Uint8Array {
    return sectorOf(this.#durable, sector, this.#durableBytes);
  }

  #setDurableSize(sizeBytes: number): void {
    const sized = new Uint8Array(sizeBytes);
    sized.set(this.#durable.subarray(0, Math.min(sizeBytes, this.#durableBytes)));
    this.#durable = sized;
    this.#durableBytes = sizeBytes;
  }

  #putDurable(sector: number, bytes: Uint8Array): void {
    const start = sector * SECTOR_BYTES;
    const length = Math.min(SECTOR_BYTES, this.#durableBytes - start);
    if (length > 0) this.#durable.set(bytes.subarray(0, length), start);
  }
}

function sectorOf(content: Uint8Array, sector: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR_BYTES);
  const start = sector * SECTOR_BYTES;
  bytes.set(content.subarray(start, Math.max(start, Math.min(start + SECTOR_BYTES, sizeBytes))));
  return bytes;
}
