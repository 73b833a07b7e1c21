/**
 * Errors that callers are meant to tell apart.
 *
 * Clients and dashboards match on `code`, never on the message: a code is
 * stable, a message may be improved at any time. Programming mistakes are not
 * listed here; they throw `TypeError` or `RangeError`.
 *
 * @module
 */

/** Every code, with the HTTP status a client sees for it. */
export const STATUS_BY_CODE = {
  invalid_json: 400,
  invalid_request: 400,
  invalid_utf8: 400,
  nesting_too_deep: 400,
  unsupported_translation: 400,
  missing_api_key: 401,
  invalid_api_key: 401,
  not_found: 404,
  entry_not_found: 404,
  model_not_found: 404,
  method_not_allowed: 405,
  body_timeout: 408,
  body_too_large: 413,
  unsupported_media_type: 415,
  headers_too_large: 431,
  rate_limited: 429,
  internal_error: 500,
  backend_failed: 502,
  stream_cut: 502,
  answer_unreadable: 502,
  no_healthy_backend: 503,
  overloaded: 503,
  shutting_down: 503,
  first_token_timeout: 504,
  idle_timeout: 504,
  total_timeout: 504,
  not_cached: 504,
} as const;

/** A stable, machine-readable reason. */
export type GatewayErrorCode = keyof typeof STATUS_BY_CODE;

/** What else may be said about a failure. */
export interface GatewayErrorOptions extends ErrorOptions {
  /** The field of the request that is wrong, as a path such as `messages[2].role`. */
  readonly param?: string;
  /** Whole seconds after which another try makes sense. */
  readonly retryAfterSeconds?: number;
}

/** A failure the gateway expects and reports to its client. */
export class GatewayError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "GatewayError";
  /** The stable reason. */
  readonly code: GatewayErrorCode;
  /** The field of the request that is wrong, if one is. */
  readonly param: string | null;
  /** Whole seconds after which another try makes sense, if known. */
  readonly retryAfterSeconds: number | null;

  /**
   * Says what failed, and why.
   *
   * @param code The stable reason.
   * @param message What could not be done, then the state that prevented it. Never a secret.
   * @param options `cause`, `param`, `retryAfterSeconds`.
   */
  constructor(code: GatewayErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.param = options.param ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  /** The HTTP status for this error. */
  get status(): number {
    return STATUS_BY_CODE[this.code];
  }
}
