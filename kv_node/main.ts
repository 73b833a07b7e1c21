/**
 * `mod.ts kv`: the key-value node and its tools.
 *
 * Run by itself it is the same program in 6 MB less memory: the runtime keeps the
 * source of every module that a program could load, and of `mod.ts` that is the
 * gateway's too.
 *
 * @module
 */
import { carryOut, type CommandLoaders } from "../src/cli/program.ts";
import { systemTerminal, type Terminal } from "../src/cli/terminal.ts";
import { KV, type KvCommandName } from "./cli/commands.ts";

const LOADERS: CommandLoaders<KvCommandName> = {
  serve: async () => (await import("./cli/serve.ts")).serve,
  backup: async () => (await import("./cli/backup.ts")).backup,
  restore: async () => (await import("./cli/restore.ts")).restore,
  verify: async () => (await import("./cli/verify.ts")).verify,
  salvage: async () => (await import("./cli/salvage.ts")).salvage,
  export: async () => (await import("./cli/export.ts")).exportDatabase,
  import: async () => (await import("./cli/import.ts")).importDatabase,
  databases: async () => (await import("./cli/databases.ts")).databases,
  tokens: async () => (await import("./cli/tokens.ts")).tokens,
  bench: async () => (await import("./cli/bench.ts")).bench,
};

/** Carries out a command line after `kv`; without a command it runs a node. */
export async function main(
  words: readonly string[],
  terminal: Terminal = systemTerminal,
): Promise<number> {
  const [first = ""] = words;
  const isNode = first.startsWith("--") && !["--help", "--version"].includes(first);
  return await carryOut(isNode ? ["serve", ...words] : words, KV, LOADERS, terminal);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
