/**
 * What a kept index says about itself.
 *
 * The files of a generation are written beside those of the last one; then the
 * manifest, which alone decides which generation counts, is put in place by a
 * rename. Whatever moment a process is killed at, the manifest names files that
 * are whole.
 *
 * @module
 */

/** Name of the manifest. */
export const MANIFEST = "vectors.json";
/** Name of a manifest that is being written. */
export const MANIFEST_DRAFT = "vectors.json.draft";

const FORMAT = 1;
const DIGEST = /^[0-9a-f]{64}$/;

/** A kept file. */
export interface KeptFile {
  /** Name in the directory. */
  readonly name: string;
  /** Length, in bytes. */
  readonly bytes: number;
  /** SHA-256, in hexadecimal. */
  readonly sha256: string;
}

/** The kept graph of a scope. */
export interface KeptGraph {
  /** Number of the scope. */
  readonly scope: number;
  /** Removed vectors in it. */
  readonly tombstones: number;
  /** Where it is. */
  readonly file: KeptFile;
}

/** A kept index. */
export interface Manifest {
  /** What made the vectors. */
  readonly embedderId: string;
  /** Length of every vector. */
  readonly dims: number;
  /** How many vectors there are. */
  readonly count: number;
  /** The last change they include. */
  readonly sequence: number;
  /** Number of the generation; its files carry it in their names. */
  readonly generation: number;
  /** Names of the scopes; the first is number 1 in the slab. */
  readonly scopes: readonly string[];
  /** The vectors. */
  readonly slab: KeptFile;
  /** Graphs, by number of their scope. */
  readonly graphs: readonly KeptGraph[];
}

/** The manifest as text. */
export function writeManifest(manifest: Manifest): string {
  return JSON.stringify({ format: FORMAT, dtype: "f16", metric: "cos", ...manifest });
}

/**
 * Reads a manifest that anybody may have written.
 *
 * @throws {Error} If it is not one, or of another format.
 */
export function readManifest(text: string): Manifest {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new Error("Cannot read manifest: it is no object");
  if (value.format !== FORMAT || value.dtype !== "f16" || value.metric !== "cos") {
    throw new Error("Cannot read manifest: it has another format");
  }
  const { embedderId, scopes } = value;
  if (typeof embedderId !== "string") throw new Error("Cannot read manifest: no embedderId");
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === "string")) {
    throw new Error("Cannot read manifest: no scopes");
  }
  if (new Set(scopes).size !== scopes.length) {
    throw new Error("Cannot read manifest: a scope is there twice");
  }
  const generation = wholeOf(value, "generation", 1);
  return {
    embedderId,
    dims: wholeOf(value, "dims", 1),
    count: wholeOf(value, "count", 0),
    sequence: wholeOf(value, "sequence", 0),
    generation,
    scopes,
    slab: fileOf(value.slab, generation),
    graphs: graphsOf(value.graphs, generation, scopes.length),
  };
}

/** Name of a generation's vectors. */
export function slabName(generation: number): string {
  return `vectors-${generation}.slab`;
}

/** Name of a generation's graph of one scope. */
export function graphName(generation: number, scope: number): string {
  return `vectors-${generation}-${scope}.usearch`;
}

/** The generation a file belongs to, or `null` if it is none of ours. */
export function generationOf(name: string): number | null {
  const match = /^vectors-(\d+)(?:\.slab|-\d+\.usearch)$/.exec(name);
  return match === null ? null : Number(match[1]);
}

function graphsOf(value: unknown, generation: number, scopes: number): Manifest["graphs"] {
  if (!Array.isArray(value)) throw new Error("Cannot read manifest: no graphs");
  return value.map((item: unknown) => {
    if (!isRecord(item)) throw new Error("Cannot read manifest: a graph is no object");
    const scope = wholeOf(item, "scope", 1);
    if (scope > scopes) throw new Error(`Cannot read manifest: there is no scope ${scope}`);
    const tombstones = wholeOf(item, "tombstones", 0);
    return { scope, tombstones, file: fileOf(item.file, generation) };
  });
}

function fileOf(value: unknown, generation: number): KeptFile {
  if (!isRecord(value)) throw new Error("Cannot read manifest: a file is no object");
  const { name, sha256 } = value;
  // The name must not lead out of the directory, so only names we give are taken.
  if (typeof name !== "string" || generationOf(name) !== generation) {
    throw new Error("Cannot read manifest: a file has a foreign name");
  }
  if (typeof sha256 !== "string" || !DIGEST.test(sha256)) {
    throw new Error(`Cannot read manifest: ${name} has no digest`);
  }
  return { name, bytes: wholeOf(value, "bytes", 0), sha256 };
}

function wholeOf(record: Readonly<Record<string, unknown>>, name: string, min: number): number {
  const value = record[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min) {
    throw new Error(`Cannot read manifest: ${name} is no whole number from ${min} on`);
  }
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
