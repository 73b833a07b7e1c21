/**
 * Writes a store to a directory and reads it back, trusting nothing it reads.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Refusal } from "../messages.ts";
import type { VectorStore } from "../store/vector_store.ts";
import type { VectorDisk } from "./disk.ts";
import {
  generationOf,
  graphName,
  type KeptFile,
  type KeptGraph,
  MANIFEST,
  type Manifest,
  MANIFEST_DRAFT,
  readManifest,
  slabName,
  writeManifest,
} from "./manifest.ts";
import { readBlocks, writeBlock } from "./slab_file.ts";

const BLOCK_ROWS = 256;

/** What the vectors are, besides themselves. */
export interface Identity {
  /** What made them. */
  readonly embedderId: string;
  /** Their length. */
  readonly dims: number;
}

/** What was read. */
export interface Loaded {
  /** Numbers and names of the scopes. */
  readonly scopes: ReadonlyArray<readonly [number, string]>;
  /** The generation that was read, or 0; the next one is written under a higher number. */
  readonly generation: number;
  /** Files that were not trusted. */
  readonly refusals: readonly Refusal[];
}

/**
 * Writes everything under a new generation. The store must not change meanwhile.
 *
 * @returns Bytes written.
 * @throws {Error} If it could not be written; what was there before is still whole.
 */
export async function saveStore(
  store: VectorStore,
  disk: VectorDisk,
  about: Identity & {
    readonly generation: number;
    readonly sequence: number;
    readonly scopes: ReadonlyMap<number, string>;
  },
): Promise<number> {
  const { generation } = about;
  const scopes = [...store.sets.keys()];
  const names = scopes.map((scope) => {
    const name = about.scopes.get(scope);
    if (name === undefined) throw new Error(`Cannot save vectors: scope ${scope} has no name`);
    return name;
  });
  await disk.write(slabName(generation), blocksOf(store, scopes));
  const graphs: KeptGraph[] = [];
  for (const [index, scope] of scopes.entries()) {
    const graph = store.sets.get(scope)?.graph ?? null;
    if (graph === null || graph.live === 0) continue;
    const name = graphName(generation, index + 1);
    graph.save(disk.path(name));
    const { tombstones } = graph;
    graphs.push({ scope: index + 1, tombstones, file: await keptFile(disk, name) });
  }
  const manifest: Manifest = {
    embedderId: about.embedderId,
    dims: about.dims,
    count: store.rowOf.size,
    sequence: about.sequence,
    generation,
    scopes: names,
    slab: await keptFile(disk, slabName(generation)),
    graphs,
  };
  await disk.write(MANIFEST_DRAFT, [new TextEncoder().encode(writeManifest(manifest))]);
  await disk.rename(MANIFEST_DRAFT, MANIFEST);
  await clean(disk, generation);
  return graphs.reduce((sum, { file }) => sum + file.bytes, manifest.slab.bytes);
}

/** Reads what is kept into an empty store; what cannot be trusted is left out and named. */
export async function loadStore(
  store: VectorStore,
  disk: VectorDisk,
  about: Identity,
): Promise<Loaded> {
  const refusals: Refusal[] = [];
  const refuse = (file: string, reason: string): void => void refusals.push({ file, reason });
  const manifest = await manifestOf(disk, about, refuse);
  if (manifest === null || !(await loadSlab(store, disk, manifest, refuse))) {
    // The next generation must not share a name with files that lie about.
    const generations = (await disk.list()).map((name) => generationOf(name) ?? 0);
    return { scopes: [], generation: Math.max(0, ...generations), refusals };
  }
  // Without the native library there is nothing to read a graph with; it is no fault of the file.
  for (const graph of store.hasGraphs ? manifest.graphs : []) {
    const problem = await loadGraph(store, disk, graph);
    if (problem !== null) refuse(graph.file.name, problem);
  }
  return {
    scopes: manifest.scopes.map((name, index) => [index + 1, name]),
    generation: manifest.generation,
    refusals,
  };
}

async function manifestOf(
  disk: VectorDisk,
  about: Identity,
  refuse: (file: string, reason: string) => void,
): Promise<Manifest | null> {
  const bytes = await disk.read(MANIFEST);
  if (bytes === null) return null;
  try {
    const manifest = readManifest(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (manifest.embedderId !== about.embedderId) refuse(MANIFEST, "Embedder is another one");
    else if (manifest.dims !== about.dims) refuse(MANIFEST, "Dimensions are others");
    else return manifest;
  } catch (error) {
    refuse(MANIFEST, messageOf(error));
  }
  return null;
}

async function loadSlab(
  store: VectorStore,
  disk: VectorDisk,
  manifest: Manifest,
  refuse: (file: string, reason: string) => void,
): Promise<boolean> {
  const { name, bytes: length, sha256 } = manifest.slab;
  const bytes = await disk.read(name);
  if (bytes === null || bytes.length !== length) {
    refuse(name, bytes === null ? "File is missing" : "Length is not that of the manifest");
    return false;
  }
  if (createHash("sha256").update(bytes).digest("hex") !== sha256) {
    refuse(name, "Digest is not that of the manifest");
    return false;
  }
  const { dims, count, scopes } = manifest;
  try {
    // All of it is looked at before any of it is taken.
    const pieces = [...readBlocks(bytes, { dims, count, scopes: scopes.length })];
    for (const piece of pieces) store.feed(piece);
    return true;
  } catch (error) {
    refuse(name, messageOf(error));
    return false;
  }
}

/** Why a graph was not taken, or `null`; its vectors are then scanned until it is built again. */
async function loadGraph(
  store: VectorStore,
  disk: VectorDisk,
  graph: KeptGraph,
): Promise<string | null> {
  const { file, scope, tombstones } = graph;
  const found = await disk.digest(file.name);
  if (found === null) return "File is missing";
  if (found.bytes !== file.bytes) return "Length is not that of the manifest";
  if (found.sha256 !== file.sha256) return "Digest is not that of the manifest";
  try {
    const isFit = store.adoptGraph(scope, disk.path(file.name), tombstones);
    return isFit ? null : "Keys are not those of the slab";
  } catch (error) {
    return messageOf(error);
  }
}

function* blocksOf(
  store: VectorStore,
  scopes: readonly number[],
): Generator<Uint8Array<ArrayBuffer>> {
  for (const [index, scope] of scopes.entries()) {
    const rows = store.sets.get(scope)?.rows ?? [];
    for (let start = 0; start < rows.length; start += BLOCK_ROWS) {
      const piece = store.copyOf(rows.slice(start, start + BLOCK_ROWS));
      yield writeBlock({ ...piece, scopes: piece.scopes.fill(index + 1) });
    }
  }
}

async function keptFile(disk: VectorDisk, name: string): Promise<KeptFile> {
  const digest = await disk.digest(name);
  if (digest === null) throw new Error(`Cannot save vectors: ${name} is gone`);
  return { name, ...digest };
}

/** Removes the files of all other generations. */
async function clean(disk: VectorDisk, generation: number): Promise<void> {
  for (const name of await disk.list()) {
    const other = generationOf(name);
    if (other !== null && other !== generation) await disk.remove(name);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
