/**
 * What the client and a worker say to each other.
 *
 * Scopes are numbers here: the client gives them out and keeps the names. Every
 * change has a sequence, and a worker confirms the last one it has applied, so
 * that after its death the others can be sent again.
 *
 * @module
 */
import type { VectorQuery } from "../ports.ts";

/** One change to the set of vectors. */
export type Change =
  | {
    readonly type: "add";
    readonly sequence: number;
    readonly scope: number;
    readonly id: number;
    readonly query: VectorQuery;
  }
  | {
    readonly type: "remove";
    readonly sequence: number;
    readonly scope: number;
    readonly id: number;
  };

/** Vectors on their way from one worker to another. */
export interface Piece {
  /** Ids, n of them. */
  readonly ids: Float64Array<ArrayBuffer>;
  /** Scopes, n of them. */
  readonly scopes: Int32Array<ArrayBuffer>;
  /** Vectors in half precision, n times the dimensions. */
  readonly halves: Uint16Array<ArrayBuffer>;
}

/** What a worker counts. */
export interface Counts {
  /** Live vectors. */
  readonly live: number;
  /** Places in the slab up to the last one ever used. */
  readonly rows: number;
  /** Scopes with a vector. */
  readonly scopes: number;
  /** Scopes with a graph. */
  readonly graphs: number;
  /** Live vectors in graphs. */
  readonly graphLive: number;
  /** Removed vectors in graphs. */
  readonly graphTombstones: number;
  /** Places in graphs. */
  readonly capacity: number;
  /** Places that fresh graphs of the live vectors would have. */
  readonly capacityFresh: number;
  /** Vectors that wait to be put into a graph; they are found by scanning. */
  readonly backlog: number;
  /** Changes applied since the worker began or took over. */
  readonly changes: number;
  /** Share of sampled searches in which the graph found what a scan finds, or `null`. */
  readonly recall: number | null;
  /** Memory of slab and graphs, in bytes. */
  readonly bytes: number;
}

/** From the client to a worker. */
export type ToWorker =
  | {
    readonly type: "open";
    readonly dims: number;
    readonly graphFrom: number;
    readonly embedderId: string;
    readonly builtin: boolean;
    /** Path of the native library, or `null` to scan. */
    readonly native: string | null;
    /** Where files may be kept, or `null`. */
    readonly directory: string | null;
    /** Memory of a dead worker to go on with. */
    readonly segments: readonly SharedArrayBuffer[];
    /** Last change that memory is known to hold. */
    readonly sequence: number;
    /** Whether to read what the directory holds. */
    readonly load: boolean;
  }
  | {
    readonly type: "search";
    readonly ticket: number;
    readonly scope: number;
    readonly query: VectorQuery;
  }
  /** Asks for the cosine of two texts; the answer is one neighbour, or none. */
  | {
    readonly type: "compare";
    readonly ticket: number;
    readonly one: string;
    readonly other: string;
  }
  | { readonly type: "changes"; readonly changes: readonly Change[] }
  | {
    readonly type: "read";
    /** The builder it is for: what was read for one that is gone must not go to the next. */
    readonly builder: number;
    readonly cursor: number;
    readonly rowsMax: number;
  }
  | { readonly type: "feed"; readonly piece: Piece; readonly sequence: number }
  | {
    readonly type: "save";
    readonly generation: number;
    readonly scopes: ReadonlyArray<readonly [number, string]>;
  }
  /** Asks for all ids. */
  | { readonly type: "list" }
  /** Asks for the scopes that have vectors. */
  | { readonly type: "census" };

/** A kept file that was not trusted. */
export interface Refusal {
  /** Its name. */
  readonly file: string;
  /** Why. */
  readonly reason: string;
}

/** From a worker to the client. */
export type FromWorker =
  | {
    readonly type: "opened";
    readonly native: boolean;
    /** Why the native library cannot be used, or `null`. */
    readonly nativeProblem: string | null;
    readonly scopes: ReadonlyArray<readonly [number, string]>;
    readonly generation: number;
    readonly refusals: readonly Refusal[];
    readonly counts: Counts;
  }
  | { readonly type: "segment"; readonly buffer: SharedArrayBuffer }
  | {
    readonly type: "found";
    readonly ticket: number;
    readonly ids: readonly number[];
    readonly similarities: readonly number[];
  }
  | {
    readonly type: "unfit";
    readonly ticket: number;
    readonly reason: "dims" | "unusable";
  }
  | {
    readonly type: "confirmed";
    readonly sequence: number;
    readonly busyMs: number;
    readonly counts: Counts;
    /** Scopes that were left without a vector. */
    readonly emptied: readonly number[];
    /** Why vectors were left out, one item each. */
    readonly unfit: ReadonlyArray<"dims" | "unusable">;
  }
  | {
    readonly type: "piece";
    readonly builder: number;
    readonly piece: Piece;
    readonly next: number | null;
  }
  | { readonly type: "fed"; readonly busyMs: number; readonly counts: Counts }
  | {
    readonly type: "saved";
    readonly generation: number;
    readonly bytes: number;
    readonly problem: string | null;
  }
  | {
    readonly type: "listed";
    readonly ids: ReadonlyArray<readonly [number, readonly number[]]>;
  }
  | { readonly type: "census"; readonly scopes: readonly number[] }
  /** Says nothing but that long work goes on. */
  | { readonly type: "alive" };
