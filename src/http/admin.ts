/**
 * The operator's side over HTTP: metrics and health.
 *
 * @module
 */
import { Hono } from "hono";
import type { TargetSnapshot } from "../balance/types.ts";
import { addCacheRoutes, type CacheOperations } from "./cache_routes.ts";

/** What the admin listener shows. */
export interface AdminParts {
  /** Metrics in the form that the Accept header asks for. */
  readonly metrics: (accept: string | null) => Promise<{ body: string; contentType: string }>;
  /** Whether new requests are taken. */
  readonly ready: () => boolean;
  /** Every target as the balancer sees it. */
  readonly targets: () => readonly TargetSnapshot[];
  /** Requests under way. */
  readonly running: () => number;
  /** The cache; `null` where no model has one. */
  readonly cache: CacheOperations | null;
  /** The program's version. */
  readonly version: string;
}

/** Builds the admin routes. */
export function createAdmin(parts: AdminParts): Hono {
  const app = new Hono();
  app.get("/metrics", async (c) => {
    const { body, contentType } = await parts.metrics(c.req.header("accept") ?? null);
    return c.body(body, 200, { "content-type": contentType });
  });
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    const ready = parts.ready();
    const targets = parts.targets();
    return c.json({
      status: ready ? "ready" : "draining",
      version: parts.version,
      requestsInFlight: parts.running(),
      targetsClosed: targets.filter((target) => target.breaker === "closed").length,
      targets: targets.length,
    }, ready ? 200 : 503);
  });
  app.get("/backends", (c) => c.json({ backends: parts.targets() }));
  if (parts.cache !== null) addCacheRoutes(app, parts.cache);
  app.notFound((c) =>
    c.json({
      error: {
        message: `Cannot find ${new URL(c.req.url).pathname}: the admin listener has ` +
          "/metrics, /healthz, /readyz, /backends and, where a model has a cache, /cache",
      },
    }, 404)
  );
  return app;
}
