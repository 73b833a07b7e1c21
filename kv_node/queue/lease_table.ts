/**
 * Who has which message until when: in memory only, and bounded by its owner.
 *
 * Ends are kept in a binary heap. A lease that was extended or dropped leaves its
 * old place in the heap behind; such places are passed over when they come to the
 * top, and cleared away when they are more than the leases themselves.
 *
 * @module
 */

/** A message in somebody's hands. */
export interface Lease {
  /** Complete key of the message. */
  readonly key: Uint8Array;
  /** The key as a text. */
  readonly name: string;
  /** Rises with every lease of this node, over restarts too. */
  readonly number: number;
  /** When it ends, on the steady clock. */
  readonly endMs: number;
  /** Whether its end is being written down: nothing else may happen to it. */
  readonly isSettling: boolean;
}

interface MutableLease extends Lease {
  endMs: number;
  isSettling: boolean;
}

interface Place {
  readonly endMs: number;
  readonly lease: MutableLease;
}

const SPARE_PLACES = 64;

/** Leases by message and by end. */
export class LeaseTable {
  readonly #byName = new Map<string, MutableLease>();
  #heap: Place[] = [];
  #nextNumber: number;

  /** An empty table whose leases are numbered from `firstNumber` on. */
  constructor(firstNumber: number) {
    this.#nextNumber = firstNumber;
  }

  /** How many there are. */
  get size(): number {
    return this.#byName.size;
  }

  /** The lease of a message, or `undefined`. */
  get(name: string): Lease | undefined {
    return this.#byName.get(name);
  }

  /** Whether a message is leased. */
  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Leases a message that is not leased. */
  add(key: Uint8Array, name: string, endMs: number): Lease {
    if (this.#byName.has(name)) throw new Error("Cannot lease message: it is leased already");
    const lease: MutableLease = {
      key,
      name,
      number: this.#nextNumber++,
      endMs,
      isSettling: false,
    };
    this.#byName.set(name, lease);
    this.#push({ endMs, lease });
    return lease;
  }

  /** Moves its end, and makes it an ordinary lease again. */
  extend({ name }: Lease, endMs: number): void {
    const lease = this.#byName.get(name);
    if (lease === undefined) return;
    lease.endMs = endMs;
    lease.isSettling = false;
    this.#push({ endMs, lease });
  }

  /** Notes that its end is being written down. */
  settle({ name }: Lease): void {
    const lease = this.#byName.get(name);
    if (lease !== undefined) lease.isSettling = true;
  }

  /** Forgets it. */
  drop({ name }: Lease): void {
    this.#byName.delete(name);
  }

  /** The lease that ends first, if that is at `nowMs` or before. */
  over(nowMs: number): Lease | null {
    const first = this.#first();
    return first !== null && first.endMs <= nowMs ? first.lease : null;
  }

  /** When the next lease ends; `null` if none does. */
  get nextEndMs(): number | null {
    return this.#first()?.endMs ?? null;
  }

  /** The first place that still counts. */
  #first(): Place | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return null;
      if (this.#counts(first)) return first;
      this.#pop();
    }
  }

  #counts({ endMs, lease }: Place): boolean {
    return !lease.isSettling && lease.endMs === endMs && this.#byName.get(lease.name) === lease;
  }

  #clear(): void {
    const places = this.#heap.filter((place) => this.#counts(place));
    // A sorted array is a heap.
    this.#heap = places.sort((one, other) => one.endMs - other.endMs);
  }

  #push(place: Place): void {
    if (this.#heap.length > 2 * this.#byName.size + SPARE_PLACES) this.#clear();
    const heap = this.#heap;
    let at = heap.length;
    heap.push(place);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.endMs <= place.endMs) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = place;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = heap[below];
      if (child === undefined) break;
      const right = heap[below + 1];
      if (right !== undefined && right.endMs < child.endMs) {
        child = right;
        below++;
      }
      if (child.endMs >= last.endMs) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}
