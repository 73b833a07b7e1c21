import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { directionOf, ExactGraph } from "../store/exact_graph_fixture.ts";
import type { GraphMaker } from "../store/graph.ts";
import { VectorStore } from "../store/vector_store.ts";
import type { VectorDisk } from "./disk.ts";
import { type Loaded, loadStore, saveStore } from "./keeping.ts";
import { graphName, MANIFEST, slabName } from "./manifest.ts";

const DIMS = 8;
const ABOUT = { embedderId: "test", dims: DIMS };
const NAMES = new Map([[1, "one"], [2, "two"]]);

/** Files in memory, and a power cut after so many operations. */
class MemoryDisk implements VectorDisk {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  operationsLeft = Infinity;

  #tick(): void {
    if (this.operationsLeft-- <= 0) throw new Error("Power cut");
  }

  path(name: string): string {
    return name;
  }

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.files.keys()]);
  }

  read(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    return Promise.resolve(this.files.get(name) ?? null);
  }

  // deno-lint-ignore require-await -- A cut has to reject, not to throw.
  async write(name: string, parts: Iterable<Uint8Array<ArrayBuffer>>): Promise<void> {
    this.#tick();
    this.files.set(name, new Uint8Array());
    for (const part of parts) {
      this.#tick();
      this.files.set(name, Uint8Array.of(...this.files.get(name) ?? [], ...part));
    }
    this.#tick();
  }

  digest(name: string): Promise<{ readonly bytes: number; readonly sha256: string } | null> {
    const bytes = this.files.get(name);
    if (bytes === undefined) return Promise.resolve(null);
    return Promise.resolve({ bytes: bytes.length, sha256: sha256Of(bytes) });
  }

  // deno-lint-ignore require-await -- A cut has to reject, not to throw.
  async rename(from: string, to: string): Promise<void> {
    this.#tick();
    const bytes = this.files.get(from);
    assert.ok(bytes);
    this.files.set(to, bytes);
    this.files.delete(from);
    this.#tick();
  }

  // deno-lint-ignore require-await -- A cut has to reject, not to throw.
  async remove(name: string): Promise<void> {
    this.#tick();
    this.files.delete(name);
  }

  /** Writes a graph's keys, as the native library writes its file: past everybody. */
  writeGraph(path: string, graph: ExactGraph): void {
    this.#tick();
    this.files.set(path, new TextEncoder().encode(JSON.stringify(graph.keys)));
    this.#tick();
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function makerOn(disk: MemoryDisk): GraphMaker {
  const create = (): ExactGraph => {
    const graph: ExactGraph = new ExactGraph(() => {}, (path) => disk.writeGraph(path, graph));
    return graph;
  };
  const load = (path: string): ExactGraph => {
    const graph = create();
    const keys: unknown = JSON.parse(new TextDecoder().decode(disk.files.get(path)));
    assert.ok(Array.isArray(keys));
    for (const key of keys) graph.add(Number(key), directionOf(Number(key), DIMS));
    return graph;
  };
  return { create, load };
}

function openStore(disk: MemoryDisk): VectorStore {
  return new VectorStore({ dims: DIMS, graphFrom: 4, graphs: makerOn(disk), onSegment: () => {} });
}

/** A store with some vectors in two scopes, the first of them with a graph. */
function filled(disk: MemoryDisk, count = 12): VectorStore {
  const store = openStore(disk);
  for (let id = 1; id <= count; id++) store.add(id <= 3 ? 2 : 1, id, directionOf(id, DIMS));
  while (store.advance());
  return store;
}

async function saved(generation = 1): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await saveStore(filled(disk), disk, { ...ABOUT, generation, sequence: 12, scopes: NAMES });
  return disk;
}

async function load(
  disk: MemoryDisk,
  about = ABOUT,
): Promise<{ readonly store: VectorStore; readonly loaded: Loaded }> {
  const store = openStore(disk);
  return { store, loaded: await loadStore(store, disk, about) };
}

/** Changes the manifest, keeping it well-formed. */
function edit(disk: MemoryDisk, change: (manifest: Record<string, unknown>) => void): void {
  const manifest: Record<string, unknown> = JSON.parse(
    new TextDecoder().decode(disk.files.get(MANIFEST)),
  );
  change(manifest);
  disk.files.set(MANIFEST, new TextEncoder().encode(JSON.stringify(manifest)));
}

