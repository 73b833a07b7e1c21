import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeVector, encodeVector } from "./vector_bytes.ts";

Deno.test("encodeVector keeps every number to half precision", () => {
  const numbers = fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 1 });
  fc.assert(fc.property(numbers, (values) => {
    const vector = Float32Array.from([1, ...values]);
    const read = decodeVector(encodeVector(vector), vector.length);
    assert.deepEqual(read, vector.map((value) => Math.f16round(value)));
  }));
});

Deno.test("encodeVector refuses numbers that are not finite in half precision", () => {
  for (const number of [NaN, Infinity, -Infinity, 70_000]) {
    assert.equal(encodeVector(Float32Array.of(1, number)), null);
  }
});

Deno.test("decodeVector takes no other length, no zero vector and nothing infinite", () => {
  const bytes = encodeVector(Float32Array.of(1, 0.5, 0));
  assert.notEqual(decodeVector(bytes, 3), null);
  assert.equal(decodeVector(bytes, 2), null);
  assert.equal(decodeVector(bytes, 4), null);
  assert.equal(decodeVector(bytes?.subarray(0, 5), 3), null);
  assert.equal(decodeVector(new Uint8Array(6), 3), null);
  assert.equal(decodeVector(new Uint8Array(6).fill(0x7c), 3), null);
  assert.equal(decodeVector([1, 0, 0], 3), null);
});
