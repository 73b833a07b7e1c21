/**
 * USearch 2.26.2, loaded as the bare library and fenced in.
 *
 * The package's own entry point wants the environment, system information and
 * wide reading; the library beside it wants `--allow-ffi` for its own path only.
 * What the entry point would check is checked here, since the library does not:
 * a metric it does not know aborts the whole process, a vector of the wrong
 * length is read past its end, a key of 2^64 − 1 marks a free slot, and `load`
 * takes dimensions from the file whatever the constructor was told. So only
 * `cos` with `f16` is ever asked for; keys are whole numbers from 1 to 2^53 − 1,
 * made into a `BigInt` at the call; one thread a call, since asking for all
 * cores starts them each time; and never several keys at once, since a batch
 * that fails leaves the first half behind.
 *
 * @module
 */
import { createRequire } from "node:module";
import type { Graph, GraphMaker } from "./store/graph.ts";

const CONNECTIVITY = 16;
const EXPANSION_ADD = 128;
/**
 * 64 found 99.92 % of near-duplicates among 100,000 sentences in 0.56 ms, 80 and more
 * all 1,200 of them; 96 takes 0.83 ms, which leaves some room for other texts.
 */
const EXPANSION_SEARCH = 96;
const THREADS = 1;
const MAGIC = "usearch";

/** Folder of the library for each system; there is none for musl. */
const FOLDERS: Readonly<Record<string, string>> = {
  "linux x86_64": "linux-x64",
  "linux aarch64": "linux-arm64",
  "darwin x86_64": "darwin-arm64+x64",
  "darwin aarch64": "darwin-arm64+x64",
  "windows x86_64": "win32-x64",
};

interface CompiledIndex {
  dimensions(): number;
  connectivity(): number;
  size(): number;
  capacity(): number;
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(
    vectors: Float32Array,
    limit: number,
    threads: number,
  ): [BigUint64Array, Float32Array, BigUint64Array];
  remove(keys: BigUint64Array): readonly number[];
  contains(keys: BigUint64Array): readonly boolean[];
  save(path: string): void;
  load(path: string): void;
}

interface Library {
  readonly CompiledIndex: new (
    dimensions: number,
    metric: string,
    dtype: string,
    connectivity: number,
    expansionAdd: number,
    expansionSearch: number,
    multi: boolean,
  ) => CompiledIndex;
}

/** Path of the library for this system, or `null` if the package does not hold one. */
export function libraryPath(): string | null {
  const folder = FOLDERS[`${Deno.build.os} ${Deno.build.arch}`];
  if (folder === undefined) return null;
  try {
    const entry = createRequire(import.meta.url).resolve("usearch");
    const end = entry.lastIndexOf("javascript");
    return end === -1 ? null : `${entry.slice(0, end)}prebuilds/${folder}/usearch.node`;
  } catch {
    return null; // The package was not installed.
  }
}

/**
 * Loads the library.
 *
 * @throws {Error} If it is not there, may not be loaded, or is for another system.
 */
export function loadGraphs(path: string, dims: number): GraphMaker {
  if (!Number.isSafeInteger(dims) || dims < 1) {
    throw new RangeError(`Cannot make graphs: ${dims} is no number of dimensions`);
  }
  const library: unknown = createRequire(import.meta.url)(path);
  if (!isLibrary(library)) throw new TypeError(`Cannot use ${path}: it has no CompiledIndex`);
  const make = (): CompiledIndex =>
    new library.CompiledIndex(
      dims,
      "cos",
      "f16",
      CONNECTIVITY,
      EXPANSION_ADD,
      EXPANSION_SEARCH,
      false,
    );
  return {
    create: () => new UsearchGraph(make(), dims, 0),
    load: (file, tombstones) => {
      checkFile(file, dims);
      const index = make();
      index.load(file);
      if (index.dimensions() !== dims || index.connectivity() !== CONNECTIVITY) {
        throw new Error(
          `Cannot use ${file}: it has ${index.dimensions()} dimensions instead of ${dims}`,
        );
      }
      return new UsearchGraph(index, dims, tombstones);
    },
  };
}

/**
 * Throws unless a file begins as a graph of such vectors does: the library reads
 * whatever size a file claims, and was seen to go on for ever over eleven letters.
 *
 *     u32 rows, u32 bytes a row, the rows, "usearch", u16 * 3 version, u8 metric, ...
 */
function checkFile(path: string, dims: number): void {
  using file = Deno.openSync(path, { read: true });
  const view = new DataView(new ArrayBuffer(8));
  const isLong = file.readSync(new Uint8Array(view.buffer)) === 8;
  const [rows, rowBytes] = [view.getUint32(0, true), view.getUint32(4, true)];
  const magicAt = 8 + rows * rowBytes;
  const magic = new Uint8Array(MAGIC.length);
  if (isLong && rowBytes === 2 * dims && magicAt + magic.length <= file.statSync().size) {
    file.seekSync(magicAt, Deno.SeekMode.Start);
    file.readSync(magic);
    if (new TextDecoder().decode(magic) === MAGIC) return;
  }
  throw new Error(`Cannot use ${path}: it is no graph of ${dims} dimensions`);
}

/** A graph in the library. */
class UsearchGraph implements Graph {
  readonly #index: CompiledIndex;
  readonly #dims: number;
  /** Places ever used; the library tells only how many are used by live vectors. */
  #nodes: number;

  constructor(index: CompiledIndex, dims: number, tombstones: number) {
    this.#index = index;
    this.#dims = dims;
    this.#nodes = Math.min(index.capacity(), index.size() + tombstones);
  }

  get live(): number {
    return this.#index.size();
  }

  get tombstones(): number {
    return Math.max(0, this.#nodes - this.#index.size());
  }

  get capacity(): number {
    return this.#index.capacity();
  }

  add(id: number, unit: Float32Array): void {
    this.#check(unit);
    this.#index.add(keyOf(id), unit, THREADS);
    this.#nodes = Math.max(this.#nodes, this.#index.size());
  }

  remove(id: number): void {
    this.#index.remove(keyOf(id));
  }

  has(id: number): boolean {
    return this.#index.contains(keyOf(id))[0] === true;
  }

  search(unit: Float32Array, limit: number): readonly number[] {
    this.#check(unit);
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new RangeError(`Cannot search: ${limit} is no number of neighbours`);
    }
    if (this.#index.size() === 0) return [];
    const [keys, , counts] = this.#index.search(unit, limit, THREADS);
    return Array.from(keys.subarray(0, Number(counts[0] ?? 0n)), Number);
  }

  save(path: string): void {
    this.#index.save(path);
  }

  #check(unit: Float32Array): void {
    let sum = 0;
    for (const value of unit) sum += value * value;
    if (unit.length === this.#dims && Number.isFinite(sum) && sum > 0) return;
    throw new RangeError(
      `Cannot use a vector: length ${unit.length} instead of ${this.#dims}, or not finite, or zero`,
    );
  }
}

function keyOf(id: number): BigUint64Array {
  if (!Number.isSafeInteger(id) || id < 1) throw new RangeError(`Cannot use ${id} as a key`);
  return BigUint64Array.of(BigInt(id));
}

function isLibrary(value: unknown): value is Library {
  return typeof value === "object" && value !== null && "CompiledIndex" in value &&
    typeof value.CompiledIndex === "function";
}
