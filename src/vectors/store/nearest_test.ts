import assert from "node:assert/strict";
import { Nearest } from "./nearest.ts";

Deno.test("Nearest keeps the best in order, the first of equals first", () => {
  const nearest = new Nearest(3);
  for (const [id, similarity] of [[1, .1], [2, .5], [3, .5], [4, -1], [5, .9], [6, .5]] as const) {
    nearest.offer(id, similarity);
  }
  assert.deepEqual(nearest.matches.map(({ id }) => id), [5, 2, 3]);
});

Deno.test("Nearest gives what there is", () => {
  assert.deepEqual(new Nearest(3).matches, []);
});
