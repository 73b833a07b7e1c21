/**
 * All vectors of a worker, a set for each scope.
 *
 * Scopes share the slab's rows but nothing else: each has its own list and its
 * own graph, so a search cannot meet a vector of another scope.
 *
 * @module
 */
import type { VectorMatch } from "../../ports.ts";
import type { Counts, Piece } from "../messages.ts";
import { capacityFor, type GraphMaker } from "./graph.ts";
import { Nearest } from "./nearest.ts";
import { ScopeSet } from "./scope_set.ts";
import { halvesOfUnit, Slab } from "./slab.ts";

/** Neighbours that a search returns. */
export const MATCHES_MAX = 8;

/**
 * Memory of a vector in a graph besides its two bytes a dimension: links, heads
 * and growth. 104 MB for 100,000 vectors of 384 dimensions in USearch 2.26.2.
 */
const NODE_BYTES = 272;
/** Memory of a vector outside slab and graph: its place in the list and in the map of ids. */
const ENTRY_BYTES = 56;
/** Rows looked at for a piece: keeps one piece short where most rows are free. */
const ROWS_A_VECTOR = 16;

/** What a store is made of. */
export interface VectorStoreOptions {
  /** Length of every vector. */
  readonly dims: number;
  /** A scope with more vectors than this gets a graph. */
  readonly graphFrom: number;
  /** Makes graphs; `null` to scan always. */
  readonly graphs: GraphMaker | null;
  /** Gets the memory of each new segment. */
  readonly onSegment: (buffer: SharedArrayBuffer) => void;
}

/** Vectors by scope and id. */
export class VectorStore {
  readonly #options: VectorStoreOptions;
  readonly #slab: Slab;
  readonly #sets = new Map<number, ScopeSet>();
  readonly #rowOf = new Map<number, number>();
  /** Sets with a graph. */
  readonly #graphed = new Set<ScopeSet>();
  /** Those of them that have a backlog, or had one lately. */
  readonly #behind = new Set<ScopeSet>();
  #changes = 0;

  /** An empty store. */
  constructor(options: VectorStoreOptions) {
    this.#options = options;
    this.#slab = new Slab(options.dims, options.onSegment);
  }

  /** Goes on with the memory of a dead worker. Only for an empty store. */
  adopt(buffers: readonly SharedArrayBuffer[]): void {
    this.#slab.adopt(buffers);
    for (let row = 0; row < this.#slab.rows; row++) {
      const scope = this.#slab.scopeOf(row);
      if (scope === 0) continue;
      const id = this.#slab.idOf(row);
      if (this.#rowOf.has(id)) {
        // The old row is freed before the new one is written, so this cannot be; but a second
        // row would never be found again.
        this.#slab.free(row);
        continue;
      }
      this.#rowOf.set(id, row);
      this.#append(scope, row);
    }
  }

  /** Adds a vector of length 1, in place of an earlier one of the same id. */
  add(scope: number, id: number, unit: Float32Array): number | null {
    return this.put(scope, id, halvesOfUnit(unit));
  }

  /**
   * The same for a vector in half precision.
   *
   * @returns The scope that lost its last vector by it, or `null`.
   */
  put(scope: number, id: number, halves: Uint16Array): number | null {
    const old = this.#rowOf.get(id);
    if (old !== undefined) {
      // A change that is sent again must not cost a second place in the graph.
      if (this.#slab.scopeOf(old) === scope && isEqual(this.#slab.halvesOf(old), halves)) {
        return null;
      }
      const emptied = this.#drop(id, old);
      this.#insert(scope, id, halves);
      return emptied === scope ? null : emptied;
    }
    this.#insert(scope, id, halves);
    return null;
  }

