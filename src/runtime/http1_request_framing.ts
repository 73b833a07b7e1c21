/**
 * What header fields say about host, connection and the body's length.
 *
 * Everything that two readers could understand in two ways is refused: that is
 * how requests are smuggled past a proxy.
 *
 * Source: RFC 9112, sections 3.2, 6 and 9.3; RFC 9110, sections 7.2 and 10.1.1.
 *
 * @module
 */

import { malformed, RequestRefusal } from "./request_refusal.ts";

type FramingName = "host" | "expect" | "connection" | "content-length" | "transfer-encoding";

/** Collects it, field by field. */
export class RequestFraming {
  readonly #minorVersion: number;
  /** The host header, checked. */
  host: string | null = null;
  /** What `content-length` says, or -1. */
  lengthBytes = -1;
  #closes = false;
  /** Whether the body comes in chunks. */
  chunked = false;
  /** Whether the client wants to use the connection again. */
  keepAlive: boolean;
  /** Whether the client waits for a 100 before it sends the body. */
  expectsContinue = false;
  /** Length of all names and values together, with 4 bytes a field for what is between. */
  sizeBytes = 0;

  /** `minorVersion` is the digit after `HTTP/1.`. */
  constructor(minorVersion: number) {
    this.#minorVersion = minorVersion;
    this.keepAlive = minorVersion === 1;
  }

  /**
   * Takes the field that was found last.
   *
   * @param offsets Ends with four into `text`: name start, name end, value start, value end.
   * @throws {RequestRefusal} 400 or 501.
   */
  take(text: string, offsets: readonly number[]): void {
    const first = offsets.length - 4;
    const start = offsets[first] ?? 0;
    const end = offsets[first + 1] ?? 0;
    const valueStart = offsets[first + 2] ?? 0;
    const valueEnd = offsets[first + 3] ?? 0;
    this.sizeBytes += end - start + valueEnd - valueStart + 4;
    const name = nameByLength(end - start);
    if (name === null || !equalsName(text, start, end, name)) return;
    const value = text.slice(valueStart, valueEnd);
    switch (name) {
      case "host":
        return this.#takeHost(value);
      case "expect":
        return this.#takeExpect(value);
      case "connection":
        return this.#takeConnection(value);
      case "content-length":
        return this.#takeLength(value);
      case "transfer-encoding":
        return this.#takeCoding(value);
    }
  }

  #takeHost(value: string): void {
    if (this.host !== null) throw malformed("it has more than one host header");
    this.host = checkHost(value);
  }

  #takeExpect(value: string): void {
    if (this.#minorVersion > 0 && /^100-continue$/i.test(value)) this.expectsContinue = true;
  }

  #takeConnection(value: string): void {
    for (const item of value.toLowerCase().split(",")) {
      const option = item.trim();
      if (option === "close") this.#closes = true;
      else if (option === "keep-alive") this.keepAlive = true;
    }
    if (this.#closes) this.keepAlive = false;
  }

  #takeLength(value: string): void {
    if (this.chunked) throw malformed("it has both content-length and transfer-encoding");
    // Even an equal second one is refused: not everybody would read the same one.
    if (this.lengthBytes >= 0) throw malformed("it has more than one content-length");
    if (!/^[0-9]{1,15}$/.test(value)) throw malformed("its content-length is no number");
    this.lengthBytes = Number(value);
  }

  #takeCoding(value: string): void {
    if (this.lengthBytes >= 0) {
      throw malformed("it has both content-length and transfer-encoding");
    }
    if (this.chunked) throw malformed("it has more than one transfer-encoding");
    if (this.#minorVersion === 0) throw malformed("it is HTTP/1.0 with a transfer-encoding");
    if (value.toLowerCase() !== "chunked") {
      throw new RequestRefusal(501, "its transfer-encoding is something else than chunked");
    }
    this.chunked = true;
  }
}

/** The last host that passed: a gateway is called by very few names. */
let knownHost = "";

/**
 * A host that makes a URL, with or without a port.
 *
 * @throws {RequestRefusal} 400, if it is something else.
 */
export function checkHost(host: string): string {
  if (host === knownHost) return host;
  const shaped = /^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i.test(host);
  if (!shaped || !URL.canParse(`http://${host}/`)) throw malformed("its host is no host name");
  knownHost = host;
  return host;
}

/** Whether the text between two offsets is `name` in any case of letters. */
export function equalsName(text: string, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let at = 0; at < name.length; at++) {
    if (lower(text.charCodeAt(start + at)) !== lower(name.charCodeAt(at))) return false;
  }
  return true;
}

/** The names that matter have five lengths, so most fields are passed over without a look. */
function nameByLength(length: number): FramingName | null {
  switch (length) {
    case 4:
      return "host";
    case 6:
      return "expect";
    case 10:
      return "connection";
    case 14:
      return "content-length";
    case 17:
      return "transfer-encoding";
    default:
      return null;
  }
}

function lower(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}
