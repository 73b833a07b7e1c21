/**
 * From references to secrets: `env:NAME` and `file:PATH`.
 *
 * Reading is passed in, so nothing here touches the environment or the disk.
 *
 * @module
 */
import { ConfigError } from "./problems.ts";
import type { BackendConfig, Config } from "./schema.ts";
import { REFERENCE } from "./values.ts";

/** How secrets are fetched. */
export interface SecretReaders {
  /**
   * The value of an environment variable; `undefined` where it is not set.
   *
   * @throws {Error} If it may not be read; the message is shown.
   */
  readonly env: (name: string) => string | undefined;
  /**
   * The content of a file.
   *
   * @throws {Error} If it cannot be read; the message is shown.
   */
  readonly file: (path: string) => string;
}

/** A configuration with what its references stand for. */
export interface ResolvedConfig {
  /** As given, with header references replaced by their values: not to be printed. */
  readonly config: Config;
  /** API key by backend name; a backend without `credential` has none. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Access token of the shared store of the cache; `null` without one. */
  readonly storeToken: string | null;
}

/** What a configuration refers to; tells which permissions a process needs. */
export interface References {
  /** Names of environment variables, sorted. */
  readonly env: readonly string[];
  /** Paths of files, sorted. */
  readonly files: readonly string[];
}

/**
 * Fetches every secret that `config` refers to.
 *
 * White space around a secret is dropped: files end with a line break.
 *
 * @throws {ConfigError} Naming every reference that leads nowhere.
 */
export function resolveCredentials(config: Config, readers: SecretReaders): ResolvedConfig {
  const problems: string[] = [];
  const secrets = new Map<string, string>();

  function resolve(reference: string, owner: string): string {
    const found = fetchSecret(reference, readers);
    if ("secret" in found) return found.secret;
    problems.push(`${owner}: cannot read ${reference}: ${found.problem}`);
    return "";
  }

  const backends = config.backends.map((backend): BackendConfig => {
    const owner = `backend ${backend.name}`;
    if (backend.credential !== undefined) {
      secrets.set(backend.name, resolve(backend.credential, owner));
    }
    if (backend.headers === undefined) return backend;
    const headers = Object.entries(backend.headers).map(([name, value]) => [
      name,
      REFERENCE.test(value) ? resolve(value, `${owner}, header ${name}`) : value,
    ]);
    return { ...backend, headers: Object.fromEntries(headers) };
  });
  const { storeCredential } = config.cache;
  const storeToken = storeCredential === undefined
    ? null
    : resolve(storeCredential, "cache.storeCredential");
  if (problems.length > 0) throw new ConfigError("credentials", problems);
  return { config: { ...config, backends }, secrets, storeToken };
}

/** The environment variables and files that `config` refers to. */
export function referencesOf(config: Config): References {
  const references = new Set<string>();
  const { storeCredential } = config.cache;
  if (storeCredential !== undefined) references.add(storeCredential);
  for (const { credential, headers } of config.backends) {
    if (credential !== undefined) references.add(credential);
    for (const value of Object.values(headers ?? {})) {
      if (REFERENCE.test(value)) references.add(value);
    }
  }
  const after = (scheme: string) =>
    [...references].filter((one) => one.startsWith(scheme)).map((one) => one.slice(scheme.length))
      .toSorted();
  return { env: after("env:"), files: after("file:") };
}

function fetchSecret(
  reference: string,
  readers: SecretReaders,
): { readonly secret: string } | { readonly problem: string } {
  const isFile = reference.startsWith("file:");
  let found: string | undefined;
  try {
    found = isFile
      ? readers.file(reference.slice("file:".length))
      : readers.env(reference.slice("env:".length));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { problem: error.message };
  }
  if (found === undefined) return { problem: "the variable is not set" };

  const secret = found.trim();
  if (secret === "") return { problem: isFile ? "the file is empty" : "the variable is empty" };
  // deno-lint-ignore no-control-regex -- a line break in a header value would split the request
  if (/[\x00-\x1f\x7f]/.test(secret)) return { problem: "it holds control characters" };
  return { secret };
}
