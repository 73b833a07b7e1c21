/**
 * Errors on the wire: told in the caller's API, read from any backend's.
 *
 * @module
 */
import type { FailureReason } from "../balance/types.ts";
import { readErrorParts } from "./error_text.ts";
import { errorTypeFor, type Protocol, type Surface } from "./surface.ts";

/** An error as all protocols have it in common. */
export interface ErrorDetail {
  /** HTTP status. */
  readonly status: number;
  /** Stable, machine-readable reason, where one is known. */
  readonly code: string | null;
  /** The backend's class of errors; derived from the status where absent. */
  readonly type?: string | null;
  /** For people. */
  readonly message: string;
  /** The field of the request that is wrong. */
  readonly param?: string | null;
}

/** Error types that clients of the Messages API know; others are replaced. */
const MESSAGES_TYPES: ReadonlySet<string> = new Set([
  "invalid_request_error",
  "authentication_error",
  "billing_error",
  "permission_error",
  "not_found_error",
  "request_too_large",
  "rate_limit_error",
  "timeout_error",
  "api_error",
  "overloaded_error",
]);

/**
 * An error body in the caller's API.
 *
 *     OpenAI      {error: {message, type, param, code}}
 *     Anthropic   {type: "error", error: {type, message}}, plus `code` and
 *                 `param` where known: the protocol has no place for them, and
 *                 its clients ignore fields they do not know
 */
export function errorBody(surface: Surface, error: ErrorDetail): Record<string, unknown> {
  const derived = errorTypeFor(error.status, surface);
  if (surface !== "messages") return { error: openaiError(error, derived) };
  const type = error.type ?? "";
  const inner: Record<string, unknown> = {
    type: MESSAGES_TYPES.has(type) ? type : derived,
    message: error.message,
  };
  if (error.code !== null) inner["code"] = error.code;
  const param = error.param ?? null;
  if (param !== null) inner["param"] = param;
  return { type: "error", error: inner };
}

/**
 * An error in the middle of a stream, as SSE text.
 *
 * The published clients raise on it: `openai` looks for `error` in the data of
 * any event, `@anthropic-ai/sdk` for an event named `error`. The responses API
 * has its fields beside `type`; the same again under `error` is for the first.
 */
export function errorEvent(surface: Surface, error: ErrorDetail): string {
  switch (surface) {
    case "messages":
      return `event: error\ndata: ${JSON.stringify(errorBody(surface, error))}\n\n`;
    case "responses": {
      const inner = openaiError(error, errorTypeFor(error.status, surface));
      const data = {
        type: "error",
        code: inner.code,
        message: inner.message,
        param: inner.param,
        sequence_number: 0,
        error: inner,
      };
      return `event: error\ndata: ${JSON.stringify(data)}\n\n`;
    }
    default:
      return `data: ${JSON.stringify(errorBody(surface, error))}\n\n`;
  }
}

/**
 * Reads a backend's error body, of whatever shape.
 *
 * @param protocol What the backend speaks; named where the body says nothing.
 * @param status HTTP status it came with.
 * @param text The body, decoded; as much of it as was read.
 */
export function readErrorBody(protocol: Protocol, status: number, text: string): ErrorDetail {
  const parts = readErrorParts(text);
  return {
    status,
    code: parts.code,
    type: parts.type,
    message: parts.message ?? `Backend (${protocol}) answered with status ${status} and no message`,
    param: parts.param,
  };
}

const CONTEXT_CODES: ReadonlySet<string> = new Set([
  "context_length_exceeded",
  "context_window_exceeded",
  "exceed_context_size_error",
  "model_context_window_exceeded",
]);

/** Wordings of OpenAI, Anthropic, vLLM, llama.cpp (server and bindings), Ollama, Google, Cohere. */
const CONTEXT_WORDINGS: readonly RegExp[] = [
  /maximum (allowed )?(context|model|sequence|prompt|input) length/i,
  /context (size|window|length|limit)\b.{0,40}exceed/i,
  /exceeds?\b.{0,60}context (size|window|length|limit)/i,
  /(prompt|input)( is)? too (long|large)/i,
  /input tokens?( count)?\b.{0,40}exceed/i,
  /reduce the length of the (messages|prompt|input)/i,
  /too many (input |prompt )?tokens/i,
];

