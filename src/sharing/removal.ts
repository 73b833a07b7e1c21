/**
 * Takes an entry out of the store, with everything that leads to it.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import type { EmbedderIdentity } from "./entry_reader.ts";
import { decodeEntryHead } from "./records/entry_record.ts";
import { LAYOUT } from "./records/layout.ts";

/** Removes an entry, unless another one has taken its place; returns whether it was there. */
export async function removeEntry(
  store: Store,
  id: number,
  embedder: EmbedderIdentity | null,
): Promise<boolean> {
  const exactKey = (await store.get(LAYOUT.id(id))).value;
  if (typeof exactKey !== "string") return false;
  const stored = await store.get(LAYOUT.head(exactKey));
  const head = decodeEntryHead(stored.value);
  const atomic = store.atomic().delete(LAYOUT.id(id));
  if (embedder !== null) atomic.delete(LAYOUT.vector(embedder.id, exactKey, id));
  const isThere = head?.fields.id === id;
  if (isThere) {
    atomic.check({ key: LAYOUT.head(exactKey), versionstamp: stored.versionstamp });
    atomic.delete(LAYOUT.head(exactKey));
    for (let i = 0; i < head.document.partCount; i++) atomic.delete(LAYOUT.part(id, i));
    // Canonical keys lead to exact keys: this one now to nothing, or to the next answer.
  }
  return (await atomic.commit()).ok && isThere;
}
