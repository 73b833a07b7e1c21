/**
 * Flags that several commands of `kv` have, read and checked.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { CommandError, systemRefusal } from "../../src/cli/command_error.ts";
import type { Address } from "../../src/runtime/address.ts";

const TOKEN_VARIABLE = "WEIR_KV_TOKEN";
const TOKEN_BYTES_MIN = 8;

/** Reads HOST:PORT from a flag. @throws {UsageError} If it is none. */
export function addressOption(options: Options, name: string, fallback: Address): Address {
  const text = textOption(options, name);
  if (text === undefined) return fallback;
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new UsageError(`Cannot use --${name}: it must be HOST:PORT, such as 127.0.0.1:4512`, null);
}

/** Reads a whole number above 0 from a flag. @throws {UsageError} If it is none. */
export function countOption(options: Options, name: string, fallback: number): number {
  const text = textOption(options, name);
  if (text === undefined) return fallback;
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count > 0) return count;
  throw new UsageError(`Cannot use --${name}: it must be a whole number above 0`, null);
}

/** Reads one of a few words from a flag. @throws {UsageError} If it is another. */
export function choiceOption<Word extends string>(
  options: Options,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = textOption(options, name);
  const word = words.find((one) => one === text);
  if (text === undefined || word !== undefined) return word;
  throw new UsageError(`Cannot use --${name}: it must be ${words.join(" or ")}`, null);
}

/**
 * The access token: of the file that --token-file names, else of WEIR_KV_TOKEN, else none.
 *
 * @throws {CommandError} If the file cannot be read, or the token is too short to be one.
 */
export function tokenOption(options: Options): string | null {
  const file = textOption(options, "token-file");
  const token = file === undefined ? tokenOfVariable() : tokenOfFile(file);
  if (token === null || token.length >= TOKEN_BYTES_MIN) return token;
  throw new CommandError(
    `Cannot use the access token: it has fewer than ${TOKEN_BYTES_MIN} characters`,
  );
}

function tokenOfVariable(): string | null {
  // Without the permission there is no token; whoever sets the variable gives it as well.
  const { state } = Deno.permissions.querySync({ name: "env", variable: TOKEN_VARIABLE });
  if (state !== "granted") return null;
  const token = Deno.env.get(TOKEN_VARIABLE)?.trim() ?? "";
  return token === "" ? null : token;
}

function tokenOfFile(file: string): string {
  try {
    return Deno.readTextFileSync(file).trim();
  } catch (cause) {
    const why = systemRefusal(cause, `--allow-read=${file}`);
    if (why === null) throw cause;
    throw new CommandError(`Cannot read ${file}: ${why}`, { cause });
  }
}
