import assert from "node:assert/strict";
import { crash, idsOf, kindOf, type OpenIndex, openIndex, soon } from "../support/vector_index.ts";
import { TextLineStream } from "../support/lines.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { directionOf } from "../../src/vectors/store/exact_graph_fixture.ts";
import { VECTOR_DEFAULTS, type VectorIndexOptions } from "../../src/vectors/types.ts";

const DIMS = 32;
const SMALL: Partial<VectorIndexOptions> = {
  dims: DIMS,
  builtin: false,
  silentMs: 1_000,
  rebuild: { ...VECTOR_DEFAULTS.rebuild, placesMin: 1e9, holdOffMs: 0, pieceRows: 8 },
};

function fill(open: OpenIndex, from: number, to: number): void {
  for (let id = from; id <= to; id++) open.index.add("s", id, { vector: directionOf(id, DIMS) });
}

/** Whether exactly these ids are there, and each is found. */
async function holds(open: OpenIndex, from: number, to: number): Promise<void> {
  await open.index.settled();
  const ids = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  assert.deepEqual(await idsOf(open.index), { s: ids });
  for (let id = from; id <= to; id += 7) {
    const [first] = await open.index.search("s", { vector: directionOf(id, DIMS) }, soon());
    assert.equal(first?.id, id);
    assert.ok(first.similarity > 0.999);
  }
}

for (const native of ["auto", "never"] as const) {
  const kind = native === "auto" ? "graphs" : "scanning";
  for (
    const [how, end] of [
      ["crashed", crash],
      ["ended without a word", (worker: OpenIndex["workers"][number] | undefined) => worker?.end()],
    ] as const
  ) {
    Deno.test(`VectorClient outlives a worker that ${how} in a search, ${kind}`, async () => {
      await using open = await openIndex({ ...SMALL, native });
      fill(open, 1, 500);
      await open.index.settled();
      end(open.workers[0]);
      const searches = Array.from(
        { length: 5 },
        (_, i) => kindOf(open.index.search("s", { vector: directionOf(i + 1, DIMS) }, soon())),
      );
      assert.deepEqual(new Set(await Promise.all(searches)), new Set(["failed"]));
      fill(open, 501, 520); // While there is no worker.
      await holds(open, 1, 520);
      assert.equal(open.workers.length, 2);
      assert.equal(open.index.stats().native, native === "auto");
    });

    Deno.test(`VectorClient outlives a worker that ${how} at work, ${kind}`, async () => {
      await using open = await openIndex({ ...SMALL, native });
      for (let round = 0; round < 2; round++) {
        fill(open, 1 + round * 400, 400 + round * 400);
        // Some of it is applied, some is in the graph, some is still on its way.
        await kindOf(open.index.search("s", { vector: directionOf(1, DIMS) }, soon()));
        end(open.workers[round]);
      }
      await holds(open, 1, 800);
    });
  }
}

Deno.test("VectorClient keeps its index when the builder dies, and builds again", async () => {
  for (const end of ["crash", "silence"]) {
    await using open = await openIndex(SMALL);
    fill(open, 1, 600);
    await open.index.settled();
    open.index.rebuild();
    assert.equal(open.index.stats().rebuilding, true);
    fill(open, 601, 620);
    if (end === "crash") crash(open.workers[1]);
    else open.workers[1]?.end();
    const { cause } = await open.seen("rebuild_failed");
    assert.equal(cause, "builder_died");
    assert.equal(open.index.stats().rebuilds, 0);
    await holds(open, 1, 620);

    open.index.rebuild();
    await open.seen("rebuild_finished");
    await holds(open, 1, 620);
    assert.equal(open.workers.length, 3);
  }
});

Deno.test("VectorClient gives a rebuild up when the index dies under it", async () => {
  await using open = await openIndex(SMALL);
  fill(open, 1, 600);
  await open.index.settled();
  open.index.rebuild();
  crash(open.workers[0]);
  assert.equal((await open.seen("rebuild_failed")).cause, "index_died");
  await holds(open, 1, 600);
});

Deno.test("VectorClient does without the library if its workers keep dying", async () => {
  await using open = await openIndex(SMALL);
  fill(open, 1, 200);
  await open.index.settled();
  for (let death = 0; death < 3; death++) {
    crash(open.workers[death]);
    await open.seen("worker_died", death + 1);
    await open.index.settled();
  }
  assert.equal(open.index.stats().native, false);
  await holds(open, 1, 200);
});

Deno.test("VectorClient takes no more searches than it may", async () => {
  await using open = await openIndex({ ...SMALL, queueMax: 3 });
  fill(open, 1, 10);
  await open.index.settled();
  const kinds = Array.from(
    { length: 5 },
    () => kindOf(open.index.search("s", { vector: directionOf(1, DIMS) }, soon())),
  );
  assert.deepEqual(await Promise.all(kinds), ["found", "found", "found", "full", "full"]);
  assert.equal(
    await kindOf(open.index.search("s", { vector: directionOf(1, DIMS) }, soon())),
    "found",
  );
});

Deno.test("VectorClient rejects what is late, at once or on time", async () => {
  await using open = await openIndex({ ...SMALL, silentMs: 60_000 });
  fill(open, 1, 10);
  await open.index.settled();
  const search = (deadlineMs: number): Promise<string> =>
    kindOf(open.index.search("s", { vector: directionOf(1, DIMS) }, deadlineMs));
  assert.equal(await search(systemClock.nowMs()), "late");
  open.workers[0]?.end(); // It will never answer.
  assert.equal(await search(systemClock.nowMs() + 20), "late");
});

