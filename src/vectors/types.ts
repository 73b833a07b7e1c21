/**
 * What an index of vectors is told when it is made, and what it tells while it
 * lives.
 *
 * @module
 */
import type { Clock, Random, VectorIndex } from "../ports.ts";

/** When an index is built anew, and how fast. */
export interface RebuildPolicy {
  /** Capacity of the graphs over their live vectors, above which memory is worth taking back. */
  readonly capacityRatio: number;
  /** Share of places held by removed vectors, above which they are cleared out. */
  readonly tombstoneShare: number;
  /** Recall against an exact scan, below which the graphs are no longer trusted. */
  readonly recallMin: number;
  /** Fewer places than this are never worth a rebuild. */
  readonly placesMin: number;
  /** Share of one core that the builder may use, above 0 and up to 1. */
  readonly paceShare: number;
  /** Vectors or changes handed to the builder at a time. */
  readonly pieceRows: number;
  /** Changes the journal may hold; one more and the rebuild is given up. */
  readonly journalMax: number;
  /** How long to wait after a rebuild that failed, in milliseconds. */
  readonly holdOffMs: number;
}

/** How often the index is written to its directory. */
export interface SavePolicy {
  /** At the latest so long after a change, in milliseconds, give or take a tenth. */
  readonly everyMs: number;
  /** After so many changes. */
  readonly everyChanges: number;
}

/** Everything an index has to know. */
export interface VectorIndexOptions {
  /** Length of every vector. */
  readonly dims: number;
  /** Identity of what makes the vectors; kept files of another one are refused. */
  readonly embedderId: string;
  /** Whether texts are embedded in the worker, by the built-in embedder. */
  readonly builtin: boolean;
  /** Time. */
  readonly clock: Clock;
  /** Chance: spreads the times of saving. */
  readonly random: Random;
  /** A scope with more vectors than this gets a graph; up to it, it is scanned. */
  readonly graphFrom: number;
  /** `never`: every search is a scan, whatever could be loaded. */
  readonly native: "auto" | "never";
  /** Where the index is kept over a restart, or `null`. */
  readonly directory: string | null;
  /** Searches that may wait at a time. */
  readonly queueMax: number;
  /** Changes that may wait at a time; further vectors are left out and reported. */
  readonly changesMax: number;
  /** A worker that owes something and says nothing for so long is dead. */
  readonly silentMs: number;
  /** When and how to build anew. */
  readonly rebuild: RebuildPolicy;
  /** When to write to the directory. */
  readonly save: SavePolicy;
  /** Told of whatever is worth counting or logging. */
  readonly onEvent: (event: VectorEvent) => void;
}

/** Why a rebuild was begun. */
export type RebuildReason = "capacity" | "tombstones" | "recall" | "asked";

/** Something that happened to an index. */
export type VectorEvent =
  | { readonly type: "rebuild_started"; readonly reason: RebuildReason }
  | {
    readonly type: "rebuild_finished";
    readonly reason: RebuildReason;
    readonly seconds: number;
  }
  | {
    readonly type: "rebuild_failed";
    readonly reason: RebuildReason;
    readonly seconds: number;
    /** What stopped it; the old index stays. */
    readonly cause: "builder_died" | "index_died" | "journal_full";
  }
  | {
    readonly type: "worker_died";
    readonly role: "index" | "builder";
    readonly message: string;
  }
  /** A vector that could not be used, or for which there was no room. */
  | {
    readonly type: "vector_refused";
    readonly use: "add" | "search";
    readonly reason: "dims" | "unusable" | "full";
  }
  /** A kept file that was not trusted; what it held is built again. */
  | { readonly type: "file_refused"; readonly file: string; readonly reason: string }
  /** The native library cannot be used; every search is a scan. */
  | { readonly type: "native_unavailable"; readonly message: string }
  | { readonly type: "saved"; readonly seconds: number; readonly bytes: number }
  | { readonly type: "save_failed"; readonly message: string }
  /** All vectors are gone: whoever owns the entries has to add them again. */
  | { readonly type: "lost" };

/** An index in workers of its own. */
export interface WorkerVectorIndex extends VectorIndex {
  /** Settles when kept vectors have been read and searches are answered. */
  readonly ready: Promise<void>;
  /** The live ids of every scope, for comparing with the entries after a restart. */
  ids(): Promise<ReadonlyMap<string, readonly number[]>>;
  /** Settles when every change so far has been applied, or the index is closed. */
  settled(): Promise<void>;
  /** Begins a rebuild now, unless one is under way or the index is not ready. */
  rebuild(): void;
  /** Writes the index to its directory now; nothing happens without one. */
  save(): Promise<void>;
}

/** What the options are where nothing else is asked for. */
export const VECTOR_DEFAULTS = {
  graphFrom: 2_048,
  native: "auto",
  directory: null,
  queueMax: 64,
  changesMax: 8_192,
  silentMs: 10_000,
  rebuild: {
    capacityRatio: 2,
    tombstoneShare: 0.3,
    recallMin: 0.98,
    placesMin: 1_024,
    paceShare: 0.5,
    pieceRows: 64,
    journalMax: 65_536,
    holdOffMs: 60_000,
  },
  save: { everyMs: 600_000, everyChanges: 10_000 },
} as const satisfies Partial<VectorIndexOptions>;
