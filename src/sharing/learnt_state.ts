/**
 * What a gateway has learnt, by name: one text each.
 *
 * Each writing has parts of its own, and the head that points to them is written
 * last: a reader finds the old text or the new one, whole.
 *
 * @module
 */
import type { Store } from "deno-kv-compat";
import { bodyOf, decodeHead, encodeDocument } from "./records/document.ts";
import { LAYOUT } from "./records/layout.ts";

/** Parts in one commit. */
const PARTS_TOGETHER = 10;
const KEYS_MAX = 10;
/** Parts that nobody points to go after this time, in milliseconds: a writer ended in between. */
const ORPHAN_KEPT_MS = 400 * 86_400_000;

/** Writes a text; `writing` must differ from that of every other one. */
export async function saveText(
  store: Store,
  name: string,
  writing: string,
  text: string,
): Promise<void> {
  const document = encodeDocument(writing, text);
  if (document === null) throw new RangeError("Cannot save a state: its name is too long");
  const before = decodeHead((await store.get(LAYOUT.state(name))).value);
  for (let start = 0; start < document.parts.length; start += PARTS_TOGETHER) {
    const atomic = store.atomic();
    for (const [i, part] of document.parts.slice(start, start + PARTS_TOGETHER).entries()) {
      atomic.set(LAYOUT.statePart(name, writing, start + i), part, { expireIn: ORPHAN_KEPT_MS });
    }
    await atomic.commit();
  }
  const atomic = store.atomic().set(LAYOUT.state(name), document.head);
  for (let i = 0; i < (before?.partCount ?? 0); i++) {
    atomic.delete(LAYOUT.statePart(name, before?.fields ?? "", i));
  }
  await atomic.commit();
}

/** Reads a text; `null` if there is none, or not all of it. */
export async function loadText(store: Store, name: string): Promise<string | null> {
  const head = decodeHead((await store.get(LAYOUT.state(name))).value);
  if (head === null) return null;
  const parts: unknown[] = [];
  for (let start = 0; start < head.partCount; start += KEYS_MAX) {
    const count = Math.min(KEYS_MAX, head.partCount - start);
    const keys = Array.from(
      { length: count },
      (_, i) => LAYOUT.statePart(name, head.fields, start + i),
    );
    for (const { value } of await store.getMany(keys)) parts.push(value);
  }
  return bodyOf(head, parts);
}
