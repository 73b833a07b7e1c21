/**
 * Comparing byte strings: the order of the store is the order of unsigned bytes.
 *
 * @module
 */

/**
 * Compares two byte strings as the store orders them; a prefix comes first.
 *
 * @returns A number below, at or above zero.
 */
export function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const shorter = Math.min(one.length, other.length);
  for (let index = 0; index < shorter; index++) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

/**
 * Whether two byte strings are the same.
 *
 * It looks from the end, where keys of one space differ soonest. Not for secrets: its time
 * tells where they differ.
 */
export function bytesEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let index = one.length - 1; index >= 0; index--) {
    if (one[index] !== other[index]) return false;
  }
  return true;
}

/** Whether `bytes` begins with `prefix`. */
export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let index = prefix.length - 1; index >= 0; index--) {
    if (bytes[index] !== prefix[index]) return false;
  }
  return true;
}

/** Whether nothing lies between two byte strings: `next` is `bytes` and a zero byte. */
export function isNextTo(bytes: Uint8Array, next: Uint8Array): boolean {
  return next.length === bytes.length + 1 && next[bytes.length] === 0 && startsWith(next, bytes);
}
