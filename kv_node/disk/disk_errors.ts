/**
 * What the system says when a file operation fails, as a {@linkcode DiskError}.
 *
 * @module
 */
import { DiskError, type DiskFailure } from "../ports.ts";

/** Kinds by the system's code; whatever is not here is `io`. */
const KINDS: ReadonlyMap<string, DiskFailure> = new Map([
  ["ENOSPC", "full"],
  ["EDQUOT", "full"],
  // A file may not grow further: the file system's limit, or the process's own.
  ["EFBIG", "full"],
  ["ENOENT", "missing"],
  ["EEXIST", "exists"],
  ["EACCES", "denied"],
  ["EPERM", "denied"],
  ["EROFS", "denied"],
]);

/** Kinds by the class of Deno's error, for those that carry no code. */
const KINDS_BY_NAME: ReadonlyMap<string, DiskFailure> = new Map([
  ["NotFound", "missing"],
  ["AlreadyExists", "exists"],
  ["PermissionDenied", "denied"],
  ["NotCapable", "denied"],
]);

/** The kind of a failure that Deno threw. */
export function diskFailureOf(cause: unknown): DiskFailure {
  if (!(cause instanceof Error)) return "io";
  const code = (cause as { readonly code?: unknown }).code;
  const kind = typeof code === "string" ? KINDS.get(code) : undefined;
  return kind ?? KINDS_BY_NAME.get(cause.name) ?? "io";
}

/**
 * Wraps what Deno threw.
 *
 * @param action What could not be done, as it follows "Cannot".
 */
export function diskErrorOf(cause: unknown, action: string): DiskError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DiskError(diskFailureOf(cause), `Cannot ${action}: ${reason}`, { cause });
}
