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
export { createGateway, type Gateway, type GatewayPorts } from "./src/gateway.ts";
export { checkConfig, parseConfig } from "./src/config/load.ts";
export { ConfigError } from "./src/config/problems.ts";
export { resolveCredentials } from "./src/config/credentials.ts";
export type { ResolvedConfig, SecretReaders } from "./src/config/credentials.ts";
export type { BackendConfig, Config, ModelConfig } from "./src/config/schema.ts";
export { GatewayError, type GatewayErrorCode, STATUS_BY_CODE } from "./src/errors.ts";
export { UpstreamError, type UpstreamFailure } from "./src/ports.ts";
export type { Clock, Random } from "./src/ports.ts";
export type { Upstream, UpstreamCall, UpstreamRequest, UpstreamResponse } from "./src/ports.ts";

if (import.meta.main) {
  const [program, ...words] = Deno.args;
  // The node is a program of its own: neither loads the other's code.
  const run = program === "kv"
    ? (await import("./kv_node/main.ts")).main(words)
    : (await import("./src/cli/main.ts")).main(Deno.args);
  Deno.exit(await run);
}
