/**
 * Entries that wait to be written: bounded in number and bytes, oldest out first.
 *
 * @module
 */
import type { CacheEntry } from "../cache/types.ts";

/** A vector, and whose it is. */
export interface EntryVector {
  /** Identity of embedder and model. */
  readonly embedder: string;
  /** The vector. */
  readonly vector: Float32Array;
}

/** An entry that waits. */
export interface Waiting {
  /** The entry. */
  readonly entry: CacheEntry;
  /** Its vector, if there is one. */
  readonly vector: EntryVector | null;
  /** Since when, on the clock. */
  readonly sinceMs: number;
}

/** How much may wait. */
export interface QueueLimits {
  /** Entries. */
  readonly entriesMax: number;
  /** Bytes of entries and vectors. */
  readonly bytesMax: number;
}

/** The queue. */
export class WriteQueue {
  readonly #limits: QueueLimits;
  /** By id, in the order of arrival. */
  readonly #waiting = new Map<number, Waiting>();
  #bytes = 0;

  /** Empty. */
  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Entries that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** What they occupy. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Since when the oldest waits, on the clock; `null` if none does. */
  get oldestMs(): number | null {
    for (const { sinceMs } of this.#waiting.values()) return sinceMs;
    return null;
  }

  /**
   * Adds an entry; one with the same id gives way to it, and keeps its place.
   *
   * @returns How many entries had to go for it; itself, if it is larger than all the room.
   */
  push(waiting: Waiting): number {
    if (bytesOf(waiting) > this.#limits.bytesMax) return 1;
    const before = this.#waiting.get(waiting.entry.id);
    if (before !== undefined) this.#bytes -= bytesOf(before);
    this.#waiting.set(waiting.entry.id, {
      entry: waiting.entry,
      vector: waiting.vector ?? before?.vector ?? null,
      sinceMs: before?.sinceMs ?? waiting.sinceMs,
    });
    this.#bytes += bytesOf(this.#waiting.get(waiting.entry.id) ?? waiting);
    return this.#trim();
  }

  /** Takes the oldest entries out: at least one, if there is any, within these limits. */
  take(entriesMax: number, bytesMax: number): readonly Waiting[] {
    const taken: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting.values()) {
      const more = bytesOf(waiting);
      if (taken.length > 0 && (taken.length >= entriesMax || bytes + more > bytesMax)) break;
      taken.push(waiting);
      bytes += more;
    }
    for (const { entry } of taken) this.#waiting.delete(entry.id);
    this.#bytes -= bytes;
    return taken;
  }

  /** Puts entries back where they were taken; returns how many had to go since. */
  putBack(taken: readonly Waiting[]): number {
    const later = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#bytes = 0;
    for (const waiting of [...taken, ...later]) {
      const before = this.#waiting.get(waiting.entry.id);
      if (before !== undefined) this.#bytes -= bytesOf(before);
      this.#waiting.set(waiting.entry.id, waiting);
      this.#bytes += bytesOf(waiting);
    }
    return this.#trim();
  }

  /** Takes an entry out, if it waits. */
  discard(id: number): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return false;
    this.#bytes -= bytesOf(waiting);
    return this.#waiting.delete(id);
  }

  #trim(): number {
    let dropped = 0;
    for (const { entry } of this.#waiting.values()) {
      const { entriesMax, bytesMax } = this.#limits;
      if (this.#waiting.size <= entriesMax && this.#bytes <= bytesMax) break;
      this.discard(entry.id);
      dropped++;
    }
    return dropped;
  }
}

function bytesOf({ entry, vector }: Waiting): number {
  return entry.sizeBytes + (vector?.vector.byteLength ?? 0);
}
