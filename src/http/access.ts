/**
 * Who may use the gateway: API keys, of which only hashes are known here.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { GatewayError } from "../errors.ts";
import type { HeaderFields } from "../ports.ts";

/** One key that was given out. */
export interface AccessKey {
  /** Who it was given to. */
  readonly name: string;
  /** SHA-256 of the key, in hex. */
  readonly sha256: string;
}

/** Knows the keys. */
export class Access {
  readonly #keys: ReadonlyArray<{ readonly name: string; readonly digest: Uint8Array }>;

  /** Without any key, everybody is let in. */
  constructor(keys: readonly AccessKey[]) {
    this.#keys = keys.map(({ name, sha256 }) => ({ name, digest: Uint8Array.fromHex(sha256) }));
  }

  /**
   * Says who asks.
   *
   * Every key is compared, each in constant time, so that neither the number of
   * right characters nor the place in the list shows.
   *
   * @returns The key's name; `null` where no keys are set.
   * @throws {GatewayError} `missing_api_key` or `invalid_api_key`.
   */
  tenantOf(headers: HeaderFields): string | null {
    if (this.#keys.length === 0) return null;
    const key = keyIn(headers);
    if (key === null) {
      throw new GatewayError(
        "missing_api_key",
        'Cannot let request in: it has no API key; send "authorization: Bearer KEY"',
      );
    }
    const digest = createHash("sha256").update(key).digest();
    let tenant: string | null = null;
    for (const known of this.#keys) {
      if (timingSafeEqual(digest, known.digest)) tenant = known.name;
    }
    if (tenant !== null) return tenant;
    throw new GatewayError(
      "invalid_api_key",
      "Cannot let request in: its API key is not known here",
    );
  }
}

function keyIn(headers: HeaderFields): string | null {
  const bearer = /^bearer\s+(\S+)\s*$/i.exec(headers.get("authorization") ?? "");
  return bearer?.[1] ?? headers.get("x-api-key") ?? headers.get("api-key");
}
