import assert from "node:assert/strict";
import { directionOf as unit } from "./exact_graph_fixture.ts";
import { halvesOfUnit, SEGMENT_ROWS, Slab } from "./slab.ts";

Deno.test("Slab computes cosines as half precision knows them, for every length", () => {
  for (const dims of [1, 2, 3, 4, 5, 384]) {
    const slab = new Slab(dims, () => {});
    const row = slab.put(1, 7, halvesOfUnit(unit(1, dims)));
    const query = unit(2, dims);
    const exact = query.reduce((sum, value, i) => sum + value * (unit(1, dims)[i] ?? 0), 0);
    assert.ok(Math.abs(slab.similarity(row, query) - exact) < 0.001, `${dims} dimensions`);
    assert.ok(slab.similarity(row, unit(1, dims)) > 0.999);
    assert.equal(slab.idOf(row), 7);
  }
});

Deno.test("Slab uses a freed row again before it grows", () => {
  const buffers: SharedArrayBuffer[] = [];
  const slab = new Slab(4, (buffer) => buffers.push(buffer));
  const rows = Array.from(
    { length: SEGMENT_ROWS },
    (_, i) => slab.put(1, i + 1, halvesOfUnit(unit(i, 4))),
  );
  assert.equal(buffers.length, 1);
  slab.free(rows[9] ?? -1);
  assert.equal(slab.scopeOf(9), 0);
  assert.equal(slab.put(2, 1_000, halvesOfUnit(unit(3, 4))), 9);
  assert.equal(slab.put(2, 1_001, halvesOfUnit(unit(4, 4))), SEGMENT_ROWS);
  assert.equal(buffers.length, 2);
  assert.throws(() => slab.idOf(2 * SEGMENT_ROWS), RangeError);
});

Deno.test("Slab goes on with the memory of another, free rows included", () => {
  const buffers: SharedArrayBuffer[] = [];
  const first = new Slab(4, (buffer) => buffers.push(buffer));
  for (let id = 1; id <= 5; id++) first.put(3, id, halvesOfUnit(unit(id, 4)));
  first.free(1);
  first.free(4);

  const second = new Slab(4, (buffer) => buffers.push(buffer));
  second.adopt(buffers);
  assert.equal(second.rows, 4); // The last row was free.
  assert.deepEqual([0, 1, 2, 3].map((row) => second.scopeOf(row)), [3, 0, 3, 3]);
  assert.equal(second.idOf(2), 3);
  assert.ok(second.similarity(2, unit(3, 4)) > 0.999);
  assert.equal(second.put(3, 9, halvesOfUnit(unit(9, 4))), 1);
  assert.equal(second.put(3, 10, halvesOfUnit(unit(10, 4))), 4);
  assert.equal(buffers.length, 1);
});
