/**
 * The database that --from or --to names.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { RawClient } from "../transfer/shell/raw_client.ts";
import { tokenOption } from "./options.ts";

const DEFAULT_URL = "http://127.0.0.1:4512";

/** A client, and the permission that it takes. */
export interface DatabaseClient {
  /** Reads and writes. */
  readonly client: RawClient;
  /** As a flag. */
  readonly permission: string;
}

/**
 * The database of a flag, or the default one of a node on this machine.
 *
 * @throws {UsageError} If it is no http address.
 */
export function openDatabase(options: Options, flag: "from" | "to"): DatabaseClient {
  const url = URL.parse(textOption(options, flag) ?? DEFAULT_URL);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new UsageError(
      `Cannot use --${flag}: it must be an http address, such as ${DEFAULT_URL}/NAME`,
      null,
    );
  }
  const client = new RawClient(url.href, tokenOption(options));
  return { client, permission: `--allow-net=${url.host}` };
}

/** Whether a file is read and written as JSON Lines. */
export function isJsonLines(file: string): boolean {
  return /\.(jsonl|ndjson)$/i.test(file);
}
