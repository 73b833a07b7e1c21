/**
 * Which path means what.
 *
 *     /                          databases by their default name, metadata exchange
 *     /NAME                      metadata exchange
 *     /NAME/data/OPERATION       data path of KV Connect
 *     /NAME/ROUTE/OPERATION      whatever else a node offers for a database
 *
 * A name stands always first and alone, so no database can be called like a route.
 * No URL object is made: this stands in the way of every request.
 *
 * @module
 */

/** The database behind `/`. */
export const DEFAULT_NAME = "default";
/** The route of the data path. */
export const DATA_ROUTE = "data";

/** Something that is asked of a database. */
export interface OperationRoute {
  /** Tells routes apart. */
  readonly type: "operation";
  /** The database's name. */
  readonly name: string;
  /** {@linkcode DATA_ROUTE} or another part of the node. */
  readonly route: string;
  /** All that follows. */
  readonly operation: string;
}

/** What a path means; a `name` of `null` stands for `/`. */
export type Route =
  | { readonly type: "metadata"; readonly name: string | null }
  | OperationRoute
  | { readonly type: "none" };

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const ROOT: Route = { type: "metadata", name: null };
const NONE: Route = { type: "none" };
const SLASH = "/";

/** Whether a database may have this name. */
export function isDatabaseName(name: string): boolean {
  return NAME.test(name);
}

/** Reads the path of an absolute URL; a query is ignored, a slash at the end is not. */
export function routeOf(url: string): Route {
  const start = pathStart(url);
  const query = url.indexOf("?", start);
  const end = query < 0 ? url.length : query;
  if (start >= end) return ROOT;
  const nameEnd = segmentEnd(url, start, end);
  const name = url.slice(start, nameEnd);
  if (!NAME.test(name)) return NONE;
  if (nameEnd === end) return { type: "metadata", name };
  const routeEnd = segmentEnd(url, nameEnd + 1, end);
  if (routeEnd === end) return NONE;
  return {
    type: "operation",
    name,
    route: url.slice(nameEnd + 1, routeEnd),
    operation: url.slice(routeEnd + 1, end),
  };
}

/** Host and port of an absolute URL. */
export function hostOf(url: string): string {
  return url.slice(hostStart(url), pathStart(url) - 1);
}

function hostStart(url: string): number {
  return url.indexOf("://") + 3;
}

/** Behind the slash that the path begins with. */
function pathStart(url: string): number {
  const slash = url.indexOf(SLASH, hostStart(url));
  return slash < 0 ? url.length : slash + 1;
}

function segmentEnd(url: string, start: number, end: number): number {
  const slash = url.indexOf(SLASH, start);
  return slash < 0 || slash > end ? end : slash;
}
