/**
 * Errors as HTTP answers, in the shape of the API that was asked.
 *
 * @module
 */
import { errorBody, type ErrorDetail } from "../backends/error_shape.ts";
import type { Surface } from "../backends/surface.ts";

/**
 * Builds an error answer.
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
): Response {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "x-request-id": requestId,
  };
  if (retryAfterSeconds !== null) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfterSeconds)));
  }
  if (detail.status === 401) headers["www-authenticate"] = "Bearer";
  return new Response(JSON.stringify(errorBody(surface, detail)), {
    status: detail.status,
    headers,
  });
}
