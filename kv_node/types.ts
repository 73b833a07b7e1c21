/**
 * What all parts of a node speak about: rows, ranges, commands and their outcomes.
 *
 * Keys are complete keys: four bytes that name a space, then the key as the
 * client wrote it. A database owns a few spaces (its data, its queue, its dead
 * letters), so that one ordered map holds them all and one commit may touch
 * several of them.
 *
 * @module
 */

/** How a value's bytes are to be read: V8's serialization, unsigned 64-bit little-endian, plain. */
export type Encoding = 1 | 2 | 3;

/** V8's serialization of a JavaScript value. */
export const ENCODING_V8 = 1;
/** An unsigned 64-bit number, little-endian: what `Deno.KvU64` wraps. */
export const ENCODING_LE64 = 2;
/** Plain bytes. */
export const ENCODING_BYTES = 3;

/** Length of a versionstamp in bytes. */
export const STAMP_BYTES = 10;

/** Length of the space at the front of every complete key, in bytes. */
export const SPACE_BYTES = 4;

/** A value as it is stored. */
export interface KvValue {
  /** Its bytes. */
  readonly data: Uint8Array;
  /** How to read them. */
  readonly encoding: Encoding;
}

/** Something stored. */
export interface Row extends KvValue {
  /** Its complete key. */
  readonly key: Uint8Array;
  /** Versionstamp of the commit that wrote it, 10 bytes. */
  readonly stamp: Uint8Array;
  /** When it is gone, in milliseconds since the Unix epoch; `null` for never. */
  readonly expiresMs: number | null;
}

/** A part of the ordered map: from `start`, including it, to `end`, without it. */
export interface ReadRange {
  /** First complete key. */
  readonly start: Uint8Array;
  /** End, exclusive. */
  readonly end: Uint8Array;
  /** The most rows. */
  readonly limit: number;
  /** From the end. */
  readonly reverse: boolean;
}

/** A condition: the key has this versionstamp, or there is no such key (`null`). */
export interface Check {
  /** Complete key. */
  readonly key: Uint8Array;
  /** 10 bytes, or `null`. */
  readonly stamp: Uint8Array | null;
}

/** Bounds of a sum over V8 numbers or bigints, each V8-encoded like the operand. */
export interface SumBounds {
  /** The least result, or `null`. */
  readonly min: Uint8Array | null;
  /** The greatest result, or `null`. */
  readonly max: Uint8Array | null;
  /** Whether a result outside becomes the bound; otherwise it is refused. */
  readonly clamp: boolean;
}

/** One change of a command. */
export type Mutation =
  | {
    readonly type: "set";
    readonly key: Uint8Array;
    readonly value: KvValue;
    readonly expiresMs: number | null;
  }
  | { readonly type: "delete"; readonly key: Uint8Array }
  | {
    readonly type: "sum";
    readonly key: Uint8Array;
    readonly value: KvValue;
    readonly bounds: SumBounds;
  }
  | { readonly type: "min" | "max"; readonly key: Uint8Array; readonly value: KvValue }
  /** Sets under `key` followed by a string part: the commit's versionstamp in 20 hex digits. */
  | {
    readonly type: "set_suffixed";
    readonly key: Uint8Array;
    readonly value: KvValue;
    readonly expiresMs: number | null;
  }
  /** Sets under `key`, the 10 bytes of the stamp and the mutation's place in the command (u16). */
  | { readonly type: "append"; readonly key: Uint8Array; readonly value: KvValue }
  /** Deletes the row if its time has passed by the commit's own stamp. */
  | { readonly type: "expire"; readonly key: Uint8Array };

/** One commit as it stands in the log: everything or nothing. */
export interface Command {
  /** Conditions, judged when it is applied, in the order of the log. */
  readonly checks: readonly Check[];
  /** Changes, in order. */
  readonly mutations: readonly Mutation[];
}

/** What a command came to. */
export type Outcome =
  | { readonly type: "committed"; readonly stamp: Uint8Array }
  /** Some checks did not hold, by their places; nothing was changed. */
  | { readonly type: "conflict"; readonly failedChecks: readonly number[] }
  /** It makes no sense on what is stored, such as a sum over a text; nothing was changed. */
  | { readonly type: "invalid"; readonly message: string };

/** A place in a group's log. */
export interface LogPosition {
  /** Term of the leader that wrote it. */
  readonly term: number;
  /** Rises by one with each entry; 0 is before the first. */
  readonly index: number;
}

/** What may be asked of a database at once; defaults are those of Deno's own client. */
export interface Limits {
  /** Longest written key, in bytes of the client's key. */
  readonly keyBytesMax: number;
  /** Longest key in a range, in bytes of the client's key. */
  readonly readKeyBytesMax: number;
  /** Longest value in bytes. */
  readonly valueBytesMax: number;
  /** Ranges in one read. */
  readonly rangesMax: number;
  /** Rows of one range. */
  readonly entriesMax: number;
  /** Checks of one commit. */
  readonly checksMax: number;
  /** Mutations of one commit. */
  readonly mutationsMax: number;
  /** Keys and values of one commit, in bytes. */
  readonly commitBytesMax: number;
  /** Keys of one commit, in bytes. */
  readonly commitKeyBytesMax: number;
  /** Keys of one watch. */
  readonly watchedKeysMax: number;
  /** Longest delay of a queued message, in milliseconds. */
  readonly delayMsMax: number;
  /** Waits of a backoff schedule. */
  readonly backoffsMax: number;
  /** Longest wait of a backoff schedule, in milliseconds. */
  readonly backoffMsMax: number;
  /** Keys that an undelivered message is written to. */
  readonly undeliveredKeysMax: number;
}

/** Deno's own limits. */
export const DEFAULT_LIMITS: Limits = {
  keyBytesMax: 2_048,
  readKeyBytesMax: 2_049,
  valueBytesMax: 65_536,
  rangesMax: 10,
  entriesMax: 1_000,
  checksMax: 100,
  mutationsMax: 1_000,
  commitBytesMax: 819_200,
  commitKeyBytesMax: 81_920,
  watchedKeysMax: 10,
  delayMsMax: 30 * 86_400_000,
  backoffsMax: 10,
  backoffMsMax: 3_600_000,
  undeliveredKeysMax: 10,
};

/** What a space of a database holds. */
export type SpaceKind = "data" | "queue" | "dead";

/** A database, as the listeners see it. */
export interface Database {
  /** Its name: `default`, or what stands in the path. */
  readonly name: string;
  /** Its UUID. */
  readonly id: string;
  /** What may be asked of it at once. */
  readonly limits: Limits;
  /** Whether an operator closed it for reading. */
  readonly readDisabled: boolean;
  /** Whether an operator closed it for writing. */
  readonly writeDisabled: boolean;
  /** The four bytes in front of every key of that kind; not to be changed. */
  prefixOf(kind: SpaceKind): Uint8Array;
  /**
   * Reads ranges as of one moment, without what has expired.
   *
   * @throws {KvError} While it cannot be read.
   */
  read(ranges: readonly ReadRange[]): readonly (readonly Row[])[];
  /**
   * Commits. Settles when the outcome is on disk and applied.
   *
   * @throws {KvError} While it cannot be written, or its limits of waiting work are reached.
   */
  write(command: Command): Promise<Outcome>;
  /** Calls `changed` after each commit that touched one of these keys, until disposed. */
  watch(keys: readonly Uint8Array[], changed: () => void): Disposable;
  /** Calls `changed` after each commit that wrote below this prefix, until disposed. */
  watchPrefix(prefix: Uint8Array, changed: () => void): Disposable;
}
