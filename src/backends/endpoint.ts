/**
 * Where a backend is asked, and what proves that one may.
 *
 * @module
 */
import type { Protocol, Surface } from "./surface.ts";

/** What must be known of a backend to address it. */
export interface BackendEndpoint {
  /** What it speaks. */
  readonly protocol: Protocol;
  /** Absolute URL; a trailing slash and a query are tolerated. */
  readonly baseUrl: string;
  /** The `api-version` of Azure; other protocols ignore it. */
  readonly apiVersion?: string;
}

/** The version of Azure's data-plane API that is asked for where nobody says another. */
export const AZURE_API_VERSION = "2024-10-21";

const ANTHROPIC_VERSION = "2023-06-01";

const PATH_BY_SURFACE: Readonly<Record<Surface, string>> = {
  chat: "chat/completions",
  completions: "completions",
  responses: "responses",
  embeddings: "embeddings",
  messages: "messages",
};

/**
 * The URL that a request goes to.
 *
 *     openai      {baseUrl}/chat/completions           baseUrl ends in /v1
 *     azure       {baseUrl}/openai/deployments/{model}/chat/completions?api-version=…
 *                 {baseUrl}/chat/completions           baseUrl ends in /openai/v1
 *     anthropic   {baseUrl}/messages                   /v1 is added where it is missing
 *
 * @param endpoint The backend.
 * @param surface An API of that backend: see `upstreamSurface`.
 * @param model The model as the backend knows it; Azure's deployment.
 * @throws {RangeError} If the backend's protocol does not have that API.
 */
export function endpointUrl(endpoint: BackendEndpoint, surface: Surface, model: string): string {
  const path = PATH_BY_SURFACE[surface];
  if ((endpoint.protocol === "anthropic") !== (surface === "messages")) {
    throw new RangeError(`Cannot address a backend: ${endpoint.protocol} has no ${surface} API`);
  }
  switch (endpoint.protocol) {
    case "openai":
      return join(endpoint.baseUrl, path);
    case "anthropic":
      return join(endpoint.baseUrl, path, { prefix: "v1" });
    case "azure": {
      if (isAzureV1(endpoint.baseUrl)) return azureUrl(endpoint, path);
      // The responses API names its model in the body, as at OpenAI.
      const scope = surface === "responses" ? "" : `deployments/${encodeURIComponent(model)}/`;
      return azureUrl(endpoint, scope + path);
    }
  }
}

/** The URL that lists a backend's models. */
export function modelsUrl(endpoint: BackendEndpoint): string {
  switch (endpoint.protocol) {
    case "openai":
      return join(endpoint.baseUrl, "models");
    case "anthropic":
      return join(endpoint.baseUrl, "models", { prefix: "v1" });
    case "azure":
      return azureUrl(endpoint, "models");
  }
}

/**
 * The headers that a protocol wants with every request, credential included.
 *
 * @param protocol What the backend speaks.
 * @param secret The credential itself, or `null` where the backend needs none.
 * @returns Names in lower case, and values.
 */
export function credentialHeaders(protocol: Protocol, secret: string | null): [string, string][] {
  switch (protocol) {
    case "openai":
      return secret === null ? [] : [["authorization", `Bearer ${secret}`]];
    case "azure":
      return secret === null ? [] : [["api-key", secret]];
    case "anthropic": {
      const version: [string, string] = ["anthropic-version", ANTHROPIC_VERSION];
      return secret === null ? [version] : [["x-api-key", secret], version];
    }
  }
}

function azureUrl(endpoint: BackendEndpoint, path: string): string {
  if (isAzureV1(endpoint.baseUrl)) {
    // The v1 API needs no version, but takes one to choose a preview.
    const version = endpoint.apiVersion;
    return join(endpoint.baseUrl, path, version === undefined ? {} : { version });
  }
  return join(endpoint.baseUrl, path, {
    prefix: "openai",
    version: endpoint.apiVersion ?? AZURE_API_VERSION,
  });
}

function isAzureV1(baseUrl: string): boolean {
  return new URL(baseUrl).pathname.replace(/\/+$/, "").endsWith("/openai/v1");
}

function join(
  baseUrl: string,
  path: string,
  options: { readonly prefix?: string; readonly version?: string } = {},
): string {
  const url = new URL(baseUrl);
  let base = url.pathname.replace(/\/+$/, "");
  const { prefix, version } = options;
  if (prefix !== undefined && !base.endsWith(`/${prefix}`)) base += `/${prefix}`;
  url.pathname = `${base}/${path}`;
  if (version !== undefined) url.searchParams.set("api-version", version);
  return url.href;
}
