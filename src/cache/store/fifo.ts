/**
 * A first-in-first-out queue, weighed in bytes, from whose middle things can leave.
 *
 * An item that stands in two queues at once brings one {@linkcode Place} for each.
 * All operations take constant time and make no garbage.
 *
 * @module
 */

/** An item's place in one queue at a time. */
export class Place<Item> {
  /** Whose place it is. */
  readonly item: Item;
  /** What it weighs in the queue. */
  readonly sizeBytes: number;
  /** The place that came before; only the queue writes it. */
  older: Place<Item> | null = null;
  /** The place that came after; only the queue writes it. */
  newer: Place<Item> | null = null;

  /** A place in no queue yet. */
  constructor(item: Item, sizeBytes: number) {
    this.item = item;
    this.sizeBytes = sizeBytes;
  }
}

/** The queue. */
export class Fifo<Item> {
  #oldest: Place<Item> | null = null;
  #newest: Place<Item> | null = null;
  #bytes = 0;

  /** What came first of all that is still in it. */
  get oldest(): Item | null {
    return this.#oldest === null ? null : this.#oldest.item;
  }

  /** What its items weigh together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Puts an item at the end; its place must stand in no queue. */
  push(place: Place<Item>): void {
    place.older = this.#newest;
    if (this.#newest === null) this.#oldest = place;
    else this.#newest.newer = place;
    this.#newest = place;
    this.#bytes += place.sizeBytes;
  }

  /** Takes an item out; its place must stand in this queue. */
  delete(place: Place<Item>): void {
    if (place.older === null) this.#oldest = place.newer;
    else place.older.newer = place.newer;
    if (place.newer === null) this.#newest = place.older;
    else place.newer.older = place.older;
    place.older = null;
    place.newer = null;
    this.#bytes -= place.sizeBytes;
  }
}
