/**
 * A key-value store, in the shape of `Deno.Kv`.
 *
 * Whatever has this shape can hold what gateways share: the runtime's own store
 * in memory or in a file, a remote one, a cluster. It is the part of `Deno.Kv`
 * that is used here, under the same rules: keys are ordered as
 * Uint8Array < string < bigint < number < boolean; a value takes 64 KiB, a
 * written key 2 KiB, one commit 800 KiB, 1,000 mutations and 100 checks; ten
 * keys are read or watched together, and read as of one moment. What has expired
 * goes at some time after: the runtime's own store still showed it half a minute
 * later, so whoever reads looks at the time as well.
 *
 * @module
 */

/** One part of a key; the symbol is in the type of `Deno.Kv` too, and no store takes it. */
export type StoreKeyPart = Uint8Array | string | number | bigint | boolean | symbol;

/** A key: its parts, the most general first. */
export type StoreKey = readonly StoreKeyPart[];

/** Something stored. */
export interface StoreEntry {
  /** Its key. */
  readonly key: StoreKey;
  /** Its value; what was counted with `sum` is an object with a bigint `value`. */
  readonly value: unknown;
  /** Rises with every commit to the store; 20 hexadecimal digits. */
  readonly versionstamp: string;
}

/** Something stored, or nothing under that key. */
export type StoreEntryMaybe =
  | StoreEntry
  | { readonly key: StoreKey; readonly value: null; readonly versionstamp: null };

/** Which keys to list: from `start`, including it, up to `end`, without it. */
export type StoreSelector =
  | { readonly prefix: StoreKey }
  | { readonly prefix: StoreKey; readonly start: StoreKey }
  | { readonly prefix: StoreKey; readonly end: StoreKey }
  | { readonly start: StoreKey; readonly end: StoreKey };

/** How to list. */
export interface StoreListOptions {
  /** The most entries. */
  readonly limit?: number;
  /** Where an earlier listing of the same selector stopped. */
  readonly cursor?: string;
  /** From the end. */
  readonly reverse?: boolean;
  /** How many entries are fetched together; each batch is of one moment, a whole listing is not. */
  readonly batchSize?: number;
}

/** Entries in the order of their keys. */
export interface StoreIterator extends AsyncIterableIterator<StoreEntry> {
  /** Where to go on, once an entry was read; empty where nothing follows. */
  readonly cursor: string;
}

/** A condition of a commit: the key's versionstamp is this one, or there is none (`null`). */
export interface StoreCheck {
  /** The key. */
  readonly key: StoreKey;
  /** Its versionstamp. */
  readonly versionstamp: string | null;
}

/** What a commit came to: `ok: false` if a check did not hold, and nothing was changed. */
export type StoreCommit =
  | { readonly ok: true; readonly versionstamp: string }
  | { readonly ok: false };

/** A commit being put together: all of it takes effect, or nothing. */
export interface StoreAtomic {
  /** Adds conditions. */
  check(...checks: StoreCheck[]): this;
  /** Sets a value; `expireIn` is in milliseconds. */
  set(key: StoreKey, value: unknown, options?: { expireIn?: number }): this;
  /** Deletes a key. */
  delete(key: StoreKey): this;
  /** Adds to an unsigned 64-bit count, modulo 2^64. */
  sum(key: StoreKey, n: bigint): this;
  /** Commits. */
  commit(): Promise<StoreCommit>;
}

/** A key-value store. A `Deno.Kv` is one. */
export interface Store extends Disposable {
  /** Reads one key. */
  get(key: StoreKey): Promise<StoreEntryMaybe>;
  /** Reads up to ten keys, as of one moment. */
  getMany(keys: readonly StoreKey[]): Promise<readonly StoreEntryMaybe[]>;
  /** Sets a value; `expireIn` is in milliseconds. */
  set(
    key: StoreKey,
    value: unknown,
    options?: { expireIn?: number },
  ): Promise<{ readonly ok: true; readonly versionstamp: string }>;
  /** Deletes a key. */
  delete(key: StoreKey): Promise<void>;
  /** Lists entries. */
  list(selector: StoreSelector, options?: StoreListOptions): StoreIterator;
  /** Begins a commit. */
  atomic(): StoreAtomic;
  /** Tells the values of up to ten keys, now and after they have changed. */
  watch(keys: readonly StoreKey[]): ReadableStream<readonly StoreEntryMaybe[]>;
  /** Ends it: pending reads reject, watches end. */
  close(): void;
}
