/**
 * Keys of what was evicted a short while ago, and nothing else of it.
 *
 * A ring of 32-bit hashes in the order of their eviction, and an open hash table
 * into it (linear probing; Knuth, The Art of Computer Programming, volume 3,
 * section 6.4, algorithm R to delete). All of it is in typed arrays: a `Map` whose
 * keys change with every eviction would be copied again and again. Two keys with
 * one hash are taken for one another, which costs a place in the wrong queue.
 *
 * @module
 */

const CAPACITY_AT_FIRST = 64;
/** 2^18 keys take 4 MB: 8 bytes in the ring and 8 in the table, which is half empty. */
const CAPACITY_MAX = 2 ** 18;

/** A 32-bit hash of a key (FNV-1a over UTF-16 units, Fowler, Noll, Vo); not for secrets. */
export function hashKey(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}

/** Hashes of keys, forgotten first in, first out. */
export class Ghosts {
  readonly #bytesMax: number;
  #hashes = new Int32Array(CAPACITY_AT_FIRST);
  /** 0 marks a place in the ring whose key is no longer remembered. */
  #sizes = new Uint32Array(CAPACITY_AT_FIRST);
  #table = new Int32Array(2 * CAPACITY_AT_FIRST);
  #start = 0;
  #length = 0;
  #count = 0;
  #bytes = 0;

  /** Remembers the keys of at most as many bytes of evicted things, and at most 2^18 keys. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#count;
  }

  /** Remembers that something of this size, at least 1, was evicted. */
  add(hash: number, sizeBytes: number): void {
    this.take(hash);
    if (this.#length === this.#hashes.length) {
      if (this.#length < CAPACITY_MAX) this.#grow();
      else this.#forgetOldest();
    }
    const place = (this.#start + this.#length) % this.#hashes.length;
    this.#hashes[place] = hash;
    this.#sizes[place] = Math.min(sizeBytes, 0xffff_ffff);
    this.#length++;
    this.#count++;
    this.#bytes += this.#sizes[place] ?? 0;
    this.#insert(place);
    while (this.#bytes > this.#bytesMax) this.#forgetOldest();
  }

  /** Whether a key is remembered, which it then no longer is. */
  take(hash: number): boolean {
    const index = this.#find(hash | 0);
    if (index < 0) return false;
    this.#forget((this.#table[index] ?? 0) - 1, index);
    return true;
  }

  #forgetOldest(): void {
    const place = this.#start;
    this.#start = (place + 1) % this.#hashes.length;
    this.#length--;
    if (this.#sizes[place] === 0) return;
    this.#forget(place, this.#find(this.#hashes[place] ?? 0));
  }

  #forget(place: number, index: number): void {
    this.#bytes -= this.#sizes[place] ?? 0;
    this.#sizes[place] = 0;
    this.#count--;
    this.#deleteAt(index);
  }

  /** Where in the table a hash is, or -1. */
  #find(hash: number): number {
    const mask = this.#table.length - 1;
    for (let index = hash & mask;; index = (index + 1) & mask) {
      const entry = this.#table[index] ?? 0;
      if (entry === 0) return -1;
      if (this.#hashes[entry - 1] === hash) return index;
    }
  }

  #insert(place: number): void {
    const mask = this.#table.length - 1;
    let index = (this.#hashes[place] ?? 0) & mask;
    while (this.#table[index] !== 0) index = (index + 1) & mask;
    this.#table[index] = place + 1;
  }

  /** Empties a place of the table and closes the gap, so that no search ends there too early. */
  #deleteAt(index: number): void {
    const mask = this.#table.length - 1;
    let gap = index;
    for (let next = (gap + 1) & mask;; next = (next + 1) & mask) {
      const entry = this.#table[next] ?? 0;
      if (entry === 0) break;
      const home = (this.#hashes[entry - 1] ?? 0) & mask;
      if (((next - home) & mask) < ((next - gap) & mask)) continue;
      this.#table[gap] = entry;
      gap = next;
    }
    this.#table[gap] = 0;
  }

  /** Doubles the ring, unless half of it is remembered no longer: then it is only tidied. */
  #grow(): void {
    const before = this.#hashes.length;
    const capacity = this.#count > before / 2 ? 2 * before : before;
    const [hashes, sizes, start] = [this.#hashes, this.#sizes, this.#start];
    this.#hashes = new Int32Array(capacity);
    this.#sizes = new Uint32Array(capacity);
    this.#table = new Int32Array(2 * capacity);
    let kept = 0;
    for (let i = 0; i < before; i++) {
      const place = (start + i) % before;
      const sizeBytes = sizes[place] ?? 0;
      if (sizeBytes === 0) continue;
      this.#hashes[kept] = hashes[place] ?? 0;
      this.#sizes[kept] = sizeBytes;
      this.#insert(kept);
      kept++;
    }
    this.#start = 0;
    this.#length = kept;
  }
}
