/**
 * Measures the graphs against the truth, a little at a time.
 *
 * The last queries that were really asked are searched again by scanning, in
 * slices that no search has to wait long for; the graph is asked at the end, so
 * that both have seen the same vectors.
 *
 * @module
 */
import { Nearest } from "./nearest.ts";
import type { ScopeSet } from "./scope_set.ts";
import type { VectorStore } from "./vector_store.ts";

/** Rows scanned in one step: about half a millisecond. */
const SLICE_ROWS = 1_024;
/** Changes before another measurement, at least. */
const CHANGES_MIN = 512;
/** Queries that make a measurement worth anything. */
const QUERIES_MIN = 8;
/** A neighbour nearer by less than this is as good: half precision knows no better. */
const TOLERANCE = 0.001;
/** Candidates asked of the graph, as in a real search. */
const CANDIDATES = 8;

interface Task {
  readonly set: ScopeSet;
  readonly unit: Float32Array;
  readonly nearest: Nearest;
  place: number;
}

/** Samples the recall of a store's graphs. */
export class RecallSampler {
  readonly #store: VectorStore;
  #tasks: Task[] = [];
  #asked = 0;
  #found = 0;
  #measuredAt = 0;
  #latest: number | null = null;

  /** Measures the graphs of this store. */
  constructor(store: VectorStore) {
    this.#store = store;
  }

  /** Share of queries in which the graph found the nearest, or `null` before any. */
  get latest(): number | null {
    return this.#latest;
  }

  /** Does one slice of a measurement, if one is due; `false` if there was nothing to do. */
  advance(): boolean {
    const task = this.#tasks[0] ?? this.#begin();
    if (task === null) return false;
    if (task.place < task.set.count) {
      task.set.scan(task.unit, task.place, task.place + SLICE_ROWS, task.nearest);
      task.place += SLICE_ROWS;
      return true;
    }
    this.#tasks.shift();
    this.#judge(task);
    if (this.#tasks.length === 0 && this.#asked >= QUERIES_MIN) {
      this.#latest = this.#found / this.#asked;
    }
    return true;
  }

  #begin(): Task | null {
    const { changes, graphLive } = this.#store.counts(null);
    if (changes - this.#measuredAt < Math.max(CHANGES_MIN, graphLive / 4)) return null;
    const tasks: Task[] = [];
    for (const set of this.#store.graphedSets) {
      for (const unit of set.recent) {
        tasks.push({ set, unit, nearest: new Nearest(CANDIDATES), place: 0 });
      }
    }
    if (tasks.length < QUERIES_MIN) return null;
    this.#measuredAt = changes;
    this.#asked = 0;
    this.#found = 0;
    this.#tasks = tasks;
    return tasks[0] ?? null;
  }

  #judge(task: Task): void {
    // A neighbour that went away meanwhile proves nothing.
    const truth = task.nearest.matches.find((match) => this.#store.rowOf.has(match.id));
    if (truth === undefined) return;
    const nearest = new Nearest(1);
    task.set.find(task.unit, CANDIDATES, this.#store.rowOf, nearest);
    this.#asked++;
    if ((nearest.matches[0]?.similarity ?? -1) >= truth.similarity - TOLERANCE) this.#found++;
  }
}
