/**
 * A target as a member of one pool, and whether a request may go there.
 *
 * @module
 */
import type { TargetState } from "./target_state.ts";
import type { Capabilities, Demand, TargetSpec } from "./types.ts";

/** One target in one pool. */
export interface Member {
  /** As configured in this pool. */
  readonly spec: TargetSpec;
  /** What is measured; shared with other pools that name the same key. */
  readonly state: TargetState;
  /** Place of its tier in the pool, from 0. */
  readonly rank: number;
  /** Hash of its key, for affinity. */
  readonly hash: number;
}

/** Whoever looks for a target: a request with what it has tried so far. */
export interface Seeker {
  /** What it asks of a target. */
  readonly demand: Demand;
  /** Hash of its affinity key; `null` for none. */
  readonly keyHash: number | null;
  /** Whether it has been there, or has learned that it cannot go there. */
  excludes(member: Member): boolean;
}

/**
 * Slack for comparing times that went through a timer: a wake asked for at `t`
 * may come a rounding error early, and must not find that it has to wait again.
 */
export const TIMER_SLACK_SECONDS = 1e-6;

/** Whether a target can do what a request asks. */
export function isCapable(capabilities: Capabilities, demand: Demand): boolean {
  if (demand.streaming && !capabilities.streaming) return false;
  if (demand.tools && !capabilities.tools) return false;
  if (demand.vision && !capabilities.vision) return false;
  if (demand.jsonSchema && !capabilities.jsonSchema) return false;
  const { contextTokens } = capabilities;
  return contextTokens === null || contextTokens >= demand.promptTokens + demand.answerTokensMax;
}

/** Whether a target takes new attempts, its breaker aside. */
export function isAvailable(member: Member, nowSeconds: number): boolean {
  const { state, spec } = member;
  return !state.draining && hasRoom(member) && !isCooling(state, nowSeconds) &&
    !(nowSeconds < state.missingUntilSeconds) && spec.weight > 0;
}

/** Whether one more attempt stays within the target's concurrency. */
export function hasRoom({ state, spec }: Member): boolean {
  return spec.maxConcurrency === null || state.inFlight < spec.maxConcurrency;
}

/** Whether the target is left alone after a 429. */
export function isCooling(state: TargetState, nowSeconds: number): boolean {
  return nowSeconds + TIMER_SLACK_SECONDS < state.cooldownUntilSeconds;
}

/** Whether its breaker lets this request through: closed, or half-open with a free probe slot. */
export function isAdmitted(member: Member, demand: Demand, nowSeconds: number): boolean {
  const { breaker } = member.state;
  return breaker.phase(nowSeconds) === "closed" ||
    (demand.replayable && breaker.probeFree(nowSeconds));
}