/** Puts other bytes in a file's place, with a manifest that vouches for them. */
function forge(disk: MemoryDisk, name: string, bytes: Uint8Array<ArrayBuffer>): void {
  disk.files.set(name, bytes);
  const file = { name, bytes: bytes.length, sha256: sha256Of(bytes) };
  edit(disk, (manifest) => {
    if (name.endsWith(".slab")) manifest.slab = file;
    else manifest.graphs = [{ scope: 1, tombstones: 0, file }];
  });
}

Deno.test("loadStore() reads what saveStore() wrote, graph included", async () => {
  const disk = await saved(3);
  const { store, loaded } = await load(disk);
  assert.deepEqual(loaded.refusals, []);
  assert.equal(loaded.generation, 3);
  assert.deepEqual(new Map(loaded.scopes).get(1), "two"); // Numbered in the order of the store.
  assert.equal(store.rowOf.size, 12);
  assert.equal(store.counts(null).backlog, 0);
  for (let id = 1; id <= 12; id++) {
    assert.equal(store.search(id <= 3 ? 1 : 2, directionOf(id, DIMS))[0]?.id, id);
  }
});

Deno.test("loadStore() of an empty directory is an empty store", async () => {
  const { store, loaded } = await load(new MemoryDisk());
  assert.deepEqual(loaded, { scopes: [], generation: 0, refusals: [] });
  assert.equal(store.rowOf.size, 0);
});

Deno.test("saveStore() leaves only files of its generation", async () => {
  const disk = await saved(1);
  disk.files.set("notes.txt", new Uint8Array(1));
  await saveStore(filled(disk), disk, { ...ABOUT, generation: 2, sequence: 1, scopes: NAMES });
  const names = [...disk.files.keys()].toSorted();
  assert.deepEqual(names, ["notes.txt", MANIFEST, graphName(2, 2), slabName(2)].toSorted());
});

Deno.test("saveStore() cut off at any operation leaves the old or the new index", async () => {
  let cuts = 0;
  for (let operations = 0;; operations++) {
    const disk = await saved(1);
    const store = filled(disk, 20);
    disk.operationsLeft = operations;
    const about = { ...ABOUT, generation: 2, sequence: 20, scopes: NAMES };
    const isWhole = await saveStore(store, disk, about).then(() => true, () => false);
    disk.operationsLeft = Infinity;
    const { store: read, loaded } = await load(disk);
    assert.deepEqual(loaded.refusals, []);
    assert.ok([12, 20].includes(read.rowOf.size), `${read.rowOf.size} after ${operations}`);
    assert.equal(read.counts(null).backlog, 0);
    if (isWhole) break;
    cuts++;
  }
  assert.ok(cuts > 10);
});

Deno.test("loadStore() takes nothing of another embedder or of other dimensions", async () => {
  for (const about of [{ ...ABOUT, embedderId: "other" }, { ...ABOUT, dims: 16 }]) {
    const disk = await saved(5);
    const store = new VectorStore({ ...about, graphFrom: 4, graphs: null, onSegment: () => {} });
    const loaded = await loadStore(store, disk, about);
    assert.equal(loaded.refusals[0]?.file, MANIFEST);
    assert.equal(store.rowOf.size, 0);
    assert.equal(loaded.generation, 5); // So that the next one gets names of its own.
  }
});

const GARBLERS: Readonly<
  Record<string, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>>
> = {
  "cut off": (bytes) => bytes.slice(0, bytes.length >> 1),
  "emptied": () => new Uint8Array(),
  "grown": (bytes) => Uint8Array.of(...bytes, 0),
  "garbled": (bytes) => bytes.map((byte, i) => i === bytes.length >> 1 ? byte ^ 0xff : byte),
  "foreign": () => new TextEncoder().encode("%PDF-1.7 something else altogether"),
};

for (const [how, garble] of Object.entries(GARBLERS)) {
  Deno.test(`loadStore() trusts no file that was ${how}`, async () => {
    for (const name of [MANIFEST, slabName(1), graphName(1, 2)]) {
      const disk = await saved(1);
      const bytes = disk.files.get(name);
      assert.ok(bytes);
      disk.files.set(name, garble(bytes));
      const { store, loaded } = await load(disk);
      assert.equal(loaded.refusals[0]?.file, name);
      const isGraph = name.endsWith(".usearch");
      assert.equal(store.rowOf.size, isGraph ? 12 : 0);
      // Without its graph, the scope is scanned until it has been built again.
      if (isGraph) assert.equal(store.search(2, directionOf(9, DIMS))[0]?.id, 9);
    }
  });
}

