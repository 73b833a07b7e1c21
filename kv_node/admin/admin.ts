/**
 * The operator's side of a node over HTTP: health, metrics, status, databases,
 * tokens, backups.
 *
 * Looking is free, as the listener is the operators' own; whatever changes
 * something or shows content asks for the node's access token, where it has one.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { KvError } from "../errors.ts";
import type { DatabaseRecord, Registry } from "../registry/registry.ts";
import { DEFAULT_LIMITS, type Limits } from "../types.ts";
import type { NodeStatus } from "./status.ts";
import { statusPage } from "./status_page.ts";

/** What the admin listener shows and does. */
export interface KvAdminParts {
  /** Metrics in the form that the Accept header asks for. */
  readonly metrics: (accept: string | null) => Promise<{ body: string; contentType: string }>;
  /** How the node is. */
  readonly status: () => NodeStatus;
  /** Databases and tokens; `null` until the node serves. */
  readonly registry: () => Registry | null;
  /** Everything at one moment, as the file of `kv backup`; `null` until the node serves. */
  readonly backup: () => ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Whether a bearer may change things. */
  readonly authorized: (bearer: string | null) => boolean;
}

const BODY_BYTES_MAX = 65_536;

/** Builds the admin routes. */
export function createKvAdmin(parts: KvAdminParts): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: BODY_BYTES_MAX, onError: (c) => problem(c, tooLarge()) }));
  app.get("/metrics", async (c) => {
    const { body, contentType } = await parts.metrics(c.req.header("accept") ?? null);
    return c.body(body, 200, { "content-type": contentType });
  });
  app.get("/healthz", (c) => {
    const isWell = parts.status().phase !== "failed";
    return c.json({ status: isWell ? "ok" : "failed" }, isWell ? 200 : 503);
  });
  app.get("/readyz", (c) => {
    const { phase, replayed, writesRefused } = parts.status();
    const isReady = phase === "serving";
    return c.json(
      { status: isReady ? "ready" : phase, replayed, writesRefused },
      isReady ? 200 : 503,
    );
  });
  app.get("/status", (c) => c.json(parts.status()));
  app.get("/", (c) => c.html(statusPage(parts.status())));
  addDatabaseRoutes(app, parts);
  app.get("/backup", (c) => {
    demandToken(c, parts);
    const stream = parts.backup();
    if (stream === null) throw notYet();
    return c.body(stream, 200, { "content-type": "application/octet-stream" });
  });
  app.notFound((c) => problem(c, new KvError("not_found", `Cannot find ${c.req.path}`)));
  app.onError((error, c) => {
    if (error instanceof KvError) return problem(c, error);
    return problem(c, new KvError("internal", "Cannot answer: an internal error"));
  });
  return app;
}

function addDatabaseRoutes(app: Hono, parts: KvAdminParts): void {
  app.get("/databases", (c) => {
    const registry = registryOf(parts);
    return c.json({ databases: registry.list().map((one) => shown(one, registry)) });
  });
  app.put("/databases/:name", async (c) => {
    demandToken(c, parts);
    const registry = registryOf(parts);
    const change = changeFrom(await bodyOf(c));
    await registry.create(c.req.param("name"));
    const record = await registry.update(
      c.req.param("name"),
      (one) => ({ ...one, ...change, limits: { ...one.limits, ...change.limits } }),
    );
    return c.json(shown(record, registry));
  });
  app.post("/databases/:name/tokens", async (c) => {
    demandToken(c, parts);
    return c.json(await registryOf(parts).addToken(c.req.param("name")), 201);
  });
  app.delete("/databases/:name/tokens/:id", async (c) => {
    demandToken(c, parts);
    await registryOf(parts).removeToken(c.req.param("name"), c.req.param("id"));
    return c.json({ revoked: c.req.param("id") });
  });
  app.post("/signing-keys/rotate", async (c) => {
    demandToken(c, parts);
    await registryOf(parts).rotateSigningKeys();
    return c.json({ rotated: true });
  });
}

function demandToken(c: Context, { authorized }: KvAdminParts): void {
  const [scheme = "", token = ""] = (c.req.header("authorization") ?? "").split(" ", 2);
  if (authorized(scheme.toLowerCase() === "bearer" ? token : null)) return;
  throw new KvError(
    "unauthorized",
    "Cannot do that: send the node's access token as Authorization: Bearer …",
  );
}

function registryOf({ registry }: KvAdminParts): Registry {
  const there = registry();
  if (there === null) throw notYet();
  return there;
}

function notYet(): KvError {
  return new KvError("starting", "Cannot answer yet: the node is replaying its log");
}

function tooLarge(): KvError {
  return new KvError(
    "too_large",
    `Cannot read the body: it is longer than ${BODY_BYTES_MAX} bytes`,
  );
}

async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  if (text.length > BODY_BYTES_MAX) {
    throw new KvError(
      "too_large",
      `Cannot read the body: it is longer than ${BODY_BYTES_MAX} bytes`,
    );
  }
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new KvError("bad_request", "Cannot read the body: it is no JSON");
  }
}

type Change = Partial<Pick<DatabaseRecord, "limits" | "readDisabled" | "writeDisabled">>;

function changeFrom(body: unknown): Change {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new KvError("bad_request", "Cannot change the database: the body is no JSON object");
  }
  const change: { -readonly [Name in keyof Change]: Change[Name] } = {};
  for (const [name, value] of Object.entries(body)) {
    if (name === "limits") {
      change.limits = limitsFrom(value);
    } else if (
      (name === "readDisabled" || name === "writeDisabled") && typeof value === "boolean"
    ) {
      change[name] = value;
    } else {
      throw new KvError(
        "bad_request",
        "Cannot change the database: it takes limits (an object), readDisabled and writeDisabled " +
          "(true or false)",
      );
    }
  }
  return change;
}

function limitsFrom(value: unknown): Partial<Limits> {
  const names = Object.keys(DEFAULT_LIMITS);
  const entries = typeof value === "object" && value !== null ? Object.entries(value) : null;
  const isFit = entries?.every(([name, limit]) =>
    names.includes(name) && Number.isSafeInteger(limit) && limit >= 0
  );
  if (entries !== null && isFit === true) return Object.fromEntries(entries);
  throw new KvError(
    "bad_request",
    `Cannot set the limits: they are whole numbers from 0 on, called ${names.join(", ")}`,
  );
}

/** A database without what must not be seen. */
function shown(record: DatabaseRecord, registry: Registry): unknown {
  const { name, id, readDisabled, writeDisabled, tokens } = record;
  return {
    name,
    id,
    readDisabled,
    writeDisabled,
    tokens: tokens.map((token) => token.id),
    limits: registry.limitsOf(record),
  };
}

function problem(c: Context, error: KvError): Response {
  return c.json({ error: { code: error.code, message: error.message } }, error.status);
}
