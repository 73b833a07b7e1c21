/**
 * A program with commands: words in, exit code out.
 *
 *     0  done, or ended by a signal after draining
 *     1  what was asked for failed: a bad configuration, a port in use, …
 *     2  the command line itself makes no sense
 *
 * A command's code is loaded when it is asked for: whoever serves does not load
 * the simulator.
 *
 * @module
 */
import { type Options, parseInvocation, UsageError } from "./arguments.ts";
import type { Vocabulary } from "./commands.ts";
import { CommandError } from "./command_error.ts";
import { helpText } from "./help.ts";
import type { Terminal } from "./terminal.ts";
import { VERSION } from "../version.ts";

/** A command: runs to its end and returns the exit code. */
export type Command = (
  options: Options,
  terminal: Terminal,
  operands: readonly string[],
) => Promise<number>;

/** What loads the code of each command. */
export type CommandLoaders<Name extends string> = Readonly<Record<Name, () => Promise<Command>>>;

/** Carries out a command line of any of the programs and returns the exit code. */
export async function carryOut<Name extends string>(
  words: readonly string[],
  vocabulary: Vocabulary<Name>,
  loaders: CommandLoaders<Name>,
  terminal: Terminal,
): Promise<number> {
  try {
    const invocation = parseInvocation(words, vocabulary);
    switch (invocation.type) {
      case "help":
        terminal.print(helpText(invocation.command, vocabulary).trimEnd());
        return 0;
      case "version":
        terminal.print(`weir ${VERSION} (deno ${Deno.version.deno})`);
        return 0;
      case "run": {
        const command = await loaders[invocation.command.name]();
        return await command(invocation.options, terminal, invocation.operands);
      }
    }
  } catch (error) {
    if (error instanceof UsageError) {
      const scope = error.command === null ? "" : ` ${error.command.name}`;
      terminal.complain(`${error.message}\nTry: ${vocabulary.program}${scope} --help`);
      return 2;
    }
    if (!(error instanceof CommandError)) throw error;
    terminal.complain(error.message);
    return 1;
  }
}