Deno.test("loadStore() trusts no missing file", async () => {
  for (const name of [slabName(1), graphName(1, 2)]) {
    const disk = await saved(1);
    disk.files.delete(name);
    assert.equal((await load(disk)).loaded.refusals[0]?.file, name);
  }
});

Deno.test("loadStore() trusts no file that only its digest speaks for", async () => {
  const bytes = (await saved(1)).files.get(slabName(1));
  assert.ok(bytes);
  const at = (offset: number, value: number): Uint8Array<ArrayBuffer> => {
    const copy = bytes.slice();
    new DataView(copy.buffer).setFloat64(offset, value, true);
    return copy;
  };
  const slabs: readonly Uint8Array<ArrayBuffer>[] = [
    at(8, NaN),
    at(8, -1),
    at(8, 1.5),
    at(8, 2 ** 53),
    at(8, 2), // The key of another vector.
    at(32, 5e-320), // A scope that is none: 0.
    bytes.slice(0, bytes.length - 8),
    new Uint8Array(bytes.length), // A block of no vectors.
    new Uint8Array(bytes.length).fill(0xff),
    new Uint8Array(),
  ];
  for (const [index, slab] of slabs.entries()) {
    const disk = await saved(1);
    forge(disk, slabName(1), slab);
    const { store, loaded } = await load(disk);
    assert.equal(loaded.refusals[0]?.file, slabName(1), `slab ${index}`);
    assert.equal(store.rowOf.size, 0);
  }
});

Deno.test("loadStore() trusts no graph of other keys, whoever speaks for it", async () => {
  for (const keys of ["[1,2,3,99]", "[4,4]", "{}", "[1,2"]) {
    const disk = await saved(1);
    forge(disk, graphName(1, 2), new TextEncoder().encode(keys));
    edit(disk, (manifest) => {
      const [graph] = manifest.graphs as { scope: number }[];
      if (graph !== undefined) graph.scope = 2;
    });
    const { store, loaded } = await load(disk);
    assert.equal(loaded.refusals[0]?.file, graphName(1, 2), keys);
    assert.equal(store.rowOf.size, 12);
    while (store.advance());
    assert.equal(store.search(2, directionOf(7, DIMS))[0]?.id, 7);
  }
});

Deno.test("loadStore() follows no name out of its directory", async () => {
  for (const name of ["../vectors-1.slab", "/etc/passwd", "vectors-2.slab", ""]) {
    const disk = await saved(1);
    edit(disk, (manifest) => {
      manifest.slab = { ...manifest.slab as Record<string, unknown>, name };
    });
    assert.equal((await load(disk)).loaded.refusals[0]?.file, MANIFEST);
  }
});

Deno.test("loadStore() takes no manifest with a field of another kind", async () => {
  const edits: ((manifest: Record<string, unknown>) => void)[] = [
    (manifest) => manifest.format = 2,
    (manifest) => manifest.dtype = "i8",
    (manifest) => manifest.metric = "l2sq",
    (manifest) => manifest.count = 11,
    (manifest) => manifest.count = "12",
    (manifest) => manifest.scopes = ["one"],
    (manifest) => manifest.scopes = ["one", "one"],
    (manifest) => manifest.scopes = null,
    (manifest) => manifest.graphs = [{ scope: 3, tombstones: 0, file: manifest.slab }],
    (manifest) => manifest.graphs = [{ scope: 1, tombstones: -1, file: manifest.slab }],
    (manifest) => manifest.graphs = [null],
    (manifest) => manifest.slab = [],
    (manifest) => delete manifest.embedderId,
    (manifest) => manifest.generation = 0,
  ];
  for (const [index, change] of edits.entries()) {
    const disk = await saved(1);
    edit(disk, change);
    const { store, loaded } = await load(disk);
    assert.equal(loaded.refusals.length, 1, `edit ${index}`);
    assert.equal(store.rowOf.size, 0);
  }
});
