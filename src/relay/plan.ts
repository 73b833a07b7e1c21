/**
 * Turns a client's request into the request that one backend gets.
 *
 * Where both speak the same API, the body's text is kept to the byte but for
 * the model's name and, on streams, the wish for a usage chunk: numbers beyond
 * double precision, unknown fields and their order all arrive as they were sent.
 *
 * @module
 */
import { type BackendEndpoint, endpointUrl } from "../backends/endpoint.ts";
import { type Protocol, type Surface, upstreamSurface } from "../backends/surface.ts";
import { type Translation, translation } from "../backends/translate.ts";
import type { TargetSpec } from "../balance/types.ts";
import { GatewayError } from "../errors.ts";
import type { UpstreamRequest } from "../ports.ts";
import { spliceTopLevel } from "../stream/json_splice.ts";
import type { Inbound } from "./inbound.ts";

/** How to reach a backend. */
export interface BackendRoute {
  /** Name in the configuration. */
  readonly name: string;
  /** What it speaks. */
  readonly protocol: Protocol;
  /** Where it is. */
  readonly endpoint: BackendEndpoint;
  /** Credential and configured headers, names in lower case. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** Whether to ask for a usage chunk on every stream. */
  readonly includeUsage: boolean;
}

/** What one attempt sends, and how to read what comes back. */
export interface Plan {
  /** The request. */
  readonly request: UpstreamRequest;
  /** The API in which the backend answers. */
  readonly form: Surface;
  /** Between the client's API and the backend's, where they differ. */
  readonly translation: Translation | null;
  /** Whether the usage chunk was our wish alone, and is not to be sent on. */
  readonly dropUsage: boolean;
}

const encoder = new TextEncoder();

/** URLs built so far: an endpoint has a few, and building one costs as much as a pick. */
const urls = new WeakMap<BackendEndpoint, Map<string, string>>();

function urlOf(endpoint: BackendEndpoint, form: Surface, model: string): string {
  let known = urls.get(endpoint);
  if (known === undefined) {
    known = new Map();
    urls.set(endpoint, known);
  }
  const key = `${form} ${model}`;
  let url = known.get(key);
  if (url === undefined) {
    url = endpointUrl(endpoint, form, model);
    known.set(key, url);
  }
  return url;
}

/**
 * Plans one attempt.
 *
 * @param inbound The client's request.
 * @param target Where it goes.
 * @param route How to get there.
 * @param options `headers` to pass on; `body` in place of the client's own, for a prefill.
 * @throws {GatewayError} If the backend's API cannot express the request.
 */
export function planAttempt(
  inbound: Inbound,
  target: TargetSpec,
  route: BackendRoute,
  options: {
    readonly headers: ReadonlyArray<readonly [string, string]>;
    readonly body?: Readonly<Record<string, unknown>>;
  },
): Plan {
  const form = upstreamSurface(inbound.surface, route.protocol);
  if (form === null) {
    throw new GatewayError(
      "unsupported_translation",
      `Cannot send ${inbound.surface} to backend ${route.name}: ${route.protocol} has no such API`,
    );
  }
  const between = form === inbound.surface ? null : translation(inbound.surface, form);
  const addUsage = inbound.stream && route.includeUsage && !inbound.wantsUsage &&
    (form === "chat" || form === "completions");
  const text = bodyText(inbound, target.model, between, addUsage, options.body);
  const headers: Array<readonly [string, string]> = [
    ["content-type", "application/json"],
    ["accept", inbound.stream ? "text/event-stream" : "application/json"],
    ...route.headers,
  ];
  for (const header of options.headers) {
    if (!headers.some(([name]) => name === header[0])) headers.push(header);
  }
  return {
    request: {
      method: "POST",
      url: urlOf(route.endpoint, form, target.model),
      headers,
      body: encoder.encode(text),
    },
    form,
    translation: between,
    dropUsage: addUsage,
  };
}

function bodyText(
  inbound: Inbound,
  model: string,
  between: Translation | null,
  addUsage: boolean,
  replaced: Readonly<Record<string, unknown>> | undefined,
): string {
  const usage = { stream_options: { ...streamOptions(inbound), include_usage: true } };
  if (between !== null) {
    const body = between.request({ ...(replaced ?? inbound.body) }, model);
    return JSON.stringify(addUsage ? { ...body, ...usage } : body);
  }
  if (replaced !== undefined) {
    return JSON.stringify({ ...replaced, model, ...(addUsage ? usage : {}) });
  }
  const changes: Record<string, string> = {};
  if (model !== inbound.model) changes["model"] = JSON.stringify(model);
  if (addUsage) changes["stream_options"] = JSON.stringify(usage.stream_options);
  return spliceTopLevel(inbound.text, changes);
}

function streamOptions(inbound: Inbound): object {
  const options = inbound.body["stream_options"];
  return typeof options === "object" && options !== null ? options : {};
}
