/**
 * Where an entry is found: by id, by the digest of its request, by that of its
 * folded request.
 *
 * Ordinary maps: entries live long, so what a map's outgrown table keeps alive
 * (see `relay/roster.ts`) is little beside the entries themselves.
 *
 * @module
 */
import type { CacheEntry } from "../types.ts";

/** Something that holds an entry. */
export interface Holder {
  /** The entry. */
  readonly value: CacheEntry;
}

/** Three ways to the same items. */
export class Directory<Item extends Holder> {
  readonly #byId = new Map<number, Item>();
  readonly #byExact = new Map<string, Item>();
  readonly #byCanonical = new Map<string, Item>();

  /** How many items there are. */
  get size(): number {
    return this.#byId.size;
  }

  /** How many folded requests lead to an item. */
  get canonicalSize(): number {
    return this.#byCanonical.size;
  }

  /** The item with this id. */
  byId(id: number): Item | undefined {
    return this.#byId.get(id);
  }

  /** The item with this exact key. */
  byExact(key: string): Item | undefined {
    return this.#byExact.get(key);
  }

  /** The newest item with this canonical key; none once that one is gone, older ones or not. */
  byCanonical(key: string): Item | undefined {
    return this.#byCanonical.get(key);
  }

  /** All items, oldest first; those that come or go meanwhile do no harm. */
  items(): MapIterator<Item> {
    return this.#byId.values();
  }

  /** Adds an item whose id and exact key are not taken. */
  add(item: Item): void {
    const { id, exactKey, canonicalKey } = item.value;
    this.#byId.set(id, item);
    this.#byExact.set(exactKey, item);
    if (canonicalKey !== null) this.#byCanonical.set(canonicalKey, item);
  }

  /** Takes out an item that is in it. */
  delete(item: Item): void {
    const { id, exactKey, canonicalKey } = item.value;
    this.#byId.delete(id);
    this.#byExact.delete(exactKey);
    if (canonicalKey !== null && this.#byCanonical.get(canonicalKey) === item) {
      this.#byCanonical.delete(canonicalKey);
    }
  }
}
