/**
 * Entries for the tests of the store.
 *
 * @module
 */
import type { AnswerRecord, CacheEntry } from "../types.ts";

const ANSWER: AnswerRecord = {
  surface: "chat",
  text: "Ja.",
  pieces: [],
  reasoning: null,
  finish: "stop",
  stopSequence: null,
  model: "m",
  usage: null,
  extra: {},
};

/** An entry of 100 bytes, fresh for 1 s from 0 and stale for another, but for what is given. */
export function entryOf(id: number, given: Partial<CacheEntry> = {}): CacheEntry {
  return {
    id,
    scope: "scope",
    exactKey: `exact ${id}`,
    canonicalKey: null,
    tenant: "tenant",
    route: "route",
    turn: null,
    tags: [],
    sequence: 0,
    storedMs: 0,
    expiresMs: 1000,
    staleUntilMs: 2000,
    answer: ANSWER,
    sizeBytes: 100,
    ...given,
  };
}
