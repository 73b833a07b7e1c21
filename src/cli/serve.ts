/**
 * `serve`: the gateway, as a configuration describes it.
 *
 * @module
 */
import { isLoopback } from "../runtime/address.ts";
import { systemClock } from "../runtime/clock.ts";
import { createLog } from "../telemetry/log.ts";
import { VERSION } from "../version.ts";
import { type Options, textOption } from "./arguments.ts";
import { openCachePorts } from "./cache_ports.ts";
import { createLineWriter } from "./line_writer.ts";
import { CONFIG_FILE, loadSecrets, readConfig, withAddresses } from "./read_config.ts";
import { startServer } from "./server.ts";
import { stopSignal } from "./stop_signal.ts";
import type { Terminal } from "./terminal.ts";

/** Serves until a signal comes; 0 once everything has been drained. */
export async function serve(options: Options, terminal: Terminal): Promise<number> {
  const file = textOption(options, "config") ?? CONFIG_FILE;
  const config = withAddresses(readConfig(file), options);
  const lines = createLineWriter(Deno.stdout);
  // Start and stop are always told, and at once: whoever watches waits for these lines.
  const log = createLog({
    clock: systemClock,
    level: "info",
    write(line) {
      lines.flush();
      terminal.print(line);
    },
  });
  const loaded = loadSecrets(config);
  const server = startServer(loaded, lines.write, await openCachePorts(loaded));
  // Listened for before anybody is told that it serves: a signal may follow at once.
  const stopped = stopSignal();
  log.info("serving", {
    version: VERSION,
    url: server.url,
    adminUrl: server.adminUrl,
  });
  if (config.access.keys.length === 0 && !isLoopback(config.listen.host)) {
    log.warn("access.open", {
      hint: "Anyone who reaches this address may use it: see access.keys",
    });
  }

  const signal = await stopped;
  log.info("draining", { signal, graceSeconds: config.shutdown.graceSeconds });
  await server.stop();
  log.info("stopped");
  return 0;
}
