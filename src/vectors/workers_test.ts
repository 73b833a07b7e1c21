import assert from "node:assert/strict";
import { idsOf, kindOf, openIndex, soon } from "../../tests/support/vector_index.ts";
import { randomSource, systemClock } from "../runtime/clock.ts";
import { directionOf } from "./store/exact_graph_fixture.ts";
import { VECTOR_DEFAULTS, type VectorEvent } from "./types.ts";
import { createVectorIndex, vectorFlags } from "./workers.ts";

const CITIES = ["Rome", "Paris", "Oslo", "Lima", "Cairo", "Quito", "Delhi", "Seoul"];

/** A sentence of its own for each number. */
function sentence(number: number): string {
  const city = CITIES[number % CITIES.length] ?? "";
  return `How do I get from ${city} to platform ${number} with a ticket of class ${number % 7}?`;
}

for (const native of ["auto", "never"] as const) {
  const kind = native === "auto" ? "graphs" : "scanning";

  Deno.test(`VectorClient finds near-duplicates of texts, ${kind}`, async () => {
    await using open = await openIndex({ native });
    const { index } = open;
    assert.equal(index.stats().native, native === "auto");
    for (let id = 1; id <= 300; id++) index.add("s", id, { text: sentence(id) });
    await index.settled();
    assert.deepEqual(
      [index.stats().live, index.stats().graphs],
      [300, native === "auto" ? 1 : 0],
    );
    for (const id of [1, 17, 150, 300]) {
      const matches = await index.search("s", { text: `Please: ${sentence(id)}` }, soon());
      assert.equal(matches.length, 8);
      assert.equal(matches[0]?.id, id);
      assert.ok((matches[0]?.similarity ?? 0) > 0.85);
      const order = matches.map(({ similarity }) => similarity);
      assert.deepEqual(order, order.toSorted((a, b) => b - a));
    }
  });

  Deno.test(`VectorClient keeps scopes apart and forgets what is removed, ${kind}`, async () => {
    await using open = await openIndex({ native, builtin: false, dims: 32 });
    const { index } = open;
    for (let id = 1; id <= 200; id++) {
      index.add(id % 2 === 0 ? "even" : "odd", id, { vector: directionOf(id, 32) });
    }
    for (let id = 1; id <= 50; id++) index.remove(id % 2 === 0 ? "even" : "odd", id);
    index.remove("even", 51); // It is odd.
    index.remove("nowhere", 52);
    await index.settled();
    for (let id = 1; id <= 200; id++) {
      for (const [scope, rest] of [["even", 0], ["odd", 1]] as const) {
        const matches = await index.search(scope, { vector: directionOf(id, 32) }, soon());
        assert.ok(matches.every((match) => match.id > 50 && match.id % 2 === rest));
        if (id > 50 && id % 2 === rest) assert.equal(matches[0]?.id, id);
      }
    }
    assert.deepEqual(await index.search("nowhere", { vector: directionOf(1, 32) }, soon()), []);
    assert.equal(index.stats().live, 150);
  });

  Deno.test(`VectorClient refuses vectors that would spoil the index, ${kind}`, async () => {
    await using open = await openIndex({ native, builtin: false, dims: 32 });
    const { index, events } = open;
    for (let id = 1; id <= 100; id++) index.add("s", id, { vector: directionOf(id, 32) });
    const bad = {
      nan: directionOf(1, 32).fill(NaN, 5, 6),
      infinite: directionOf(1, 32).fill(-Infinity, 5, 6),
      zero: new Float32Array(32),
      short: directionOf(1, 31),
      long: directionOf(1, 33),
      empty: new Float32Array(),
    };
    let id = 1_000;
    for (const vector of Object.values(bad)) index.add("s", ++id, { vector });
    index.add("s", ++id, { text: "no embedder here" });
    await index.settled();
    assert.equal(index.stats().live, 100);
    const kinds = new Map<string, string>();
    for (const [name, vector] of Object.entries(bad)) {
      kinds.set(name, await kindOf(index.search("s", { vector }, soon())));
    }
    assert.deepEqual(Object.fromEntries(kinds), {
      nan: "unusable",
      infinite: "unusable",
      zero: "unusable",
      short: "dims",
      long: "dims",
      empty: "dims",
    });
    const refused = events.filter((event) => event.type === "vector_refused");
    assert.equal(refused.filter(({ use }) => use === "add").length, 7);
    assert.equal(refused.filter(({ use }) => use === "search").length, 6);
    for (let id = 1; id <= 100; id++) {
      const [first] = await index.search("s", { vector: directionOf(id, 32) }, soon());
      assert.equal(first?.id, id);
    }
  });

  Deno.test(`VectorClient rebuilds while it is used, ${kind}`, async () => {
    await using open = await openIndex({
      native,
      builtin: false,
      dims: 32,
      rebuild: { ...VECTOR_DEFAULTS.rebuild, placesMin: 64, paceShare: 1 },
    });
    const { index } = open;
    const live = new Set<number>();
    for (let id = 1; id <= 1_000; id++) {
      index.add("s", id, { vector: directionOf(id, 32) });
      live.add(id);
    }
    await index.settled();
    for (let id = 1; id <= 600; id++) {
      index.remove("s", id);
      live.delete(id);
    }
    await open.seen("rebuild_started");
    // What happens meanwhile is what a switch could lose or bring back.
    for (let id = 2_000; index.stats().rebuilding; id++) {
      index.add("s", id, { vector: directionOf(id, 32) });
      live.add(id);
      if (id % 3 === 0) {
        index.remove("s", id - 1_300);
        live.delete(id - 1_300);
      }
      const wanted = [...live][Math.floor(live.size / 2)] ?? 0;
      const matches = await index.search("s", { vector: directionOf(wanted, 32) }, soon());
      assert.equal(matches[0]?.id, wanted);
    }
    await index.settled();
    assert.equal(index.stats().rebuilds, 1);
    assert.ok((index.stats().lastRebuildSeconds ?? 0) > 0);
    assert.deepEqual(await idsOf(index), { s: [...live].toSorted((a, b) => a - b) });
    assert.ok(index.stats().tombstones < 600);
    assert.equal(open.workers.length, 2);
    for (const id of live) {
      const [first] = await index.search("s", { vector: directionOf(id, 32) }, soon());
      assert.equal(first?.id, id);
    }
  });
}

