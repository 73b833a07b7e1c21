/**
 * A gateway on its two listeners, from start to drained end.
 *
 *     serving --signal--> draining --streams done or grace over--> stopped
 *                            |
 *                            +--second signal--> exit at once, status 1
 *
 * While it drains, the admin listener still answers (`/readyz` with 503), so
 * that whoever watches can see it.
 *
 * @module
 */
import type { Config } from "../config/schema.ts";
import { createGateway, type Gateway, type GatewayPorts } from "../gateway.ts";
import { VERSION } from "../version.ts";
import type { HttpListener } from "../runtime/http_listener.ts";
import { processReaders } from "../runtime/process_readers.ts";
import { listenForClients, listenForOperators } from "./listener.ts";
import type { LoadedConfig } from "./read_config.ts";

/** A gateway that serves. */
export interface Server {
  /** Where clients connect. */
  readonly url: string;
  /** Where operators connect; `null` if that listener is off. */
  readonly adminUrl: string | null;
  /**
   * Takes no more requests, lets those under way finish within the configured
   * grace, and closes everything.
   */
  stop(): Promise<void>;
}

/** Idle connections and slow readers get this long after the last answer was produced. */
const CLOSE_MS = 2_000;

/** Time between two looks at the event loop. */
const LAG_EVERY_MS = 250;

/**
 * Starts a gateway and its listeners.
 *
 * @param writeLog Takes log lines.
 * @param opened What was opened for the gateway beforehand; it closes it.
 * @throws {CommandError} If an address cannot be had.
 */
export function startServer(
  loaded: LoadedConfig,
  writeLog: (line: string) => void,
  opened: Partial<GatewayPorts> = {},
): Server {
  const { config } = loaded;
  const gateway = createGateway(config, { ...portsFor(loaded, writeLog), ...opened });
  const clients = listenForClients(gateway, config.listen);
  let admin: HttpListener | null = null;
  try {
    admin = startAdmin(config, gateway);
  } catch (error) {
    void clients.stop(0);
    throw error;
  }
  const lag = watchLag(gateway);
  return {
    url: clients.url,
    adminUrl: admin?.url ?? null,
    async stop() {
      clearInterval(lag);
      // Not awaited before draining: it ends when the last answer has ended.
      const graceMs = config.shutdown.graceSeconds * 1_000;
      const closed = clients.stop(graceMs + CLOSE_MS);
      await gateway.drain(graceMs);
      await closed;
      await gateway.close();
      await admin?.stop(CLOSE_MS);
    },
  };
}

/** Measures how late the event loop runs a timer. */
function watchLag(gateway: Gateway): ReturnType<typeof setInterval> {
  let dueMs = performance.now() + LAG_EVERY_MS;
  return setInterval(() => {
    const nowMs = performance.now();
    gateway.reportLag(Math.max(0, nowMs - dueMs) / 1_000);
    dueMs = nowMs + LAG_EVERY_MS;
  }, LAG_EVERY_MS);
}

function startAdmin(config: Config, gateway: Gateway): HttpListener | null {
  if (!config.admin.enabled) return null;
  return listenForOperators(gateway, config.admin);
}

/** The outside world of a gateway that runs in this process. */
export function portsFor(
  loaded: LoadedConfig,
  writeLog: (line: string) => void,
): Partial<GatewayPorts> {
  return {
    secrets: loaded.secrets,
    caCertificates: loaded.caCertificates,
    writeLog,
    semconv: wantedSemconv(),
    process: { version: VERSION, ...processReaders },
  };
}

/** OpenTelemetry's own switch, where reading it was permitted; nobody is asked for it. */
function wantedSemconv(): GatewayPorts["semconv"] {
  const variable = "OTEL_SEMCONV_STABILITY_OPT_IN";
  if (
    Deno.permissions.querySync({ name: "env", variable }).state !== "granted"
  ) return "classic";
  const wanted = (Deno.env.get(variable) ?? "").split(",").map((word) => word.trim());
  if (wanted.includes("gen_ai_latest_experimental/dup")) return "both";
  return wanted.includes("gen_ai_latest_experimental") ? "latest" : "classic";
}
