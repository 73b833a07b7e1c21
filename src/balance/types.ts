/**
 * What the rest of the gateway and the balancer say to each other.
 *
 * Times are seconds on a monotonic clock that the caller passes in.
 *
 * @module
 */

/** What a target can do; a request is only sent where it fits. */
export interface Capabilities {
  /** Prompt plus answer, in tokens; `null` where nobody said. */
  readonly contextTokens: number | null;
  /** Answers as a stream. */
  readonly streaming: boolean;
  /** Takes tool definitions. */
  readonly tools: boolean;
  /** Takes images. */
  readonly vision: boolean;
  /** Takes a JSON schema for its answer. */
  readonly jsonSchema: boolean;
  /** Continues a last message of the assistant instead of refusing it. */
  readonly prefill: boolean;
}

/** One (backend, upstream model) that can be drained, tripped and measured on its own. */
export interface TargetSpec {
  /** Identity of the measured state: pools that name the same key share it. */
  readonly key: string;
  /** Name of the backend in the configuration; a metric label. */
  readonly backend: string;
  /** Model name as the backend knows it. */
  readonly model: string;
  /** Relative share among the targets of a tier; above 0. */
  readonly weight: number;
  /** Preference: 0 is asked first. */
  readonly tier: number;
  /** Attempts in flight at most; `null` for no limit. */
  readonly maxConcurrency: number | null;
  /** Whether hedges may go to or start from here. */
  readonly hedge: boolean;
  /** What it can do. */
  readonly capabilities: Capabilities;
}

/** What one request asks of a target. */
export interface Demand {
  /** Prompt length in tokens (bytes / 4 where not counted). */
  readonly promptTokens: number;
  /** Longest answer asked for, in tokens; 0 where not said. */
  readonly answerTokensMax: number;
  /** Needs a stream. */
  readonly streaming: boolean;
  /** Needs tools. */
  readonly tools: boolean;
  /** Needs images. */
  readonly vision: boolean;
  /** Needs a JSON schema. */
  readonly jsonSchema: boolean;
  /** Whether the request may be sent twice. */
  readonly replayable: boolean;
  /** Whether a stream that broke after its first token may be carried on elsewhere. */
  readonly continuable: boolean;
  /** Affinity key: a session name, a cache key or the head of the prompt; `null` for none. */
  readonly affinityKey: string | null;
  /** The client's own deadline on the caller's clock, or `null`. */
  readonly deadlineSeconds: number | null;
}

/** Why an attempt failed: a closed list, used as metric label too. */
export type FailureReason =
  | "refused" // TCP refused
  | "dns"
  | "tls"
  | "connect_timeout"
  | "reset" // connection lost before the response was complete, no content sent on
  | "status_5xx" // 500, 502, 503, 504, 529 and other 5xx
  | "rate_limited" // 429
  | "unauthorized" // 401, 403
  | "model_missing" // 404
  | "context_length" // 400/413 that says the prompt does not fit
  | "bad_request" // 400, 413, 422 and other 4xx
  | "content_filter"
  | "unreadable" // a body that is no JSON, or not what the protocol says
  | "in_band" // an error event before any content
  | "first_token_timeout"
  | "cut" // after content: connection lost or no end marker
  | "idle_timeout" // after content: silence
  | "malformed" // after content: an event that cannot be read
  | "total_timeout";

/** One attempt's failure. */
export interface Failure {
  /** Why. */
  readonly reason: FailureReason;
  /** HTTP status, where one arrived. */
  readonly status: number | null;
  /** The backend's Retry-After in seconds, where given. */
  readonly retryAfterSeconds: number | null;
}

/** What an attempt was started for. */
export type AttemptKind = "first" | "retry" | "hedge" | "rescue" | "continuation";

/** One attempt, from pick to settlement. */
export interface Attempt {
  /** Counts from 1 within a request. */
  readonly id: number;
  /** Where it goes. */
  readonly target: TargetSpec;
  /** Why it was started. */
  readonly kind: AttemptKind;
  /** When it was started. */
  readonly startedSeconds: number;
}

/** What the caller must do next, in order. */
export type DispatchAction =
  /** Send the request to `attempt.target` now. */
  | { readonly type: "send"; readonly attempt: Attempt }
  /** Close this attempt's connection; it is already settled. */
  | { readonly type: "abort"; readonly attempt: Attempt }
  /** Feed `{ type: "wake" }` back at this time; replaces any earlier wake. */
  | { readonly type: "wake"; readonly atSeconds: number }
  /** Nothing more will be tried. Answer with `failure`, or where it is `null` with the code. */
  | {
    readonly type: "give_up";
    readonly failure: { readonly attempt: Attempt; readonly failure: Failure } | null;
    readonly code: "failed" | "no_healthy_backend" | "rate_limited" | "no_capable_target";
    readonly retryAfterSeconds: number | null;
  };

/** What can happen to a request's attempts. */
export type DispatchEvent =
  /** The first event with content arrived (streams), or the whole answer (non-streams). */
  | { readonly type: "first_token"; readonly attempt: Attempt }
  /** The attempt failed, before or after its first token. */
  | { readonly type: "failed"; readonly attempt: Attempt; readonly failure: Failure }
  /** The attempt ended well. */
  | {
    readonly type: "finished";
    readonly attempt: Attempt;
    /** Answer tokens (or content events where not counted). */
    readonly tokens: number;
    /** From first to last content; `null` for an answer that was not streamed. */
    readonly decodeSeconds: number | null;
    /** Prompt tokens as the backend counted them, or `null`. */
    readonly promptTokens: number | null;
  }
  /** The client left, or the gateway is shutting down: all attempts are to be settled. */
  | { readonly type: "cancelled" }
  /** A wake that was asked for is due. */
  | { readonly type: "wake" };

/** One target as an on-call person sees it. */
export interface TargetSnapshot {
  /** Backend name. */
  readonly backend: string;
  /** Upstream model. */
  readonly model: string;
  /** Cost of one more request now, in seconds (lower is preferred). */
  readonly score: number;
  /** Decayed first-token estimate, in seconds. */
  readonly latencySeconds: number;
  /** Silence: how long nothing came although somebody waits, in seconds. */
  readonly silenceSeconds: number;
  /** Decode factor, 1 to 10. */
  readonly decodeFactor: number;
  /** Slow-start factor, 0.1 to 1. */
  readonly slowStart: number;
  /** Attempts in flight. */
  readonly inFlight: number;
  /** Breaker state. */
  readonly breaker: "closed" | "open" | "half_open";
  /** Trips in a row. */
  readonly trips: number;
  /** Seconds until the breaker lets a probe through; 0 unless open. */
  readonly openSeconds: number;
  /** Seconds of cooldown left after a 429; 0 for none. */
  readonly cooldownSeconds: number;
}
