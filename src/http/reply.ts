/**
 * Answers that are JSON, errors among them.
 *
 * @module
 */
import { errorBody, type ErrorDetail } from "../backends/error_shape.ts";
import type { Surface } from "../backends/surface.ts";
import type { Reply } from "../ports.ts";

/** An answer of JSON. */
export function jsonReply(
  value: unknown,
  status = 200,
  headers: ReadonlyArray<readonly [string, string]> = [],
): Reply {
  return {
    status,
    headers: [["content-type", "application/json"], ...headers],
    body: JSON.stringify(value),
  };
}

/**
 * Builds an error answer in the shape of the API that was asked.
 *
 * @param surface Whose shape it takes.
 * @param detail What went wrong; never a secret.
 * @param requestId For the header that names this request in the logs.
 * @param retryAfterSeconds When another try makes sense.
 */
export function errorReply(
  surface: Surface,
  detail: ErrorDetail,
  requestId: string,
  retryAfterSeconds: number | null,
): Reply {
  const headers: [string, string][] = [["x-request-id", requestId]];
  if (retryAfterSeconds !== null) {
    headers.push(["retry-after", String(Math.max(1, Math.ceil(retryAfterSeconds)))]);
  }
  if (detail.status === 401) headers.push(["www-authenticate", "Bearer"]);
  if (detail.status === 405) headers.push(["allow", "POST"]);
  return jsonReply(errorBody(surface, detail), detail.status, headers);
}
