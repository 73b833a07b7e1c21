/**
 * An HTTP/1.1 request as bytes, and the address it goes to.
 *
 * @module
 */

import type { UpstreamRequest } from "../ports.ts";
import { Slab } from "./slab.ts";

/** Where a request goes. */
export interface Target {
  /** Scheme, host and port: requests with the same origin may share connections. */
  readonly origin: string;
  /** Host name or address, an IPv6 one without brackets. */
  readonly hostname: string;
  /** TCP port. */
  readonly port: number;
  /** Whether TLS is spoken. */
  readonly secure: boolean;
  /** Value of the `host` header. */
  readonly host: string;
  /** Path and query. */
  readonly path: string;
}

/** Requests are written once and forgotten. */
const SLAB = new Slab();

/** Up to this size a body is copied behind the head, so that both leave in one write. */
const BODY_COPY_BYTES_MAX = 65_536;

/** Headers that belong to the connection or to the framing, so to the transport. */
const TRANSPORT_HEADERS: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Takes a URL apart.
 *
 * @throws {TypeError} If it is not absolute, neither `http:` nor `https:`, or carries a user name
 * or password.
 */
export function parseTarget(url: string): Target {
  const parsed = URL.parse(url);
  if (parsed === null) throw new TypeError("Cannot send request: the URL is not absolute");
  const secure = parsed.protocol === "https:";
  if (!secure && parsed.protocol !== "http:") {
    throw new TypeError(`Cannot send request: the URL's scheme is ${parsed.protocol} not http:`);
  }
  if (parsed.username !== "" || parsed.password !== "") {
    // Secrets in URLs end up in logs; a backend's key has its own header.
    throw new TypeError("Cannot send request: the URL carries a user name or password");
  }
  return {
    origin: parsed.origin,
    hostname: parsed.hostname.replace(/^\[|\]$/g, ""),
    port: parsed.port === "" ? (secure ? 443 : 80) : Number(parsed.port),
    secure,
    host: parsed.host,
    path: parsed.pathname + parsed.search,
  };
}

/**
 * Refuses headers that would break the framing.
 *
 * @throws {TypeError} If a name is not a lower-case token or is the transport's to set, or if a
 * value holds a control character or one above U+00FF.
 */
export function checkHeaders(headers: UpstreamRequest["headers"]): void {
  for (const [name, value] of headers) {
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) {
      throw new TypeError(`Cannot send request: ${JSON.stringify(name)} is no lower-case name`);
    }
    if (TRANSPORT_HEADERS.has(name)) {
      throw new TypeError(`Cannot send request: header ${name} is set by the transport`);
    }
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new TypeError(`Cannot send request: header ${name} holds a forbidden character`);
    }
  }
}

/**
 * Writes a request down: one buffer, or head and body where the body is large.
 *
 * `accept-encoding: identity` goes along, as a body is passed on as it comes
 * and a compressed event stream could not be read.
 *
 * @throws {TypeError} As {@linkcode checkHeaders}.
 */
export function encodeRequest(target: Target, request: UpstreamRequest): Uint8Array[] {
  checkHeaders(request.headers);
  const { method, body } = request;
  let head = `${method} ${target.path} HTTP/1.1\r\nhost: ${target.host}\r\n`;
  for (const [name, value] of request.headers) head += `${name}: ${value}\r\n`;
  head += "accept-encoding: identity\r\n";
  if (body !== null || method === "POST") head += `content-length: ${body?.length ?? 0}\r\n`;
  head += "\r\n";

  const copied = body !== null && body.length <= BODY_COPY_BYTES_MAX;
  const bytes = SLAB.take(head.length + (copied ? body.length : 0));
  for (let at = 0; at < head.length; at++) bytes[at] = head.charCodeAt(at);
  if (body === null) return [bytes];
  if (!copied) return [bytes, body];
  bytes.set(body, head.length);
  return [bytes];
}
