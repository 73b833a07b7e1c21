/**
 * Tokens of the data path: signed, so that every node can check them without asking.
 *
 *     weir1.DATABASE_ID.SCOPE.EPOCH.EXPIRES_SECONDS.HMAC-SHA256 of all before, base64url
 *
 * Two keys are known: the first signs, both are good for checking, so keys change
 * without a client noticing. What was checked is kept for a while, by the whole
 * text, because the HMAC would cost more than the rest of a small read. Looking a
 * text up there tells nothing about how much of it is right.
 *
 * Source: RFC 2104 (HMAC), RFC 4648 section 5 (base64url).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

/** What a token says. */
export interface TokenClaims {
  /** UUID of the database that it opens. */
  readonly databaseId: string;
  /** What it is good for, a word in lower case. */
  readonly scope: string;
  /** The database's epoch when it was signed. */
  readonly epoch: number;
  /** When it ends, in milliseconds since the Unix epoch; whole seconds. */
  readonly expiresMs: number;
}

/** Signs and checks tokens. */
export interface TokenSigner {
  /** Writes a token; what is below a second in `expiresMs` is dropped. */
  sign(claims: TokenClaims): string;
  /**
   * Reads a token.
   *
   * @param nowMs Milliseconds since the Unix epoch.
   * @returns What it says; `"invalid"` if it was not signed here, `"expired"` if it was.
   */
  verify(token: string, nowMs: number): TokenClaims | "invalid" | "expired";
}

const PREFIX = "weir1";
const KEY_BYTES_MIN = 32;
const CACHED_MAX = 1_024;
const TOKEN_CHARS_MAX = 256;
const SHAPE = /^weir1\.([0-9a-f-]{36})\.([a-z_]{1,32})\.(\d{1,15})\.(\d{1,12})$/;

/** Signs with HMAC-SHA256. */
export class HmacTokenSigner implements TokenSigner {
  #keys: readonly Uint8Array[] = [];
  readonly #cachedMax: number;
  readonly #cached = new Map<string, TokenClaims>();

  /**
   * Starts with one or two keys; see {@linkcode HmacTokenSigner.useKeys}.
   *
   * @param cachedMax How many checked tokens are kept.
   */
  constructor(keys: readonly Uint8Array[], cachedMax = CACHED_MAX) {
    this.#cachedMax = cachedMax;
    this.useKeys(keys);
  }

  /** How many checked tokens are kept now. */
  get cached(): number {
    return this.#cached.size;
  }

  /**
   * Changes the keys: the first signs from now on, a second one is still good for checking.
   *
   * @throws {RangeError} If there is none, are more than two, or one is short.
   */
  useKeys(keys: readonly Uint8Array[]): void {
    if (keys.length < 1 || keys.length > 2) {
      throw new RangeError(`Cannot use ${keys.length} token keys: one or two are needed`);
    }
    if (keys.some((key) => key.length < KEY_BYTES_MIN)) {
      throw new RangeError(`Cannot use token key: it is shorter than ${KEY_BYTES_MIN} bytes`);
    }
    const isSame = keys.length === this.#keys.length &&
      keys.every((key, at) => Buffer.compare(key, this.#keys[at] ?? key) === 0);
    if (isSame) return;
    this.#keys = keys.map((key) => key.slice());
    this.#cached.clear();
  }

  /** See {@linkcode TokenSigner.sign}. */
  sign(claims: TokenClaims): string {
    const { databaseId, scope, epoch, expiresMs } = claims;
    const seconds = Math.floor(expiresMs / 1_000);
    const text = `${PREFIX}.${databaseId}.${scope}.${epoch}.${seconds}`;
    if (!SHAPE.test(text)) throw new TypeError("Cannot sign token: a claim has no proper shape");
    return `${text}.${macOf(text, this.#keys[0] ?? new Uint8Array(0))}`;
  }

  /** See {@linkcode TokenSigner.verify}. */
  verify(token: string, nowMs: number): TokenClaims | "invalid" | "expired" {
    const known = this.#cached.get(token);
    if (known !== undefined) {
      if (known.expiresMs > nowMs) return known;
      this.#cached.delete(token);
      return "expired";
    }
    const claims = this.#check(token);
    if (claims === null) return "invalid";
    if (claims.expiresMs <= nowMs) return "expired";
    this.#keep(token, claims);
    return claims;
  }

  #check(token: string): TokenClaims | null {
    if (token.length > TOKEN_CHARS_MAX) return null;
    const end = token.lastIndexOf(".");
    const text = token.slice(0, Math.max(0, end));
    const shape = SHAPE.exec(text);
    if (shape === null) return null;
    const given = token.slice(end + 1);
    let good = false;
    // Every key is tried, so that the time does not tell which one it was.
    for (const key of this.#keys) good = sameText(given, macOf(text, key)) || good;
    if (!good) return null;
    const [, databaseId = "", scope = "", epoch = "", seconds = ""] = shape;
    return { databaseId, scope, epoch: Number(epoch), expiresMs: Number(seconds) * 1_000 };
  }

  #keep(token: string, claims: TokenClaims): void {
    if (this.#cached.size >= this.#cachedMax) {
      const oldest = this.#cached.keys().next();
      if (oldest.done !== true) this.#cached.delete(oldest.value);
    }
    // A copy in one piece: the text was cut out of a request's head and would keep all of it.
    this.#cached.set(Array.from(token).join(""), claims);
  }
}

function macOf(text: string, key: Uint8Array): string {
  return createHmac("sha256", key).update(text).digest("base64url");
}

const encoder = new TextEncoder();

function sameText(given: string, expected: string): boolean {
  const one = encoder.encode(given);
  const other = encoder.encode(expected);
  return one.length === other.length && timingSafeEqual(one, other);
}
