/**
 * The ledger of a soak: keys that one actor alone writes, one operation at a time,
 * and that everybody may read.
 *
 * Operations on a key are numbered. What is found there has to be of an operation
 * not older than the last that was acknowledged when the question was asked, and
 * not newer than the last that had begun when the answer came.
 *
 * @module
 */
import type { Store, StoreEntryMaybe } from "../../kv_node/compat/mod.ts";
import { complaintAboutValue, numberOf } from "./kv_soak_values.ts";
import type { SoakWorld } from "./kv_soak_world.ts";

/** What is known of a key. */
export interface Slot {
  /** Number of the last operation that was acknowledged. */
  acked: number;
  /** Number of the last that was begun. */
  begun: number;
  /** Number of the last deletion that was begun. */
  gone: number;
  /** Versionstamp that is there; `null` for nothing there, `undefined` if that is not known. */
  stamp: string | null | undefined;
}

const AUDIT_BATCH = 100;

/** Keys of one actor in one database. */
export class Slots {
  /** Database and actor. */
  readonly name: string;
  readonly #world: SoakWorld;
  readonly #slots: readonly Slot[];

  /** So many keys, none there yet. */
  constructor(world: SoakWorld, name: string, count: number) {
    this.#world = world;
    this.name = name;
    this.#slots = Array.from(
      { length: count },
      () => ({ acked: 0, begun: 0, gone: 0, stamp: null }),
    );
  }

  /** How many keys there are. */
  get count(): number {
    return this.#slots.length;
  }

  /** What is known of one. */
  at(place: number): Slot {
    const slot = this.#slots[place];
    if (slot === undefined) throw new RangeError(`Cannot find slot ${place}`);
    return slot;
  }

  /** The key of one. */
  key(place: number): readonly [string, string, number] {
    return ["slot", this.name, place];
  }

  /** What its values say that they were written under. */
  textOf(place: number): string {
    return `${this.name}/${place}`;
  }

  /** Notes that an operation begins; its number. */
  begin(place: number, isDeletion: boolean): number {
    const slot = this.at(place);
    slot.begun++;
    slot.stamp = undefined;
    if (isDeletion) slot.gone = slot.begun;
    return slot.begun;
  }

  /** Notes that the last one was acknowledged, with what is there now. */
  acknowledge(place: number, stamp: string | null): void {
    const slot = this.at(place);
    slot.acked = slot.begun;
    slot.stamp = stamp;
  }

  /**
   * Judges what was found.
   *
   * @param floor Number of the last acknowledged operation when the question was asked.
   */
  judge(place: number, floor: number, entry: StoreEntryMaybe): void {
    const complaint = this.#complaint(place, floor, entry);
    if (complaint !== null) this.#world.complain(`${this.textOf(place)} ${complaint}`);
  }

  /** Reads all of them from end to end, and judges them. No operation may be under way. */
  async audit(store: Store): Promise<number> {
    const left = new Set(this.#slots.keys());
    const entries = store.list({ prefix: ["slot", this.name] }, { batchSize: AUDIT_BATCH });
    for await (const entry of entries) {
      const place = Number(entry.key[2]);
      if (!left.delete(place)) {
        this.#world.complain(`${this.name} has a key that nobody wrote, or one twice`);
      } else this.judge(place, this.at(place).acked, entry);
    }
    const found = this.count - left.size;
    for (const place of left) {
      const key = this.key(place);
      this.judge(place, this.at(place).acked, { key, value: null, versionstamp: null });
    }
    return found;
  }

  #complaint(place: number, floor: number, entry: StoreEntryMaybe): string | null {
    const { acked, begun, gone, stamp } = this.at(place);
    if (entry.versionstamp === null) {
      return gone >= floor ? null : `is lost: write ${floor} was acknowledged`;
    }
    const n = numberOf(entry.value);
    if (n < floor) return `is of write ${n}, and ${floor} was acknowledged before`;
    if (n > begun) return `is of write ${n}, and ${begun} was the last`;
    if (n === acked && typeof stamp === "string" && entry.versionstamp !== stamp) {
      return `has the versionstamp ${entry.versionstamp}, acknowledged was ${stamp}`;
    }
    return complaintAboutValue(entry.value, this.textOf(place));
  }
}
