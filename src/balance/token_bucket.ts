/**
 * A bucket of tokens that bounds what is sent twice.
 *
 * It fills with each client request and with time, so that retries and hedges
 * stay a small share of the traffic however many backends fail.
 *
 * Source: the retry throttle of gRPC (proposal A6) and the budget of tower,
 * with both kinds of refill.
 *
 * @module
 */

/** How a bucket fills. */
export interface TokenBucketPolicy {
  /** Tokens it holds at most, and at the start. */
  readonly max: number;
  /** Tokens added for each client request. */
  readonly perRequest: number;
  /** Tokens added each second. */
  readonly perSecond: number;
}

/** One bucket. */
export class TokenBucket {
  readonly #policy: TokenBucketPolicy;
  #tokens: number;
  #atSeconds = Number.NEGATIVE_INFINITY;

  /** Starts full, or with `tokens`. */
  constructor(policy: TokenBucketPolicy, tokens: number = policy.max) {
    this.#policy = policy;
    this.#tokens = tokens;
  }

  /** Counts one client request. */
  request(nowSeconds: number): void {
    this.#refill(nowSeconds);
    this.#tokens = Math.min(this.#policy.max, this.#tokens + this.#policy.perRequest);
  }

  /** Takes one token; `false` where there is none. */
  take(nowSeconds: number): boolean {
    this.#refill(nowSeconds);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Tokens now. */
  read(nowSeconds: number): number {
    this.#refill(nowSeconds);
    return this.#tokens;
  }

  #refill(nowSeconds: number): void {
    const elapsedSeconds = nowSeconds - this.#atSeconds;
    if (elapsedSeconds <= 0) return;
    this.#atSeconds = nowSeconds;
    // The first call only sets the clock: a bucket does not fill before it is used.
    if (elapsedSeconds === Number.POSITIVE_INFINITY) return;
    const refilled = this.#tokens + elapsedSeconds * this.#policy.perSecond;
    this.#tokens = Math.min(this.#policy.max, refilled);
  }
}
