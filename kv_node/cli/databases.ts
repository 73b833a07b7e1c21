/**
 * `kv databases`: lists, makes, changes.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { DEFAULT_LIMITS } from "../types.ts";
import { openAdmin } from "./admin_client.ts";
import { attempt } from "./failures.ts";
import { tableLines } from "./figures.ts";
import { choiceOption } from "./options.ts";

/** A database, as the admin listener shows it. */
interface ShownDatabase {
  readonly name: string;
  readonly id: string;
  readonly readDisabled: boolean;
  readonly writeDisabled: boolean;
  readonly tokens: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

const CLOSED = {
  nothing: { readDisabled: false, writeDisabled: false },
  writing: { readDisabled: false, writeDisabled: true },
  reading: { readDisabled: true, writeDisabled: false },
  both: { readDisabled: true, writeDisabled: true },
} as const;

/** Lists databases, or makes or changes one. */
export async function databases(options: Options, terminal: Terminal): Promise<number> {
  const name = textOption(options, "make");
  const change = changeOf(options);
  if (name === undefined && Object.keys(change).length > 0) {
    throw new UsageError("Cannot change a database: --make NAME says which", null);
  }
  const admin = openAdmin(options);
  const shown = await attempt(
    { what: "Cannot ask the node", permissions: admin.permission },
    async () => {
      if (name === undefined) {
        const { databases } = await admin.call("GET", "/databases") as {
          databases: ShownDatabase[];
        };
        return databases;
      }
      const path = `/databases/${encodeURIComponent(name)}`;
      return [await admin.call("PUT", path, change) as ShownDatabase];
    },
  );
  if (options["json"] === true) {
    terminal.print(JSON.stringify(name === undefined ? { databases: shown } : shown[0]));
  } else for (const line of tableLines(tableOf(shown))) terminal.print(line);
  return 0;
}

function changeOf(options: Options): Readonly<Record<string, unknown>> {
  const words = Object.keys(CLOSED) as (keyof typeof CLOSED)[];
  const closed = choiceOption(options, "close", words);
  const limits = textOption(options, "limits");
  return {
    ...(limits === undefined ? {} : { limits: limitsOf(limits) }),
    ...(closed === undefined ? {} : CLOSED[closed]),
  };
}

function limitsOf(text: string): unknown {
  try {
    const limits: unknown = JSON.parse(text);
    if (typeof limits === "object" && limits !== null && !Array.isArray(limits)) return limits;
  } catch {
    // Said below.
  }
  throw new UsageError('Cannot use --limits: it must be JSON, as {"valueBytesMax":32768}', null);
}

function tableOf(shown: readonly ShownDatabase[]): string[][] {
  return [
    ["NAME", "ID", "CLOSED FOR", "TOKENS", "LIMITS THAT DIFFER"],
    ...shown.map(({ name, id, readDisabled, writeDisabled, tokens, limits }) => [
      name,
      id,
      readDisabled && writeDisabled
        ? "both"
        : readDisabled
        ? "reading"
        : writeDisabled
        ? "writing"
        : "nothing",
      tokens.join(",") || "none",
      differing(limits) || "none",
    ]),
  ];
}

function differing(limits: Readonly<Record<string, number>>): string {
  const defaults: Readonly<Record<string, number>> = { ...DEFAULT_LIMITS };
  return Object.entries(limits).filter(([name, value]) => defaults[name] !== value)
    .map(([name, value]) => `${name}=${value}`).join(",");
}
