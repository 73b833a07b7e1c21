/**
 * Where a failed request goes next, and when (3.6).
 *
 * A tier is a preference, so leaving it is the last step, not the first: in the
 * tier an untried target; else the same one once more, if its failure was quick
 * and looks passing; then the next tier. Where there is none either, a backend
 * that only said it was busy may be asked again.
 *
 * A broken stream (continuation) prefers any untried target to the one that
 * broke it, and never goes back to one that fell silent.
 *
 * @module
 */
import { backoffSeconds } from "./backoff.ts";
import { hasRoom, isAdmitted, type Member, type Seeker } from "./member.ts";
import { isBusy, looksPassing } from "./outcome.ts";
import type { Pool, Ranks } from "./pool.ts";
import type { Attempt, Failure } from "./types.ts";

/** An attempt that failed, as the plan looks at it. */
export interface FailedAttempt {
  /** The attempt. */
  readonly attempt: Attempt;
  /** Where it went. */
  readonly member: Member;
  /** Why it failed; `null` while it has not. */
  readonly failure: Failure | null;
  /** When. */
  readonly failedAtSeconds: number;
}

/** A retry that was decided. */
export interface RetryPlan {
  /** When to send it; earlier if a cooldown in its tiers ends first. */
  readonly atSeconds: number;
  /** Tiers to look for an untried target in first. */
  readonly ranks: Ranks;
  /** The target to ask once more if there is no untried one in these tiers. */
  readonly again: Member | null;
}

/** What a plan is made from. */
export interface RetrySituation {
  /** The pool. */
  readonly pool: Pool;
  /** The request. */
  readonly seeker: Seeker;
  /** All its attempts so far, oldest first. */
  readonly attempts: readonly FailedAttempt[];
  /** The one that has just failed. */
  readonly failed: FailedAttempt;
  /** Whether a part of the answer has been sent on already. */
  readonly continuing: boolean;
  /** Which retry of the request this is, from 1. */
  readonly retry: number;
}

/** Decides the next attempt; `null` if there is none to make in time. */
export function planRetry(situation: RetrySituation, nowSeconds: number): RetryPlan | null {
  const { pool, seeker, failed, continuing } = situation;
  const { rank } = failed.member;
  const inTier: Ranks = { first: 0, last: rank };
  const beyond: Ranks = { first: rank + 1, last: pool.ranks.last };

  const refused = continuing ? adaptedContinuation(situation, nowSeconds) : null;
  if (refused !== null) return refused;
  const wait = situation.retry === 1 ? 0 : backoffSeconds(situation.retry, pool.random());
  const untriedAt = nowSeconds + wait;
  const isInTime = (atSeconds: number) => {
    const { deadlineSeconds } = seeker.demand;
    return deadlineSeconds === null || atSeconds < deadlineSeconds;
  };
  const untried = (ranks: Ranks): RetryPlan | null =>
    isInTime(untriedAt) && pool.hasCandidate(seeker, ranks, nowSeconds)
      ? { atSeconds: untriedAt, ranks, again: null }
      : null;
  const again = () => {
    const plan = sameOnceMore(situation, nowSeconds);
    return plan !== null && isInTime(plan.atSeconds) ? plan : null;
  };

  const plan = untried(inTier);
  if (plan !== null) return plan;
  if (continuing) return untried(beyond) ?? again();
  const last = () => {
    const lastPlan = busyAgain(situation, nowSeconds);
    return lastPlan !== null && isInTime(lastPlan.atSeconds) ? lastPlan : null;
  };
  // The last attempt goes where it has the best chance, or a tier could never be left.
  const isLast = situation.attempts.length + 1 >= pool.policy.attemptsMax;
  if (isLast) return untried(beyond) ?? again() ?? last();
  return again() ?? untried(beyond) ?? last();
}

/** Whether a target that was tried may be asked again: nothing but a cooldown keeps it out. */
export function isUsable(member: Member, seeker: Seeker, nowSeconds: number): boolean {
  const { state } = member;
  return !state.draining && nowSeconds >= state.missingUntilSeconds && hasRoom(member) &&
    isAdmitted(member, seeker.demand, nowSeconds);
}

/**
 * A backend that refuses the continuation as such (a prefilled answer, say) is
 * asked once more at once: the caller then asks in another way.
 */
function adaptedContinuation(situation: RetrySituation, nowSeconds: number): RetryPlan | null {
  const { failed, attempts, seeker } = situation;
  if (failed.failure?.reason !== "bad_request") return null;
  const refusals = attempts.filter((other) =>
    other.member === failed.member && other.failure?.reason === "bad_request"
  );
  if (refusals.length > 1 || !isUsable(failed.member, seeker, nowSeconds)) return null;
  return { atSeconds: nowSeconds, ranks: NO_RANKS, again: failed.member };
}

/** Of the tier's targets that failed in passing, and only once, the latest to fail. */
function sameOnceMore(situation: RetrySituation, nowSeconds: number): RetryPlan | null {
  const { pool, seeker, attempts, failed, continuing } = situation;
  const waitMaxSeconds = pool.policy.retryAfterWaitMaxSeconds;
  for (let i = attempts.length - 1; i >= 0; i--) {
    const attempt = attempts[i];
    if (!attempt?.failure || attempt.member.rank !== failed.member.rank) continue;
    const passing = looksPassing(attempt.failure, waitMaxSeconds) ||
      (continuing && isBroken(attempt.failure));
    if (!passing || countTries(attempts, attempt.member) > 1) continue;
    if (!isUsable(attempt.member, seeker, nowSeconds)) continue;
    const { retryAfterSeconds } = attempt.failure;
    const earliestSeconds = retryAfterSeconds === null
      ? nowSeconds + backoffSeconds(situation.retry, pool.random())
      : attempt.failedAtSeconds + retryAfterSeconds;
    const plan = planAgain(attempt.member, earliestSeconds, situation, nowSeconds);
    if (plan !== null) return plan;
  }
  return null;
}

/** With nowhere else to go: a 429 or 503 without Retry-After is asked again after a backoff. */
function busyAgain(situation: RetrySituation, nowSeconds: number): RetryPlan | null {
  const { pool, seeker, failed } = situation;
  const { failure, member } = failed;
  if (!failure || !isBusy(failure) || failure.retryAfterSeconds !== null) return null;
  if (!isUsable(member, seeker, nowSeconds)) return null;
  const waitSeconds = backoffSeconds(situation.retry, pool.random());
  return planAgain(member, nowSeconds + waitSeconds, situation, nowSeconds);
}

/** Asks a member again, not before its cooldown ends; `null` if that takes too long. */
function planAgain(
  member: Member,
  earliestSeconds: number,
  { pool, failed }: RetrySituation,
  nowSeconds: number,
): RetryPlan | null {
  const atSeconds = Math.max(nowSeconds, earliestSeconds, member.state.cooldownUntilSeconds);
  if (atSeconds - nowSeconds > pool.policy.retryAfterWaitMaxSeconds) return null;
  return { atSeconds, ranks: { first: 0, last: failed.member.rank }, again: member };
}

/** A stream that broke although the backend was talking. */
function isBroken({ reason }: Failure): boolean {
  return reason === "cut" || reason === "malformed" || reason === "reset";
}

function countTries(attempts: readonly FailedAttempt[], member: Member): number {
  return attempts.reduce((count, other) => count + (other.member === member ? 1 : 0), 0);
}

const NO_RANKS: Ranks = { first: 0, last: -1 };
