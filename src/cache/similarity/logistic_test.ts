import assert from "node:assert/strict";
import fc from "fast-check";
import { fitLogistic, reachOf } from "./logistic.ts";

function near(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** Hours of study and a passed exam: the worked example of Wikipedia's "Logistic regression". */
const EXAM = [
  [0.5, 0],
  [0.75, 0],
  [1, 0],
  [1.25, 0],
  [1.5, 0],
  [1.75, 0],
  [1.75, 1],
  [2, 0],
  [2.25, 1],
  [2.5, 0],
  [2.75, 1],
  [3, 0],
  [3.25, 1],
  [3.5, 0],
  [4, 1],
  [4.25, 1],
  [4.5, 1],
  [4.75, 1],
  [5, 1],
  [5.5, 1],
].map(([x, right]) => ({ x: x ?? 0, right: right === 1 }));

Deno.test("fitLogistic finds the published maximum likelihood (1.5046 an hour, −4.0777)", () => {
  const curve = fitLogistic(EXAM, 0);
  near(curve.slope, 1.5046, 5e-5);
  near(curve.intercept, -4.0777, 5e-5);
  near(reachOf(curve, 0.5), 2.71, 5e-3);
});

Deno.test("fitLogistic stays finite on separable points and puts the line between them", () => {
  const points = [-1, -0.8, -0.6, 0.6, 0.8, 1].map((x) => ({ x, right: x > 0 }));
  const curve = fitLogistic(points, 0.1);
  assert.ok(Number.isFinite(curve.slope) && curve.slope > 1, `slope ${curve.slope}`);
  near(reachOf(curve, 0.5), 0, 1e-6);
});

Deno.test("fitLogistic is at a minimum of its penalised loss for any points", () => {
  const point = fc.record({
    x: fc.double({ min: -5, max: 5, noNaN: true }),
    right: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(point, { maxLength: 30 }), (points) => {
    const { intercept, slope } = fitLogistic(points, 0.1);
    let gradient0 = 0.1 * intercept;
    let gradient1 = 0.1 * slope;
    for (const { x, right } of points) {
      const residual = 1 / (1 + Math.exp(-(intercept + slope * x))) - (right ? 1 : 0);
      gradient0 += residual;
      gradient1 += residual * x;
    }
    near(gradient0, 0, 1e-4);
    near(gradient1, 0, 1e-4);
  }));
});

Deno.test("reachOf is endless where the curve does not rise to the chance", () => {
  assert.equal(reachOf({ intercept: 1, slope: -1 }, 0.9), Infinity);
  assert.equal(reachOf({ intercept: 1, slope: 0 }, 0.9), Infinity);
  assert.equal(reachOf({ intercept: 3, slope: 0 }, 0.9), -Infinity);
  near(reachOf({ intercept: 0, slope: 2 }, 0.9), Math.log(9) / 2, 1e-12);
});
