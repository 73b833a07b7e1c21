/**
 * From what was typed to what is to be done.
 *
 * `node:util` splits the words; what they may be is checked here, since its own
 * strict mode knows no suggestions and stops at the first flag.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { didYouMean } from "../config/suggestion.ts";
import { type CommandSpec, COMMON_OPTIONS, optionsOf, type Vocabulary } from "./commands.ts";

/** Flags that were given: text for those that take a value, `true` for those that do not. */
export type Options = Readonly<Record<string, string | true>>;

/** What is to be done. */
export type Invocation<Name extends string> =
  | { readonly type: "help"; readonly command: CommandSpec<Name> | null }
  | { readonly type: "version" }
  | {
    readonly type: "run";
    readonly command: CommandSpec<Name>;
    readonly options: Options;
    /** Words that are no flags, as many as the command names. */
    readonly operands: readonly string[];
  };

/** A command line that makes no sense; `message` says why, and what is near. */
export class UsageError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "UsageError";
  /** The command that was meant, where that much is clear. */
  readonly command: CommandSpec | null;

  /** Says what could not be understood. */
  constructor(message: string, command: CommandSpec | null) {
    super(message);
    this.command = command;
  }
}

/**
 * Reads a command line.
 *
 * @param words What came after the program's name.
 * @throws {UsageError} On an unknown command or flag, or a word that is missing or too many.
 */
export function parseInvocation<Name extends string>(
  words: readonly string[],
  { commands }: Vocabulary<Name>,
): Invocation<Name> {
  const [first = "", ...rest] = words;
  if (first === "help") {
    return { type: "help", command: commandNamed(rest[0] ?? "", commands) };
  }
  const command = first.startsWith("-") ? null : commandNamed(first, commands);
  const { options, operands } = parseWords(command === null ? words : rest, command, commands);

  if (options["help"] !== undefined) return { type: "help", command };
  if (options["version"] !== undefined) return { type: "version" };
  if (command === null) {
    const names = commands.map(({ name }) => name).join(", ");
    throw new UsageError(
      `Cannot start: no command is given; there are ${names}`,
      null,
    );
  }
  const missing = command.operands?.[operands.length];
  if (missing !== undefined) {
    throw new UsageError(`Cannot start: ${command.name} needs ${missing}`, command);
  }
  return { type: "run", command, options, operands };
}

/**
 * Reads a port number from a flag.
 *
 * @throws {UsageError} If it is no port.
 */
export function portOption(options: Options, name: string): number | undefined {
  const text = options[name];
  if (text === undefined) return undefined;
  const port = Number(text);
  if (typeof text === "string" && /^\d{1,5}$/.test(text) && port <= 65_535) {
    return port;
  }
  throw new UsageError(
    `Cannot use --${name}: it must be a whole number from 0 to 65535`,
    null,
  );
}

/** Reads text from a flag. */
export function textOption(options: Options, name: string): string | undefined {
  const text = options[name];
  return typeof text === "string" ? text : undefined;
}

function commandNamed<Name extends string>(
  name: string,
  commands: readonly CommandSpec<Name>[],
): CommandSpec<Name> | null {
  if (name === "") return null;
  const command = commands.find((command) => command.name === name);
  if (command !== undefined) return command;
  const names = commands.map(({ name }) => name);
  const hint = didYouMean(name, names) || `; there are ${names.join(", ")}`;
  throw new UsageError(
    `Cannot start: there is no command ${name}${hint}`,
    null,
  );
}

function parseWords(
  words: readonly string[],
  command: CommandSpec | null,
  commands: readonly CommandSpec[],
): { readonly options: Options; readonly operands: readonly string[] } {
  const known = optionsOf(command);
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      Object.entries(known).map(([name, { placeholder, short }]) => [name, {
        type: placeholder === undefined ? "boolean" as const : "string" as const,
        ...(short === undefined ? {} : { short }),
      }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const options: Record<string, string | true> = {};
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (operands.length === (command?.operands?.length ?? 0)) {
        throw new UsageError(
          `Cannot start: ${token.value} is one word too many`,
          command,
        );
      }
      operands.push(token.value);
    }
    if (token.kind === "option") options[token.name] = valueOf(token, known, command, commands);
  }
  return { options, operands };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function valueOf(
  token: OptionToken,
  known: ReturnType<typeof optionsOf>,
  command: CommandSpec | null,
  commands: readonly CommandSpec[],
): string | true {
  const { name, rawName, value, inlineValue } = token;
  const spec = Object.hasOwn(known, name) ? known[name] : undefined;
  if (spec === undefined) {
    const elsewhere = command === null && !Object.hasOwn(COMMON_OPTIONS, name);
    const names = elsewhere ? commands.flatMap((one) => Object.keys(one.options)) : [];
    const near = [...Object.keys(known), ...names].map((name) => `--${name}`);
    throw new UsageError(
      `Cannot start: unknown flag ${rawName}${didYouMean(rawName, near)}`,
      command,
    );
  }
  if (spec.placeholder === undefined) {
    if (value === undefined) return true;
    throw new UsageError(`Cannot start: ${rawName} takes no value`, command);
  }
  const isForgotten = value === undefined || value === "" ||
    (!inlineValue && value.startsWith("-"));
  if (!isForgotten) return value;
  throw new UsageError(
    `Cannot start: ${rawName} needs a value, ${spec.placeholder}`,
    command,
  );
}
