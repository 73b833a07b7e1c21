/**
 * A graph of vectors as the store needs it: what USearch does, without its traps.
 *
 * @module
 */

/** An approximate index over the vectors of one scope. */
export interface Graph {
  /** Vectors in it that were not removed. */
  readonly live: number;
  /** Removed vectors whose place was not used again. */
  readonly tombstones: number;
  /** Places allocated. */
  readonly capacity: number;
  /** Puts a vector of length 1 in; its id must not be there yet. */
  add(id: number, unit: Float32Array): void;
  /** Takes a vector out; it leaves a tombstone. */
  remove(id: number): void;
  /** Whether the id is in it. */
  has(id: number): boolean;
  /** Ids of about the nearest vectors, `limit` at most. */
  search(unit: Float32Array, limit: number): readonly number[];
  /** Writes it to a file of its own. */
  save(path: string): void;
}

/** Makes graphs, all for vectors of one length. */
export interface GraphMaker {
  /** An empty graph. */
  create(): Graph;
  /**
   * Reads a graph whose file has been found untouched.
   *
   * @param tombstones Removed vectors in it, which the file does not tell.
   * @throws {Error} If it is no graph, or one of other vectors.
   */
  load(path: string, tombstones: number): Graph;
}

/** Places that a graph of so many vectors has: it doubles whenever it is full. */
export function capacityFor(vectors: number): number {
  return vectors <= 1 ? vectors : 2 ** Math.ceil(Math.log2(vectors));
}
