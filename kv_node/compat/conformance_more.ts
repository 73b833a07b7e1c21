/**
 * More of what every store has to do, corner by corner: cases of the same shape as
 * {@linkcode CONFORMANCE}, to be run in the same way, each on an empty store.
 *
 * They cover what Deno's own tests and denokv's ask of a store, as far as the
 * {@linkcode Store} interface shows it, and were written from that behaviour. A
 * refusal is looked at by its words where all stores use the same ones.
 *
 * @module
 */
import { COMMIT_CASES } from "./conformance/commits.ts";
import { ENTRY_CASES } from "./conformance/entries.ts";
import { LIFE_CASES } from "./conformance/life.ts";
import { LIMIT_CASES } from "./conformance/limits.ts";
import { LIST_CASES } from "./conformance/lists.ts";
import type { ConformanceCase } from "./conformance.ts";

/** All further cases. */
export const MORE_CASES: readonly ConformanceCase[] = [
  ...ENTRY_CASES,
  ...COMMIT_CASES,
  ...LIST_CASES,
  ...LIMIT_CASES,
  ...LIFE_CASES,
];
