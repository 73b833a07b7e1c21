/**
 * Right and wrong by similarity, and the line above which the error is low enough.
 *
 * The rule: serve from the least similarity at and above which the bound on the
 * error is within δ. The plain one-sided 95 % Wilson bound, for which 2.71 (1 − δ) / δ
 * clean observations are enough, does not keep that promise: it is looked at after
 * every observation and at every similarity, so that luck opens it (in 36 to 43 of 100
 * populations whose error is 1.2 δ), and an average close to δ exceeds δ in every other
 * short run of hits. Hence 98 %, and the bound is one on the share of errors among the
 * next `9/δ + 3 · served` hits rather than on its expectation. A line opens on a record
 * that is far below δ (66 clean observations at 10 %, 145 at 5 %, 383 at 2 %, 780 at
 * 1 %) and widens as hits add up, since a run of bad luck then weighs less. 98 %, 9 and
 * 3 were chosen on the replay, over whole streams and parts of them, by the orders in
 * which the error stayed within δ. What no rule can help is to end a few hits after the
 * opening: one error in ten hits is 10 %.
 *
 * The observations come from misses at full rate and from hits at 5 %, so those
 * below the line are over-represented; as they are the worse ones, that errs on the
 * safe side.
 *
 * @module
 */
import { foreseenUpper } from "./wilson.ts";

/** Similarity from which a neighbour is worth an observation. */
export const OBSERVED_FROM = 0.6;

/** Bins of 0.01, from {@linkcode OBSERVED_FROM} to 1. */
export const BINS = 40;

const BIN_WIDTH = (1 - OBSERVED_FROM) / BINS;
/** One-sided, 98 %. */
const Z = 2.054;
/** A line opens for a run of hits in which as many errors are allowed. */
const OPENING_ERRORS = 9;
/** How much further the bound looks for each hit that was served. */
const HORIZON_A_HIT = 3;
/** Above this many observations all are halved: the last thousands weigh most. */
const OBSERVATIONS_MAX = 10_000;
const CLEAN_MAX = 1_000_000;

/** Counts, for keeping. */
export interface ErrorCounts {
  /** Right ones by bin, lowest similarity first; fractions after halving. */
  readonly right: readonly number[];
  /** Wrong ones by bin. */
  readonly wrong: readonly number[];
  /** Hits that were served, judged or not. */
  readonly served: number;
}

/** What was observed of one kind of candidate. */
export class ErrorRecord {
  readonly #right: Float64Array;
  readonly #wrong: Float64Array;
  #served: number;
  #line: { readonly errorBound: number; readonly from: number | null } | null = null;

  /** Empty, or what was kept: `BINS` counts each. */
  constructor(counts?: ErrorCounts) {
    this.#right = counts ? Float64Array.from(counts.right) : new Float64Array(BINS);
    this.#wrong = counts ? Float64Array.from(counts.wrong) : new Float64Array(BINS);
    this.#served = counts?.served ?? 0;
  }

  /** Observations, after halving. */
  get observations(): number {
    return sum(this.#right) + sum(this.#wrong);
  }

  /** Wrong ones among them. */
  get wrong(): number {
    return sum(this.#wrong);
  }

  /** Counts one observation; below {@linkcode OBSERVED_FROM} it says nothing of use. */
  add(similarity: number, right: boolean): void {
    if (!(similarity >= OBSERVED_FROM)) return;
    const counts = right ? this.#right : this.#wrong;
    const bin = binOf(similarity);
    counts[bin] = (counts[bin] ?? 0) + 1;
    if (this.observations > OBSERVATIONS_MAX) {
      for (let i = 0; i < BINS; i++) {
        this.#right[i] = (this.#right[i] ?? 0) / 2;
        this.#wrong[i] = (this.#wrong[i] ?? 0) / 2;
      }
      this.#served /= 2;
    }
    this.#line = null;
  }

  /** Counts one hit; the line takes note with the next observation. */
  addServed(): void {
    this.#served++;
  }

  /** The least similarity that may be served at this bound, or `null`. */
  servesFrom(errorBound: number): number | null {
    if (this.#line?.errorBound === errorBound) return this.#line.from;
    let from: number | null = null;
    this.#eachLevel((bin, wrong, count) => {
      // An empty bin adds nothing to the counts, and so nothing that speaks for it.
      const isSeen = (this.#right[bin] ?? 0) + (this.#wrong[bin] ?? 0) > 0;
      if (isSeen && this.#isWithin(wrong, count, errorBound)) {
        from = OBSERVED_FROM + bin * BIN_WIDTH;
      }
    });
    this.#line = { errorBound, from };
    return from;
  }

  /** Whether a candidate of this similarity may be served. */
  allows(similarity: number, errorBound: number): boolean {
    const from = this.servesFrom(errorBound);
    if (from === null || !(similarity >= OBSERVED_FROM)) return false;
    // By bins, as they were counted: 0.6 + 30 * 0.01 is a little above 0.9.
    return binOf(similarity) >= Math.round((from - OBSERVED_FROM) / BIN_WIDTH);
  }

  /** How many clean observations in a row would open it; 0 once it serves. */
  cleanNeeded(errorBound: number): number {
    let least = CLEAN_MAX;
    this.#eachLevel((_bin, wrong, count) => {
      let low = 0;
      let high = least;
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if (this.#isWithin(wrong, count + middle, errorBound)) high = middle;
        else low = middle + 1;
      }
      least = low;
    });
    return least;
  }

  /** The counts, for keeping. */
  counts(): ErrorCounts {
    return { right: [...this.#right], wrong: [...this.#wrong], served: this.#served };
  }

  #isWithin(wrong: number, count: number, errorBound: number): boolean {
    const horizon = OPENING_ERRORS / errorBound + HORIZON_A_HIT * this.#served;
    return foreseenUpper(wrong, count, { z: Z, horizon }) <= errorBound;
  }

  /** Visits every bin from the top, with the counts at and above it. */
  #eachLevel(visit: (bin: number, wrong: number, count: number) => void): void {
    let wrong = 0;
    let count = 0;
    for (let bin = BINS - 1; bin >= 0; bin--) {
      wrong += this.#wrong[bin] ?? 0;
      count += (this.#right[bin] ?? 0) + (this.#wrong[bin] ?? 0);
      visit(bin, wrong, count);
    }
  }
}

function binOf(similarity: number): number {
  // The small addition keeps 0.9 out of the bin below it.
  return Math.min(BINS - 1, Math.floor((similarity - OBSERVED_FROM) / BIN_WIDTH + 1e-9));
}

function sum(counts: Float64Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
