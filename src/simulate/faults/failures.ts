/**
 * Failures that take the place of an answer: statuses, resets, silence.
 *
 * @module
 */

import { seededRandom } from "../chance.ts";
import { isFailoverModel } from "./failover_models.ts";
import type { Faults } from "./faults.ts";
import type { SimulatorProfile } from "../profiles.ts";
import { Refusal } from "../refusal.ts";
import { prefillOf, type SimulatedRequest } from "../requests/request.ts";

/** What decides whether a request fails, besides its faults. */
export interface FailureSetting {
  /** How the backend is. */
  readonly profile: SimulatorProfile;
  /** Seed of everything random. */
  readonly seed: number;
  /** Number of the request since the simulator started. */
  readonly sequence: number;
  /** Seconds since the reset. */
  readonly sinceResetSeconds: number;
  /** Milliseconds since the Unix epoch. */
  readonly wallMs: number;
  /** Requests being answered, this one left out. */
  readonly activeRequests: number;
}

/**
 * Refuses the request if its faults, the profile's failure rate or its
 * concurrency limit say so.
 *
 * @throws {Refusal} If it is to fail.
 */
export function refuseIfDue(
  request: SimulatedRequest,
  faults: Faults,
  circumstances: FailureSetting,
): void {
  refuseByProfile(request.model, circumstances);
  if (faults.unauthorized === true) {
    throw new Refusal(401, "Incorrect API key provided", { code: "invalid_api_key" });
  }
  if (isDown(faults, circumstances.sinceResetSeconds)) throw statusError(503);
  if (faults.status !== undefined) throw statusError(faults.status, faults, circumstances.wallMs);
  if (faults.overloaded === true) throw statusError(529);
  if (faults.contextLength === true) {
    const message =
      `The maximum context length of ${request.model} is 8192 tokens but the messages ` +
      "need 9631 tokens. Shorten them and try again";
    const options = { code: "context_length_exceeded", param: "messages" };
    throw new Refusal(400, message, options);
  }
  if (faults.contentFilter === true) {
    const message = "The safety system rejected this request";
    throw new Refusal(400, message, { code: "content_policy_violation" });
  }
  if (
    faults.noPrefill === true && request.surface !== "embeddings" && prefillOf(request) !== null
  ) {
    const message = "This model cannot continue an assistant message: the last one has to be a " +
      "user message";
    throw new Refusal(400, message, { code: "invalid_prefill", param: "messages" });
  }
}

function refuseByProfile(model: string, circumstances: FailureSetting): void {
  const { profile } = circumstances;
  const scripted = isFailoverModel(model);
  const full = profile.maxConcurrency !== undefined &&
    circumstances.activeRequests >= profile.maxConcurrency;
  if (full && !scripted) {
    const message = `Rate limit reached for ${model}: too many requests at a time`;
    throw new Refusal(429, message, { code: "rate_limit_exceeded" });
  }
  const random = seededRandom(circumstances.seed ^ (circumstances.sequence * 0x2545f491));
  if (!scripted && random() < profile.failureRate) throw statusError(random() < 0.5 ? 500 : 503);
}

function isDown({ flapDownSeconds, flapUpSeconds }: Faults, sinceResetSeconds: number): boolean {
  if (flapDownSeconds === undefined) return false;
  const cycleSeconds = flapUpSeconds === undefined ? Infinity : flapDownSeconds + flapUpSeconds;
  if (cycleSeconds === 0) return false;
  const phaseSeconds = cycleSeconds === Infinity
    ? sinceResetSeconds
    : sinceResetSeconds % cycleSeconds;
  return phaseSeconds < flapDownSeconds;
}

const STATUS_ERRORS = new Map<number, readonly [message: string, code?: string]>([
  [401, ["Incorrect API key provided", "invalid_api_key"]],
  [403, ["This key may not use this model", "permission_denied"]],
  [404, ["The model does not exist", "model_not_found"]],
  [429, ["Rate limit reached: slow down and try again", "rate_limit_exceeded"]],
  [500, ["The server failed while it worked on this request"]],
  [503, ["The engine is overloaded: try again later", "overloaded"]],
  [529, ["Overloaded", "overloaded"]],
]);

/** The error a provider answers with for `status`, with the hints when to retry that were asked for. */
export function statusError(status: number, faults: Faults = {}, wallMs = 0): Refusal {
  const [message, code] = STATUS_ERRORS.get(status) ?? [`Simulated status ${status}`];
  const headers: (readonly [string, string])[] = [];
  if (faults.retryAfterSeconds !== undefined) {
    headers.push(["retry-after", String(faults.retryAfterSeconds)]);
  }
  if (faults.retryAfterMs !== undefined) {
    headers.push(["retry-after-ms", String(faults.retryAfterMs)]);
  }
  if (faults.retryAfterDateSeconds !== undefined) {
    const at = new Date(wallMs + faults.retryAfterDateSeconds * 1_000);
    headers.push(["retry-after", at.toUTCString()]);
  }
  return new Refusal(status, message, code === undefined ? { headers } : { headers, code });
}
