/**
 * The near-miss log: the last lookups that were almost a hit.
 *
 * @module
 */

/** How many lookups the log holds. */
export const NEAR_MISSES_MAX = 1_000;

/** A lookup just under the line, or refused by a guard. */
export interface NearMiss {
  /** When, in milliseconds since the epoch. */
  readonly atMs: number;
  /** The model alias asked for. */
  readonly route: string;
  /** Who asked. */
  readonly tenant: string;
  /** Cosine of the two texts. */
  readonly similarity: number;
  /** The layer that looked it up. */
  readonly layer: "semantic";
  /** What kept it from being served. */
  readonly verdict: "threshold" | "guard" | "unverified" | "observe";
  /** The guard that refused, or would have; `null` if none. */
  readonly guard: string | null;
  /** Id of the neighbour. */
  readonly entryId: number;
  /** The question; `null` unless the log may hold texts. */
  readonly asked: string | null;
  /** The neighbour's question; `null` unless the log may hold texts. */
  readonly stored: string | null;
}

/** What another threshold would have done to the lookups in the log. */
export interface WhatIf {
  /** Lookups in the log, of this route if one was named. */
  readonly logged: number;
  /** Those that would have been served. */
  readonly served: number;
  /** Those similar enough that a guard would still have refused. */
  readonly guardRefused: number;
}

/** A ring of near misses. */
export class NearMisses {
  readonly #ring: NearMiss[] = [];
  readonly #capacity: number;
  /** Where the next one goes once the ring is full: the oldest one's place. */
  #next = 0;

  /** @throws {RangeError} If `capacity` is not a whole number above 0. */
  constructor(capacity: number = NEAR_MISSES_MAX) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`Cannot log near misses: ${capacity} is not a whole number above 0`);
    }
    this.#capacity = capacity;
  }

  /** Adds one; the oldest one makes room. */
  record(nearMiss: NearMiss): void {
    if (this.#ring.length < this.#capacity) {
      this.#ring.push(nearMiss);
      return;
    }
    this.#ring[this.#next] = nearMiss;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  /** The newest first, at most `limit`, of one route or all. */
  list(filter: { readonly route?: string; readonly limit?: number } = {}): readonly NearMiss[] {
    const { route, limit = this.#capacity } = filter;
    const ordered = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)].reverse();
    return ordered.filter((one) => route === undefined || one.route === route)
      .slice(0, Math.max(0, limit));
  }

  /** What this threshold would have done, on one route or all. */
  whatIf(threshold: number, route?: string): WhatIf {
    const logged = this.list(route === undefined ? {} : { route });
    const near = logged.filter((one) => one.similarity >= threshold);
    const guardRefused = near.filter((one) => one.guard !== null).length;
    return { logged: logged.length, served: near.length - guardRefused, guardRefused };
  }
}
