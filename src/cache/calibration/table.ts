/**
 * From judged pairs of questions to a threshold.
 *
 * For each similarity: the share of pairs that may share an answer and would
 * (hits), and the share of those that must not and would (false hits), with and
 * without guards. A threshold is proposed where a one-sided 95 % Wilson bound on
 * the false hits, with guards, keeps below what one is ready to accept.
 *
 * @module
 */
import { wilsonUpper } from "../similarity/wilson.ts";

/** One pair, measured. */
export interface MeasuredPair {
  /** Whether one answer may serve both. */
  readonly same: boolean;
  /** Cosine of the two. */
  readonly similarity: number;
  /** Whether a guard keeps them apart. */
  readonly guarded: boolean;
}

/** What one threshold would do. */
export interface CalibrationRow {
  /** The threshold. */
  readonly threshold: number;
  /** Share of right pairs that would hit, with guards, 0 to 1. */
  readonly hits: number;
  /** Share of wrong pairs that would hit, with guards. */
  readonly falseHits: number;
  /** Most that share may be, with 95 % confidence. */
  readonly falseHitsBound: number;
  /** Share of wrong pairs that would hit if there were no guards. */
  readonly falseHitsUnguarded: number;
}

/** A calibration. */
export interface Calibration {
  /** Right pairs. */
  readonly positives: number;
  /** Wrong pairs. */
  readonly negatives: number;
  /** What each threshold would do, rising. */
  readonly rows: readonly CalibrationRow[];
  /** The lowest threshold whose bound keeps to what is accepted; `null` if none does. */
  readonly proposed: CalibrationRow | null;
}

/** One-sided 95 % quantile of the normal distribution. */
const Z_95 = 1.645;

/** Thresholds from 0.5 to 0.99, in hundredths. */
const THRESHOLDS: readonly number[] = Array.from({ length: 50 }, (_, at) => (50 + at) / 100);

/**
 * Calibrates a threshold.
 *
 * @param pairs What was measured.
 * @param falseHitsMax Share of wrong pairs that may hit, 0 to 1.
 */
export function calibrate(pairs: readonly MeasuredPair[], falseHitsMax: number): Calibration {
  const right = pairs.filter((pair) => pair.same);
  const wrong = pairs.filter((pair) => !pair.same);
  const rows = THRESHOLDS.map((threshold): CalibrationRow => {
    const reached = (pair: MeasuredPair): boolean => pair.similarity >= threshold;
    const passed = (pair: MeasuredPair): boolean => reached(pair) && !pair.guarded;
    const falseHits = wrong.filter(passed).length;
    return {
      threshold,
      hits: share(right.filter(passed).length, right.length),
      falseHits: share(falseHits, wrong.length),
      falseHitsBound: wilsonUpper(falseHits, wrong.length, Z_95),
      falseHitsUnguarded: share(wrong.filter(reached).length, wrong.length),
    };
  });
  // From the top: a threshold is good only if every higher one is.
  let proposed: CalibrationRow | null = null;
  for (const row of rows.toReversed()) {
    if (wrong.length === 0 || row.falseHitsBound > falseHitsMax) break;
    proposed = row;
  }
  return { positives: right.length, negatives: wrong.length, rows, proposed };
}

function share(count: number, total: number): number {
  return total === 0 ? 0 : count / total;
}
