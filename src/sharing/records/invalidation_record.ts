/**
 * The one record in which all gateways' invalidations are numbered.
 *
 * It holds the highest number, the latest number of each tag and id that was
 * invalidated, and a floor: everything that began before it is void. "All" raises
 * the floor; so does a tag or id that no longer fits, the oldest first. Whoever had
 * seen number `n` has missed the floor, if that is above `n`, and what is numbered
 * above both.
 *
 * The lineage is drawn when the record is made. Another one means that the store
 * was emptied or replaced: its numbers say nothing about those seen before.
 *
 * @module
 */
import type { Selector } from "../../cache/types.ts";
import { SHARED_NUMBER_MAX } from "./numbering.ts";

/** Most tags and ids kept apart. */
const RECENT_MAX = 512;
/** Most UTF-16 units of them all; in UTF-8, at three bytes a unit, they fit into one value. */
const RECENT_LENGTH_MAX = 20_000;
/** A longer tag is no tag of ours. */
const TAG_LENGTH_MAX = 4_000;

/** An invalidation with its number. */
export interface Numbered {
  /** Its shared number. */
  readonly number: number;
  /** What it is about. */
  readonly selector: Selector;
}

/** What the record says. */
export interface InvalidationRecord {
  /** Drawn when it was made. */
  readonly lineage: string;
  /** The highest number. */
  readonly number: number;
  /** What began before this number is void. */
  readonly floor: number;
  /** The latest number of each tag and id above the floor, rising. */
  readonly recent: readonly Numbered[];
}

/** Adds invalidations under the next numbers after `from` and the record's own. */
export function appended(
  before: InvalidationRecord,
  selectors: readonly Selector[],
  from: number,
): InvalidationRecord {
  let number = Math.max(before.number, from);
  let floor = before.floor;
  const recent = new Map<string | number, Numbered>();
  for (const numbered of before.recent) recent.set(nameOf(numbered.selector), numbered);
  for (const selector of selectors) {
    number += 1;
    const name = nameOf(selector);
    if (selector.type === "all" || lengthOf(name) > TAG_LENGTH_MAX) {
      floor = number;
      recent.clear();
    } else {
      recent.delete(name); // Written again, it stands last.
      recent.set(name, { number, selector });
    }
  }
  let length = 0;
  for (const name of recent.keys()) length += lengthOf(name);
  for (const [name, numbered] of recent) {
    if (recent.size <= RECENT_MAX && length <= RECENT_LENGTH_MAX) break;
    recent.delete(name);
    length -= lengthOf(name);
    floor = numbered.number;
  }
  return { lineage: before.lineage, number, floor, recent: [...recent.values()] };
}

/** What somebody has missed who had seen everything up to `seen`, in order. */
export function missed(record: InvalidationRecord, seen: number): readonly Numbered[] {
  const later = record.recent.filter(({ number }) => number > seen);
  if (record.floor <= seen) return later;
  return [{ number: record.floor, selector: { type: "all" } }, ...later];
}

/** Writes a record. */
export function encodeInvalidations(record: InvalidationRecord): Uint8Array {
  const { lineage, number, floor } = record;
  const recent = record.recent.map(({ number, selector }) => [
    number,
    nameOf(selector),
  ]);
  return new TextEncoder().encode(JSON.stringify({ lineage, number, floor, recent }));
}

/** Reads a record; `null` if the value is none. */
export function decodeInvalidations(value: unknown): InvalidationRecord | null {
  if (!(value instanceof Uint8Array)) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(value));
  } catch {
    return null; // Not JSON, so no record.
  }
  if (typeof parsed !== "object" || parsed === null) return null;
  const [lineage, number, floor, recent] = ["lineage", "number", "floor", "recent"]
    .map((name) => Reflect.get(parsed, name));
  if (typeof lineage !== "string" || !isNumber(number) || !isNumber(floor)) return null;
  if (number > SHARED_NUMBER_MAX || floor > number || !Array.isArray(recent)) return null;
  const numbered = recent.map(numberedOf);
  let last = floor;
  for (const item of numbered) {
    if (item === null || item.number <= last || item.number > number) return null;
    last = item.number;
  }
  // The highest number is always somebody's: a record that lost it has lost more.
  if (last !== number) return null;
  return { lineage, number, floor, recent: numbered.filter((item) => item !== null) };
}

/** Writes the counter beside it, which is read with every shared entry. */
export function encodeCounter(
  { lineage, number }: Pick<InvalidationRecord, "lineage" | "number">,
): string {
  return `${lineage} ${number}`;
}

/** The number that a counter says; 0 if it says none. */
export function numberInCounter(value: unknown): number {
  if (typeof value !== "string") return 0;
  const number = Number(value.slice(value.indexOf(" ") + 1));
  return isNumber(number) && number <= SHARED_NUMBER_MAX ? number : 0;
}

/** What a tag or id is kept under: ids are numbers, tags are strings. */
export function nameOf(selector: Selector): string | number {
  if (selector.type === "all") return "";
  return selector.type === "id" ? selector.id : selector.tag;
}

/** Length of a name with its number, in the written form. */
function lengthOf(name: string | number): number {
  return JSON.stringify(name).length + 20;
}

function numberedOf(value: unknown): Numbered | null {
  if (!Array.isArray(value) || !isNumber(value[0])) return null;
  const number = value[0];
  const what: unknown = value[1];
  if (typeof what === "string") return { number, selector: { type: "tag", tag: what } };
  return isNumber(what) ? { number, selector: { type: "id", id: what } } : null;
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
