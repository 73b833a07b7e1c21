/**
 * Versionstamps of one node: where they come from and how they are read.
 *
 * A stamp is ten bytes, big-endian: 46 bits of milliseconds since the Unix epoch,
 * 18 bits of a counter, 16 bits that name the arc. So stamps sort as bytes in the
 * order in which they were given, and tell when a commit was made. The idea of a
 * single oracle is that of Percolator (Peng and Dabek, OSDI 2010).
 *
 * @module
 */
import { STAMP_BYTES } from "../types.ts";

/** Stamps that one millisecond has room for. */
const COUNTER_COUNT = 2 ** 18;

/** What the counter leaves of the lower 32 bits for milliseconds. */
const LOW_MS_COUNT = 2 ** 14;

/** The last millisecond that fits into a stamp, in the year 4199. */
const MS_MAX = 2 ** 46 - 1;

const ARC_MAX = 0xffff;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const STAMP_HEX = /^[0-9a-f]{20}$/;

/**
 * Gives out versionstamps that rise strictly, whatever the wall clock does.
 *
 * The clock only moves it forward: while the clock stands still, or is behind,
 * the counter counts, and what overflows it goes into the next millisecond.
 */
export class StampOracle {
  readonly #arc: number;
  #ms = 0;
  #counter = 0;

  /**
   * Starts above `floor`, the highest stamp that was ever given; `null` for none.
   *
   * @throws {RangeError} If the arc does not fit into two bytes, or the floor is no stamp.
   */
  constructor(arc: number, floor: Uint8Array | null) {
    if (!Number.isInteger(arc) || arc < 0 || arc > ARC_MAX) {
      throw new RangeError(`Cannot name an arc in a versionstamp: it must be 0 to ${ARC_MAX}`);
    }
    this.#arc = arc;
    if (floor !== null) this.observe(floor);
  }

  /** The millisecond of the last stamp, given or observed; 0 before the first. */
  get lastMs(): number {
    return this.#ms;
  }

  /**
   * The next stamp, for a clock that shows `wallMs` since the epoch. A time that no
   * clock can show (not a number, after the year 4199) is taken for a clock that stands still.
   *
   * @throws {RangeError} If there is no higher stamp: all of 4199 is used up.
   */
  next(wallMs: number): Uint8Array {
    const ms = Math.floor(wallMs);
    if (ms > this.#ms && ms <= MS_MAX) {
      this.#ms = ms;
      this.#counter = 0;
    } else if (this.#counter < COUNTER_COUNT - 1) {
      this.#counter++;
    } else if (this.#ms < MS_MAX) {
      this.#ms++;
      this.#counter = 0;
    } else {
      throw new RangeError("Cannot give a versionstamp: there is none above the last one");
    }
    return this.#encode();
  }

  /**
   * Raises the floor to a stamp that was given elsewhere or before, as in a replay.
   *
   * @throws {RangeError} If it is no stamp.
   */
  observe(stamp: Uint8Array): void {
    const ms = stampMs(stamp);
    const counter = (byteAt(stamp, 5) & 0x03) * 0x10000 + byteAt(stamp, 6) * 0x100 +
      byteAt(stamp, 7);
    if (ms > this.#ms || (ms === this.#ms && counter > this.#counter)) {
      this.#ms = ms;
      this.#counter = counter;
    }
  }

  #encode(): Uint8Array {
    const stamp = new Uint8Array(STAMP_BYTES);
    const high = Math.floor(this.#ms / LOW_MS_COUNT);
    const low = (this.#ms % LOW_MS_COUNT) * COUNTER_COUNT + this.#counter;
    stamp[0] = high >>> 24;
    stamp[1] = high >>> 16;
    stamp[2] = high >>> 8;
    stamp[3] = high;
    stamp[4] = low >>> 24;
    stamp[5] = low >>> 16;
    stamp[6] = low >>> 8;
    stamp[7] = low;
    stamp[8] = this.#arc >>> 8;
    stamp[9] = this.#arc;
    return stamp;
  }
}

/**
 * When a stamp was given, in milliseconds since the Unix epoch.
 *
 * @throws {RangeError} If it is no stamp.
 */
export function stampMs(stamp: Uint8Array): number {
  if (stamp.length !== STAMP_BYTES) {
    throw new RangeError(`Cannot read a versionstamp: it has ${stamp.length} bytes, not 10`);
  }
  const high = byteAt(stamp, 0) * 0x1000000 + byteAt(stamp, 1) * 0x10000 +
    byteAt(stamp, 2) * 0x100 + byteAt(stamp, 3);
  return high * LOW_MS_COUNT + byteAt(stamp, 4) * 0x40 + (byteAt(stamp, 5) >>> 2);
}

/** Less than, equal to or greater than 0, as `one` was given before, with or after `other`. */
export function compareStamps(one: Uint8Array, other: Uint8Array): number {
  for (let place = 0; place < STAMP_BYTES; place++) {
    const difference = byteAt(one, place) - byteAt(other, place);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A stamp as clients see it: 20 lower-case hex digits. */
export function stampHex(stamp: Uint8Array): string {
  let text = "";
  for (let place = 0; place < STAMP_BYTES; place++) text += HEX[byteAt(stamp, place)] ?? "";
  return text;
}

/** The stamp that 20 lower-case hex digits stand for, or `null` if the text is none. */
export function stampOfHex(text: string): Uint8Array | null {
  if (!STAMP_HEX.test(text)) return null;
  const stamp = new Uint8Array(STAMP_BYTES);
  for (let place = 0; place < STAMP_BYTES; place++) {
    stamp[place] = Number.parseInt(text.slice(place * 2, place * 2 + 2), 16);
  }
  return stamp;
}

function byteAt(bytes: Uint8Array, place: number): number {
  return bytes[place] ?? 0;
}