Deno.test("VectorClient says the same with a graph as by scanning", async () => {
  await using graph = await openIndex({ dims: 64, builtin: false });
  await using scan = await openIndex({ dims: 64, builtin: false, native: "never" });
  for (let id = 1; id <= 500; id++) {
    for (const { index } of [graph, scan]) index.add("s", id, { vector: directionOf(id, 64) });
  }
  await Promise.all([graph.index.settled(), scan.index.settled()]);
  for (let id = 1; id <= 100; id++) {
    const vector = directionOf(id, 64).map((value, i) => value + 0.01 * Math.sin(i));
    const [one] = await graph.index.search("s", { vector }, soon());
    const [other] = await scan.index.search("s", { vector }, soon());
    assert.deepEqual(one, other);
  }
});

Deno.test("VectorClient compares texts by the embedder of its worker", async () => {
  await using open = await openIndex({ native: "never" });
  const { index } = open;
  const same = await index.compare(sentence(1), sentence(1), soon());
  assert.ok(same !== null && same > 0.9999);
  const other = await index.compare(sentence(1), "Bananas are yellow.", soon());
  assert.ok(other !== null && other < 0.5);
  assert.equal(await index.compare(sentence(1), "!?", soon()), null);
});

Deno.test("createVectorIndex() does without what is not permitted, and says so", async () => {
  const events: VectorEvent[] = [];
  const permitted = await Deno.makeTempDir();
  try {
    const index = createVectorIndex({
      ...VECTOR_DEFAULTS,
      dims: 512,
      embedderId: "test",
      builtin: true,
      clock: systemClock,
      random: randomSource,
      directory: permitted,
      onEvent: (event) => void events.push(event),
    });
    await index.ready;
    index.add("s", 1, { text: sentence(1) });
    await index.settled();
    const [first] = await index.search("s", { text: sentence(1) }, soon());
    assert.equal(first?.id, 1);
    const isPermitted = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
    assert.equal(index.stats().native, isPermitted);
    assert.equal(events.some(({ type }) => type === "native_unavailable"), !isPermitted);
    await index.close();
    assert.ok(events.some(({ type }) => type === "saved"));
  } finally {
    await Deno.remove(permitted, { recursive: true });
  }
});

Deno.test("vectorFlags() are enough for the native library, and less is not", async () => {
  const program = `
    import { createVectorIndex } from "${import.meta.resolve("./workers.ts")}";
    import { VECTOR_DEFAULTS } from "${import.meta.resolve("./types.ts")}";
    import { randomSource, systemClock } from "${import.meta.resolve("../runtime/clock.ts")}";
    const index = createVectorIndex({
      ...VECTOR_DEFAULTS, dims: 512, embedderId: "test", builtin: true, clock: systemClock,
      random: randomSource, onEvent: () => {},
    });
    await index.ready;
    index.add("s", 1, { text: "hello there" });
    await index.settled();
    const [first] = await index.search("s", { text: "hello there" }, systemClock.nowMs() + 9e4);
    console.log(JSON.stringify([index.stats().native, first?.id]));
    await index.close();`;
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, program);
  try {
    const run = async (flags: readonly string[]): Promise<string> => {
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--no-check", `--config=${config}`, ...flags, script],
        stderr: "inherit",
      }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    const flags = vectorFlags();
    assert.equal(await run(flags), "[true,1]");
    assert.equal(await run(flags.filter((flag) => !flag.includes("ffi"))), "[false,1]");
  } finally {
    await Deno.remove(script);
  }
});
