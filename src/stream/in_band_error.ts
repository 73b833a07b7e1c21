/**
 * Errors that arrive as data, after a status of 200 has been sent.
 *
 * @module
 */
import { type InBandError, isObject, isText, type JsonObject } from "./wire.ts";

/** Statuses for the error types and codes that OpenAI and Anthropic document. */
const STATUS_BY_NAME: ReadonlyMap<string, number> = new Map([
  ["invalid_request_error", 400],
  ["invalid_prompt", 400],
  ["context_length_exceeded", 400],
  ["content_filter", 400],
  ["content_policy_violation", 400],
  ["authentication_error", 401],
  ["invalid_api_key", 401],
  ["billing_error", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["model_not_found", 404],
  ["request_too_large", 413],
  ["rate_limit_error", 429],
  ["rate_limit_exceeded", 429],
  ["insufficient_quota", 429],
  ["api_error", 500],
  ["server_error", 500],
  ["internal_server_error", 500],
  ["timeout_error", 504],
  ["overloaded_error", 529],
]);

/**
 * The error in an event's or an answer's data, if it holds one.
 *
 * Understood: `{"error": {…}}`, `{"error": "text"}`, `{"type": "error", …}` with
 * the details inside `error` or beside `type`, `{"object": "error", …}`, and
 * any data under the event name `error`.
 *
 * @param event The event's name; `null` for none, and for whole answers.
 */
export function errorFrom(json: JsonObject, event: string | null): InBandError | null {
  const { error } = json;
  if (isObject(error)) return describe(error, json.status ?? json.status_code);
  if (isText(error)) return describe({ ...json, message: error }, null);
  if (json.object === "error" || json.type === "error" || event === "error") {
    return describe(json, null);
  }
  return null;
}

/** The error of a response object that says `failed` or `cancelled`. */
export function failedResponse(response: JsonObject): InBandError {
  const { error } = response;
  if (isObject(error)) return describe(error, null);
  const code = isText(response.status) ? response.status : "failed";
  return { status: null, code, type: null, message: `The response is ${code}` };
}

function describe(error: JsonObject, outerStatus: unknown): InBandError {
  const code = isText(error.code) || typeof error.code === "number" ? String(error.code) : null;
  const named = error.type === "error" ? error.error_type : error.type;
  const type = isText(named) ? named : null;
  return {
    status: httpStatus(error.code) ?? httpStatus(error.status) ?? httpStatus(error.status_code) ??
      httpStatus(outerStatus) ?? STATUS_BY_NAME.get(code ?? "") ?? STATUS_BY_NAME.get(type ?? "") ??
      null,
    code,
    type,
    message: isText(error.message) ? error.message : "The backend reported an error",
  };
}

/** A number, or its digits, that can be the status of a failure. */
function httpStatus(value: unknown): number | null {
  const status = typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value;
  return typeof status === "number" && status >= 400 && status <= 599 ? status : null;
}
