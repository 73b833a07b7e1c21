import assert from "node:assert/strict";
import { Fifo, Place } from "./fifo.ts";

Deno.test("Fifo gives what came first, and lets go from anywhere", () => {
  const fifo = new Fifo<string>();
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name, i) => new Place(name, i + 1));
  assert.ok(a && b && c && d);
  assert.deepEqual([fifo.oldest, fifo.bytes], [null, 0]);
  for (const place of [a, b, c, d]) fifo.push(place);
  assert.deepEqual([fifo.oldest, fifo.bytes], ["a", 10]);
  fifo.delete(b);
  assert.deepEqual([fifo.oldest, fifo.bytes], ["a", 8]);
  fifo.delete(a);
  assert.deepEqual([fifo.oldest, fifo.bytes], ["c", 7]);
  fifo.delete(d);
  fifo.push(a);
  fifo.delete(c);
  assert.deepEqual([fifo.oldest, fifo.bytes], ["a", 1]);
  fifo.delete(a);
  assert.deepEqual([fifo.oldest, fifo.bytes], [null, 0]);
});

Deno.test("Fifo leaves no link at what has left, which would keep others alive", () => {
  const fifo = new Fifo<string>();
  const places = ["a", "b", "c"].map((name) => new Place(name, 1));
  for (const place of places) fifo.push(place);
  for (const place of places) fifo.delete(place);
  for (const { older, newer } of places) assert.deepEqual([older, newer], [null, null]);
});
