/**
 * The client side over HTTP: routes of the OpenAI and Anthropic APIs.
 *
 * A route translates: HTTP in, one call to the relay, HTTP out. Routing to
 * backends, retries and streams live behind {@linkcode Completions}.
 *
 * Of Hono this side uses the router alone: requests and replies are the
 * gateway's own, since `Request` and `Response` cost more than all routing.
 *
 * @module
 */
import { RegExpRouter } from "hono/router/reg-exp-router";
import { SmartRouter } from "hono/router/smart-router";
import { TrieRouter } from "hono/router/trie-router";
import type { ErrorDetail } from "../backends/error_shape.ts";
import type { Surface } from "../backends/surface.ts";
import { GatewayError } from "../errors.ts";
import type { Departure, HeaderFields, Reply, ServerRequest } from "../ports.ts";
import type { Access } from "./access.ts";
import { type After, type BodyLimits, readBody } from "./body.ts";
import { errorReply, jsonReply } from "./reply.ts";

/** One request as the relay gets it. */
export interface CompletionRequest {
  /** The API it came in by. */
  readonly surface: Surface;
  /** The body, decoded. */
  readonly text: string;
  /** Name of this request in logs and response headers. */
  readonly requestId: string;
  /** Who asks, where keys are set. */
  readonly tenant: string | null;
  /** The client's headers. */
  readonly headers: HeaderFields;
  /** When it had arrived, on the gateway's clock. */
  readonly startedMs: number;
  /** Aborts when the client goes away. */
  readonly signal: Departure;
}

/** What the routes need from the gateway, and nothing more. */
export interface Completions {
  /** Model aliases on offer. */
  readonly models: readonly string[];
  /**
   * Answers a request.
   *
   * @throws What {@linkcode AppParts.explain} understands.
   */
  complete(request: CompletionRequest): Promise<Reply>;
  /**
   * A client says that a stored answer was wrong: it is not served again.
   *
   * @returns Whether this tenant has such an answer.
   */
  reportWrong(publicId: string, tenant: string | null): boolean;
}

/** An error, explained to a client. */
export interface Explanation {
  /** What is told. */
  readonly detail: ErrorDetail;
  /** When another try makes sense. */
  readonly retryAfterSeconds: number | null;
}

/** What the app is made of. */
export interface AppParts {
  /** Answers. */
  readonly completions: Completions;
  /** Keys. */
  readonly access: Access;
  /** Limits of body and head. */
  readonly limits: BodyLimits & { readonly headersBytes: number };
  /** The present, on the gateway's clock. */
  readonly nowMs: () => number;
  /** Seconds since the epoch at start: `created` of every model. */
  readonly createdSeconds: number;
  /** Timers. */
  readonly after: After;
  /** Names the next request. */
  readonly nextRequestId: () => string;
  /** Whether new requests are taken. */
  readonly accepting: () => boolean;
  /** Turns whatever was thrown into what a client may know; logs what is a bug. */
  readonly explain: (error: unknown, requestId: string) => Explanation;
}

const SURFACES: ReadonlyArray<readonly [string, Surface]> = [
  ["/v1/chat/completions", "chat"],
  ["/v1/completions", "completions"],
  ["/v1/responses", "responses"],
  ["/v1/embeddings", "embeddings"],
  ["/v1/messages", "messages"],
];

/** Answers a client's request. */
export type App = (request: ServerRequest) => Promise<Reply>;

type Handler = (request: ServerRequest, param: string) => Reply | Promise<Reply>;

/** Builds the routes. */
export function createApp(parts: AppParts): App {
  const router = new SmartRouter<Handler>({ routers: [new RegExpRouter(), new TrieRouter()] });
  for (const [path, surface] of SURFACES) {
    router.add("ALL", path, (request) => handle(parts, surface, request));
  }
  router.add("GET", "/v1/models", (request) => listModels(parts, request));
  router.add("GET", "/v1/models/:model{.+}", (request, id) => showModel(parts, request, id));
  router.add("POST", "/cache/:id/wrong", (request, id) => reportWrong(parts, request, id));
  router.add("GET", "/healthz", () => jsonReply({ status: "ok" }));
  return async (request) => {
    const path = pathOf(request.url);
    const [handlers, stash] = router.match(request.method, path);
    const [found] = handlers;
    if (found === undefined) return notFound(parts, request, path);
    const [handler, params] = found;
    const place = params["model"] ?? params["id"];
    const param = typeof place === "number" ? stash?.[place] : place;
    return await guarded(parts, request, () => handler(request, param ?? ""));
  };
}

