import assert from "node:assert/strict";
import { EmbedError } from "../ports.ts";
import { unitVector } from "./vector_check.ts";

function kindOf(values: ArrayLike<unknown>, dims: number): string {
  try {
    unitVector(values, dims);
    return "none";
  } catch (error) {
    assert.ok(error instanceof EmbedError);
    return error.kind;
  }
}

Deno.test("unitVector gives length 1 in the same direction and leaves its argument alone", () => {
  const given = [3, 0, -4];
  assert.deepEqual([...unitVector(given, 3)], [...Float32Array.of(0.6, 0, -0.8)]);
  assert.deepEqual(given, [3, 0, -4]);
  assert.deepEqual([...unitVector(Float32Array.of(1e30, 0), 2)], [1, 0]);
  assert.deepEqual([...unitVector([1e-40, 0], 2)], [1, 0]);
});

Deno.test("unitVector refuses another length", () => {
  assert.equal(kindOf([1, 2], 3), "dims");
  assert.equal(kindOf([], 1), "dims");
  assert.equal(kindOf([1, 2, 3, 4], 3), "dims");
});

Deno.test("unitVector refuses what has no direction", () => {
  assert.equal(kindOf([0, 0, 0], 3), "unusable");
  assert.equal(kindOf([-0, 0, 1e-60], 3), "unusable");
  for (const bad of [NaN, Infinity, -Infinity, 1e39, null, undefined, "1", 1n, {}, true]) {
    assert.equal(kindOf([1, bad, 1], 3), "unusable", String(bad));
  }
});