Deno.test("VectorClient leaves vectors out when too many wait, and says so", async () => {
  await using open = await openIndex({ ...SMALL, changesMax: 50 });
  fill(open, 1, 80);
  await open.index.settled();
  const refused = open.events.filter((event) => event.type === "vector_refused");
  assert.equal(refused.length, 30);
  assert.ok(refused.every(({ reason }) => reason === "full"));
  await holds(open, 1, 50);
});

Deno.test("VectorClient closes in the middle of everything", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const open = await openIndex({ ...SMALL, directory });
    fill(open, 1, 500);
    await open.index.settled();
    open.index.rebuild();
    fill(open, 501, 700);
    const search = kindOf(open.index.search("s", { vector: directionOf(1, DIMS) }, soon()));
    const ids = kindOf(open.index.ids());
    const settled = open.index.settled();
    const closed = open.index.close();
    fill(open, 701, 710); // Too late.
    open.index.remove("s", 1);
    open.index.rebuild();
    const after = kindOf(open.index.search("s", { vector: directionOf(1, DIMS) }, soon()));
    await Promise.all([closed, settled, open.index.close()]);
    assert.deepEqual([await search, await after], ["closed", "closed"]);
    assert.ok(["found", "closed"].includes(await ids));

    await using again = await openIndex({ ...SMALL, directory });
    await holds(again, 1, 700);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("VectorClient reads back what it saved, graphs and all", async () => {
  for (const native of ["auto", "never"] as const) {
    const directory = await Deno.makeTempDir();
    try {
      const first = await openIndex({ ...SMALL, native, directory });
      fill(first, 1, 300);
      first.index.add("other", 1_000, { vector: directionOf(1_000, DIMS) });
      await first.index.save();
      fill(first, 301, 310);
      await first.index.close();
      const files = [...Deno.readDirSync(directory)].map(({ name }) => name).toSorted();
      const graphs = native === "auto" ? ["vectors-2-1.usearch"] : [];
      assert.deepEqual(files, [...graphs, "vectors-2.slab", "vectors.json"]);

      // Also where the library is not there any more.
      for (const then of [native, "never"] as const) {
        await using second = await openIndex({ ...SMALL, native: then, directory });
        assert.deepEqual(second.events, []);
        const ids = await idsOf(second.index);
        assert.deepEqual(ids.other, [1_000]);
        assert.equal(ids.s?.length, 310);
        second.index.remove("other", 1_000);
        await holds(second, 1, 310);
        second.index.add("other", 1_000, { vector: directionOf(1_000, DIMS) });
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  }
});

Deno.test("VectorClient builds again from vectors what a damaged graph cannot give", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const first = await openIndex({ ...SMALL, directory });
    fill(first, 1, 300);
    await first.index.close();
    const path = `${directory}/vectors-1-1.usearch`;
    const bytes = await Deno.readFile(path);
    for (const damaged of [bytes.slice(0, 99), bytes.fill(7, 60, 80), new Uint8Array()]) {
      await Deno.writeFile(path, damaged);
      await using second = await openIndex({ ...SMALL, directory });
      assert.equal(second.events[0]?.type, "file_refused");
      await holds(second, 1, 300);
      assert.equal(second.index.stats().graphs, 1);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("VectorClient begins anew where the vectors are damaged or another's", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const damage of ["slab", "manifest", "embedder", "dims"]) {
      const first = await openIndex({ ...SMALL, directory });
      fill(first, 1, 100);
      await first.index.close();
      for (const { name } of [...Deno.readDirSync(directory)]) {
        if (damage === "slab" && name.endsWith(".slab")) {
          await Deno.truncate(`${directory}/${name}`, 1_000);
        }
        if (damage === "manifest" && name.endsWith(".json")) {
          await Deno.writeTextFile(`${directory}/${name}`, "{");
        }
      }
      const embedderId = damage === "embedder" ? "another" : "test";
      const dims = damage === "dims" ? 16 : DIMS;
      const second = await openIndex({ ...SMALL, directory, embedderId, dims });
      assert.equal(second.events[0]?.type, "file_refused", damage);
      assert.deepEqual(await idsOf(second.index), {});
      second.index.add("s", 1, { vector: directionOf(1, dims) });
      await second.index.close();

      await using third = await openIndex({ ...SMALL, directory, embedderId, dims });
      assert.deepEqual(await idsOf(third.index), { s: [1] });
      await Deno.remove(directory, { recursive: true });
    }
  } finally {
    await Deno.remove(directory, { recursive: true }).catch(() => {});
  }
});

Deno.test("VectorClient survives kill -9 in the middle of saving", async () => {
  const directory = await Deno.makeTempDir();
  const script = new URL("../support/vector_saver.ts", import.meta.url);
  const config = new URL("../deno.json", import.meta.url).pathname;
  try {
    let killed = 0;
    for (let round = 0; round < 4; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--no-prompt",
          "--no-check",
          `--config=${config}`,
          script.pathname,
          directory,
        ],
        stdout: "piped",
      }).spawn();
      const lines = child.stdout.pipeThrough(new TextDecoderStream())
        .pipeThrough(new TextLineStream()).getReader();
      // The child says so before each save and after it: the kill falls in between.
      for (let line = ""; line !== `saving ${round + 2}`;) {
        const { value } = await lines.read();
        assert.ok(value !== undefined, "the child ended by itself");
        line = value;
      }
      child.kill("SIGKILL");
      await lines.cancel();
      if (!(await child.status).success) killed++;

      await using open = await openIndex({ ...SMALL, directory });
      assert.deepEqual(open.events, []);
      const ids = (await idsOf(open.index)).s ?? [];
      // Each save has 500 vectors more than the one before.
      assert.ok(ids.length >= 500 && ids.length % 500 === 0, `${ids.length} vectors`);
      await holds(open, 1, ids.length);
    }
    assert.equal(killed, 4);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
