/**
 * What a list asks for as a range of keys, and cursors into it, as in Deno KV:
 * the same ranges, the same refusals, and cursors that a native client gives
 * out mean the same here and the other way round.
 *
 * A cursor is the key of the last row without what all keys of the selection
 * begin with, in base64url with its padding.
 *
 * @module
 */
import { compareBytes, startsWith } from "./bytes.ts";
import { encodeKey, type KeyPart } from "./key_codec.ts";

/** What a list selects: `Deno.KvListSelector`. */
export interface ListSelector {
  /** All keys that begin with these parts and have more. */
  readonly prefix?: readonly KeyPart[] | undefined;
  /** The first key. */
  readonly start?: readonly KeyPart[] | undefined;
  /** The end, exclusive. */
  readonly end?: readonly KeyPart[] | undefined;
}

/** From `start`, including it, to `end`, without it; keys without a space. */
export interface KeyRange {
  /** First key. */
  readonly start: Uint8Array;
  /** End, exclusive. */
  readonly end: Uint8Array;
}

/** A selector as bytes. */
export interface Selection extends KeyRange {
  /** What every key of it begins with: left out of its cursors. */
  readonly prefix: Uint8Array;
  /** Whether the start was given, so that a cursor before it is refused. */
  readonly hasStart: boolean;
  /** Whether the end was given, so that a cursor behind it is refused. */
  readonly hasEnd: boolean;
}

/** The range of one key alone: what a `get` reads. */
export function rangeOfKey(key: Uint8Array): KeyRange {
  return { start: key, end: followedBy(key, 0) };
}

/** The range of all keys that have this one in front and at least one part more. */
export function rangeBelow(prefix: Uint8Array): KeyRange {
  return { start: followedBy(prefix, 0), end: followedBy(prefix, 0xff) };
}

/**
 * What a list selects, as bytes.
 *
 * @throws {TypeError} With the text of Deno KV, if the selector makes no sense.
 */
export function selectionOf(selector: ListSelector): Selection {
  const { prefix, start, end } = selector;
  if (prefix === undefined) {
    if (start === undefined || end === undefined) {
      throw new TypeError("Selector must specify either 'prefix' or both 'start' and 'end' key");
    }
    return between(encodeKey(start), encodeKey(end));
  }
  if (start !== undefined && end !== undefined) {
    throw new TypeError(
      "Selector can not specify both 'start' and 'end' key when specifying 'prefix'",
    );
  }
  const below = encodeKey(prefix);
  const first = start === undefined ? undefined : encodeKey(start);
  const last = end === undefined ? undefined : encodeKey(end);
  if (first !== undefined && !isBelow(first, below)) {
    throw new TypeError("Start key is not in the keyspace defined by prefix");
  }
  if (last !== undefined && !isBelow(last, below)) {
    throw new TypeError("End key is not in the keyspace defined by prefix");
  }
  return {
    prefix: below,
    start: first ?? followedBy(below, 0),
    end: last ?? followedBy(below, 0xff),
    hasStart: first !== undefined,
    hasEnd: last !== undefined,
  };
}

/**
 * The cursor that stands behind a row of a selection.
 *
 * @throws {TypeError} If the key cannot be of this selection.
 */
export function cursorBehind(selection: Selection, key: Uint8Array): string {
  if (!startsWith(key, selection.prefix)) {
    throw new TypeError("Cannot make cursor: invalid boundary key");
  }
  return key.subarray(selection.prefix.length).toBase64({ alphabet: "base64url" });
}

/**
 * What is left of a selection behind a cursor; all of it for the empty one.
 *
 * @throws {TypeError} If it is no cursor, or one outside of the selection.
 */
export function rangeBehind(selection: Selection, cursor: string, isReverse: boolean): KeyRange {
  if (cursor === "") return { start: selection.start, end: selection.end };
  const rest = restOf(cursor);
  const { prefix } = selection;
  const bound = new Uint8Array(prefix.length + rest.length + (isReverse ? 0 : 1));
  bound.set(prefix);
  bound.set(rest, prefix.length);
  if (isReverse) {
    if (selection.hasEnd && compareBytes(bound, selection.end) > 0) outOfBounds();
    return { start: selection.start, end: bound };
  }
  if (selection.hasStart && compareBytes(bound, selection.start) < 0) outOfBounds();
  return { start: bound, end: selection.end };
}

function outOfBounds(): never {
  throw new TypeError("Cannot list: cursor out of bounds");
}

function restOf(cursor: string): Uint8Array {
  try {
    // What follows would skip white space in it, and take either alphabet's padding as missing.
    if (!/^[\w-]+={0,2}$/.test(cursor)) throw new TypeError("Cannot read base64url");
    return Uint8Array.fromBase64(cursor, { alphabet: "base64url", lastChunkHandling: "strict" });
  } catch (cause) {
    throw new TypeError("Cannot list: invalid cursor", { cause });
  }
}

function between(start: Uint8Array, end: Uint8Array): Selection {
  if (compareBytes(start, end) > 0) throw new TypeError("Start key is greater than end key");
  let shared = 0;
  while (shared < start.length && shared < end.length && start[shared] === end[shared]) shared++;
  return { prefix: start.subarray(0, shared), start, end, hasStart: true, hasEnd: true };
}

function isBelow(key: Uint8Array, prefix: Uint8Array): boolean {
  return key.length > prefix.length && startsWith(key, prefix);
}

function followedBy(key: Uint8Array, byte: number): Uint8Array {
  const longer = new Uint8Array(key.length + 1);
  longer.set(key);
  longer[key.length] = byte;
  return longer;
}
