/**
 * What `mod.ts` gives to programs that import it.
 *
 * @module
 */
export { createGateway } from "./gateway.ts";
export { checkConfig, parseConfig } from "./config/load.ts";
export { ConfigError } from "./config/problems.ts";
export { resolveCredentials } from "./config/credentials.ts";
export { GatewayError, STATUS_BY_CODE } from "./errors.ts";
export { UpstreamError } from "./ports.ts";
