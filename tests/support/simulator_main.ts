/**
 * A simulated backend as a process of its own; see `simulator_process.ts`.
 *
 * Usage: `deno run --allow-net=127.0.0.1 simulator_main.ts '<SimulatorOptions as JSON>'`.
 * The first line on stdout is the port. Ends when stdin does, so it never
 * outlives the test that started it.
 *
 * @module
 */

import { startSimulator } from "../../src/simulate/server.ts";

if (import.meta.main) {
  const simulator = await startSimulator(JSON.parse(Deno.args[0] ?? "{}"));
  await Deno.stdout.write(new TextEncoder().encode(`${simulator.port}\n`));
  for await (
    const _ of Deno.stdin.readable
  ) { /* The parent says nothing; its end ends us. */ }
  await simulator.close();
}
