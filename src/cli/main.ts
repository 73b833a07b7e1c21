/**
 * The gateway's command line; see `program.ts`.
 *
 * @module
 */
import { type CommandName, GATEWAY } from "./commands.ts";
import { carryOut, type CommandLoaders } from "./program.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

const LOADERS: CommandLoaders<CommandName> = {
  serve: async () => (await import("./serve.ts")).serve,
  check: async () => (await import("./check.ts")).check,
  calibrate: async () => (await import("./calibrate.ts")).calibrate,
  demo: async () => (await import("./demo.ts")).demo,
  simulate: async () => (await import("./simulate.ts")).simulate,
  health: async () => (await import("./health.ts")).health,
};

/** Carries out a command line of the gateway and returns the exit code. */
export async function main(
  words: readonly string[],
  terminal: Terminal = systemTerminal,
): Promise<number> {
  return await carryOut(words, GATEWAY, LOADERS, terminal);
}
