/**
 * An unsigned 64-bit number: `Deno.KvU64` where that is not at hand.
 *
 * @module
 */

const U64_MAX = 2n ** 64n - 1n;

/** A number that `sum`, `min` and `max` work on, with a sum that wraps at 2^64. */
export class KvU64 {
  /** The number. */
  readonly value: bigint;

  /**
   * Wraps a number.
   *
   * @throws {TypeError} If it is not a bigint.
   * @throws {RangeError} If it is negative, or of more than 64 bits.
   */
  constructor(value: bigint) {
    if (typeof value !== "bigint") {
      throw new TypeError(`Value must be a bigint: received ${typeof value}`);
    }
    if (value < 0n) throw new RangeError(`Value must be a positive bigint: received ${value}`);
    if (value > U64_MAX) throw new RangeError("Value must fit in a 64-bit unsigned integer");
    this.value = value;
    Object.freeze(this);
  }

  /** What `Deno.KvU64` calls itself. */
  get [Symbol.toStringTag](): string {
    return "Deno.KvU64";
  }

  /** The number. */
  valueOf(): bigint {
    return this.value;
  }

  /** The number in decimal. */
  toString(): string {
    return this.value.toString();
  }
}