  /**
   * Removes a vector; nothing happens if the scope has no such id.
   *
   * @returns The scope, if it has no vector left, or `null`.
   */
  remove(scope: number, id: number): number | null {
    const row = this.#rowOf.get(id);
    if (row === undefined || this.#slab.scopeOf(row) !== scope) return null;
    return this.#drop(id, row);
  }

  /** The nearest vectors of a scope, nearest first. */
  search(scope: number, unit: Float32Array): readonly VectorMatch[] {
    const nearest = new Nearest(MATCHES_MAX);
    const set = this.#sets.get(scope);
    set?.find(unit, MATCHES_MAX, this.#rowOf, nearest);
    set?.remember(unit);
    return nearest.matches;
  }

  /** Puts one waiting vector into its graph; `false` if none waits. */
  advance(): boolean {
    for (const set of this.#behind) {
      if (set.backlog === 0) {
        this.#behind.delete(set);
        continue;
      }
      set.advance();
      return true;
    }
    return false;
  }

  /** The vectors from row `cursor` on; `next` is where to go on, or `null`. */
  piece(cursor: number, rowsMax: number): { readonly piece: Piece; readonly next: number | null } {
    const rows: number[] = [];
    const end = Math.min(this.#slab.rows, cursor + rowsMax * ROWS_A_VECTOR);
    let row = cursor;
    for (; row < end && rows.length < rowsMax; row++) {
      if (this.#slab.scopeOf(row) !== 0) rows.push(row);
    }
    return { piece: this.copyOf(rows), next: row < this.#slab.rows ? row : null };
  }

  /** A copy of some rows. */
  copyOf(rows: readonly number[]): Piece {
    const dims = this.#options.dims;
    const halves = new Uint16Array(rows.length * dims);
    rows.forEach((row, i) => halves.set(this.#slab.halvesOf(row), i * dims));
    return {
      ids: Float64Array.from(rows, (row) => this.#slab.idOf(row)),
      scopes: Int32Array.from(rows, (row) => this.#slab.scopeOf(row)),
      halves,
    };
  }

  /** Adds the vectors of a piece. */
  feed(piece: Piece): void {
    const dims = this.#options.dims;
    piece.ids.forEach((id, i) => {
      this.put(piece.scopes[i] ?? 0, id, piece.halves.subarray(i * dims, (i + 1) * dims));
    });
  }

  /** The sets by scope, for saving and for measuring; not to be changed. */
  get sets(): ReadonlyMap<number, ScopeSet> {
    return this.#sets;
  }

  /** Whether large scopes get graphs. */
  get hasGraphs(): boolean {
    return this.#options.graphs !== null;
  }

  /** The sets that have a graph; not to be changed. */
  get graphedSets(): ReadonlySet<ScopeSet> {
    return this.#graphed;
  }

  /** The row of each id; not to be changed. */
  get rowOf(): ReadonlyMap<number, number> {
    return this.#rowOf;
  }

  /** Takes over a kept graph; `false` if it does not belong to the scope's vectors. */
  adoptGraph(scope: number, path: string, tombstones: number): boolean {
    const set = this.#sets.get(scope);
    if (set === undefined || this.#options.graphs === null) return false;
    const graph = this.#options.graphs.load(path, tombstones);
    if (!set.adoptGraph(graph)) return false;
    this.#graphed.add(set);
    this.#behind.add(set);
    return true;
  }

  /**
   * The live ids of each scope.
   *
   * @throws {Error} If a graph does not hold exactly the vectors it should.
   */
  ids(): [number, number[]][] {
    return [...this.#sets].map(([scope, set]) => {
      set.audit();
      return [scope, set.rows.map((row) => this.#slab.idOf(row))];
    });
  }

  /** Forgets how much has changed, as when it begins to serve. */
  resetChanges(): void {
    this.#changes = 0;
  }

  /** What there is; `recall` is the caller's to know. */
  counts(recall: number | null): Counts {
    const sums = { live: 0, tombstones: 0, capacity: 0, fresh: 0, backlog: 0 };
    for (const set of this.#graphed) {
      sums.live += set.graph?.live ?? 0;
      sums.tombstones += set.graph?.tombstones ?? 0;
      sums.capacity += set.graph?.capacity ?? 0;
      sums.fresh += capacityFor(set.count);
      sums.backlog += set.backlog;
    }
    const nodes = sums.live + sums.tombstones;
    return {
      live: this.#rowOf.size,
      rows: this.#slab.rows,
      scopes: this.#sets.size,
      graphs: this.#graphed.size,
      graphLive: sums.live,
      graphTombstones: sums.tombstones,
      capacity: sums.capacity,
      capacityFresh: sums.fresh,
      backlog: sums.backlog,
      changes: this.#changes,
      recall,
      bytes: this.#slab.bytes + this.#rowOf.size * ENTRY_BYTES +
        nodes * (2 * this.#options.dims + NODE_BYTES),
    };
  }

  #insert(scope: number, id: number, halves: Uint16Array): void {
    const row = this.#slab.put(scope, id, halves);
    this.#rowOf.set(id, row);
    this.#append(scope, row);
    this.#changes++;
  }

  #append(scope: number, row: number): void {
    let set = this.#sets.get(scope);
    if (set === undefined) this.#sets.set(scope, set = new ScopeSet(this.#slab));
    set.append(row);
    if (set.graph !== null) {
      this.#behind.add(set);
    } else if (set.count > this.#options.graphFrom && this.#options.graphs !== null) {
      set.beginGraph(this.#options.graphs);
      this.#graphed.add(set);
      this.#behind.add(set);
    }
  }

  /** Takes a vector out; returns its scope if that has none left. */
  #drop(id: number, row: number): number | null {
    const scope = this.#slab.scopeOf(row);
    const set = this.#sets.get(scope);
    if (set === undefined) throw new Error(`Cannot remove vector ${id}: its scope has no set`);
    set.take(row);
    this.#slab.free(row);
    this.#rowOf.delete(id);
    this.#changes++;
    // Well below the size that asks for a graph, so that a set near it does not go to and fro.
    if (set.graph !== null && set.count <= this.#options.graphFrom / 2) {
      set.dropGraph();
      this.#graphed.delete(set);
      this.#behind.delete(set);
    }
    if (set.count > 0) return null;
    this.#sets.delete(scope);
    return scope;
  }
}

function isEqual(one: Uint16Array, other: Uint16Array): boolean {
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return one.length === other.length;
}
