/**
 * Errors that a client of the store is meant to tell apart.
 *
 * KV Connect has no shape for errors but a status and a plain text: 4xx is never
 * tried again by stock clients, 5xx without end. So 4xx is for faults of the
 * request alone, and whatever may pass is 503.
 *
 * @module
 */

/** Every code, with its HTTP status. */
export const KV_STATUS = {
  bad_request: 400,
  limit_exceeded: 400,
  invalid_mutation: 400,
  unsupported: 400,
  unauthorized: 401,
  wrong_database: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  too_large: 413,
  unsupported_media_type: 415,
  internal: 500,
  starting: 503,
  stopping: 503,
  disk_full: 503,
  outcome_unknown: 503,
  overloaded: 503,
} as const;

/** A stable reason. */
export type KvErrorCode = keyof typeof KV_STATUS;

/** A failure that a client is told of. */
export class KvError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "KvError";
  /** The stable reason. */
  readonly code: KvErrorCode;

  /** Says what failed, why, and how to mend it; never a secret, a key or a value. */
  constructor(code: KvErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** The HTTP status for this error. */
  get status(): (typeof KV_STATUS)[KvErrorCode] {
    return KV_STATUS[this.code];
  }
}
