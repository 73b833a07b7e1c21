/**
 * The permissions a configuration needs, and not one more.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasCache } from "../assembly/cache_rules.ts";
import { referencesOf } from "../config/credentials.ts";
import type { Config } from "../config/schema.ts";
import { hostAndPort } from "../runtime/address.ts";
import { libraryPath } from "../vectors/usearch.ts";

/** The flags for `deno run` with which `config`, read from `file`, can be served. */
export function serveFlags(config: Config, file: string): string[] {
  const { env, files } = referencesOf(config);
  const { listen, admin, backends, caCertificates = [] } = config;
  const cache = cacheNeeds(config);
  const net = [
    hostAndPort(listen.host, listen.port),
    ...(admin.enabled ? [hostAndPort(admin.host, admin.port)] : []),
    ...backends.map(({ baseUrl }) => backendAddress(baseUrl)),
    ...cache.net,
  ];
  const flag = (name: string, values: readonly string[]): string[] =>
    values.length === 0 ? [] : [`--allow-${name}=${unique(values)}`];
  return [
    "--no-prompt",
    ...flag("net", net),
    ...flag("read", [file, ...files, ...caCertificates, ...cache.read]),
    ...flag("write", cache.write),
    ...flag("env", [...env, ...cache.env]),
    ...flag("ffi", cache.ffi),
  ];
}

/** What the cache touches, by kind of permission. */
interface CacheNeeds {
  readonly net: readonly string[];
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly env: readonly string[];
  readonly ffi: readonly string[];
}

/**
 * What the cache of a configuration needs. Its workers are modules of this program,
 * which a process may start only if it may read them; they get none of its
 * permissions but those for their own files.
 */
function cacheNeeds(config: Config): CacheNeeds {
  const { cache, models } = config;
  const cached = models.filter((model) => model.cache.enabled);
  if (cached.length === 0) return { net: [], read: [], write: [], env: [], ffi: [] };
  const isSimilar = cached.some((model) => model.cache.semantic.mode !== "off");
  const { type, directory: modelDirectory } = cache.embedder;
  const isRemote = /^https?:/.test(cache.store);
  const storeFolder = cache.store.startsWith("file:") ? [folderOf(cache.store)] : [];
  const kept = isSimilar && cache.indexDirectory !== undefined ? [cache.indexDirectory] : [];
  const library = isSimilar && cache.native === "auto" ? libraryPath() : null;
  const model = isSimilar && type === "local" && modelDirectory !== undefined
    ? [modelDirectory]
    : [];
  return {
    net: isRemote ? [backendAddress(cache.store)] : weirHosts(cache.store),
    read: [...(isSimilar ? [SOURCE] : []), ...storeFolder, ...kept, ...model],
    write: [...storeFolder, ...kept],
    env: isRemote ? ["DENO_KV_ACCESS_TOKEN"] : [],
    ffi: [
      ...(library === null ? [] : [library]),
      ...(model.length === 0 ? [] : [packagesFolder()]),
    ],
  };
}

/** Hosts of a `weir:` address: a node says itself at which port its link is. */
function weirHosts(address: string): string[] {
  const nodes = /^weir:\/\/([^/]*)/.exec(address)?.[1] ?? "";
  return nodes.split(",").filter((node) => node !== "").map((node) => node.replace(/:\d+$/, ""));
}

/** This program's own modules. */
const SOURCE = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Where packages lie; the runtime of a local model has its libraries there. */
function packagesFolder(): string {
  // …/usearch/VERSION/prebuilds/SYSTEM/usearch.node
  return join(libraryPath() ?? "/", "..", "..", "..", "..", "..");
}

/** The folder of a file store: a database writes beside itself, too. */
function folderOf(address: string): string {
  const path = address.startsWith("file://")
    ? fileURLToPath(address)
    : address.slice("file:".length);
  return dirname(path);
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
  const addon = hasCache(config) && config.cache.embedder.type === "local"
    ? ["--config", "addons/local_model/deno.json"]
    : [];
  return [
    "deno",
    "run",
    ...addon,
    ...permissions,
    "mod.ts",
    "serve",
    "--config",
    file,
    ...flags,
  ]
    .map(quoted).join(" ");
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
