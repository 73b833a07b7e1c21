/**
 * What may go wrong in the tools without being a bug, in one sentence.
 *
 * @module
 */
import { CommandError, systemRefusal } from "../../src/cli/command_error.ts";

/** Errors whose message is meant for whoever typed the command. */
const TOLD: ReadonlySet<string> = new Set([
  "BackupError",
  "BusyFileError",
  "DenoKvFileError",
  "DiskError",
  "IdentityError",
  "KvError",
  "LogCorruptError",
  "RawClientError",
  "ReplayError",
  "SnapshotError",
  "StateError",
  "StoreOpenError",
  "StoreOperationError",
]);

/** What to say of a failure. */
export interface Attempt {
  /** What was to be done: "Cannot back up". */
  readonly what: string;
  /** The permissions that it takes, as flags. */
  readonly permissions: string;
}

/**
 * Runs a part of a command.
 *
 * @throws {CommandError} For what may go wrong; bugs keep their stack.
 */
export async function attempt<Result>(
  { what, permissions }: Attempt,
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof CommandError) throw error;
    if (TOLD.has(error.name)) {
      // A disk that refuses for want of a permission has that as its cause.
      const isDenied = error.cause instanceof Deno.errors.NotCapable;
      const help = isDenied ? `; permission is missing, add ${permissions}` : "";
      throw new CommandError(`${error.message}${help}`, { cause: error });
    }
    const why = systemRefusal(error, permissions) ?? systemFailure(error);
    if (why === null) throw error;
    throw new CommandError(`${what}: ${why}`, { cause: error });
  }
}

/** What the system says of a failed file operation, if it was that. */
function systemFailure(error: Error): string | null {
  const [, text] = /^(.*?)(?: \(os error \d+\))/.exec(error.message) ?? [];
  return text === undefined ? null : text.charAt(0).toLowerCase() + text.slice(1);
}
