/**
 * What a lookup brought.
 *
 * @module
 */
import type { CacheEntry, Layer } from "../cache/types.ts";

/** A stored answer that may be served. */
export interface Found {
  /** The entry. */
  readonly entry: CacheEntry;
  /** Which layer found it. */
  readonly layer: Exclude<Layer, "flight">;
  /** How near the two questions are; `null` but for `semantic`. */
  readonly similarity: number | null;
  /** The guard that had refused the pair, which `verified` has learnt to pass over. */
  readonly guard: string | null;
  /** Whether it is past its time and serves only for want of a backend. */
  readonly stale: boolean;
}
