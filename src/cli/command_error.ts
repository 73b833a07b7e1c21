/**
 * What may go wrong in a command without being a bug.
 *
 * @module
 */

/** A failure that is told in one sentence and ends the program with status 1. */
export class CommandError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "CommandError";
}

const DENIED = "the system does not allow it";
const NO_SUCH_ADDRESS = "this machine has no such address";
const PORT_TAKEN = "the port is in use already";

/**
 * Why the system refused, in words, with the flag that would help.
 *
 * @param error What Deno threw.
 * @param flag The permission that was needed, such as `--allow-read=weir.yaml`.
 * @returns `null` if it is not the system that refused.
 */
export function systemRefusal(error: unknown, flag: string): string | null {
  if (error instanceof Deno.errors.NotCapable) {
    return `permission is missing, add ${flag}`;
  }
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return DENIED;
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.AddrInUse) return PORT_TAKEN;
  if (error instanceof Deno.errors.AddrNotAvailable) return NO_SUCH_ADDRESS;
  if (!(error instanceof Error) || !("code" in error)) return null;
  switch (error.code) { // Of `node:net`.
    case "EADDRINUSE":
      return PORT_TAKEN;
    case "EADDRNOTAVAIL":
      return NO_SUCH_ADDRESS;
    case "EACCES":
      return DENIED;
    default:
      return null;
  }
}
