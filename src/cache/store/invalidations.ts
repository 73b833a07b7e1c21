/**
 * What has been declared void, and since when.
 *
 * Invalidations are numbered. One by tag sets that tag's number; an entry is void
 * if its request had begun before one that matches it, that is under a smaller
 * number. So an invalidation costs one write, whatever it concerns, and holds for
 * answers that are still on their way.
 *
 * The table is bounded. What falls out of it is folded into the floor, the number
 * below which everything is void: too much is then forgotten, never too little.
 *
 * @module
 */
import type { CacheEntry, Selector } from "../types.ts";

/** What an entry says about what makes it void. */
export type Voidable = Pick<CacheEntry, "id" | "tags" | "sequence">;

/** Numbers of invalidations by tag, by id, and of all. */
export class Invalidations {
  readonly #marksMax: number;
  /** Tags are strings, ids are numbers; in the order of their last invalidation here. */
  readonly #marks = new Map<string | number, number>();
  #sequence = 0;
  #floor = 0;

  /** @param marksMax Tags and ids that are kept apart, at least 1. */
  constructor(marksMax: number) {
    this.#marksMax = marksMax;
  }

  /** The highest number so far. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Tags and ids that have a number of their own. */
  get size(): number {
    return this.#marks.size;
  }

  /**
   * Makes sure that the next invalidation gets a higher number than this, which an
   * entry from another gateway bears: otherwise it would not concern that entry.
   */
  reach(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  /** Notes an invalidation under a number, which may be below the highest so far. */
  note(sequence: number, selector: Selector): void {
    this.reach(sequence);
    if (selector.type === "all") {
      this.#raiseFloor(sequence);
      return;
    }
    const key = selector.type === "id" ? selector.id : selector.tag;
    const before = this.#marks.get(key) ?? 0;
    if (sequence <= before || sequence <= this.#floor) return;
    this.#marks.delete(key); // Written again, it stands last.
    this.#marks.set(key, sequence);
    if (this.#marks.size > this.#marksMax) this.#foldOldest();
  }

  /** Whether an entry is void. */
  covers({ id, tags, sequence }: Voidable): boolean {
    if (sequence >= this.#sequence) return false; // Nothing came since: the common case.
    if (sequence < this.#floor) return true;
    if (this.#marks.size === 0) return false;
    if (this.#isAfter(id, sequence)) return true;
    for (const tag of tags) {
      if (this.#isAfter(tag, sequence)) return true;
    }
    return false;
  }

  #isAfter(key: string | number, sequence: number): boolean {
    const mark = this.#marks.get(key);
    return mark !== undefined && sequence < mark;
  }

  #foldOldest(): void {
    for (const [key, sequence] of this.#marks) {
      this.#marks.delete(key);
      this.#floor = Math.max(this.#floor, sequence);
      return;
    }
  }

  #raiseFloor(sequence: number): void {
    this.#floor = Math.max(this.#floor, sequence);
    if (this.#floor >= this.#sequence) this.#marks.clear(); // None says more than the floor.
  }
}
