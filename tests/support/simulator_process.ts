/**
 * Runs a simulated backend in a process of its own.
 *
 * Its event loop is then not the gateway's: neither can hide the other's pauses,
 * and its CPU time can be told apart.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { LogEntry } from "../../src/simulate/request_log.ts";
import type { SimulatorOptions } from "../../src/simulate/server.ts";

/** Options that survive a process border. */
export type SpawnOptions = Omit<SimulatorOptions, "onRequest" | "onSettled">;

/** A simulated backend in another process. */
export interface SimulatorProcess extends AsyncDisposable {
  /** The port it listens on. */
  readonly port: number;
  /** Base URL for OpenAI clients. */
  readonly url: string;
  /** Process id, for CPU and memory figures. */
  readonly pid: number;
  /** Requests since the last reset. */
  log(): Promise<readonly LogEntry[]>;
  /** Settles once no request is being answered. */
  idle(): Promise<void>;
  /** Forgets log and attempts. */
  reset(): Promise<void>;
  /** Changes settings; see `POST /control/config` in `docs/simulator.md`. */
  configure(change: Readonly<Record<string, unknown>>): Promise<void>;
}

/**
 * Starts one and waits until it listens.
 *
 * @throws {Error} If it ends before it has said its port.
 */
export async function spawnSimulator(
  options: SpawnOptions,
): Promise<SimulatorProcess> {
  const main = fileURLToPath(new URL("./simulator_main.ts", import.meta.url));
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const flags = [
    "run",
    "--quiet",
    `--config=${config}`,
    "--allow-net=127.0.0.1",
  ];
  const child = spawn(process.execPath, [
    ...flags,
    main,
    JSON.stringify(options),
  ], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    ended.then(() => {
      throw new Error(
        "Cannot start simulator: its process ended before it was listening",
      );
    }),
  ]);
  const port = Number(line);
  const origin = `http://127.0.0.1:${port}`;

  async function call(
    method: "GET" | "POST",
    path: string,
    body?: unknown,
  ): Promise<unknown> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${origin}${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`Cannot call ${path}: ${text}`);
    return JSON.parse(text);
  }

  return {
    port,
    url: `${origin}/v1`,
    pid: child.pid ?? 0,
    async log() {
      const answer = await call("GET", "/control/log") as {
        log: readonly LogEntry[];
      };
      return answer.log;
    },
    async idle() {
      await call("GET", "/control/idle");
    },
    async reset() {
      await call("POST", "/control/reset");
    },
    async configure(change) {
      await call("POST", "/control/config", change);
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
      lines.close();
    },
  };
}
