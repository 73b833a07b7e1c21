/**
 * A simulated LLM backend on a real socket.
 *
 * Speaks the OpenAI and Anthropic APIs with made-up answers, and fails on
 * demand; `docs/simulator.md` tells how to ask for what. It stands on raw
 * sockets because no HTTP framework can reset a connection, leave a body
 * without its end or stay silent on purpose.
 *
 * This file and `connection.ts` are the shell: sockets, timers and clocks are
 * touched nowhere else.
 *
 * @module
 */

import { createServer, type Server } from "node:net";
import { Connection, type ConnectionHost } from "./connection.ts";
import type { SimulatorSettings } from "./control.ts";
import { FAILOVER_TIMINGS, type FailoverTiming } from "./faults/failover_models.ts";
import { parseFaults } from "./faults/faults.ts";
import type { SimulatorProfile } from "./profiles.ts";
import type { LogEntry } from "./request_log.ts";
import { SimulatorService } from "./service.ts";
import { Timetable } from "./transport/timetable.ts";

/** How a simulated backend is to be. */
export interface SimulatorOptions {
  /** Address to listen on; `127.0.0.1` if left out. */
  readonly hostname?: string;
  /** Port to listen on; 0, the default, takes a free one. */
  readonly port?: number;
  /** How fast and reliable it is. */
  readonly profile: SimulatorProfile;
  /** Seed of delays, random failures and ids; 1 if left out. */
  readonly seed?: number;
  /** The key that clients have to send; none is asked for if left out. */
  readonly apiKey?: string;
  /** Times of the `fb-` models; `full` if left out. */
  readonly failoverTiming?: "full" | "fast";
  /** Single times of the `fb-` models that differ from `failoverTiming`. */
  readonly failoverOverrides?: Partial<FailoverTiming>;
  /** The fault of every request, unless it brings its own; see `docs/simulator.md`. */
  readonly fault?: string;
  /** Whether equal prompts get different answers; off if left out. */
  readonly randomAnswers?: boolean;
  /** Called when a request to a model has arrived and its answer is planned. */
  readonly onRequest?: (entry: LogEntry) => void;
  /** Called when an answer is over, also if the client left. */
  readonly onSettled?: (entry: LogEntry) => void;
}

/** A running simulated backend. */
export interface Simulator {
  /** The port it listens on. */
  readonly port: number;
  /** Base URL for OpenAI clients: `http://127.0.0.1:<port>/v1`. */
  readonly url: string;
  /** Requests to models since the last reset, in order of arrival; filled in as they are answered. */
  readonly log: readonly LogEntry[];
  /** Forgets log and attempts, and starts the clock of timed faults anew. */
  reset(): void;
  /** Connections open now. */
  openConnections(): number;
  /** Requests being answered now. */
  activeRequests(): number;
  /** Drops every connection and stops listening. */
  close(): Promise<void>;
}

/**
 * Starts a simulated backend.
 *
 * @throws {Refusal} If `options.fault` cannot be read.
 * @throws {Error} If the port cannot be listened on.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const hostname = options.hostname ?? "127.0.0.1";
  const service = new SimulatorService(settingsFrom(options), {
    seed: options.seed ?? 1,
    apiKey: options.apiKey ?? null,
    nowMs: nowMs(),
  });
  const timetable = new Timetable({ nowMs, after });
  const connections = new Set<Connection>();
  let connectionCount = 0;

  const server = createServer((socket) => {
    const number = ++connectionCount;
    const host: ConnectionHost = {
      nowMs,
      timetable,
      handle(request) {
        const moment = { nowMs: nowMs(), wallMs: Date.now(), connection: number };
        const handling = service.handle(request, moment);
        if (handling.entry !== null) options.onRequest?.(handling.entry);
        return handling;
      },
      refuse: (refusal) => service.refuseConnection(refusal).script,
      settle(entry) {
        service.settle(entry, nowMs());
        options.onSettled?.(entry);
      },
    };
    const connection = new Connection(socket, host);
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  });
  const port = await listen(server, options.port ?? 0, hostname);

  return {
    port,
    url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/v1`,
    get log() {
      return service.log;
    },
    reset: () => service.reset(nowMs()),
    openConnections: () => connections.size,
    activeRequests: () => service.activeRequests,
    async close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const connection of connections) connection.close();
      timetable.clear();
      await closed.promise;
    },
  };
}

function settingsFrom(options: SimulatorOptions): SimulatorSettings {
  parseFaults(options.fault ?? "");
  return {
    profile: options.profile,
    failoverTiming: {
      ...FAILOVER_TIMINGS[options.failoverTiming ?? "full"],
      ...options.failoverOverrides,
    },
    fault: options.fault ?? "",
    randomAnswers: options.randomAnswers ?? false,
  };
}

function listen(server: Server, port: number, hostname: string): Promise<number> {
  const listening = Promise.withResolvers<number>();
  server.once("error", listening.reject);
  server.listen(port, hostname, () => {
    const address = server.address();
    listening.resolve(typeof address === "object" && address !== null ? address.port : port);
  });
  return listening.promise;
}

/** Monotonic, and comparable between processes on one machine. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function after(delayMs: number, run: () => void): Disposable {
  const timer = setTimeout(run, delayMs);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
