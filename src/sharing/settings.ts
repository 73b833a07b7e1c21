/**
 * What sharing needs, and what it tells.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import type { CacheEntry, Selector } from "../cache/types.ts";
import type { Clock, Random } from "../ports.ts";
import type { EmbedderIdentity, ReadOutcome } from "./entry_reader.ts";
import type { AnswerCodec } from "./records/entry_record.ts";
import type { LinkChange } from "./store_link.ts";
import type { WriteEvent } from "./write_behind.ts";

/** Bounds and paces; all times in milliseconds. */
export interface SharingLimits {
  /** Entries that may wait to be written. */
  readonly queueEntriesMax: number;
  /** Bytes of entries that may wait to be written. */
  readonly queueBytesMax: number;
  /** How long a first entry waits for others to be written with it. */
  readonly gatherMs: number;
  /** How long the store may take for anything but an entry. */
  readonly timeoutMs: number;
  /** Time between two looks at the store. */
  readonly heartbeatMs: number;
  /** Longest time between two looks at a store that is down, or two tries to write. */
  readonly backOffMaxMs: number;
  /** How long closing may take. */
  readonly closeMs: number;
}

/** The usual bounds. */
export const SHARING_LIMITS: SharingLimits = {
  queueEntriesMax: 5_000,
  queueBytesMax: 32 * 1024 * 1024,
  gatherMs: 20,
  timeoutMs: 2_000,
  heartbeatMs: 500,
  backOffMaxMs: 10_000,
  closeMs: 3_000,
};

/** What happened. */
export type SharingEvent =
  /** The store does not answer, and the cache goes on by itself; or it answers again. */
  | LinkChange
  /** The store ended a watch; the heartbeat does its work until the next begins. */
  | { readonly type: "watch_lost"; readonly reason: string }
  /** The store is not the one it was: everything is invalidated. */
  | { readonly type: "reset" }
  | { readonly type: "read"; readonly outcome: ReadOutcome; readonly seconds: number }
  | WriteEvent;

/** What sharing needs. */
export interface SharedCacheOptions {
  /** The store; who opened it closes it, after this. */
  readonly store: Store;
  /** Time. */
  readonly clock: Clock;
  /** Chance. */
  readonly random: Random;
  /** Turns answers into texts and back. */
  readonly codec: AnswerCodec;
  /** Whose vectors are read; `null` for none. */
  readonly embedder: EmbedderIdentity | null;
  /** Called for what happened. Must not throw. */
  readonly onEvent?: (event: SharingEvent) => void;
  /** Bounds other than the usual ones. */
  readonly limits?: Partial<SharingLimits>;
}

/** Who is told of what other gateways did. None of it may throw. */
export interface SharingHandlers {
  /**
   * Something was invalidated elsewhere, or here without that `invalidate` could
   * return its number. In the order of their numbers.
   */
  onInvalidation(sequence: number, selector: Selector): void;
  /** Another gateway has stored an entry. */
  onEntry(entry: CacheEntry, vector: Float32Array | null): void;
}

/** Counts since the start, and how things stand. */
export interface SharingStats {
  /** Whether the store answers. */
  readonly up: boolean;
  /** Whether changes are heard of at once. */
  readonly watching: boolean;
  /** Watches that the store ended. */
  readonly watchesLost: number;
  /** How long ago the store last answered. */
  readonly silentSeconds: number;
  /** Entries that wait to be written. */
  readonly queued: number;
  /** What they occupy. */
  readonly queuedBytes: number;
  /** How long the oldest of them waits. */
  readonly lagSeconds: number;
  /** Reads by outcome. */
  readonly reads: Readonly<Record<ReadOutcome, number>>;
  /** Entries by what became of them. */
  readonly writes: {
    readonly written: number;
    readonly dropped: number;
    readonly failed: number;
    readonly outdated: number;
  };
  /** Entries of other gateways, handed over or too far behind. */
  readonly feed: { readonly entries: number; readonly skipped: number };
  /** Invalidations heard of, sent, and waiting for the store. */
  readonly invalidations: {
    readonly received: number;
    readonly sent: number;
    readonly unsent: number;
  };
}
