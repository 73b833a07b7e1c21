import assert from "node:assert/strict";
import { halvesOfUnit } from "./slab.ts";
import { cosineOf, isUnitRow, unitOf } from "./vector.ts";

Deno.test("unitOf() scales to length 1", () => {
  assert.deepEqual([...unitOf(Float32Array.of(3, 0, 4, 0), 4)], [...Float32Array.of(.6, 0, .8, 0)]);
  // Squares of the smallest and the largest floats must neither vanish nor overflow.
  assert.deepEqual([...unitOf(Float32Array.of(1e-45, 0), 2)], [1, 0]);
  assert.deepEqual([...unitOf(Float32Array.of(0, -3e38), 2)], [0, -1]);
});

Deno.test("unitOf() refuses what no search may meet", () => {
  assert.equal(unitOf(new Float32Array(3), 4), "dims");
  assert.equal(unitOf(new Float32Array(0), 4), "dims");
  assert.equal(unitOf(new Float32Array(4), 4), "unusable");
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.equal(unitOf(Float32Array.of(1, value, 0, 0), 4), "unusable");
  }
  assert.equal(unitOf(Float32Array.of(Infinity, -Infinity), 2), "unusable");
});

Deno.test("isUnitRow() tells a vector from what is none", () => {
  assert.ok(isUnitRow(halvesOfUnit(Float32Array.of(0.6, 0.8))));
  for (const row of [[0, 0], [NaN, 1], [Infinity, 0], [2, 0], [0.1, 0.1]]) {
    assert.ok(!isUnitRow(halvesOfUnit(Float32Array.from(row))), String(row));
  }
});

Deno.test("cosineOf() stays within its bounds", () => {
  const unit = Float32Array.of(0.6000001, 0.8000001);
  assert.equal(cosineOf(unit, unit), 1);
  assert.equal(cosineOf(unit, unit.map((value) => -value)), -1);
});
