/**
 * Which entry goes when there is no room: S3-FIFO, over sizes in bytes.
 *
 * What is new stands in a small queue, a tenth of the room. What was asked for
 * again by the time it gets to the front moves to the main queue; the rest leaves,
 * and only its key is remembered for a while (a ghost). What comes back as a ghost
 * goes straight to the main queue, where each use, three at most, is worth one more
 * round. A hit moves nothing, it counts.
 *
 * So a flood of prompts that never come again passes through the small queue and
 * leaves the main one alone, where LRU would be washed out.
 *
 * Each item stands in two pairs of queues: those of all, and those of its lane
 * (its tenant), in the same order. Either can thus give up an item by the same
 * rules, for want of room in all or in the lane, in constant time.
 *
 * Source: J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi, "FIFO queues are all you
 * need for cache eviction", SOSP 2023, algorithm 1. Beyond it: lanes; items that are
 * good for nothing any more get no further round; at most {@linkcode CHANCES_MAX}
 * items are passed over for one eviction, so that none takes long.
 *
 * @module
 */
import { Fifo, Place } from "./fifo.ts";
import { Ghosts } from "./ghosts.ts";

/** The small queue's share of the room. */
const SMALL_SHARE = 0.1;
/** Bytes of evicted things whose keys are remembered, as a share of the room: the main queue's. */
const GHOST_SHARE = 0.9;
/** A two-bit counter's end. */
const USES_MAX = 3;
/**
 * Uses in the small queue that lead to the main one. The paper's algorithm says 2, its
 * text "accessed more than once"; 1 gives 0.6 to 1.3 points more hits on a Zipf trace
 * with scans and room for 10 or 30 %, and is equal elsewhere (`bench/cache_eviction.ts`).
 */
const USES_TO_STAY = 1;
/** Items that get another chance before one is evicted in spite of its uses. */
export const CHANCES_MAX = 1024;

/** The two queues of everything, or of one lane. */
class Queues<Item> {
  readonly small = new Fifo<Item>();
  readonly main = new Fifo<Item>();
  readonly smallBytesMax: number;

  constructor(bytesMax: number) {
    this.smallBytesMax = bytesMax * SMALL_SHARE;
  }

  get bytes(): number {
    return this.small.bytes + this.main.bytes;
  }
}

/** The items of one tenant. */
export class Lane<Value> {
  /** Its queues; for {@linkcode S3Fifo} only. */
  readonly queues: Queues<Resident<Value>>;

  /** An empty lane with so much room. */
  constructor(bytesMax: number) {
    this.queues = new Queues(bytesMax);
  }

  /** What its items occupy. */
  get bytes(): number {
    return this.queues.bytes;
  }
}

/** An item and its places in the queues. */
export class Resident<Value> {
  /** What is kept. */
  readonly value: Value;
  /** A 32-bit hash of its key, by which its ghost is known. */
  readonly keyHash: number;
  /** Its size. */
  readonly sizeBytes: number;
  /** Its tenant's queues. */
  readonly lane: Lane<Value>;
  /** Uses, up to 3; for {@linkcode S3Fifo} only. */
  uses = 0;
  /** Whether it is in the main queue; for {@linkcode S3Fifo} only. */
  isMain = false;
  /** Its place among all; for {@linkcode S3Fifo} only. */
  readonly place: Place<Resident<Value>>;
  /** Its place in the lane; for {@linkcode S3Fifo} only. */
  readonly lanePlace: Place<Resident<Value>>;

  /** An item that is in no queue yet, of at least one byte. */
  constructor(value: Value, keyHash: number, sizeBytes: number, lane: Lane<Value>) {
    this.value = value;
    this.keyHash = keyHash;
    this.sizeBytes = sizeBytes;
    this.lane = lane;
    this.place = new Place<Resident<Value>>(this, sizeBytes);
    this.lanePlace = new Place<Resident<Value>>(this, sizeBytes);
  }
}

/** Tells of an item that it is not worth another round at this time. */
export type IsSpent<Value> = (value: Value, nowMs: number) => boolean;

/** The queues. They evict nothing by themselves: see {@linkcode S3Fifo.evict}. */
export class S3Fifo<Value> {
  readonly #all: Queues<Resident<Value>>;
  readonly #ghosts: Ghosts;
  readonly #isSpent: IsSpent<Value>;

  /** Empty queues for so many bytes. */
  constructor(bytesMax: number, isSpent: IsSpent<Value>) {
    this.#all = new Queues(bytesMax);
    this.#ghosts = new Ghosts(bytesMax * GHOST_SHARE);
    this.#isSpent = isSpent;
  }

  /** What all items occupy. */
  get bytes(): number {
    return this.#all.bytes;
  }

  /** Keys that are remembered of evicted items. */
  get ghosts(): number {
    return this.#ghosts.size;
  }

  /**
   * Takes an item in.
   *
   * @param before What it replaces, if anything: its standing is passed on.
   */
  admit(item: Resident<Value>, before: Resident<Value> | null): void {
    const wasGhost = this.#ghosts.take(item.keyHash);
    item.isMain = wasGhost || (before !== null && before.isMain);
    item.uses = before === null ? 0 : before.uses;
    this.#push(item);
  }

  /** Counts a use. */
  use(item: Resident<Value>): void {
    if (item.uses < USES_MAX) item.uses++;
  }

  /** Takes an item out that has not lost its place for want of room; no ghost of it stays. */
  remove(item: Resident<Value>): void {
    this.#delete(item);
  }

  /**
   * Takes an item out whose time is over. If it was in use it will probably be
   * asked for again, so its ghost stays and gives it its standing back.
   */
  retire(item: Resident<Value>): void {
    this.#delete(item);
    if (item.isMain || item.uses > 0) this.#ghosts.add(item.keyHash, item.sizeBytes);
  }

  /** Evicts one item of the lane, or of all where that is `null`; `null` if there is none. */
  evict(lane: Lane<Value> | null, nowMs: number): Resident<Value> | null {
    const queues = lane === null ? this.#all : lane.queues;
    for (let chances = CHANCES_MAX;; chances--) {
      const oldestMain = queues.main.oldest;
      const isSmallFull = oldestMain === null || queues.small.bytes >= queues.smallBytesMax;
      const item = (isSmallFull ? queues.small.oldest : null) ?? oldestMain;
      if (item === null) return null;
      const needed = item.isMain ? 1 : USES_TO_STAY;
      if (chances === 0 || item.uses < needed || this.#isSpent(item.value, nowMs)) {
        this.#delete(item);
        if (!item.isMain) this.#ghosts.add(item.keyHash, item.sizeBytes);
        return item;
      }
      this.#delete(item);
      item.uses = item.isMain ? item.uses - 1 : 0;
      item.isMain = true;
      this.#push(item);
    }
  }

  #push(item: Resident<Value>): void {
    const [all, lane] = [this.#all, item.lane.queues];
    (item.isMain ? all.main : all.small).push(item.place);
    (item.isMain ? lane.main : lane.small).push(item.lanePlace);
  }

  #delete(item: Resident<Value>): void {
    const [all, lane] = [this.#all, item.lane.queues];
    (item.isMain ? all.main : all.small).delete(item.place);
    (item.isMain ? lane.main : lane.small).delete(item.lanePlace);
  }
}
