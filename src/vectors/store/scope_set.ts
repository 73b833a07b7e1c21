/**
 * The vectors of one scope: a list of rows, and above a size a graph.
 *
 *     rows    [ in the graph ............ | backlog ........ ]
 *              0                    graphed                count
 *
 * A new vector is appended, which makes it findable at once: a search asks the
 * graph and scans the backlog. Putting it into the graph costs up to a
 * millisecond and happens later, one vector at a time. While the graph is small
 * or absent, as after the loss of a worker, the backlog is everything and the
 * search an exact scan: slower, never wrong.
 *
 * @module
 */
import type { Graph, GraphMaker } from "./graph.ts";
import type { Nearest } from "./nearest.ts";
import type { Slab } from "./slab.ts";

/** Queries kept to measure the recall with. */
const RECENT_MAX = 16;

/** One scope's vectors. */
export class ScopeSet {
  readonly #slab: Slab;
  readonly #rows: number[] = [];
  #graph: Graph | null = null;
  #graphed = 0;
  #recent: Float32Array[] = [];
  #asked = 0;

  /** An empty set over the slab. */
  constructor(slab: Slab) {
    this.#slab = slab;
  }

  /** How many vectors there are. */
  get count(): number {
    return this.#rows.length;
  }

  /** How many of them wait for the graph; 0 without a graph. */
  get backlog(): number {
    return this.#graph === null ? 0 : this.#rows.length - this.#graphed;
  }

  /** The graph, if there is one. */
  get graph(): Graph | null {
    return this.#graph;
  }

  /** The rows; not to be changed. */
  get rows(): readonly number[] {
    return this.#rows;
  }

  /** The last queries that asked the graph, in no order. */
  get recent(): readonly Float32Array[] {
    return this.#recent;
  }

  /** Adds a row of the slab. */
  append(row: number): void {
    this.#slab.setPlace(row, this.#rows.length);
    this.#rows.push(row);
  }

  /** Takes a row out; freeing it is the caller's. */
  take(row: number): void {
    let hole = this.#slab.placeOf(row);
    if (hole < this.#graphed) {
      this.#graph?.remove(this.#slab.idOf(row));
      this.#graphed--;
      this.#move(this.#graphed, hole);
      hole = this.#graphed;
    }
    this.#move(this.#rows.length - 1, hole);
    this.#rows.pop();
  }

  /** Begins a graph; every vector is in its backlog. */
  beginGraph(maker: GraphMaker): void {
    this.#graph = maker.create();
    this.#graphed = 0;
  }

  /** Lets the graph go; the set is scanned from now on. */
  dropGraph(): void {
    this.#graph = null;
    this.#graphed = 0;
    this.#recent = [];
  }

  /**
   * Takes over a graph that was kept; what it lacks is its backlog.
   *
   * @returns Whether it fits: it must hold no id that is not in the set.
   */
  adoptGraph(graph: Graph): boolean {
    let graphed = 0;
    for (let place = 0; place < this.#rows.length; place++) {
      const row = this.#rowAt(place);
      if (!graph.has(this.#slab.idOf(row))) continue;
      const other = this.#rowAt(graphed);
      this.#set(graphed, row);
      this.#set(place, other);
      graphed++;
    }
    if (graphed !== graph.live) return false;
    this.#graph = graph;
    this.#graphed = graphed;
    return true;
  }

  /** Puts one vector of the backlog into the graph. */
  advance(): void {
    if (this.#graph === null || this.#graphed === this.#rows.length) return;
    const row = this.#rowAt(this.#graphed);
    this.#graph.add(this.#slab.idOf(row), new Float32Array(this.#slab.floatsOf(row)));
    this.#graphed++;
  }

  /** Remembers a query, for measuring the graph with it later. */
  remember(unit: Float32Array): void {
    if (this.#graph !== null) this.#recent[this.#asked++ % RECENT_MAX] = unit;
  }

  /** Offers the graph's candidates and all of the backlog. */
  find(
    unit: Float32Array,
    limit: number,
    rowOf: ReadonlyMap<number, number>,
    nearest: Nearest,
  ): void {
    this.#askGraph(unit, limit, rowOf, nearest);
    this.scan(unit, this.#graphed, this.#rows.length, nearest);
  }

  /** Offers the rows from one place up to another. */
  scan(unit: Float32Array, from: number, to: number, nearest: Nearest): void {
    const end = Math.min(to, this.#rows.length);
    for (let place = from; place < end; place++) {
      const row = this.#rowAt(place);
      nearest.offer(this.#slab.idOf(row), this.#slab.similarity(row, unit));
    }
  }

  /** Throws if the graph does not hold what it should. */
  audit(): void {
    const live = this.#graph?.live ?? 0;
    if (live === this.#graphed) return;
    throw new Error(`Cannot trust the graph: it has ${live} vectors instead of ${this.#graphed}`);
  }

  /**
   * Offers the graph's candidates, with cosines from the slab, so that a number
   * means the same with and without a graph. A key that is no live row of this
   * set is passed over.
   */
  #askGraph(
    unit: Float32Array,
    limit: number,
    rowOf: ReadonlyMap<number, number>,
    nearest: Nearest,
  ): void {
    if (this.#graph === null || this.#graphed === 0) return;
    for (const id of this.#graph.search(unit, limit)) {
      const row = rowOf.get(id);
      if (row === undefined || this.#rows[this.#slab.placeOf(row)] !== row) continue;
      nearest.offer(id, this.#slab.similarity(row, unit));
    }
  }

  #move(from: number, to: number): void {
    if (from !== to) this.#set(to, this.#rowAt(from));
  }

  #set(place: number, row: number): void {
    this.#rows[place] = row;
    this.#slab.setPlace(row, place);
  }

  #rowAt(place: number): number {
    const row = this.#rows[place];
    if (row === undefined) throw new RangeError(`Cannot use place ${place}: the set is shorter`);
    return row;
  }
}
