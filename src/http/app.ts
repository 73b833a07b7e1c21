/**
 * The client side over HTTP: routes of the OpenAI and Anthropic APIs.
 *
 * A route translates: HTTP in, one call to the relay, HTTP out. Routing,
 * retries and streams live behind {@linkcode Completions}.
 *
 * `@std/http` would stand here (media types, status names, SSE): it is on JSR
 * only, so Deno's server and Hono do its part.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { ErrorDetail } from "../backends/error_shape.ts";
import type { Surface } from "../backends/surface.ts";
import { GatewayError } from "../errors.ts";
import type { Access } from "./access.ts";
import { type After, type BodyLimits, readBody } from "./body.ts";
import { errorReply } from "./reply.ts";

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
  readonly headers: Headers;
  /** When it had arrived, on the gateway's clock. */
  readonly startedMs: number;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
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
  complete(request: CompletionRequest): Promise<Response>;
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

/** Builds the routes. */
export function createApp(parts: AppParts): Hono {
  const app = new Hono();
  for (const [path, surface] of SURFACES) {
    app.post(path, (c) => handle(parts, surface, c.req.raw));
    app.all(path, (c) => methodNotAllowed(parts, surface, c));
  }
  app.get("/v1/models", (c) => guarded(parts, c, () => listModels(parts, c)));
  app.get("/v1/models/:model{.+}", (c) => guarded(parts, c, () => showModel(parts, c)));
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.notFound((c) => {
    const { pathname } = new URL(c.req.url);
    const error = new GatewayError(
      "not_found",
      `Cannot find ${c.req.method} ${pathname.slice(0, 200)}: this gateway has ` +
        `${SURFACES.map(([path]) => `POST ${path}`).join(", ")} and GET /v1/models`,
    );
    return refuse(parts, surfaceOf(c.req.raw), error, parts.nextRequestId());
  });
  app.onError((error, c) => refuse(parts, surfaceOf(c.req.raw), error, parts.nextRequestId()));
  return app;
}

async function handle(parts: AppParts, surface: Surface, request: Request): Promise<Response> {
  const startedMs = parts.nowMs();
  const requestId = requestIdOf(request.headers) ?? parts.nextRequestId();
  try {
    if (!parts.accepting()) throw shuttingDown();
    checkHead(request.headers, parts.limits.headersBytes);
    const tenant = parts.access.tenantOf(request.headers);
    const text = await readBody(request, parts.limits, parts.after);
    const { headers, signal } = request;
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

function guarded(parts: AppParts, c: Context, answer: () => Response): Response {
  try {
    checkHead(c.req.raw.headers, parts.limits.headersBytes);
    parts.access.tenantOf(c.req.raw.headers);
    return answer();
  } catch (error) {
    return refuse(parts, surfaceOf(c.req.raw), error, parts.nextRequestId());
  }
}

function listModels(parts: AppParts, c: Context): Response {
  const { models } = parts.completions;
  if (surfaceOf(c.req.raw) !== "messages") {
    return c.json({ object: "list", data: models.map((id) => openAiModel(id, parts)) });
  }
  return c.json({
    data: models.map((id) => anthropicModel(id, parts)),
    first_id: models[0] ?? null,
    last_id: models.at(-1) ?? null,
    has_more: false,
  });
}

function showModel(parts: AppParts, c: Context): Response {
  const id = c.req.param("model") ?? "";
  if (!parts.completions.models.includes(id)) {
    throw new GatewayError(
      "model_not_found",
      `Cannot find model ${JSON.stringify(id.slice(0, 100))}: GET /v1/models lists those there are`,
      { param: "model" },
    );
  }
  const anthropic = surfaceOf(c.req.raw) === "messages";
  return c.json(anthropic ? anthropicModel(id, parts) : openAiModel(id, parts));
}

function openAiModel(id: string, parts: AppParts): Record<string, unknown> {
  return { id, object: "model", created: parts.createdSeconds, owned_by: "weir" };
}

function anthropicModel(id: string, parts: AppParts): Record<string, unknown> {
  const created = new Date(parts.createdSeconds * 1_000).toISOString();
  return { type: "model", id, display_name: id, created_at: created };
}

function methodNotAllowed(parts: AppParts, surface: Surface, c: Context): Response {
  const error = new GatewayError(
    "method_not_allowed",
    `Cannot ${c.req.method} ${new URL(c.req.url).pathname}: only POST is answered here`,
  );
  const reply = refuse(parts, surface, error, parts.nextRequestId());
  reply.headers.set("allow", "POST");
  return reply;
}

function refuse(parts: AppParts, surface: Surface, error: unknown, requestId: string): Response {
  const { detail, retryAfterSeconds } = parts.explain(error, requestId);
  return errorReply(surface, detail, requestId, retryAfterSeconds);
}

/** The shape a client expects where the path alone does not tell. */
function surfaceOf(request: Request): Surface {
  const anthropic = request.headers.has("anthropic-version") ||
    request.url.includes("/v1/messages");
  return anthropic ? "messages" : "chat";
}

/** A client may name its request, within reason: the name goes into logs and headers. */
function requestIdOf(headers: Headers): string | null {
  const id = headers.get("x-request-id");
  return id !== null && /^[\w.:-]{1,128}$/.test(id) ? id : null;
}

function checkHead(headers: Headers, headersBytes: number): void {
  let sizeBytes = 0;
  for (const [name, value] of headers) sizeBytes += name.length + value.length + 4;
  if (sizeBytes <= headersBytes) return;
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
