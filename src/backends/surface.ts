/**
 * The APIs a caller may use, and the protocols a backend may speak.
 *
 * @module
 */

/** An API as the caller sees it, named after the end of its path. */
export type Surface = "chat" | "completions" | "responses" | "embeddings" | "messages";

/** What a backend speaks. */
export type Protocol = "openai" | "azure" | "anthropic";

/**
 * The API in which a backend is to be asked.
 *
 * Chat completions and messages are translated into each other; everything else
 * needs a backend that has it.
 *
 * @param surface What the caller used.
 * @param protocol What the backend speaks.
 * @returns `null` if such a backend cannot serve such a caller.
 */
export function upstreamSurface(surface: Surface, protocol: Protocol): Surface | null {
  if (protocol === "anthropic") {
    return surface === "messages" || surface === "chat" ? "messages" : null;
  }
  return surface === "messages" ? "chat" : surface;
}

/**
 * The error type that an API gives an HTTP status.
 *
 * Sources: the error types of the Messages API, and of the OpenAI API, as their
 * published clients list them.
 */
export function errorTypeFor(status: number, surface: Surface): string {
  return surface === "messages" ? messagesErrorType(status) : openaiErrorType(status);
}

function messagesErrorType(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    case 504:
      return "timeout_error";
  }
  return status >= 400 && status < 500 ? "invalid_request_error" : "api_error";
}

function openaiErrorType(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
  }
  return status >= 400 && status < 500 ? "invalid_request_error" : "server_error";
}
