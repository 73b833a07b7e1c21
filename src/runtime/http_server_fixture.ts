/**
 * For tests of the HTTP server: a server to ask and a client that sends exactly
 * the bytes it is told to.
 *
 * @module
 */

import type { Reply, ServerRequest, StreamSource } from "../ports.ts";
import { systemClock } from "./clock.ts";
import { type HttpServer, type HttpServerOptions, serveHttp } from "./http_server.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Starts a server on 127.0.0.1 that stops when it is disposed. */
export function serve(
  handle: (request: ServerRequest) => Promise<Reply>,
  options: Partial<HttpServerOptions> = {},
): HttpServer & AsyncDisposable {
  const server = serveHttp({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    refuse: (status, message) => ({ status, headers: [], body: message }),
    handle,
    ...options,
  });
  return {
    url: server.url,
    port: server.port,
    get connections() {
      return server.connections;
    },
    stop: (limitMs) => server.stop(limitMs),
    [Symbol.asyncDispose]: () => server.stop(0),
  };
}

/** Answers with what was asked: method, URL, body. */
export async function echo(request: ServerRequest): Promise<Reply> {
  const body = await request.bytes(10_000_000);
  if (body === null) return { status: 413, headers: [], body: "too long" };
  const text = new TextDecoder().decode(body);
  return {
    status: 200,
    headers: [["content-type", "text/plain"]],
    body: `${request.method} ${new URL(request.url).pathname} ${text}`,
  };
}

/** Echoes, or streams the path's pieces where it begins with /stream. */
export function echoOrStream(request: ServerRequest): Promise<Reply> {
  const { pathname } = new URL(request.url);
  if (!pathname.startsWith("/stream")) return echo(request);
  const feed = new Feed();
  for (const piece of pathname.split("/").slice(2)) feed.push(piece);
  if (pathname.endsWith("/cut")) feed.fail();
  else feed.end();
  return Promise.resolve({ status: 200, headers: [["x-kind", "stream"]], body: feed });
}

/** Echoes, or answers with a stream where the path ends with /stall. */
export function echoOrStall(feed: Feed): (request: ServerRequest) => Promise<Reply> {
  return (request) =>
    request.url.endsWith("/stall")
      ? Promise.resolve({ status: 200, headers: [], body: feed })
      : echo(request);
}

/** A stream that is fed, ended or broken from outside. */
export class Feed implements StreamSource {
  readonly #queue: (() => readonly Bytes[] | null)[] = [];
  #waiting: PromiseWithResolvers<readonly Bytes[] | null> | null = null;
  /** Pulls so far. */
  pulls = 0;
  /** Resolves when it was cancelled. */
  readonly cancelled: Promise<void>;
  #cancel: () => void;

  /** Empty at first. */
  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.cancelled = promise;
    this.#cancel = resolve;
  }

  /** See {@linkcode StreamSource.pull}. */
  pull(): Promise<readonly Bytes[] | null> {
    this.pulls++;
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#serve();
    return promise;
  }

  /** See {@linkcode StreamSource.cancel}. */
  cancel(): void {
    this.#cancel();
  }

  /** Adds a piece. */
  push(...texts: readonly string[]): void {
    this.#queue.push(() => texts.map((text) => new TextEncoder().encode(text)));
    this.#serve();
  }

  /** Ends it properly. */
  end(): void {
    this.#queue.push(() => null);
    this.#serve();
  }

  /** Breaks it. */
  fail(): void {
    this.#queue.push(() => {
      throw new Error("Cannot go on: the backend is gone");
    });
    this.#serve();
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#waiting = null;
    try {
      waiting.resolve(next());
    } catch (error) {
      waiting.reject(error);
    }
  }
}

/** What one response was. */
export interface RawResponse {
  /** HTTP status. */
  readonly status: number;
  /** Status line and header lines. */
  readonly head: string;
  /** Body, chunks joined. */
  readonly body: string;
  /** Whether the body ended as its framing says. */
  readonly whole: boolean;
}

/** One connection, text as Latin-1. */
export class RawClient implements Disposable {
  readonly #socket: Deno.TcpConn;
  #received = "";
  #ended: "no" | "closed" | "reset" = "no";
  #open = true;

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  /** Connects to 127.0.0.1. */
  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** How the server ended the connection. */
  get ended(): "no" | "closed" | "reset" {
    return this.#ended;
  }

  /** Writes all of it; stops quietly where the server takes no more. */
  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? latin1(data) : data;
    try {
      for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
  }

  /** Sends a GET. */
  async get(path: string): Promise<void> {
    await this.send(`GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`);
  }

  /** Reads until `text` has come or the connection has ended; returns all that is unread. */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text) && await this.#more());
    return this.#received;
  }

  /** Reads to the end of the connection. */
  async rest(): Promise<string> {
    while (await this.#more());
    const text = this.#received;
    this.#received = "";
    return text;
  }

  /** Reads one response. */
  async response(method = "GET"): Promise<RawResponse> {
    while (!this.#received.includes("\r\n\r\n") && await this.#more());
    const headEnd = this.#received.indexOf("\r\n\r\n") + 4;
    if (headEnd < 4) throw new Error(`Cannot read response: ${this.#ended}, ${this.#received}`);
    const head = this.#received.slice(0, headEnd);
    this.#received = this.#received.slice(headEnd);
    const status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: (\d+)\r\n/.exec(head)?.[1];
    if (method === "HEAD" || status === 204 || status < 200) {
      return { status, head, body: "", whole: true };
    }
    if (length !== undefined) {
      const body = await this.#take(Number(length));
      return { status, head, body, whole: body.length === Number(length) };
    }
    if (/\r\ntransfer-encoding: chunked\r\n/.test(head)) {
      return { status, head, ...await this.#chunks() };
    }
    return { status, head, body: await this.rest(), whole: this.#ended === "closed" };
  }

  /** Closes; with unread bytes the system makes that a reset. */
  close(): void {
    if (this.#open) this.#socket.close();
    this.#open = false;
  }

  /** See {@linkcode RawClient.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #chunks(): Promise<{ body: string; whole: boolean }> {
    let body = "";
    for (;;) {
      while (!this.#received.includes("\r\n")) {
        if (!await this.#more()) return { body, whole: false };
      }
      const lineEnd = this.#received.indexOf("\r\n");
      const size = Number.parseInt(this.#received.slice(0, lineEnd), 16);
      this.#received = this.#received.slice(lineEnd + 2);
      const data = await this.#take(size + 2);
      if (size === 0) return { body, whole: data === "\r\n" };
      body += data.slice(0, size);
    }
  }

  async #take(count: number): Promise<string> {
    while (this.#received.length < count && await this.#more());
    const text = this.#received.slice(0, count);
    this.#received = this.#received.slice(count);
    return text;
  }

  async #more(): Promise<boolean> {
    if (this.#ended !== "no") return false;
    const buffer = new Uint8Array(65_536);
    try {
      const count = await this.#socket.read(buffer);
      if (count === null) this.#ended = "closed";
      else this.#received += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    } catch (error) {
      if (!isLoss(error)) throw error;
      this.#ended = "reset";
    }
    return this.#ended === "no";
  }
}

/** Bytes of a text with one character a byte. */
export function latin1(text: string): Bytes {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function isLoss(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
}
