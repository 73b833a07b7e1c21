/**
 * What a client may ask for at once, before any of it is done.
 *
 * Sizes are counted as Deno's own client counts them (`ext/kv/lib.rs`), so that what
 * passes there passes here: keys are the client's, without their space; a commit has
 * the keys of its checks and mutations, and for each mutation with a value that value
 * and its key a second time. A sum's bounds are counted too, where there are any:
 * Deno's client sends none. What only a node itself writes (`append`, `expire`) does
 * not count.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import {
  type Command,
  ENCODING_LE64,
  type KvValue,
  type Limits,
  type Mutation,
  type ReadRange,
  SPACE_BYTES,
} from "../types.ts";

const LE64_BYTES = 8;

/** Names of limits that are counted in bytes or pieces. */
type LimitName = keyof Limits;

/** What the mutations and checks of a commit come to. */
interface Totals {
  mutations: number;
  bytes: number;
  keyBytes: number;
}

/**
 * Judges a commit of a client.
 *
 * @throws {KvError} `limit_exceeded` with the limit, its value and what was given;
 * `bad_request` for an empty key, an unsigned number that has not 8 bytes, or an expiry
 * that no whole number from 0 tells exactly.
 */
export function checkCommand(command: Command, limits: Limits): void {
  const { checks, mutations } = command;
  const totals: Totals = { mutations: 0, bytes: 0, keyBytes: 0 };
  refuseAbove("commit", "too many checks", limits, "checksMax", checks.length);
  for (const check of checks) totals.bytes += writtenKeyBytes(check.key, limits);
  for (const mutation of mutations) addMutation(totals, mutation, limits);
  refuseAbove("commit", "too many mutations", limits, "mutationsMax", totals.mutations);
  refuseAbove("commit", "total mutation size too large", limits, "commitBytesMax", totals.bytes);
  refuseAbove("commit", "total key size too large", limits, "commitKeyBytesMax", totals.keyBytes);
}

/**
 * Judges a read of a client. A range that ends before it starts is empty, not wrong:
 * that is how a client finds out that it has read all.
 *
 * @throws {KvError} `limit_exceeded` with the limit, its value and what was given;
 * `bad_request` if a range asks for no rows, or fewer.
 */
export function checkRanges(ranges: readonly ReadRange[], limits: Limits): void {
  refuseAbove("read", "too many ranges", limits, "rangesMax", ranges.length);
  let entries = 0;
  for (const { start, end, limit } of ranges) {
    const keyBytes = Math.max(start.length, end.length) - SPACE_BYTES;
    refuseAbove("read", "key too large for read", limits, "readKeyBytesMax", keyBytes);
    if (!Number.isInteger(limit) || limit < 1) {
      throw new KvError("bad_request", "Cannot read: the limit of a range must be greater than 0");
    }
    entries += limit;
  }
  refuseAbove("read", "too many entries", limits, "entriesMax", entries);
}

/**
 * Judges the keys of a watch.
 *
 * @throws {KvError} `limit_exceeded` with the limit, its value and what was given.
 */
export function checkWatchedKeys(keys: readonly Uint8Array[], limits: Limits): void {
  refuseAbove("watch", "too many keys", limits, "watchedKeysMax", keys.length);
  for (const key of keys) {
    const keyBytes = key.length - SPACE_BYTES;
    refuseAbove("watch", "key too large for read", limits, "readKeyBytesMax", keyBytes);
  }
}

function addMutation(totals: Totals, mutation: Mutation, limits: Limits): void {
  if (mutation.type === "append" || mutation.type === "expire") return;
  const keyBytes = writtenKeyBytes(mutation.key, limits);
  totals.mutations++;
  totals.bytes += keyBytes;
  if (mutation.type === "delete") return;
  totals.keyBytes += keyBytes;
  totals.bytes += keyBytes + valueBytes(mutation.value, limits);
  if (mutation.type === "sum") {
    const { min, max } = mutation.bounds;
    totals.bytes += boundBytes(min, limits) + boundBytes(max, limits);
  } else if (mutation.type === "set" || mutation.type === "set_suffixed") {
    refuseExpiry(mutation.expiresMs);
  }
}

function writtenKeyBytes(key: Uint8Array, limits: Limits): number {
  const keyBytes = key.length - SPACE_BYTES;
  if (keyBytes < 1) throw new KvError("bad_request", "Cannot commit: key cannot be empty");
  refuseAbove("commit", "key too large for write", limits, "keyBytesMax", keyBytes);
  return keyBytes;
}

function valueBytes(value: KvValue, limits: Limits): number {
  const size = value.data.length;
  if (value.encoding === ENCODING_LE64 && size !== LE64_BYTES) {
    throw new KvError(
      "bad_request",
      `Cannot commit: an unsigned 64-bit number must have 8 bytes, given ${size}`,
    );
  }
  refuseAbove("commit", "value too large", limits, "valueBytesMax", size);
  return size;
}

function boundBytes(bound: Uint8Array | null, limits: Limits): number {
  if (bound === null) return 0;
  refuseAbove("commit", "bound of a sum too large", limits, "valueBytesMax", bound.length);
  return bound.length;
}

function refuseExpiry(expiresMs: number | null): void {
  if (expiresMs === null || (Number.isSafeInteger(expiresMs) && expiresMs >= 0)) return;
  throw new KvError(
    "bad_request",
    "Cannot commit: an expiry must be a whole number of milliseconds from 0 to 2^53 - 1",
  );
}

function refuseAbove(
  action: "commit" | "read" | "watch",
  reason: string,
  limits: Limits,
  name: LimitName,
  given: number,
): void {
  const most = limits[name];
  if (given <= most) return;
  const unit = name.includes("Bytes") ? " bytes" : "";
  throw new KvError(
    "limit_exceeded",
    `Cannot ${action}: ${reason} (max ${most}${unit}, given ${given}${unit}; limit ${name})`,
  );
}
