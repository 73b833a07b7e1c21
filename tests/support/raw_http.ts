/**
 * An HTTP client that reports how a connection ended, byte for byte.
 *
 * `fetch` hides what the tests of broken connections are about: whether the body
 * had its terminator, and whether the peer closed or reset.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What came back on one connection. */
export interface RawAnswer {
  /** The status; 0 if no head arrived. */
  readonly status: number;
  /** Header values by lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  /** The body without its framing, as far as it arrived. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The body as text. */
  readonly text: string;
  /** Sizes of the chunks, where the body came in chunks. */
  readonly chunkSizes: readonly number[];
  /** How it ended: as framed, by a FIN before that, or by a reset. */
  readonly ending: "complete" | "closed" | "reset";
}

/** A request to send; a body that is not text is sent as JSON. */
export interface RawRequest {
  /** `POST` if left out. */
  readonly method?: string;
  /** The path. */
  readonly path: string;
  /** Extra headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body; none if left out. */
  readonly body?: unknown;
}

/** The bytes of a request. */
export function requestBytes(request: RawRequest): Uint8Array<ArrayBuffer> {
  const { body } = request;
  const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  const payload = new TextEncoder().encode(text);
  const extra = Object.entries(request.headers ?? {}).map(([k, v]) => `${k}: ${v}\r\n`).join("");
  const head = `${request.method ?? "POST"} ${request.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n` +
    `content-type: application/json\r\ncontent-length: ${payload.length}\r\n${extra}\r\n`;
  return new Uint8Array([...new TextEncoder().encode(head), ...payload]);
}

/** Sends `request` on a connection of its own and reads until the answer has ended, somehow. */
export async function rawExchange(
  port: number,
  request: RawRequest,
): Promise<RawAnswer> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  return await rawExchangeOn(connection, request);
}

/** The same on a connection that is kept. */
export async function rawExchangeOn(
  connection: Deno.Conn,
  request: RawRequest,
): Promise<RawAnswer> {
  const bytes = requestBytes(request);
  for (let sent = 0; sent < bytes.length;) {
    sent += await connection.write(bytes.subarray(sent));
  }
  let received = "";
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const answer = parse(received);
    if (answer.isWhole) return finished(answer, "complete");
    try {
      const count = await connection.read(buffer);
      if (count === null) return finished(parse(received), "closed");
      received += Buffer.from(buffer.subarray(0, count)).toString("latin1");
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      return finished(parse(received), "reset");
    }
  }
}

interface Parsed {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly chunkSizes: readonly number[];
  readonly isWhole: boolean;
}

function parse(received: string): Parsed {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) {
    return {
      status: 0,
      headers: new Map(),
      body: "",
      chunkSizes: [],
      isWhole: false,
    };
  }
  const [line = "", ...fields] = received.slice(0, end).split("\r\n");
  const headers = new Map(fields.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  }));
  const head = { status: Number(line.split(" ")[1]), headers };
  const rest = received.slice(end + 4);
  const length = headers.get("content-length");
  if (length !== undefined) {
    return {
      ...head,
      body: rest,
      chunkSizes: [],
      isWhole: rest.length >= Number(length),
    };
  }
  return { ...head, ...dechunked(rest) };
}

function dechunked(
  rest: string,
): Pick<Parsed, "body" | "chunkSizes" | "isWhole"> {
  const parts: string[] = [];
  const chunkSizes: number[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd < 0) {
      return { body: parts.join(""), chunkSizes, isWhole: false };
    }
    const size = parseInt(rest.slice(at, lineEnd), 16);
    const start = lineEnd + 2;
    if (size === 0) {
      const isWhole = rest.startsWith("\r\n", start);
      return { body: parts.join(""), chunkSizes, isWhole };
    }
    parts.push(rest.slice(start, start + size));
    chunkSizes.push(Math.min(size, rest.length - start));
    if (rest.length < start + size + 2) {
      return { body: parts.join(""), chunkSizes, isWhole: false };
    }
    at = start + size + 2;
  }
}

function finished(parsed: Parsed, ending: RawAnswer["ending"]): RawAnswer {
  const body = Uint8Array.from(
    parsed.body,
    (character) => character.charCodeAt(0),
  );
  const { status, headers, chunkSizes } = parsed;
  return {
    status,
    headers,
    chunkSizes,
    body,
    text: new TextDecoder().decode(body),
    ending,
  };
}
