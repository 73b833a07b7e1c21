/**
 * Why a request is turned away before anybody has handled it.
 *
 * @module
 */

/** Why a request cannot be read, and the status that says so. */
export class RequestRefusal extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "RequestRefusal";
  /** HTTP status: 400, 408, 413, 431, 501 or 505. */
  readonly status: number;

  /** `why` completes "Cannot read request: " and never holds what the client sent. */
  constructor(status: number, why: string) {
    super(`Cannot read request: ${why}`);
    this.status = status;
  }
}

/** The common one: status 400. */
export function malformed(why: string): RequestRefusal {
  return new RequestRefusal(400, why);
}
