/**
 * What each failure means: to the breaker, to the estimate, to the next attempt.
 *
 * @module
 */
import type { Failure, FailureReason } from "./types.ts";

/** The consequences of one kind of failure. */
export interface Outcome {
  /** `rate_limited` leaves a closed breaker alone and fails a half-open one's probe. */
  readonly breaker: "failure" | "rate_limited" | "none";
  /** Whether the latency estimate takes it as a failure. */
  readonly slows: boolean;
  /**
   * Where the request may still go: nowhere, to another target, to another
   * backend (the credential is refused) or to another model (the prompt is too
   * long for this one).
   */
  readonly retry: "none" | "target" | "backend" | "model";
  /** Whether the backend cannot have worked on the request, so that sending it again is safe. */
  readonly unprocessed: boolean;
}

const FAULT: Outcome = { breaker: "failure", slows: true, retry: "target", unprocessed: false };
const NEVER_SENT: Outcome = { ...FAULT, unprocessed: true };
/** The request is at fault: a fast refusal is no latency sample and no failure. */
const REFUSED: Outcome = { breaker: "none", slows: false, retry: "none", unprocessed: true };

const OUTCOMES: Readonly<Record<FailureReason, Outcome>> = {
  refused: NEVER_SENT,
  dns: NEVER_SENT,
  tls: NEVER_SENT,
  connect_timeout: NEVER_SENT,
  reset: FAULT,
  status_5xx: FAULT,
  rate_limited: { breaker: "rate_limited", slows: true, retry: "target", unprocessed: true },
  unauthorized: { breaker: "failure", slows: true, retry: "backend", unprocessed: true },
  model_missing: { breaker: "none", slows: false, retry: "target", unprocessed: true },
  context_length: { ...REFUSED, retry: "model" },
  bad_request: REFUSED,
  content_filter: REFUSED,
  unreadable: FAULT,
  in_band: FAULT,
  first_token_timeout: FAULT,
  cut: FAULT,
  idle_timeout: FAULT,
  malformed: FAULT,
  total_timeout: { ...FAULT, retry: "none" },
};

/** The consequences of a failure by its reason. */
export function outcomeOf(reason: FailureReason): Outcome {
  return OUTCOMES[reason];
}

/**
 * Whether the same target may be asked once more: the failure was quick and
 * looks passing (3.6). Silence and refusal do not; a 429 or 503 does if it says
 * when, and that is soon.
 */
export function looksPassing(failure: Failure, retryAfterWaitMaxSeconds: number): boolean {
  const { reason, status, retryAfterSeconds } = failure;
  if (reason === "reset") return true;
  if (reason === "status_5xx" && (status === 500 || status === 502)) return true;
  if (!isBusy(failure) || retryAfterSeconds === null) return false;
  return retryAfterSeconds <= retryAfterWaitMaxSeconds;
}

/** Whether the backend is up but takes no more: 429 or 503. */
export function isBusy(failure: Failure): boolean {
  return failure.reason === "rate_limited" ||
    (failure.reason === "status_5xx" && failure.status === 503);
}
