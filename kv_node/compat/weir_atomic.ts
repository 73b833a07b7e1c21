/**
 * Commits being put together.
 *
 * @module
 */
import { KvU64 } from "../values/u64.ts";
import { isU64 } from "../values/value.ts";
import {
  type Check,
  type KvValue,
  type Limits,
  type Mutation,
  STAMP_BYTES,
  type SumBounds,
} from "../types.ts";
import { encodeAtomicWrite } from "../wire/write.ts";
import type { StoreAtomic, StoreCheck, StoreCommit, StoreKey } from "./store.ts";
import { keyBytesOf, valueOf } from "./weir_entry.ts";
import { checkCommit } from "./weir_limits.ts";
import type { WeirLink } from "./weir_link.ts";

/** Bounds of a sum over numbers or bigints. */
export interface WeirSumOptions {
  /** The least result. */
  readonly min?: number | bigint;
  /** The greatest result. */
  readonly max?: number | bigint;
  /** Whether a result outside becomes the bound; otherwise the commit is refused. */
  readonly clamp?: boolean;
}

const STAMP = new RegExp(`^[0-9a-fA-F]{${2 * STAMP_BYTES}}$`);
const NO_BOUNDS: SumBounds = { min: null, max: null, clamp: false };

/** Collects checks and changes; all of them take effect together, or none. */
export class WeirAtomic implements StoreAtomic {
  readonly #link: WeirLink;
  readonly #checks: Check[] = [];
  readonly #mutations: Mutation[] = [];
  /** The first thing that was wrong; a commit rejects with it. */
  #fault: unknown = null;

  /** With nothing in it. */
  constructor(link: WeirLink) {
    this.#link = link;
  }

  /** Adds conditions. */
  check(...checks: StoreCheck[]): this {
    return this.#collect(() => {
      for (const { key, versionstamp } of checks) {
        if (versionstamp !== null && !STAMP.test(versionstamp)) {
          throw new TypeError("Invalid check");
        }
        const stamp = versionstamp === null ? null : Uint8Array.fromHex(versionstamp);
        this.#checks.push({ key: keyBytesOf(key), stamp });
      }
    });
  }

  /** Sets a value; `expireIn` is in milliseconds. */
  set(key: StoreKey, value: unknown, options?: { expireIn?: number }): this {
    return this.#collect(() => this.#mutations.push(setMutation(key, value, options)));
  }

  /**
   * Sets a value under the key and one part more: the commit's versionstamp, as in
   * `Deno.Kv` under `[...key, kv.commitVersionstamp()]`.
   */
  setVersionstamped(key: StoreKey, value: unknown, options?: { expireIn?: number }): this {
    return this.#collect(() => {
      const { key: bytes, value: stored, expiresMs } = setMutation(key, value, options);
      this.#mutations.push({ type: "set_suffixed", key: bytes, value: stored, expiresMs });
    });
  }

  /** Deletes a key. */
  delete(key: StoreKey): this {
    return this.#collect(() => this.#mutations.push({ type: "delete", key: keyBytesOf(key) }));
  }

  /**
   * Adds to an unsigned 64-bit count, modulo 2^64; with bounds, or an `n` that is a number,
   * to a number or bigint that was stored as such.
   */
  sum(key: StoreKey, n: bigint | number, options?: WeirSumOptions): this {
    return this.#collect(() => {
      const isPlain = options !== undefined || typeof n === "number";
      const value = isPlain ? valueOf(n) : countOf(n);
      const bounds = isPlain ? boundsOf(options ?? {}) : NO_BOUNDS;
      this.#mutations.push({ type: "sum", key: keyBytesOf(key), value, bounds });
    });
  }

  /** Sets an unsigned 64-bit count to `n`, if it is larger or absent. */
  min(key: StoreKey, n: bigint): this {
    return this.#collect(() => {
      this.#mutations.push({ type: "min", key: keyBytesOf(key), value: countOf(n) });
    });
  }

  /** Sets an unsigned 64-bit count to `n`, if it is smaller or absent. */
  max(key: StoreKey, n: bigint): this {
    return this.#collect(() => {
      this.#mutations.push({ type: "max", key: keyBytesOf(key), value: countOf(n) });
    });
  }

  /** Commits. */
  async commit(): Promise<StoreCommit> {
    if (this.#fault !== null) throw this.#fault;
    const body = commitBody(this.#checks, this.#mutations, this.#link.limits);
    const versionstamp = await this.#link.write(body);
    return versionstamp === null ? { ok: false } : { ok: true, versionstamp };
  }

  #collect(add: () => void): this {
    try {
      add();
    } catch (error) {
      this.#fault ??= error;
    }
    return this;
  }
}

/**
 * A mutation that sets a value.
 *
 * @throws {TypeError} If key, value or expiry are none.
 */
export function setMutation(
  key: StoreKey,
  value: unknown,
  options: { readonly expireIn?: number } | undefined,
): Mutation & { readonly type: "set" } {
  const expireIn = options?.expireIn;
  if (expireIn !== undefined && !(Number.isSafeInteger(expireIn) && expireIn >= 0)) {
    throw new TypeError(
      `Cannot set: expireIn must be a non-negative integer, received ${expireIn}`,
    );
  }
  const expiresMs = expireIn === undefined ? null : Date.now() + expireIn;
  if (expiresMs !== null && !Number.isSafeInteger(expiresMs)) {
    throw new TypeError(`Cannot set: expireIn is too large, received ${expireIn}`);
  }
  return { type: "set", key: keyBytesOf(key), value: valueOf(value), expiresMs };
}

/**
 * The body of a commit.
 *
 * @throws {TypeError} If it is above a limit.
 */
export function commitBody(
  checks: readonly Check[],
  mutations: readonly Mutation[],
  limits: Limits,
): Uint8Array {
  checkCommit(checks, mutations, limits);
  return encodeAtomicWrite({ command: { checks, mutations }, enqueues: [] });
}

function countOf(n: unknown): KvValue {
  if (isU64(n)) return valueOf(n);
  if (typeof n === "bigint") return valueOf(new KvU64(n));
  throw new TypeError(`Value must be a bigint: received ${typeof n}`);
}

function boundsOf(options: WeirSumOptions): SumBounds {
  const { min, max, clamp = false } = options;
  return {
    min: min === undefined ? null : valueOf(min).data,
    max: max === undefined ? null : valueOf(max).data,
    clamp,
  };
}
