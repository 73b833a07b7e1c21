/**
 * Upper bounds for a share of errors of which only a sample is known.
 *
 * Sources: score interval, E. B. Wilson, "Probable Inference, the Law of
 * Succession, and Statistical Inference", JASA 22 (1927); prediction for a second
 * sample by adding both variances, W. Nelson, "Applied Life Data Analysis" (1982),
 * chapter 6.
 *
 * @module
 */

/**
 * Upper end of Wilson's score interval for a share.
 *
 * @param wrong Errors seen, 0 to `count`; fractions are allowed.
 * @param count Observations.
 * @param z Quantile of the normal distribution: 1.645 bounds one side with 95 %.
 * @returns 1 without observations.
 */
export function wilsonUpper(wrong: number, count: number, z: number): number {
  if (count <= 0) return 1;
  const share = wrong / count;
  const squared = z * z;
  const spread = z * Math.sqrt(share * (1 - share) / count + squared / (4 * count * count));
  return Math.min(1, (share + squared / (2 * count) + spread) / (1 + squared / count));
}

/** What {@linkcode foreseenUpper} is asked to cover. */
export interface Foresight {
  /** Quantile of the normal distribution, one-sided. */
  readonly z: number;
  /** How many future cases the bound is about. */
  readonly horizon: number;
}

/**
 * Upper bound for the share of errors among the next `horizon` cases, after `wrong`
 * of `count`: Wilson's bound with the sample shrunk to `count · horizon / (count +
 * horizon)`, so that the variance is that of the sample's and the future share's
 * difference. For an endless horizon it is Wilson's bound itself.
 */
export function foreseenUpper(wrong: number, count: number, foresight: Foresight): number {
  const shrink = foresight.horizon / (count + foresight.horizon);
  return wilsonUpper(wrong * shrink, count * shrink, foresight.z);
}
