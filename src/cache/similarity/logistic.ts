/**
 * The chance of a right answer as a logistic curve over similarity.
 *
 * Per stored answer vCache models P(right | s) = 1 / (1 + e^(−γ(s − t))) and fits t
 * and γ by maximum likelihood (L. G. Schroeder et al., "vCache: Verified Semantic
 * Prompt Caching", arXiv 2502.03771). A handful of observations is often separable,
 * and then the likelihood has no maximum: a small quadratic penalty gives it one.
 *
 * @module
 */

/** One observation. */
export interface LabelledPoint {
  /** Where it was seen. */
  readonly x: number;
  /** Whether it was right. */
  readonly right: boolean;
}

/** P(right | x) = 1 / (1 + e^−(intercept + slope · x)). */
export interface LogisticCurve {
  /** Log odds at 0. */
  readonly intercept: number;
  /** Log odds gained by 1. */
  readonly slope: number;
}

const STEPS_MAX = 50;
const STEP_ENOUGH = 1e-9;
const HALVINGS_MAX = 30;

/**
 * Fits a curve by Newton's method with step halving.
 *
 * @param penalty Weight of ½(intercept² + slope²) in what is minimised. Must be above
 *   0 for separable points; scale `x` so that slopes of about 1 are ordinary.
 */
export function fitLogistic(points: readonly LabelledPoint[], penalty: number): LogisticCurve {
  let curve: LogisticCurve = { intercept: 0, slope: 0 };
  let loss = lossOf(points, curve, penalty);
  for (let step = 0; step < STEPS_MAX; step++) {
    const move = newtonMove(points, curve, penalty);
    if (move === null) return curve;
    let scale = 1;
    let next = moved(curve, move, scale);
    let nextLoss = lossOf(points, next, penalty);
    for (let i = 0; nextLoss > loss && i < HALVINGS_MAX; i++) {
      scale /= 2;
      next = moved(curve, move, scale);
      nextLoss = lossOf(points, next, penalty);
    }
    if (!(nextLoss <= loss)) return curve;
    curve = next;
    loss = nextLoss;
    if (Math.abs(move.intercept) + Math.abs(move.slope) < STEP_ENOUGH) break;
  }
  return curve;
}

/**
 * The least `x` from which on the curve promises `chance`: `-Infinity` if it does so
 * everywhere, `Infinity` if it does not rise.
 *
 * @param chance In (0, 1).
 */
export function reachOf(curve: LogisticCurve, chance: number): number {
  const odds = Math.log(chance / (1 - chance));
  if (curve.slope > 1e-9) return (odds - curve.intercept) / curve.slope;
  return curve.slope > -1e-9 && curve.intercept >= odds ? -Infinity : Infinity;
}

/** −log likelihood plus penalty; `log(1 + e^−m)` in a form that cannot overflow. */
function lossOf(points: readonly LabelledPoint[], curve: LogisticCurve, penalty: number): number {
  let loss = penalty / 2 * (curve.intercept ** 2 + curve.slope ** 2);
  for (const { x, right } of points) {
    const odds = curve.intercept + curve.slope * x;
    const margin = right ? odds : -odds;
    loss += Math.max(0, -margin) + Math.log1p(Math.exp(-Math.abs(margin)));
  }
  return loss;
}

/** The step −H⁻¹g, or `null` where the Hessian cannot be inverted. */
function newtonMove(
  points: readonly LabelledPoint[],
  curve: LogisticCurve,
  penalty: number,
): LogisticCurve | null {
  let gradient0 = penalty * curve.intercept;
  let gradient1 = penalty * curve.slope;
  let hessian00 = penalty;
  let hessian01 = 0;
  let hessian11 = penalty;
  for (const { x, right } of points) {
    const chance = 1 / (1 + Math.exp(-(curve.intercept + curve.slope * x)));
    const residual = chance - (right ? 1 : 0);
    const weight = chance * (1 - chance);
    gradient0 += residual;
    gradient1 += residual * x;
    hessian00 += weight;
    hessian01 += weight * x;
    hessian11 += weight * x * x;
  }
  const determinant = hessian00 * hessian11 - hessian01 * hessian01;
  if (!(determinant > 1e-12)) return null;
  return {
    intercept: -(hessian11 * gradient0 - hessian01 * gradient1) / determinant,
    slope: -(hessian00 * gradient1 - hessian01 * gradient0) / determinant,
  };
}

function moved(curve: LogisticCurve, move: LogisticCurve, scale: number): LogisticCurve {
  return {
    intercept: curve.intercept + scale * move.intercept,
    slope: curve.slope + scale * move.slope,
  };
}
