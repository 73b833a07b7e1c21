import assert from "node:assert/strict";
import fc from "fast-check";
import { EMBEDDER, makeEntry, makeVector } from "../../tests/support/shared_gateways.ts";
import { WriteQueue } from "./write_queue.ts";

const LIMITS = { entriesMax: 5, bytesMax: 1_000 };

const waiting = (id: number, sizeBytes: number, sinceMs = id) => ({
  entry: makeEntry(id, { sizeBytes }),
  vector: null,
  sinceMs,
});

Deno.test("WriteQueue drops the oldest when it is full, by number and by bytes", () => {
  const queue = new WriteQueue(LIMITS);
  for (let id = 1; id <= 5; id++) assert.equal(queue.push(waiting(id, 100)), 0);
  assert.equal(queue.push(waiting(6, 100)), 1);
  assert.equal(queue.push(waiting(7, 700)), 2);
  assert.deepEqual(queue.take(9, 9_999).map(({ entry }) => entry.id), [4, 5, 6, 7]);
  assert.equal(queue.push(waiting(8, 1_001)), 1);
  assert.equal(queue.size, 0);
});

Deno.test("WriteQueue brings a late vector to the entry that waits", () => {
  const queue = new WriteQueue(LIMITS);
  queue.push(waiting(1, 100));
  queue.push({ ...waiting(1, 100, 9), vector: { embedder: EMBEDDER.id, vector: makeVector(1) } });
  queue.push(waiting(1, 100, 10));
  assert.equal(queue.size, 1);
  assert.equal(queue.bytes, 100 + 4 * EMBEDDER.dims);
  const [only] = queue.take(1, 1);
  assert.deepEqual(only?.vector?.vector, makeVector(1));
  assert.equal(only?.sinceMs, 1);
});

Deno.test("WriteQueue puts a batch back before what came since", () => {
  const queue = new WriteQueue(LIMITS);
  for (let id = 1; id <= 4; id++) queue.push(waiting(id, 10));
  const batch = queue.take(2, 999);
  for (let id = 5; id <= 7; id++) queue.push(waiting(id, 10));
  assert.equal(queue.putBack(batch), 2);
  assert.deepEqual(queue.take(9, 999).map(({ entry }) => entry.id), [3, 4, 5, 6, 7]);
});

Deno.test("WriteQueue stays within its bounds and counts its bytes, whatever happens", () => {
  const step = fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 9 }), size: fc.integer({ min: 1, max: 1_200 }) }),
    fc.record({ discard: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ take: fc.integer({ min: 1, max: 4 }), back: fc.boolean() }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const queue = new WriteQueue(LIMITS);
    for (const made of steps) {
      if ("push" in made) queue.push(waiting(made.push, made.size));
      else if ("discard" in made) queue.discard(made.discard);
      else {
        const batch = queue.take(made.take, 500);
        if (made.back) queue.putBack(batch);
      }
      assert.ok(queue.size <= LIMITS.entriesMax && queue.bytes <= LIMITS.bytesMax);
    }
    const all = queue.take(Infinity, Infinity);
    assert.equal(queue.bytes, 0);
    assert.equal(new Set(all.map(({ entry }) => entry.id)).size, all.length);
  }));
});
