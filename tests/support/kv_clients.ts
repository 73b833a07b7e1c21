/**
 * Clients of KV Connect that nobody here wrote: Deno's own and npm's.
 *
 * @module
 */
import { type Kv, openKv } from "@deno/kv";

const TOKEN_VARIABLE = "DENO_KV_ACCESS_TOKEN";

/** Opens a database with Deno's own client, which reads its token before it returns. */
export function openStockKv(url: string, token = "any-token"): Promise<Deno.Kv> {
  const before = Deno.env.get(TOKEN_VARIABLE);
  Deno.env.set(TOKEN_VARIABLE, token);
  try {
    return Deno.openKv(url);
  } finally {
    if (before === undefined) Deno.env.delete(TOKEN_VARIABLE);
    else Deno.env.set(TOKEN_VARIABLE, before);
  }
}

/** A database opened with npm's client, closed at the end of its block. */
export interface NpmKv extends Disposable {
  /** The client. */
  readonly kv: Kv;
}

/** Opens a database with `@deno/kv`, which would take Deno's own client if it were not told. */
export async function openNpmKv(
  url: string,
  token = "any-token",
  maxRetries = 1,
): Promise<NpmKv> {
  const kv = await openKv(url, { implementation: "remote", accessToken: token, maxRetries });
  return { kv, [Symbol.dispose]: () => kv.close() };
}

/**
 * Whether Deno's client lost an answer behind its head. It sends again after any other loss;
 * then it throws this, and what it asked for may have been carried out.
 */
export function isCutOff(error: unknown): boolean {
  return error instanceof Error && /^KV Connect failed to read response body/.test(error.message);
}
