/**
 * Weir: one address in front of many LLM backends, as a library and a program.
 *
 *     deno run --allow-net=127.0.0.1 --allow-read=src mod.ts demo
 *     deno run <permissions> mod.ts serve --config weir.yaml
 *     deno run <permissions> mod.ts kv --data DIR
 *
 * @example Serve from a program of one's own
 * ```ts ignore
 * import { checkConfig, createGateway } from "./mod.ts";
 *
 * const gateway = createGateway(checkConfig({
 *   backends: [{ name: "local", protocol: "openai", baseUrl: "http://127.0.0.1:8000/v1" }],
 *   models: [{ name: "chat", targets: [{ backend: "local", model: "llama-3.1-8b" }] }],
 * }));
 * Deno.serve((request) => gateway.fetch(request));
 * ```
 *
 * @module
 */
import type * as Library from "./src/library.ts";

export type { Gateway, GatewayPorts } from "./src/gateway.ts";
export type { ResolvedConfig, SecretReaders } from "./src/config/credentials.ts";
export type { BackendConfig, Config, ModelConfig } from "./src/config/schema.ts";
export type { GatewayErrorCode } from "./src/errors.ts";
export type { Clock, Random, Upstream, UpstreamCall, UpstreamFailure } from "./src/ports.ts";
export type { UpstreamRequest, UpstreamResponse } from "./src/ports.ts";

// Whoever imports this file gets all of the library, and whoever runs it only the command
// that was asked for: a KV node takes 20 MB less without the gateway's code.
const library: typeof Library = import.meta.main
  ? {} as typeof Library
  : await import("./src/library.ts");

/** Makes a gateway from its configuration. */
export const createGateway: typeof Library.createGateway = library.createGateway;
/** Checks a configuration. */
export const checkConfig: typeof Library.checkConfig = library.checkConfig;
/** Checks the text of a configuration. */
export const parseConfig: typeof Library.parseConfig = library.parseConfig;
/** Puts in the secrets that a configuration names. */
export const resolveCredentials: typeof Library.resolveCredentials = library.resolveCredentials;
/** A configuration that cannot be used. */
export const ConfigError: typeof Library.ConfigError = library.ConfigError;
/** A configuration that cannot be used. */
export type ConfigError = Library.ConfigError;
/** A request that was not answered. */
export const GatewayError: typeof Library.GatewayError = library.GatewayError;
/** A request that was not answered. */
export type GatewayError = Library.GatewayError;
/** HTTP status of each error's code. */
export const STATUS_BY_CODE: typeof Library.STATUS_BY_CODE = library.STATUS_BY_CODE;
/** A backend that did not answer. */
export const UpstreamError: typeof Library.UpstreamError = library.UpstreamError;
/** A backend that did not answer. */
export type UpstreamError = Library.UpstreamError;

if (import.meta.main) {
  const [program, ...words] = Deno.args;
  // The node is a program of its own: neither loads the other's code.
  const run = program === "kv"
    ? (await import("./kv_node/main.ts")).main(words)
    : (await import("./src/cli/main.ts")).main(Deno.args);
  Deno.exit(await run);
}
