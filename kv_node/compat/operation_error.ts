/**
 * Why an operation on a store of a Weir node failed, where the request itself was
 * in order. Faults of the request are `TypeError`s, as with `Deno.Kv`.
 *
 * @module
 */

/** Why an operation failed. */
export type OperationFailure =
  | "unavailable" // no node could be reached, or it refuses for the time being; nothing was changed
  | "deadline" // no answer in time; nothing was changed
  | "outcome_unknown" // a commit was sent, and whether it was carried out is not known
  | "refused" // the access token does not count any more, or the database is closed
  | "closed"; // the store was closed meanwhile

/** An operation that failed. */
export class StoreOperationError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "StoreOperationError";
  /** Why. */
  readonly kind: OperationFailure;

  /** Says what failed; `message` never holds a key, a value or a token. */
  constructor(kind: OperationFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
