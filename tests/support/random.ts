/**
 * Chance that comes out the same for the same seed.
 *
 * @module
 */

/** A sequence of random numbers. */
export class Random {
  #state: number;

  /** Begins where the seed says. */
  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
  }

  /** The next number, 0 to 2³² − 1: a counter whose bits are mixed (Steele et al., 2014). */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /** A whole number from 0 on, below `limit`. */
  below(limit: number): number {
    return this.next() % limit;
  }

  /** One of several. */
  of<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("Cannot choose: there is nothing");
    return item;
  }
}

/** The seed of a test: the variable SEED, or any. */
export function chosenSeed(): number {
  const text = Deno.env.get("SEED");
  return text === undefined ? Math.floor(Math.random() * 1_000_000) : Number(text);
}
