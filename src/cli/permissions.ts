/**
 * The permissions a configuration needs, and not one more.
 *
 * @module
 */
import { referencesOf } from "../config/credentials.ts";
import type { Config } from "../config/schema.ts";

/** The flags for `deno run` with which `config`, read from `file`, can be served. */
export function serveFlags(config: Config, file: string): string[] {
  const { env, files } = referencesOf(config);
  const { listen, admin, backends, caCertificates = [] } = config;
  const net = [
    hostAndPort(listen.host, listen.port),
    ...(admin.enabled ? [hostAndPort(admin.host, admin.port)] : []),
    ...backends.map(({ baseUrl }) => backendAddress(baseUrl)),
  ];
  return [
    "--no-prompt",
    `--allow-net=${unique(net)}`,
    `--allow-read=${unique([file, ...files, ...caCertificates])}`,
    ...(env.length === 0 ? [] : [`--allow-env=${unique(env)}`]),
  ];
}

/**
 * The whole command that serves `config`, to be pasted into a shell.
 *
 * @param flags Further flags of `serve`.
 */
export function serveCommand(
  config: Config,
  file: string,
  flags: readonly string[],
): string {
  const permissions = serveFlags(config, file);
  return [
    "deno",
    "run",
    ...permissions,
    "mod.ts",
    "serve",
    "--config",
    file,
    ...flags,
  ]
    .map(quoted).join(" ");
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostAndPort(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Where a backend is reached: the host and port of its URL. */
export function backendAddress(baseUrl: string): string {
  const { hostname, port, protocol } = new URL(baseUrl);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

/** Flags separate their values by commas; Deno reads a doubled one as part of the value. */
function unique(values: readonly string[]): string {
  return [...new Set(values)].map((value) => value.replaceAll(",", ",,")).join(",");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./[\]-]+$/.test(word) && !word.includes("[")
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}
