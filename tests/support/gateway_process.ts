/**
 * The gateway as users run it: a process of its own, started by the documented command.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A gateway in another process. */
export interface GatewayProcess extends AsyncDisposable {
  /** Where clients connect, without a path. */
  readonly url: string;
  /** Where operators connect. */
  readonly adminUrl: string;
  /** Process id. */
  readonly pid: number;
  /** Resident memory now, in bytes. */
  residentBytes(): Promise<number>;
  /** Sends a signal. */
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** Settles with the exit status; `null` if a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** Starts `mod.ts serve` with a configuration and waits until it listens. */
export async function spawnGateway(config: Record<string, unknown>): Promise<GatewayProcess> {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  const file = `${folder}/weir.json`;
  const listeners = {
    listen: { host: "127.0.0.1", port: 0 },
    admin: { host: "127.0.0.1", port: 0 },
  };
  await Deno.writeTextFile(file, JSON.stringify({ ...listeners, ...config }));
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const child = spawn(process.execPath, [
    "run",
    "--quiet",
    "--no-prompt",
    `--config=${root}deno.json`,
    "--allow-net=127.0.0.1",
    // Workers of a cache are modules that must be readable.
    `--allow-read=${file},${root}src`,
    `${root}mod.ts`,
    "serve",
    "--config",
    file,
  ], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit").then(([code]) => (typeof code === "number" ? code : null));
  const lines = createInterface({ input: child.stdout });
  const serving = Promise.withResolvers<{ readonly url: string; readonly adminUrl: string }>();
  lines.on("line", (line) => {
    const entry = JSON.parse(line);
    if (entry.event === "serving") serving.resolve(entry);
  });
  void ended.then((code) => serving.reject(new Error(`Gateway ended early with status ${code}`)));
  const { url, adminUrl } = await serving.promise;
  const pid = child.pid ?? 0;
  return {
    url,
    adminUrl,
    pid,
    ended,
    kill: (signal) => void child.kill(signal),
    async residentBytes() {
      const page = await (await fetch(`${adminUrl}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)$/m.exec(page)?.[1]);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
