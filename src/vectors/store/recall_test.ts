import assert from "node:assert/strict";
import { directionOf, ExactGraph } from "./exact_graph_fixture.ts";
import type { Graph } from "./graph.ts";
import { RecallSampler } from "./recall.ts";
import { VectorStore } from "./vector_store.ts";

const DIMS = 16;

/** Finds the nearest for no query of which it is asked not to. */
class ForgetfulGraph extends ExactGraph implements Graph {
  isForgetful = false;

  override search(unit: Float32Array, limit: number): readonly number[] {
    return super.search(unit, limit + 1).slice(this.isForgetful ? 1 : 0);
  }
}

function unit(number: number): Float32Array {
  return directionOf(number, DIMS);
}

/** Measures the recall of 16 queries, `bad` of which the graph fails. */
function measure(queries: number, isForgetful: boolean): number | null {
  const graph = new ForgetfulGraph();
  const store = new VectorStore({
    dims: DIMS,
    graphFrom: 4,
    graphs: { create: () => graph, load: () => graph },
    onSegment: () => {},
  });
  for (let id = 1; id <= 600; id++) store.add(1, id, unit(id));
  while (store.advance());
  for (let id = 1; id <= queries; id++) store.search(1, unit(id));
  graph.isForgetful = isForgetful;
  const sampler = new RecallSampler(store);
  while (sampler.advance());
  return sampler.latest;
}

Deno.test("RecallSampler finds nothing wrong with a graph that finds the nearest", () => {
  assert.equal(measure(16, false), 1);
});

Deno.test("RecallSampler finds out a graph that misses the nearest", () => {
  assert.equal(measure(16, true), 0);
});

Deno.test("RecallSampler says nothing after a handful of queries", () => {
  assert.equal(measure(3, true), null);
});
