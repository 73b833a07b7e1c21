/**
 * What a node's refusal means for an operation.
 *
 * @module
 */
import type { KvError, KvErrorCode } from "../errors.ts";
import { StoreOperationError } from "./operation_error.ts";
import type { Operation } from "./weir_operation.ts";

/** Nothing was carried out, and it may be in a moment. */
const PASSING = new Set<KvErrorCode>(["starting", "overloaded"]);
/** The request itself is wrong: what `Deno.Kv` throws a `TypeError` for. */
const FAULTS = new Set<KvErrorCode>([
  "bad_request",
  "limit_exceeded",
  "invalid_mutation",
  "unsupported",
  "too_large",
]);

/** Whether to try again, on the same connection. */
export function isPassing(error: KvError, operation: Pick<Operation, "isRepeatable">): boolean {
  return PASSING.has(error.code) || (error.code === "stopping" && operation.isRepeatable);
}

/** The error that whoever asked gets. */
export function errorOf(error: KvError, operation: Pick<Operation, "isRepeatable">): Error {
  const { code, message } = error;
  if (FAULTS.has(code)) return new TypeError(message, { cause: error });
  if (code === "unauthorized" || code === "wrong_database" || code === "not_found") {
    return new StoreOperationError("refused", message, { cause: error });
  }
  // A node that fails while it commits may have written the commit already.
  const isUnknown = !operation.isRepeatable && code !== "disk_full";
  return new StoreOperationError(isUnknown ? "outcome_unknown" : "unavailable", message, {
    cause: error,
  });
}
