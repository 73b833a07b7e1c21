/**
 * The breaker of one embeddings backend, as a pure state machine.
 *
 *     closed --failuresMax in a row--> open --its time is over--> half_open
 *       ^                               ^                             |
 *       |                               +-- failure, open for twice as long
 *       +------------------------------- success ---------------------+
 *
 * It has one reason more to trip than the breakers of routing: an answer for
 * which nobody waits any more is a failure. A backend that always answers too
 * late would otherwise cost every request its whole deadline and give nothing.
 *
 * Invariant: an outcome counts only in the epoch in which its call was let
 * through. A late answer moves nothing.
 *
 * @module
 */

/** Where a breaker stands. */
export type EmbedBreakerPhase = EmbedBreaker["phase"];

/** A breaker; `epoch` grows by one at each change of phase, `trips` counts openings in a row. */
export type EmbedBreaker =
  | { readonly phase: "closed"; readonly epoch: number; readonly failures: number }
  | {
    readonly phase: "open";
    readonly epoch: number;
    readonly trips: number;
    readonly untilMs: number;
  }
  | { readonly phase: "half_open"; readonly epoch: number; readonly trips: number };

/** When a breaker trips, and for how long. */
export interface EmbedBreakerPolicy {
  /** Failures in a row that open it; at least 1. */
  readonly failuresMax: number;
  /** How long it stays open the first time, in milliseconds; doubled at each failed probe. */
  readonly openMs: number;
  /** The longest it stays open, in milliseconds. */
  readonly openMaxMs: number;
}

/** How a call ended. */
export interface EmbedOutcome {
  /** Whether it gave vectors while somebody waited for them. */
  readonly ok: boolean;
  /** The breaker's epoch when the call was let through. */
  readonly epoch: number;
  /** The present, on the caller's clock. */
  readonly nowMs: number;
  /** How long the backend asks to be left alone, in milliseconds; `null` if it does not say. */
  readonly retryAfterMs: number | null;
}

/** A breaker that has seen nothing. */
export const CLOSED_BREAKER: EmbedBreaker = { phase: "closed", epoch: 0, failures: 0 };

/**
 * Asks to make one call.
 *
 * @returns The breaker with the call let through, or `null` if there must be none.
 */
export function admitCall(breaker: EmbedBreaker, nowMs: number): EmbedBreaker | null {
  switch (breaker.phase) {
    case "closed":
      return breaker;
    case "open":
      if (nowMs < breaker.untilMs) return null;
      return { phase: "half_open", epoch: breaker.epoch + 1, trips: breaker.trips };
    case "half_open":
      return null; // One probe is out already.
  }
}

/** The breaker after a call that was let through. */
export function settleCall(
  breaker: EmbedBreaker,
  outcome: EmbedOutcome,
  policy: EmbedBreakerPolicy,
): EmbedBreaker {
  if (outcome.epoch !== breaker.epoch) return breaker;
  switch (breaker.phase) {
    case "closed": {
      const failures = outcome.ok ? 0 : breaker.failures + 1;
      if (failures < policy.failuresMax) return { ...breaker, failures };
      return opened(breaker.epoch, 1, outcome, policy);
    }
    case "half_open":
      if (outcome.ok) return { phase: "closed", epoch: breaker.epoch + 1, failures: 0 };
      return opened(breaker.epoch, breaker.trips + 1, outcome, policy);
    case "open":
      return breaker; // No call is let through in this epoch.
  }
}

function opened(
  epoch: number,
  trips: number,
  outcome: EmbedOutcome,
  policy: EmbedBreakerPolicy,
): EmbedBreaker {
  const doubledMs = policy.openMs * 2 ** (trips - 1);
  const openMs = Math.min(policy.openMaxMs, Math.max(doubledMs, outcome.retryAfterMs ?? 0));
  return { phase: "open", epoch: epoch + 1, trips, untilMs: outcome.nowMs + openMs };
}
