/**
 * Where things are in the store.
 *
 *     weir/cache/1/
 *       head/EXACT                  an entry: its fields, and its answer if that is short
 *       part/ID/N                   a long answer, piece by piece
 *       canonical/CANONICAL         its exact key
 *       id/ID                       its exact key
 *       vector/EMBEDDER/EXACT/ID    its vector; in the order of the heads, for a restart
 *       feed/WRITER/N               exact keys in the order in which a gateway wrote them
 *       writer/WRITER               the highest N of its feed
 *       bump                        changes with every feed
 *       invalidations               the latest invalidations, numbered
 *       counter                     the highest of those numbers
 *       state/NAME, state_part/…    what a gateway has learnt
 *
 * The number in front changes with the layout: releases that write different ones
 * do not see one another's entries.
 *
 * @module
 */
import type { StoreKey, StoreKeyPart } from "deno-kv-compat";

/** Version of the layout. */
const VERSION = 1;

const at = (...parts: readonly StoreKeyPart[]): StoreKey => ["weir", "cache", VERSION, ...parts];

/** Keys, and prefixes of keys, by what is under them. */
export const LAYOUT = {
  heads: at("head"),
  head: (exactKey: string) => at("head", exactKey),
  part: (id: number, part: number) => at("part", id, part),
  canonical: (canonicalKey: string) => at("canonical", canonicalKey),
  id: (id: number) => at("id", id),
  vectors: (embedder: string) => at("vector", embedder),
  vector: (embedder: string, exactKey: string, id: number) => at("vector", embedder, exactKey, id),
  feed: (writer: string, position: number) => at("feed", writer, position),
  writers: at("writer"),
  writer: (writer: string) => at("writer", writer),
  bump: at("bump"),
  invalidations: at("invalidations"),
  counter: at("counter"),
  state: (name: string) => at("state", name),
  statePart: (name: string, writing: string, part: number) => at("state_part", name, writing, part),
} as const;
