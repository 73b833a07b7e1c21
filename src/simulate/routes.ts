/**
 * What an HTTP request says about where it wants to go and who sent it.
 *
 * @module
 */

import type { HttpRequest } from "./transport/http1.ts";
import { Refusal } from "./refusal.ts";
import type { LogEntry } from "./request_log.ts";
import { isObject, type JsonObject } from "./requests/fields.ts";

/** The APIs that ask a model something. */
export type Surface = NonNullable<LogEntry["surface"]>;

const SURFACES: ReadonlyArray<readonly [path: string, surface: Surface]> = [
  ["/chat/completions", "chat"],
  ["/completions", "completions"],
  ["/responses", "responses"],
  ["/messages", "messages"],
  ["/embeddings", "embeddings"],
];

/** The fault that the request's headers name. */
export function ownFault(http: HttpRequest): string {
  const named = http.headers.get("x-sim-fault") ?? "";
  const words = http.headers.get("x-sim-words");
  if (words === undefined) return named;
  return named === "" ? `words=${words}` : `${named},words=${words}`;
}

/** The API that a path belongs to, whatever stands before it; `null` if none. */
export function surfaceOf(path: string): Surface | null {
  return SURFACES.find(([end]) => path.endsWith(end))?.[1] ?? null;
}

/** What the response has to know about the connection. */
export function connectionOf(http: HttpRequest): { keepAlive: boolean; oldHttp: boolean } {
  return { keepAlive: http.keepAlive, oldHttp: http.oldHttp };
}

/** The key a client sent, in any of the three usual headers. */
export function credentialOf(http: HttpRequest): string | null {
  const bearer = /^bearer (.+)$/i.exec(http.headers.get("authorization") ?? "")?.[1];
  return bearer ?? http.headers.get("x-api-key") ?? http.headers.get("api-key") ?? null;
}

/**
 * A body as JSON object.
 *
 * @throws {Refusal} With status 400 if it is none.
 */
export function jsonBody(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    throw new Refusal(400, `Cannot read body: ${error.message}`, { code: "invalid_json" });
  }
  if (isObject(value)) return value;
  throw new Refusal(400, "Cannot read body: it is no JSON object", { code: "invalid_json" });
}

/** Azure names the model in the path only. */
export function withDeployment(body: JsonObject, path: string): JsonObject {
  const deployment = /\/deployments\/([^/]+)\//.exec(path)?.[1];
  if (deployment === undefined || body["model"] !== undefined) return body;
  return { ...body, model: decodeURIComponent(deployment) };
}

/** Refuses a request that no route answers. */
export function unknownRoute(http: HttpRequest): never {
  if (surfaceOf(http.path) !== null) {
    const message = `Cannot answer ${http.method} ${http.path}: only POST is allowed`;
    throw new Refusal(405, message, { code: "method_not_allowed", headers: [["allow", "POST"]] });
  }
  const known = "/v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings, " +
    "/v1/messages, /v1/models, /health";
  const message = `Cannot answer ${http.method} ${http.path}: no such path (known: ${known})`;
  throw new Refusal(404, message, { code: "not_found" });
}
