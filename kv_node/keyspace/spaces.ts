/**
 * Spaces: the four bytes at the front of every complete key.
 *
 * A space is a big-endian number, four to a database, so that all that a database
 * owns lies side by side: `database * 4 + kind`. The fourth is kept free.
 *
 * @module
 */
import { SPACE_BYTES, type SpaceKind } from "../types.ts";

/** The most databases of a store; numbers start at 0. */
export const DATABASES_MAX = 2 ** 30;

const KINDS: readonly SpaceKind[] = ["data", "queue", "dead"];
const SPACES_PER_DATABASE = 4;

/** A space, taken apart. */
export interface SpaceParts {
  /** Number of the database that owns it. */
  readonly databaseNumber: number;
  /** What it holds. */
  readonly kind: SpaceKind;
}

/**
 * The four bytes in front of every key of that kind in that database.
 *
 * @throws {RangeError} If there can be no database of that number.
 */
export function spaceOf(databaseNumber: number, kind: SpaceKind): Uint8Array {
  if (!Number.isInteger(databaseNumber) || databaseNumber < 0 || databaseNumber >= DATABASES_MAX) {
    throw new RangeError(`Cannot make space: database number is not in 0 to ${DATABASES_MAX - 1}`);
  }
  return bigEndian(databaseNumber * SPACES_PER_DATABASE + KINDS.indexOf(kind));
}

/**
 * What a space, or the space of a complete key, belongs to.
 *
 * @throws {RangeError} If it is shorter than a space, or of no known kind.
 */
export function partsOfSpace(bytes: Uint8Array): SpaceParts {
  const number = spaceNumber(bytes);
  const kind = KINDS[number % SPACES_PER_DATABASE];
  if (kind === undefined) throw new RangeError("Cannot read space: its kind is unknown");
  return { databaseNumber: Math.floor(number / SPACES_PER_DATABASE), kind };
}

/**
 * The end of a space, exclusive: the first bytes above every key in it.
 *
 * @throws {RangeError} If it is shorter than a space, or the last there can be.
 */
export function endOfSpace(space: Uint8Array): Uint8Array {
  const number = spaceNumber(space);
  if (number === 2 ** 32 - 1) throw new RangeError("Cannot end space: there is none behind it");
  return bigEndian(number + 1);
}

/** A complete key: the space (or any other prefix), then the key. */
export function withPrefix(prefix: Uint8Array, key: Uint8Array): Uint8Array {
  const complete = new Uint8Array(prefix.length + key.length);
  complete.set(prefix);
  complete.set(key, prefix.length);
  return complete;
}

/** The key in a complete key as the client wrote it: a view, not a copy. */
export function withoutSpace(complete: Uint8Array): Uint8Array {
  return complete.subarray(SPACE_BYTES);
}

function spaceNumber(bytes: Uint8Array): number {
  const [first, second, third, fourth] = bytes;
  if (
    first === undefined || second === undefined || third === undefined || fourth === undefined
  ) {
    throw new RangeError(`Cannot read space: fewer than ${SPACE_BYTES} bytes`);
  }
  return first * 2 ** 24 + (second << 16) + (third << 8) + fourth;
}

function bigEndian(number: number): Uint8Array {
  return Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);
}
