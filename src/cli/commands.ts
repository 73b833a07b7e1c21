/**
 * The command line's vocabulary: every command and flag, declared once.
 *
 * Parsing, `--help` and the tests read it from here.
 *
 * @module
 */

/** One flag of a command. */
export interface OptionSpec {
  /** What stands after it in `--help`, such as `FILE`; a flag without takes no value. */
  readonly placeholder?: string;
  /** One letter for short. */
  readonly short?: string;
  /** What it means, default included. */
  readonly description: string;
}

/** Names of the gateway's commands. */
export type CommandName = "serve" | "check" | "calibrate" | "demo" | "simulate" | "health";

/** One command. */
export interface CommandSpec<Name extends string = string> {
  /** What is typed. */
  readonly name: Name;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` adds to the summary. */
  readonly details: string;
  /** Its flags by long name; `--help` is understood everywhere. */
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Words that are no flags, such as `FILE`; none where it is missing. */
  readonly operands?: readonly string[];
}

/** A program's commands, and how it introduces itself. */
export interface Vocabulary<Name extends string = string> {
  /** What is typed before a command: `mod.ts`. */
  readonly program: string;
  /** One line at the top of `--help`. */
  readonly headline: string;
  /** Lines at the bottom of `--help`. */
  readonly notes: string;
  /** Every command, in the order of `--help`. */
  readonly commands: readonly CommandSpec<Name>[];
}

const CONFIG: OptionSpec = {
  placeholder: "FILE",
  short: "c",
  description: "The configuration file, YAML or JSON. Default: weir.yaml",
};

/** Addresses in place of the configured ones. */
const ADDRESSES: Readonly<Record<string, OptionSpec>> = {
  host: {
    placeholder: "HOST",
    description: "Address for clients, in place of listen.host",
  },
  port: {
    placeholder: "N",
    description: "Port for clients, in place of listen.port",
  },
  "admin-host": {
    placeholder: "HOST",
    description: "Address for operators, in place of admin.host",
  },
  "admin-port": {
    placeholder: "N",
    description: "Port for operators, in place of admin.port",
  },
};

/** What every command understands. */
export const COMMON_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  help: { short: "h", description: "Show this text and stop" },
  version: { short: "V", description: "Show the version and stop" },
};

/** Every command, in the order of `--help`. */
export const COMMANDS: readonly CommandSpec<CommandName>[] = [
  {
    name: "demo",
    summary: "Run the gateway with three simulated backends",
    details: "Needs no configuration, no key and no network. Ends with Ctrl+C.",
    options: {
      port: {
        placeholder: "N",
        description: "Port for clients. Default: 8080",
      },
      "admin-port": {
        placeholder: "N",
        description: "Port for operators. Default: 8081",
      },
    },
  },
  {
    name: "serve",
    summary: "Run the gateway",
    details: "SIGTERM or Ctrl+C lets streams in flight finish within shutdown.graceSeconds; a\n" +
      "second one ends at once. `check` prints the permissions that a configuration needs.",
    options: { config: CONFIG, ...ADDRESSES },
  },
  {
    name: "check",
    summary: "Check a configuration file",
    details:
      "Prints every problem, or the exact command that serves it. Status 0 if all is well,\n" +
      "1 if not.",
    options: {
      config: CONFIG,
      live: { description: "Also ask every backend for its models" },
      flags: {
        description: "Print only the permissions that `serve` needs, one a line",
      },
      ...ADDRESSES,
    },
  },
  {
    name: "calibrate",
    summary: "Find the similarity from which the cache may serve",
    details:
      "Runs pairs of questions through the embedder of the configuration, the built-in one\n" +
      "without any, and shows what each threshold would do. The file has one pair a line:\n" +
      '{"a":"one question","b":"another","label":1}, label 0 for pairs that must not share an answer.',
    options: {
      pairs: { placeholder: "FILE", description: "The pairs, as JSON Lines" },
      config: {
        placeholder: "FILE",
        short: "c",
        description: "Whose embedder to use. Default: the built-in one",
      },
      "false-hits": {
        placeholder: "PERCENT",
        description: "Share of label-0 pairs that may hit. Default: 0.5",
      },
      svg: { placeholder: "FILE", description: "Also draw the plot into this file" },
      json: { description: "Print everything as one JSON object" },
    },
  },
  {
    name: "simulate",
    summary: "Run one simulated backend alone",
    details:
      "Speaks chat completions, completions, responses, embeddings and messages. Model names\n" +
      "and the header x-sim-fault ask for faults; docs/simulator.md lists them.",
    options: {
      host: {
        placeholder: "HOST",
        description: "Address to listen on. Default: 127.0.0.1",
      },
      port: {
        placeholder: "N",
        description: "Port to listen on. Default: 9001",
      },
      fault: {
        placeholder: "FAULT",
        description: "The fault of every request that brings none, such as cut=8",
      },
      profile: {
        placeholder: "NAME",
        description: "How fast and how reliable: swift, steady, shaky, instant. Default: swift",
      },
    },
  },
  {
    name: "health",
    summary: "Ask a running gateway whether it is well",
    details: "For container health checks. Status 0 if it answers 200 within 3 seconds, 1 if not.",
    options: {
      url: {
        placeholder: "URL",
        description: "What to ask. Default: http://127.0.0.1:8081/healthz",
      },
    },
  },
];

/** The gateway's command line. `kv` is a program of its own, behind the same entry. */
export const GATEWAY: Vocabulary<CommandName> = {
  program: "mod.ts",
  headline: "Weir: one address in front of many LLM backends.",
  notes:
    "`<command> --help` lists its flags. `demo` needs no more than --allow-net=127.0.0.1 and\n" +
    "--allow-read=src. `kv` is the key-value node; `kv --help` lists its commands.",
  commands: COMMANDS,
};

/** Flags of a command together with the common ones. */
export function optionsOf(command: CommandSpec | null): Readonly<Record<string, OptionSpec>> {
  return { ...command?.options, ...COMMON_OPTIONS };
}
