/**
 * Errors a simulated provider answers with, in the shape of either API family.
 *
 * @module
 */

/** Which family's error shape a caller expects. */
export type ErrorShape = "openai" | "anthropic";

/** What a refusal may say besides status and message. */
export interface RefusalOptions {
  /** The provider's machine-readable reason. */
  readonly code?: string;
  /** The field of the request that is wrong. */
  readonly param?: string;
  /** The provider's error family; derived from the status if left out. */
  readonly type?: string;
  /** Extra response headers, names in lower case. */
  readonly headers?: ReadonlyArray<readonly [string, string]>;
}

/** A request answered with an error status. */
export class Refusal extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "Refusal";
  /** The HTTP status. */
  readonly status: number;
  /** Code, parameter, type and headers. */
  readonly options: RefusalOptions;

  /** Says with which status, and why. */
  constructor(status: number, message: string, options: RefusalOptions = {}) {
    super(message);
    this.status = status;
    this.options = options;
  }
}

const OPENAI_TYPES = new Map([
  [401, "authentication_error"],
  [403, "permission_error"],
  [429, "rate_limit_error"],
]);

const ANTHROPIC_TYPES = new Map([
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [413, "request_too_large"],
  [429, "rate_limit_error"],
  [529, "overloaded_error"],
]);

/** The JSON body for `refusal`. */
export function refusalBody(refusal: Refusal, shape: ErrorShape, requestId: string): string {
  const { status, message, options } = refusal;
  if (shape === "anthropic") {
    const type = ANTHROPIC_TYPES.get(status) ??
      (status >= 500 ? "api_error" : "invalid_request_error");
    return JSON.stringify({ type: "error", error: { type, message }, request_id: requestId });
  }
  const type = options.type ?? OPENAI_TYPES.get(status) ??
    (status >= 500 ? "server_error" : "invalid_request_error");
  return JSON.stringify({
    error: { message, type, param: options.param ?? null, code: options.code ?? null },
  });
}