async function handle(parts: AppParts, surface: Surface, request: ServerRequest): Promise<Reply> {
  const startedMs = parts.nowMs();
  const { headers, signal, method } = request;
  const requestId = requestIdOf(headers) ?? parts.nextRequestId();
  try {
    if (method !== "POST") throw methodNotAllowed(request);
    if (!parts.accepting()) throw shuttingDown();
    checkHead(headers, parts.limits.headersBytes);
    const tenant = parts.access.tenantOf(headers);
    const text = await readBody(request, parts.limits, parts.after);
    return await parts.completions.complete({
      surface,
      text,
      requestId,
      tenant,
      headers,
      startedMs,
      signal,
    });
  } catch (error) {
    return refuse(parts, surface, error, requestId);
  }
}

/** Whatever a route throws is explained to the client. */
async function guarded(
  parts: AppParts,
  request: ServerRequest,
  answer: () => Reply | Promise<Reply>,
): Promise<Reply> {
  try {
    return await answer();
  } catch (error) {
    return refuse(parts, surfaceOf(request), error, parts.nextRequestId());
  }
}

function notFound(parts: AppParts, request: ServerRequest, path: string): Reply {
  const error = new GatewayError(
    "not_found",
    `Cannot find ${request.method} ${path.slice(0, 200)}: this gateway has ` +
      `${SURFACES.map(([known]) => `POST ${known}`).join(", ")} and GET /v1/models`,
  );
  return refuse(parts, surfaceOf(request), error, parts.nextRequestId());
}

function listModels(parts: AppParts, request: ServerRequest): Reply {
  admit(parts, request);
  const { models } = parts.completions;
  if (surfaceOf(request) !== "messages") {
    return jsonReply({ object: "list", data: models.map((id) => openAiModel(id, parts)) });
  }
  return jsonReply({
    data: models.map((id) => anthropicModel(id, parts)),
    first_id: models[0] ?? null,
    last_id: models.at(-1) ?? null,
    has_more: false,
  });
}

function showModel(parts: AppParts, request: ServerRequest, encoded: string): Reply {
  admit(parts, request);
  const id = decoded(encoded);
  if (!parts.completions.models.includes(id)) {
    throw new GatewayError(
      "model_not_found",
      `Cannot find model ${JSON.stringify(id.slice(0, 100))}: GET /v1/models lists those there are`,
      { param: "model" },
    );
  }
  const anthropic = surfaceOf(request) === "messages";
  return jsonReply(anthropic ? anthropicModel(id, parts) : openAiModel(id, parts));
}

function reportWrong(parts: AppParts, request: ServerRequest, id: string): Reply {
  const tenant = admit(parts, request);
  if (parts.completions.reportWrong(id, tenant)) return jsonReply({ id, removed: true });
  throw new GatewayError(
    "entry_not_found",
    "Cannot report answer: none of yours has this id; it is the header weir-cache-id of a hit",
  );
}

/** Checks head and key; returns who asks. */
function admit(parts: AppParts, request: ServerRequest): string | null {
  checkHead(request.headers, parts.limits.headersBytes);
  return parts.access.tenantOf(request.headers);
}

function openAiModel(id: string, parts: AppParts): Record<string, unknown> {
  return { id, object: "model", created: parts.createdSeconds, owned_by: "weir" };
}

function anthropicModel(id: string, parts: AppParts): Record<string, unknown> {
  const created = new Date(parts.createdSeconds * 1_000).toISOString();
  return { type: "model", id, display_name: id, created_at: created };
}

function methodNotAllowed(request: ServerRequest): GatewayError {
  return new GatewayError(
    "method_not_allowed",
    `Cannot ${request.method} ${pathOf(request.url)}: only POST is answered here`,
  );
}

function refuse(parts: AppParts, surface: Surface, error: unknown, requestId: string): Reply {
  const { detail, retryAfterSeconds } = parts.explain(error, requestId);
  return errorReply(surface, detail, requestId, retryAfterSeconds);
}

/** The shape a client expects where the path alone does not tell. */
function surfaceOf(request: ServerRequest): Surface {
  const anthropic = request.headers.has("anthropic-version") ||
    pathOf(request.url).startsWith("/v1/messages");
  return anthropic ? "messages" : "chat";
}

/** The path of an absolute URL, without query; no URL object on the way of every request. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return text;
  }
}

/** A client may name its request, within reason: the name goes into logs and headers. */
function requestIdOf(headers: HeaderFields): string | null {
  const id = headers.get("x-request-id");
  return id !== null && /^[\w.:-]{1,128}$/.test(id) ? id : null;
}

function checkHead(headers: HeaderFields, headersBytes: number): void {
  if (headers.sizeBytes <= headersBytes) return;
  throw new GatewayError(
    "headers_too_large",
    `Cannot take request: its headers are longer than ${headersBytes} bytes (limits.headersBytes)`,
  );
}

function shuttingDown(): GatewayError {
  return new GatewayError("shutting_down", "Cannot take request: the gateway is shutting down", {
    retryAfterSeconds: 1,
  });
}
