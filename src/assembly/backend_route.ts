/**
 * From a configured backend to how it is reached.
 *
 * @module
 */
import { credentialHeaders } from "../backends/endpoint.ts";
import type { BackendConfig } from "../config/schema.ts";
import type { BackendRoute } from "../relay/plan.ts";

/** How a backend is reached, with the credential that was resolved for it. */
export function backendRoute(
  backend: BackendConfig,
  secrets: ReadonlyMap<string, string>,
): BackendRoute {
  const { name, protocol, baseUrl, apiVersion, includeUsage } = backend;
  const fixed = Object.entries(backend.headers ?? {})
    .map(([header, value]) => [header.toLowerCase(), value] as const);
  const credential = credentialHeaders(protocol, secrets.get(name) ?? null)
    .filter(([header]) => !fixed.some(([set]) => set === header));
  return {
    name,
    protocol,
    endpoint: { protocol, baseUrl, ...(apiVersion === undefined ? {} : { apiVersion }) },
    headers: [...credential, ...fixed],
    includeUsage,
  };
}
