/**
 * What a client is told when no backend could answer.
 *
 * @module
 */
import type { ErrorDetail } from "../backends/error_shape.ts";
import type { DispatchAction, FailureReason } from "../balance/types.ts";
import { GatewayError, type GatewayErrorCode } from "../errors.ts";
import type { AttemptFailed } from "./attempt.ts";

/** A backend's own error, passed on with its status, code and message. */
export class BackendReply extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "BackendReply";
  /** What the backend said. */
  readonly detail: ErrorDetail;
  /** Its Retry-After, in seconds. */
  readonly retryAfterSeconds: number | null;

  /** Wraps what a backend said. */
  constructor(detail: ErrorDetail, retryAfterSeconds: number | null) {
    super(detail.message);
    this.detail = detail;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** What a request without an answer ends in. */
export type Refusal = GatewayError | BackendReply;

type GiveUp = Extract<DispatchAction, { type: "give_up" }>;

const CODE_BY_REASON: Partial<Record<FailureReason, GatewayErrorCode>> = {
  first_token_timeout: "first_token_timeout",
  idle_timeout: "idle_timeout",
  total_timeout: "total_timeout",
  unreadable: "answer_unreadable",
  malformed: "answer_unreadable",
  cut: "stream_cut",
};

/** Says why nothing more is tried. */
export function refusalOf(
  action: GiveUp,
  failed: AttemptFailed | null,
  model: string,
): Refusal {
  const retryAfter = action.retryAfterSeconds ?? failed?.retryAfterSeconds ?? null;
  const options = retryAfter === null
    ? {}
    : { retryAfterSeconds: Math.max(1, Math.ceil(retryAfter)) };
  if (failed !== null) {
    if (failed.detail !== null) return new BackendReply(failed.detail, retryAfter);
    const code = CODE_BY_REASON[failed.reason] ?? "backend_failed";
    return new GatewayError(code, failed.message, { ...options, cause: failed });
  }
  switch (action.code) {
    case "rate_limited":
      return new GatewayError(
        "rate_limited",
        `Cannot answer for model ${model}: every backend asked to be left alone for now`,
        options,
      );
    case "no_capable_target":
      return new GatewayError(
        "invalid_request",
        `Cannot answer for model ${model}: none of its backends offers what the request needs ` +
          "(tools, images, JSON schema, streaming or a context of this length)",
      );
    case "no_healthy_backend":
    case "failed":
      return new GatewayError(
        "no_healthy_backend",
        `Cannot answer for model ${model}: no backend is healthy`,
        options,
      );
  }
}

/** The error as it stands in a body, whoever it comes from. */
export function detailOf(refusal: Refusal): ErrorDetail {
  if (refusal instanceof BackendReply) return refusal.detail;
  return {
    status: refusal.status,
    code: refusal.code,
    message: refusal.message,
    param: refusal.param,
  };
}
