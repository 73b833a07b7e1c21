/**
 * When an index is worth building anew.
 *
 * Each cause has to be one that building again would remove, and something must
 * have changed since the last time: otherwise vectors that are hard to search, or
 * a capacity that any graph of their number has, would be rebuilt for ever.
 *
 * @module
 */
import type { Counts } from "./messages.ts";
import type { RebuildPolicy, RebuildReason } from "./types.ts";

/** Why to rebuild, or `null`. */
export function rebuildReason(counts: Counts, policy: RebuildPolicy): RebuildReason | null {
  const nodes = counts.graphLive + counts.graphTombstones;
  if (Math.max(counts.rows, nodes) < policy.placesMin) return null;
  if (counts.changes < counts.live / 4) return null;
  if (
    counts.capacity > policy.capacityRatio * (counts.graphLive + counts.backlog) &&
    counts.capacityFresh < counts.capacity
  ) return "capacity";
  const isFull = (tombstones: number, places: number): boolean =>
    places > 0 && tombstones / places > policy.tombstoneShare;
  // Vectors that wait for a graph will take the place of removed ones.
  const lasting = counts.graphTombstones - counts.backlog;
  if (isFull(counts.rows - counts.live, counts.rows) || isFull(lasting, nodes)) return "tombstones";
  const isPoor = counts.recall !== null && counts.recall < policy.recallMin;
  return isPoor && counts.changes >= counts.live / 2 ? "recall" : null;
}

/** Removed vectors that still occupy a place, in the slab or in the graphs. */
export function tombstonesOf(counts: Counts): number {
  return Math.max(counts.rows - counts.live, counts.graphTombstones);
}