const FILTER_CODES: ReadonlySet<string> = new Set([
  "content_policy_violation",
  "content_filter",
  "content_filter_error",
  "content_blocked",
  "moderation_blocked",
  "data_inspection_failed",
  "responsibleaipolicyviolation",
]);

const FILTER_WORDINGS: readonly RegExp[] = [
  /content (management|usage|safety|filter(ing)?) polic/i,
  /blocked by.{0,20}content[ -]filter/i,
  /rejected as a result of our safety system/i,
  /violates?.{0,30}(usage|content|safety) (guidelines|polic)/i,
];

const MODEL_CODES: ReadonlySet<string> = new Set([
  "model_not_found",
  "model_not_available",
  "deploymentnotfound",
]);

const MODEL_WORDINGS: readonly RegExp[] = [
  /\bmodel\b.{0,200}(not found|does not exist|not available|not exist|unknown|not supported)/is,
  /(unknown|invalid|no such|not a valid) model\b/i,
  /^model: /i, // Anthropic: {"type":"not_found_error","message":"model: claude-x"}
  /\bdeployment\b.{0,80}does not exist/i,
];

/** Refusals by the account behind the gateway's credential, which some backends send as 400. */
const ACCOUNT_WORDINGS: readonly RegExp[] = [/credit balance is too low/i];

/**
 * Why an attempt failed, from the backend's error.
 *
 * @param status HTTP status; 200 for an error in the middle of a stream.
 * @param detail What {@linkcode readErrorBody} found.
 */
export function classify(status: number, detail: ErrorDetail): FailureReason {
  const names = [detail.code, detail.type].map((name) => name?.toLowerCase() ?? "");
  const named = (codes: ReadonlySet<string>) => names.some((name) => codes.has(name));
  const worded = (wordings: readonly RegExp[]) =>
    wordings.some((wording) => wording.test(detail.message));

  if (status === 429 || (status === 413 && names.includes("rate_limit_exceeded"))) {
    return "rate_limited";
  }
  if (named(CONTEXT_CODES)) return "context_length";
  if (named(FILTER_CODES)) return "content_filter";
  if (status === 401 || status === 402) return "unauthorized";
  if (worded(FILTER_WORDINGS)) return "content_filter";
  if (status === 403 || worded(ACCOUNT_WORDINGS)) return "unauthorized";
  // llama.cpp says 500 for a context that is full; asking again would not help.
  if (status <= 500 && worded(CONTEXT_WORDINGS)) return "context_length";
  if (status >= 500) return "status_5xx";
  if (status < 400) return "in_band";
  if (named(MODEL_CODES)) return "model_missing";
  if (status === 404 && worded(MODEL_WORDINGS)) return "model_missing";
  return "bad_request";
}

/** Wordings of Anthropic, Bedrock, Mistral, vLLM and llama.cpp. */
const PREFILL_WORDINGS: readonly RegExp[] = [
  /\bprefill/i,
  /must end with a user message/i,
  /ends? with (a|the) user role/i,
  /last message.{0,60}(must|should|has to) be.{0,40}\b(user|tool)\b/i,
  /expected last role/i,
  /last message is from the assistant/i,
  /assistant messages at the end of the list/i,
  /final assistant content cannot end with trailing whitespace/i,
];

/**
 * Whether a backend refused to carry on a last message of the assistant.
 *
 * Such a request can be sent again without that message.
 */
export function isPrefillRejection(detail: ErrorDetail): boolean {
  if (detail.status >= 500 || detail.status === 429) return false;
  return PREFILL_WORDINGS.some((wording) => wording.test(detail.message));
}

interface OpenaiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

function openaiError(error: ErrorDetail, derivedType: string): OpenaiError {
  return {
    message: error.message,
    type: error.type ?? derivedType,
    param: error.param ?? null,
    code: error.code,
  };
}
