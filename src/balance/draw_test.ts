import assert from "node:assert/strict";
import { drawIndex } from "./draw.ts";

Deno.test("drawIndex follows the weights", () => {
  const weights = Float64Array.of(1, 2, 1, 99);
  const at = (chance: number, without = -1) => drawIndex(weights, 3, without, () => chance);
  assert.equal(at(0), 0);
  assert.equal(at(0.249), 0);
  assert.equal(at(0.251), 1);
  assert.equal(at(0.749), 1);
  assert.equal(at(0.751), 2);
  assert.equal(at(0.9999999), 2);
});

Deno.test("drawIndex leaves one out, so that two draws are distinct", () => {
  const weights = Float64Array.of(1, 2, 1);
  const at = (chance: number, without: number) => drawIndex(weights, 3, without, () => chance);
  assert.equal(at(0, 0), 1);
  assert.equal(at(0.999, 2), 1);
  assert.equal(at(0.49, 1), 0);
  assert.equal(at(0.51, 1), 2);
});
