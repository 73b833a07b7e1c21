/**
 * What a similarity policy has learnt, in the form in which it outlives a restart.
 *
 * @module
 */
import { isObject } from "../answer/fields.ts";
import { KEPT_MAX } from "./entry_record.ts";
import { BINS, type ErrorCounts } from "./error_record.ts";

/** It changes with the meaning of any field, the width of the bins included. */
export const SNAPSHOT_VERSION = 1;

/** All that was learnt, plain JSON. */
export interface PolicySnapshot {
  /** {@linkcode SNAPSHOT_VERSION}. */
  readonly version: number;
  /** Counts by pool, the longest untouched first. */
  readonly pools: readonly PoolSnapshot[];
  /** Records of single answers, the longest untouched first. */
  readonly entries: readonly EntrySnapshot[];
}

/** One pool's counts. */
export interface PoolSnapshot extends ErrorCounts {
  /** Who asks. */
  readonly tenant: string;
  /** The model alias. */
  readonly route: string;
  /** Identity of the embedder. */
  readonly embedder: string;
  /** The guard that refused these pairs; `null` if none did. */
  readonly guard: string | null;
}

/** One answer's record. */
export interface EntrySnapshot {
  /** Id of the entry. */
  readonly id: number;
  /** Identity of the embedder. */
  readonly embedder: string;
  /** Highest similarity at which it was wrong; −1 if never. */
  readonly liftedAbove: number;
  /** Similarity, and 1 for right or 0 for wrong, oldest first. */
  readonly points: readonly (readonly [similarity: number, right: 0 | 1])[];
}

/** Reads a snapshot; `null` if anything about it is odd. */
export function readSnapshot(json: unknown): PolicySnapshot | null {
  if (!isObject(json) || json["version"] !== SNAPSHOT_VERSION) return null;
  const { pools, entries } = json;
  if (!Array.isArray(pools) || !pools.every(isPool)) return null;
  if (!Array.isArray(entries) || !entries.every(isEntry)) return null;
  return { version: SNAPSHOT_VERSION, pools, entries };
}

function isPool(value: unknown): value is PoolSnapshot {
  return isObject(value) && typeof value["tenant"] === "string" &&
    typeof value["route"] === "string" && typeof value["embedder"] === "string" &&
    (value["guard"] === null || typeof value["guard"] === "string") &&
    areCounts(value["right"]) && areCounts(value["wrong"]) && isCount(value["served"]);
}

function isEntry(value: unknown): value is EntrySnapshot {
  return isObject(value) && Number.isSafeInteger(value["id"]) &&
    typeof value["embedder"] === "string" && isSimilarity(value["liftedAbove"]) &&
    Array.isArray(value["points"]) && value["points"].length <= KEPT_MAX &&
    value["points"].every(isPoint);
}

function isPoint(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && isSimilarity(value[0]) &&
    (value[1] === 0 || value[1] === 1);
}

function areCounts(value: unknown): boolean {
  return Array.isArray(value) && value.length === BINS &&
    value.every(isCount);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** Rounding may carry a cosine a little over 1. */
function isSimilarity(value: unknown): value is number {
  return typeof value === "number" && value >= -1.01 && value <= 1.01;
}
