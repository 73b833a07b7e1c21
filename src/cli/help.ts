/**
 * The text of `--help`.
 *
 * @module
 */
import { type CommandSpec, optionsOf, type OptionSpec, type Vocabulary } from "./commands.ts";

/** Help on one command, or on the program where none is given. */
export function helpText(command: CommandSpec | null, vocabulary: Vocabulary): string {
  return command === null ? programHelp(vocabulary) : commandHelp(command, vocabulary);
}

function programHelp({ program, headline, notes, commands }: Vocabulary): string {
  const list = columns(
    commands.map(({ name, summary }) => [name, summary]),
  );
  return `${headline}

Usage: deno run <permissions> ${program} <command> [flags]

Commands:
${list}

Flags:
${flagLines(null)}

${notes}
`;
}

function commandHelp(command: CommandSpec, { program }: Vocabulary): string {
  const operands = (command.operands ?? []).map((operand) => ` ${operand}`).join("");
  return `${command.summary}.

Usage: deno run <permissions> ${program} ${command.name}${operands} [flags]

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
