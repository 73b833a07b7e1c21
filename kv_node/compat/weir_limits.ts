/**
 * What a client refuses before it asks, in the words of `Deno.Kv`.
 *
 * @module
 */
import type { Check, Limits, Mutation } from "../types.ts";

/** Refuses a key that cannot be read. */
export function checkReadKey(key: Uint8Array, limits: Limits): void {
  const { readKeyBytesMax } = limits;
  if (key.length <= readKeyBytesMax) return;
  throw new TypeError(`Key too large for read (max ${readKeyBytesMax} bytes)`);
}

/** Refuses too many keys of one read. */
export function checkReadKeys(count: number, limits: Limits): void {
  if (count > limits.rangesMax) throw new TypeError(`Too many ranges (max ${limits.rangesMax})`);
}

/** Refuses what a batch of a list cannot hold. */
export function checkBatch(batchSize: number, limits: Limits): void {
  if (batchSize <= limits.entriesMax) return;
  throw new TypeError(`Too many entries (max ${limits.entriesMax})`);
}

/** Refuses too many keys of one watch. */
export function checkWatchedKeys(keys: readonly Uint8Array[], limits: Limits): void {
  const { watchedKeysMax } = limits;
  if (keys.length > watchedKeysMax) throw new TypeError(`Too many keys (max ${watchedKeysMax})`);
  for (const key of keys) checkReadKey(key, limits);
}

/** Refuses a commit that is too large, as a whole or in a part. */
export function checkCommit(
  checks: readonly Check[],
  mutations: readonly Mutation[],
  limits: Limits,
): void {
  const { checksMax, mutationsMax, commitBytesMax, commitKeyBytesMax } = limits;
  if (checks.length > checksMax) throw new TypeError(`Too many checks (max ${checksMax})`);
  if (mutations.length > mutationsMax) {
    throw new TypeError(`Too many mutations (max ${mutationsMax})`);
  }
  let keyBytes = 0;
  let bytes = 0;
  for (const { key } of checks) bytes += writtenKeyBytes(key, limits);
  for (const mutation of mutations) {
    const size = writtenKeyBytes(mutation.key, limits);
    bytes += size;
    if (!("value" in mutation)) continue;
    // Deno counts the key of what is written twice.
    keyBytes += size;
    bytes += size + valueBytes(mutation.value.data, limits);
    if (mutation.type !== "sum") continue;
    const { min, max } = mutation.bounds;
    bytes += (min?.length ?? 0) + (max?.length ?? 0);
  }
  if (bytes > commitBytesMax) {
    throw new TypeError(`Total mutation size too large (max ${commitBytesMax} bytes)`);
  }
  if (keyBytes > commitKeyBytesMax) {
    throw new TypeError(`Total key size too large (max ${commitKeyBytesMax} bytes)`);
  }
}

function writtenKeyBytes(key: Uint8Array, limits: Limits): number {
  if (key.length === 0) throw new TypeError("Key cannot be empty");
  if (key.length <= limits.keyBytesMax) return key.length;
  throw new TypeError(`Key too large for write (max ${limits.keyBytesMax} bytes)`);
}

function valueBytes(data: Uint8Array, limits: Limits): number {
  if (data.length <= limits.valueBytesMax) return data.length;
  throw new TypeError(`Value too large (max ${limits.valueBytesMax} bytes)`);
}
