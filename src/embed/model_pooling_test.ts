import assert from "node:assert/strict";
import { pool } from "./model_pooling.ts";
import { padTokens } from "./model_tokens.ts";

/** Two texts, of two tokens and of one, and a vector of NaN in place of padding. */
const BATCH = padTokens([[1, 1], [1]], 0);
const STATES = Float32Array.of(1, 2, 3, 6, 5, 7, NaN, NaN);

function pooled(pooling: Parameters<typeof pool>[2]): number[][] {
  return pool(STATES, BATCH, pooling).map((vector) => [...vector]);
}

Deno.test("pool leaves padding out", () => {
  assert.deepEqual(pooled("mean"), [[2, 4], [5, 7]]);
  assert.deepEqual(pooled("cls"), [[1, 2], [5, 7]]);
  assert.deepEqual(pooled("last"), [[3, 6], [5, 7]]);
});

Deno.test("pool gives vectors of their own, which may be transferred", () => {
  const [vector] = pool(STATES, BATCH, "cls");
  assert.equal(vector?.buffer.byteLength, 8);
  vector.fill(9);
  assert.equal(STATES[0], 1);
});
