import assert from "node:assert/strict";
import { directionOf } from "./store/exact_graph_fixture.ts";
import { capacityFor } from "./store/graph.ts";
import { libraryPath, loadGraphs } from "./usearch.ts";

const DIMS = 32;
const PATH = libraryPath();
/** Where there is no library, there is nothing to test; CI runs where there is one. */
const options = { ignore: PATH === null && Deno.build.os !== "linux" };

function graphs(dims = DIMS): ReturnType<typeof loadGraphs> {
  assert.ok(PATH !== null);
  return loadGraphs(PATH, dims);
}

Deno.test({
  ...options,
  name: "loadGraphs() makes graphs that find, forget and count",
  fn() {
    const graph = graphs().create();
    assert.deepEqual(graph.search(directionOf(1, DIMS), 8), []);
    for (let id = 1; id <= 300; id++) graph.add(id, directionOf(id, DIMS));
    for (let id = 1; id <= 300; id++) assert.equal(graph.search(directionOf(id, DIMS), 8)[0], id);
    assert.equal(graph.capacity, capacityFor(300));
    assert.deepEqual([graph.live, graph.tombstones], [300, 0]);

    for (let id = 1; id <= 100; id++) graph.remove(id);
    assert.deepEqual([graph.live, graph.tombstones], [200, 100]);
    assert.ok(!graph.has(50) && graph.has(150));
    for (let id = 1; id <= 100; id++) {
      assert.ok(graph.search(directionOf(id, DIMS), 8).every((found) => found > 100));
    }
    for (let id = 1_001; id <= 1_100; id++) graph.add(id, directionOf(id, DIMS));
    assert.deepEqual([graph.live, graph.tombstones], [300, 0]); // Places are used again.
  },
});

Deno.test({
  ...options,
  name: "loadGraphs() lets nothing through that the library would not survive",
  fn() {
    const graph = graphs().create();
    graph.add(1, directionOf(1, DIMS));
    const bad = [
      new Float32Array(DIMS),
      directionOf(1, DIMS).fill(NaN, 3, 4),
      directionOf(1, DIMS).fill(Infinity, 3, 4),
      directionOf(1, DIMS - 1),
      directionOf(1, DIMS + 1),
      new Float32Array(),
    ];
    for (const vector of bad) {
      assert.throws(() => graph.add(2, vector), RangeError);
      assert.throws(() => graph.search(vector, 8), RangeError);
    }
    for (const id of [0, -1, 1.5, NaN, 2 ** 53]) {
      assert.throws(() => graph.add(id, directionOf(2, DIMS)), RangeError);
    }
    for (const limit of [0, -1, 1.5, NaN]) {
      assert.throws(() => graph.search(directionOf(1, DIMS), limit), RangeError);
    }
    assert.throws(() => graphs(0), RangeError);
    assert.throws(() => graphs(1.5), RangeError);
    assert.equal(graph.live, 1);
    const largest = 2 ** 53 - 1;
    graph.add(largest, directionOf(3, DIMS));
    assert.equal(graph.search(directionOf(3, DIMS), 1)[0], largest);
  },
});

Deno.test({
  ...options,
  name: "loadGraphs() reads a saved graph, but none of other dimensions and no garbage",
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      const path = `${directory}/a.usearch`;
      const graph = graphs().create();
      for (let id = 1; id <= 100; id++) graph.add(id, directionOf(id, DIMS));
      for (let id = 1; id <= 30; id++) graph.remove(id);
      graph.save(path);

      const read = graphs().load(path, graph.tombstones);
      assert.deepEqual([read.live, read.tombstones], [70, 30]);
      assert.equal(read.search(directionOf(64, DIMS), 8)[0], 64);
      assert.throws(() => graphs(16).load(path, 0));

      const bytes = await Deno.readFile(path);
      await Deno.writeFile(path, bytes.subarray(0, bytes.length >> 1));
      assert.throws(() => graphs().load(path, 0));
      await Deno.writeTextFile(path, "not a graph");
      assert.throws(() => graphs().load(path, 0));
      assert.throws(() => graphs().load(`${directory}/missing`, 0));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
