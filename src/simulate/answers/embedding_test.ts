import assert from "node:assert/strict";
import { base64Vector, embeddingOf } from "./embedding.ts";

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);

Deno.test("embeddingOf() is of unit length, repeatable, and near for shared words", () => {
  const cat = embeddingOf("The cat sat on the mat", 256);
  assert.ok(Math.abs(dot(cat, cat) - 1) < 1e-5);
  assert.deepEqual(embeddingOf("the CAT sat, on the mat!", 256), cat);
  const near = dot(cat, embeddingOf("A cat sat on a mat", 256));
  const far = dot(cat, embeddingOf("Interest rates rose again", 256));
  assert.ok(near > far + 0.2, `${near} against ${far}`);
  assert.ok(Math.abs(dot(embeddingOf("", 8), embeddingOf("", 8)) - 1) < 1e-5);
});

Deno.test("base64Vector() writes 32-bit floats, low byte first", () => {
  const bytes = Uint8Array.fromBase64(base64Vector(Float32Array.from([1, -2])));
  assert.deepEqual([...bytes], [0, 0, 128, 63, 0, 0, 0, 192]);
});
