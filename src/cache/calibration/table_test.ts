import assert from "node:assert/strict";
import { calibrationPlot, calibrationSvg, calibrationTable } from "./plot.ts";
import { calibrate, type MeasuredPair } from "./table.ts";

function pairs(
  count: number,
  same: boolean,
  similarityOf: (at: number) => number,
  guarded = false,
): MeasuredPair[] {
  return Array.from({ length: count }, (_, at) => ({
    same,
    guarded,
    similarity: similarityOf(at),
  }));
}

Deno.test("calibrate() proposes the lowest threshold that keeps false hits within the bound", () => {
  const measured = [
    ...pairs(1_000, true, (at) => at / 1_000),
    ...pairs(10_000, false, (at) => at / 10_000 * 0.8),
  ];
  const { proposed, positives, negatives } = calibrate(measured, 0.005);
  assert.equal(positives, 1_000);
  assert.equal(negatives, 10_000);
  assert.equal(proposed?.threshold, 0.8);
  assert.equal(proposed?.hits, 0.2);
});

Deno.test("calibrate() counts a guarded pair as no hit, and shows what guards are worth", () => {
  const measured = [
    ...pairs(100, true, () => 0.95),
    ...pairs(5_000, false, () => 0.9, true),
  ];
  const { proposed, rows } = calibrate(measured, 0.005);
  assert.equal(proposed?.threshold, 0.5);
  assert.equal(rows[0]?.falseHits, 0);
  assert.equal(rows[0]?.falseHitsUnguarded, 1);
});

Deno.test("calibrate() proposes nothing where too few wrong pairs were seen to be sure", () => {
  const few = [...pairs(10, true, () => 0.9), ...pairs(10, false, () => 0.1)];
  assert.equal(calibrate(few, 0.005).proposed, null);
  assert.equal(calibrate(pairs(10, true, () => 1), 0.005).proposed, null);
});

Deno.test("calibrationTable(), calibrationPlot() and calibrationSvg() show the proposal", () => {
  const calibration = calibrate([
    ...pairs(100, true, () => 0.95),
    ...pairs(5_000, false, () => 0.7),
  ], 0.005);
  assert.match(calibrationTable(calibration), /0\.71 .*100\.00 % .*0\.00 %.*<- proposed/);
  assert.match(calibrationPlot(calibration), /100 % \|#+/);
  const svg = calibrationSvg(calibration, "a < b & c");
  assert.match(svg, /a &lt; b &amp; c/);
  assert.equal(svg.match(/<polyline/g)?.length, 3);
});
