/**
 * A gateway without listeners, for platforms that have their own.
 *
 * @module
 */
import { createGateway, type Gateway } from "../gateway.ts";
import { openCachePorts } from "./cache_ports.ts";
import { CONFIG_FILE, loadSecrets, readConfig } from "./read_config.ts";
import { portsFor } from "./server.ts";
import { systemTerminal } from "./terminal.ts";

/**
 * Builds the gateway that a configuration file describes.
 *
 * @param file The file; `weir.yaml` where left out.
 * @throws {CommandError} If it cannot be used, with all its problems.
 */
export async function loadGateway(file: string = CONFIG_FILE): Promise<Gateway> {
  const loaded = loadSecrets(readConfig(file));
  return createGateway(loaded.config, {
    ...portsFor(loaded, systemTerminal.print),
    ...await openCachePorts(loaded),
  });
}
