/**
 * The demo's configuration: what `serve` would be given in a file.
 *
 * @module
 */
import { checkConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";

/** Where a simulated backend listens, and what it calls its model. */
export interface DemoBackend {
  /** Its name in metrics. */
  readonly name: string;
  /** Its API, up to `/v1`. */
  readonly baseUrl: string;
  /** Its model. */
  readonly model: string;
}

/** One model name for each thing that the demo shows. */
export function demoConfig(
  backends: readonly [DemoBackend, DemoBackend, DemoBackend],
  ports: { readonly port: number; readonly adminPort: number },
): Config {
  const [swift, steady, shaky] = backends;
  const target = (backend: DemoBackend, fault: string, tier: number): Record<string, unknown> => ({
    backend: backend.name,
    model: backend.model + fault,
    tier,
  });
  return checkConfig({
    listen: { port: ports.port },
    admin: { port: ports.adminPort },
    log: { level: "warn" },
    forwardHeaders: ["x-sim-fault", "x-sim-words"],
    shutdown: { graceSeconds: 5 },
    // A few questions are scanned sooner than a library is loaded.
    cache: { native: "never" },
    backends: backends.map(({ name, baseUrl }) => ({
      name,
      protocol: "openai",
      baseUrl,
      capabilities: { prefill: true },
    })),
    models: [
      // All three side by side: the balancer finds out which is which.
      {
        name: "chat",
        targets: backends.map((backend) => target(backend, "", 0)),
        cache: { enabled: true, semantic: { mode: "static" } },
      },
      // The first choice is always down: nobody notices.
      {
        name: "fallback",
        targets: [target(shaky, "!status=503", 0), target(steady, "", 1)],
      },
      // Breaks in the middle of every stream: the client is told.
      { name: "cut", targets: [target(swift, "!cut=8", 0)] },
      // Breaks as well, and another backend carries it on.
      {
        name: "rescued",
        targets: [target(swift, "!cut=8", 0), target(steady, "", 1)],
        continuation: "verified",
      },
    ],
  });
}
