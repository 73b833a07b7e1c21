/**
 * Why a store could not be opened, in words that say what to do.
 *
 * @module
 */
import { KvError } from "../errors.ts";

/** Why a store could not be opened. */
export type OpenFailure =
  | "scheme" // an address of a kind that is not known
  | "permission" // the program may not do it
  | "directory" // there is no such folder, or it cannot be written to
  | "foreign" // the file is something else
  | "token" // no access token, or a wrong one
  | "failed"; // anything else, such as a server that does not answer

/** A store that could not be opened. */
export class StoreOpenError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "StoreOpenError";
  /** Why. */
  readonly kind: OpenFailure;

  /** Says what failed; `message` never holds a token. */
  constructor(kind: OpenFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Puts into words why the file at `path` could not be opened. */
export function fileFailure(path: string, cause: unknown): StoreOpenError {
  const said = messageOf(cause);
  const what = `Cannot open the store ${path}`;
  if (cause instanceof Deno.errors.NotCapable) {
    return new StoreOpenError(
      "permission",
      `${what}: no permission; start with --allow-read and --allow-write for its folder`,
      { cause },
    );
  }
  if (/unable to open database file/.test(said)) {
    return new StoreOpenError(
      "directory",
      `${what}: its folder does not exist or cannot be written to, or the path is a folder`,
      { cause },
    );
  }
  if (/not a database|malformed|no such table|unsupported/i.test(said)) {
    return new StoreOpenError("foreign", `${what}: the file is no Deno KV database`, { cause });
  }
  return new StoreOpenError("failed", `${what}: ${said}`, { cause });
}

/** Puts into words why the server at `url` could not be used. */
export function remoteFailure(url: URL, cause: unknown): StoreOpenError {
  const said = messageOf(cause);
  // User name, password and query may hold secrets.
  const what = `Cannot open the store ${url.origin}${url.pathname}`;
  if (cause instanceof Deno.errors.NotCapable) {
    const flag = /env access/.test(said)
      ? "--allow-env=DENO_KV_ACCESS_TOKEN"
      : `--allow-net=${url.host}`;
    return new StoreOpenError("permission", `${what}: no permission; start with ${flag}`, {
      cause,
    });
  }
  if (/Missing DENO_KV_ACCESS_TOKEN/.test(said)) {
    return new StoreOpenError(
      "token",
      `${what}: no access token; set the environment variable DENO_KV_ACCESS_TOKEN`,
      { cause },
    );
  }
  if (/status 40[13]/.test(said)) {
    return new StoreOpenError("token", `${what}: the server refused the access token`, { cause });
  }
  return new StoreOpenError("failed", `${what}: ${said}`, { cause });
}

/** Puts into words why the Weir node at `node` (`HOST:PORT`) could not be used. */
export function weirFailure(node: string, cause: unknown): StoreOpenError {
  if (cause instanceof StoreOpenError) return cause;
  const said = messageOf(cause);
  const what = `Cannot open the store weir://${node}`;
  if (cause instanceof Deno.errors.NotCapable) {
    // The link listens on a port of its own.
    const host = /net access to "([^"]+)"/.exec(said)?.[1] ?? node;
    const text = `${what}: no permission; start with --allow-net=${host}`;
    return new StoreOpenError("permission", text, { cause });
  }
  if (cause instanceof KvError && cause.code === "unauthorized") {
    return new StoreOpenError("token", `${what}: the server refused the token`, { cause });
  }
  return new StoreOpenError("failed", `${what}: ${said}`, { cause });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
