/**
 * The text of `--help`.
 *
 * @module
 */
import { COMMANDS, type CommandSpec, optionsOf, type OptionSpec } from "./commands.ts";

/** Help on one command, or on the program where none is given. */
export function helpText(command: CommandSpec | null): string {
  return command === null ? programHelp() : commandHelp(command);
}

function programHelp(): string {
  const commands = columns(
    COMMANDS.map(({ name, summary }) => [name, summary]),
  );
  return `Weir: one address in front of many LLM backends.

Usage: deno run <permissions> mod.ts <command> [flags]

Commands:
${commands}

Flags:
${flagLines(null)}

\`<command> --help\` lists its flags. \`demo\` needs no more than --allow-net=127.0.0.1.
`;
}

function commandHelp(command: CommandSpec): string {
  return `${command.summary}.

Usage: deno run <permissions> mod.ts ${command.name} [flags]

${command.details}

Flags:
${flagLines(command)}
`;
}

function flagLines(command: CommandSpec | null): string {
  return columns(
    Object.entries(optionsOf(command)).map((
      [name, spec],
    ) => [flag(name, spec), spec.description]),
  );
}

function flag(name: string, { short, placeholder }: OptionSpec): string {
  const start = short === undefined ? "    " : `-${short}, `;
  return `${start}--${name}${placeholder === undefined ? "" : ` ${placeholder}`}`;
}

function columns(rows: ReadonlyArray<readonly [string, string]>): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
