/**
 * Who may use which database: the node's own token opens all, a database's own only it.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { KvError } from "../errors.ts";
import type { Registry } from "../registry/registry.ts";

/** Judges access tokens. */
export class NodeAccess {
  readonly #digest: Uint8Array | null;
  readonly #registry: () => Registry | null;

  /** Takes the node's token; without one everybody who reaches the node may do everything. */
  constructor(token: string | null, registry: () => Registry | null) {
    this.#digest = token === null ? null : digestOf(token);
    this.#registry = registry;
  }

  /** Whether there is a token at all. */
  get isOpen(): boolean {
    return this.#digest === null;
  }

  /** Whether this is the node's own token, or none is needed. */
  isOwner(bearer: string | null): boolean {
    if (this.#digest === null) return true;
    return timingSafeEqual(digestOf(bearer ?? ""), this.#digest);
  }

  /** Judges a token in constant time. */
  check(bearer: string | null, databaseName: string): "ok" | KvError {
    const isOwner = this.isOwner(bearer);
    const registry = this.#registry();
    const record = registry?.find(databaseName) ?? null;
    const isOwn = registry !== null && record !== null && bearer !== null &&
      registry.opens(record, bearer);
    if (isOwner || isOwn) return "ok";
    return new KvError(
      "unauthorized",
      bearer === null || bearer === ""
        ? "Cannot open the database: send the access token as Authorization: Bearer … " +
          "(DENO_KV_ACCESS_TOKEN for Deno)"
        : "Cannot open the database: the access token is not the one of this node or database",
    );
  }

  /** Rises when data tokens of the database are to be worth nothing. */
  epochOf(databaseId: string): number {
    return this.#registry()?.findById(databaseId)?.epoch ?? 0;
  }
}

function digestOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}
