import assert from "node:assert/strict";
import fc from "fast-check";
import { directionOf, ExactGraph } from "./exact_graph_fixture.ts";
import type { GraphMaker } from "./graph.ts";
import { VectorStore } from "./vector_store.ts";

const DIMS = 8;
const GRAPHS: GraphMaker = { create: () => new ExactGraph(), load: () => new ExactGraph() };

interface Model {
  readonly store: VectorStore;
  readonly buffers: SharedArrayBuffer[];
}

function open(graphs: GraphMaker | null, buffers: SharedArrayBuffer[] = []): Model {
  const own = [...buffers];
  const onSegment = (buffer: SharedArrayBuffer): void => void own.push(buffer);
  const store = new VectorStore({ dims: DIMS, graphFrom: 4, graphs, onSegment });
  store.adopt(buffers);
  return { store, buffers: own };
}

function unit(number: number): Float32Array {
  return directionOf(number, DIMS);
}

function idsOf(store: VectorStore): Map<number, number[]> {
  return new Map(store.ids().map(([scope, ids]) => [scope, ids.toSorted((a, b) => a - b)]));
}

const operations = fc.array(
  fc.record({
    type: fc.constantFrom("add", "add", "remove", "advance", "die"),
    scope: fc.integer({ min: 1, max: 2 }),
    id: fc.integer({ min: 1, max: 16 }),
    version: fc.integer({ min: 0, max: 2 }),
  }),
  { maxLength: 120 },
);

for (const graphs of [GRAPHS, null]) {
  const kind = graphs === null ? "scanning" : "with graphs";
  Deno.test(`VectorStore ${kind} is a map from ids to vectors, whatever order things come in`, () => {
    fc.assert(fc.property(operations, (list) => {
      let model = open(graphs);
      const expected = new Map<number, { readonly scope: number; readonly seed: number }>();
      for (const { type, scope, id, version } of list) {
        const seed = id * 10 + version;
        if (type === "add") {
          model.store.add(scope, id, unit(seed));
          expected.set(id, { scope, seed });
        } else if (type === "remove") {
          const isThere = expected.get(id)?.scope === scope;
          const emptied = model.store.remove(scope, id);
          if (isThere) expected.delete(id);
          const isLast = isThere && ![...expected.values()].some((entry) => entry.scope === scope);
          assert.equal(emptied, isLast ? scope : null);
        } else if (type === "advance") model.store.advance();
        else model = open(graphs, model.buffers);
      }
      const byScope = new Map<number, number[]>();
      for (const [id, { scope }] of [...expected].toSorted(([a], [b]) => a - b)) {
        byScope.set(scope, [...byScope.get(scope) ?? [], id]);
      }
      assert.deepEqual(idsOf(model.store), byScope);
      for (const [id, { scope, seed }] of expected) {
        const matches = model.store.search(scope, unit(seed));
        assert.equal(matches[0]?.id, id);
        assert.ok(matches.every((match) => byScope.get(scope)?.includes(match.id)));
        assert.equal(matches.length, Math.min(8, byScope.get(scope)?.length ?? 0));
      }
    }));
  });
}

Deno.test("VectorStore finds a vector before the graph has it", () => {
  const { store } = open(GRAPHS);
  for (let id = 1; id <= 10; id++) store.add(1, id, unit(id));
  assert.equal(store.counts(null).backlog, 10);
  for (let left = 10; left >= 0; left--) {
    for (let id = 1; id <= 10; id++) assert.equal(store.search(1, unit(id))[0]?.id, id);
    assert.equal(store.advance(), left > 0);
  }
  assert.equal(store.counts(null).backlog, 0);
  assert.equal(store.counts(null).graphLive, 10);
});

Deno.test("VectorStore begins a graph above the limit and drops it well below", () => {
  const { store } = open(GRAPHS);
  for (let id = 1; id <= 4; id++) store.add(1, id, unit(id));
  assert.equal(store.counts(null).graphs, 0);
  store.add(1, 5, unit(5));
  assert.equal(store.counts(null).graphs, 1);
  while (store.advance());
  store.remove(1, 1);
  store.remove(1, 2);
  assert.equal(store.counts(null).graphs, 1);
  store.remove(1, 3);
  assert.equal(store.counts(null).graphs, 0);
  assert.equal(store.search(1, unit(4))[0]?.id, 4);
});

Deno.test("VectorStore takes the same vector again without a change", () => {
  const { store } = open(GRAPHS);
  for (let id = 1; id <= 6; id++) store.add(1, id, unit(id));
  while (store.advance());
  const before = store.counts(null);
  store.add(1, 3, unit(3));
  assert.deepEqual(store.counts(null), before);
});

Deno.test("VectorStore hands all its vectors over in pieces", () => {
  const { store } = open(GRAPHS);
  for (let id = 1; id <= 700; id++) store.add(1 + id % 3, id, unit(id));
  for (let id = 100; id <= 500; id++) store.remove(1 + id % 3, id);
  const copy = open(GRAPHS).store;
  let cursor: number | null = 0;
  let pieces = 0;
  while (cursor !== null) {
    const { piece, next } = store.piece(cursor, 16);
    assert.ok(piece.ids.length <= 16);
    copy.feed(piece);
    cursor = next;
    pieces++;
  }
  assert.ok(pieces > 18);
  assert.deepEqual(idsOf(copy), idsOf(store));
  assert.equal(copy.counts(null).rows, 299); // Without the holes.
});

Deno.test("VectorStore refuses a graph that has a key of no vector", () => {
  const strange = new ExactGraph();
  for (const id of [1, 2, 99]) strange.add(id, unit(id));
  const { store } = open({ create: () => new ExactGraph(), load: () => strange });
  for (let id = 1; id <= 6; id++) store.add(1, id, unit(id));
  assert.equal(store.adoptGraph(1, "any", 0), false);
  strange.remove(99);
  assert.equal(store.adoptGraph(1, "any", 0), true);
  assert.equal(store.counts(null).backlog, 4);
  while (store.advance());
  assert.deepEqual(strange.keys.toSorted((a, b) => a - b), [1, 2, 3, 4, 5, 6]);
});
