/**
 * The cache over HTTP: what operators see and do, and the one thing clients may.
 *
 * @module
 */
import type { Context, Hono } from "hono";
import * as z from "zod";
import type { Selector } from "../cache/types.ts";

/** What an operator may ask for. */
export interface EntryFilter {
  /** Of this model alias. */
  readonly route: string | null;
  /** With this tag. */
  readonly tag: string | null;
  /** At most so many. */
  readonly limit: number;
}

/** What the routes need of the cache. Everything returned is written out as JSON. */
export interface CacheOperations {
  /** Counts of all parts. */
  summary(): unknown;
  /** Entries, newest first. */
  entries(filter: EntryFilter): readonly unknown[];
  /** One entry; `null` where there is none. */
  entry(publicId: string, withContent: boolean): unknown;
  /** The entry a name stands for. */
  idOf(publicId: string): number | null;
  /** Lookups just under the line, and what another threshold would have done. */
  nearMisses(
    filter: { readonly route: string | null; readonly limit: number },
    threshold: number | null,
  ): unknown;
  /** What similarity has been shown to be worth. */
  standings(): unknown;
  /** The tag of a system prompt's text. */
  prefixTag(systemText: string): string;
  /** The tag of a tenant's own tag. */
  clientTag(tenant: string, tag: string): string;
  /** Makes an invalidation. */
  invalidate(selector: Selector): void;
}

const name = z.string().min(1).max(512);

/** Exactly one of these. */
const Invalidation = z.union([
  z.strictObject({ all: z.literal(true) }),
  z.strictObject({ id: name }),
  z.strictObject({ model: name }),
  z.strictObject({ route: name }),
  z.strictObject({ tenant: z.string().max(512) }),
  z.strictObject({ prefix: z.string().min(1) }),
  z.strictObject({ tag: name, tenant: z.string().max(512).default("") }),
]);

const HINT = 'send one of {"all":true}, {"id":…}, {"model":…}, {"route":…}, {"tenant":…}, ' +
  '{"prefix":"the system prompt"}, {"tag":…,"tenant":…}';

const LIMIT = 100;
const LIMIT_MAX = 10_000;

/** Adds the operators' routes. */
export function addCacheRoutes(app: Hono, cache: CacheOperations): void {
  app.get("/cache", (c) => c.json(asJson(cache.summary())));
  app.get("/cache/entries", (c) => {
    const filter = {
      route: c.req.query("route") ?? null,
      tag: c.req.query("tag") ?? null,
      limit: limitOf(c),
    };
    return c.json({ entries: asJson(cache.entries(filter)) });
  });
  app.get("/cache/entries/:id", (c) => {
    const entry = cache.entry(c.req.param("id"), c.req.query("content") === "true");
    return entry === null ? notFound(c) : c.json(asJson(entry));
  });
  app.delete("/cache/entries/:id", (c) => {
    const id = cache.idOf(c.req.param("id"));
    if (id === null) return notFound(c);
    cache.invalidate({ type: "id", id });
    return c.json({ invalidated: true });
  });
  app.get("/cache/near-misses", (c) => {
    const filter = { route: c.req.query("route") ?? null, limit: limitOf(c) };
    const asked = Number(c.req.query("threshold") ?? Number.NaN);
    return c.json(asJson(cache.nearMisses(filter, Number.isFinite(asked) ? asked : null)));
  });
  app.get("/cache/verified", (c) => c.json(asJson(cache.standings())));
  app.post("/cache/invalidate", async (c) => {
    const asked = Invalidation.safeParse(await c.req.json().catch(() => null));
    if (!asked.success) return refuse(c, 400, `Cannot invalidate: ${HINT}`);
    const selector = selectorOf(asked.data, cache);
    if (selector === null) return notFound(c);
    cache.invalidate(selector);
    return c.json({ invalidated: true });
  });
}

function selectorOf(
  asked: z.output<typeof Invalidation>,
  cache: CacheOperations,
): Selector | null {
  if ("all" in asked) return { type: "all" };
  if ("id" in asked) {
    const id = cache.idOf(asked.id);
    return id === null ? null : { type: "id", id };
  }
  if ("tag" in asked) return { type: "tag", tag: cache.clientTag(asked.tenant, asked.tag) };
  if ("prefix" in asked) return { type: "tag", tag: cache.prefixTag(asked.prefix) };
  if ("model" in asked) return { type: "tag", tag: `model:${asked.model}` };
  if ("route" in asked) return { type: "tag", tag: `route:${asked.route}` };
  return { type: "tag", tag: `tenant:${asked.tenant}` };
}

function limitOf(c: Context): number {
  const asked = Number(c.req.query("limit") ?? LIMIT);
  return Number.isInteger(asked) && asked > 0 ? Math.min(asked, LIMIT_MAX) : LIMIT;
}

function notFound(c: Context): Response {
  return refuse(c, 404, "Cannot find entry: none has this id; GET /cache/entries lists them");
}

function refuse(c: Context, status: 400 | 404, message: string): Response {
  return c.json({ error: { message } }, status);
}

/** Hono wants to know that it is JSON; what an operation returns is. */
function asJson(value: unknown): Record<string, unknown> {
  return value as Record<string, unknown>;
}
