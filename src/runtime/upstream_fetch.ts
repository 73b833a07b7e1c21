/**
 * The portable transport: whatever the platform's `fetch` does.
 *
 * For places without sockets (Deno Deploy). It behaves as the socket transport
 * does, but for what `fetch` does not let a caller decide:
 *
 * - `connectMs` is not kept. `fetch` reports nothing between its call and the
 *   response head, and a head may rightly take minutes; the limit on the head is
 *   the caller's.
 * - Kept connections, their number and age, and the replay on a stale one are the
 *   platform's. `close()` closes idle ones only where `caCerts` made a client of
 *   our own.
 * - The limit on the head's size is the platform's.
 * - Deno undoes gzip and brotli by itself, though `identity` is asked for; the
 *   body is then plain instead of an error of kind `protocol`.
 * - An answer that comes before the whole request body was taken may be lost to a reset.
 * - Whatever goes wrong inside a body is a `reset`: `fetch` has one message for all of it.
 * - One chunk is one piece: nothing is put together.
 *
 * @module
 */

import {
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamFailure,
  type UpstreamRequest,
  type UpstreamResponse,
} from "../ports.ts";
import { checkHeaders, parseTarget } from "./http1_request.ts";

/** How {@linkcode FetchUpstream} behaves. */
export interface FetchUpstreamOptions {
  /** PEM certificates that are trusted besides the usual ones; needs `Deno.createHttpClient`. */
  readonly caCerts?: readonly string[];
}

type Bytes = Uint8Array<ArrayBuffer>;

/** What `fetch` says about the kinds of failure, in its messages only; first match wins. */
const FAILURES: ReadonlyArray<readonly [RegExp, UpstreamFailure]> = [
  [/dns error|lookup address|no record found/i, "dns"],
  [/certificate|tls|handshake|received corrupt message|received fatal alert/i, "tls"],
  [/invalid|malformed|overflow|too large|parse|unexpected (chunk|message)/i, "protocol"],
  [/\(Connect\)|refused|unreachable/i, "refused"],
];

/** Sends requests with `fetch`. */
export class FetchUpstream implements Upstream {
  readonly #client: Deno.HttpClient | null;

  /** Opens nothing yet. */
  constructor(options: FetchUpstreamOptions = {}) {
    const { caCerts = [] } = options;
    this.#client = caCerts.length === 0
      ? null
      : Deno.createHttpClient({ caCerts: [...caCerts], http2: false });
  }

  /**
   * Starts a request; the time limit for connecting is not kept, see above.
   *
   * @throws {TypeError} If the URL is not an absolute `http:` or `https:` one or carries a
   * password, or if a header is malformed or the transport's to set.
   */
  start(request: UpstreamRequest): UpstreamCall {
    parseTarget(request.url);
    checkHeaders(request.headers);
    return new FetchCall(request, this.#client);
  }

  /** Closes the idle connections of a client of our own; the platform's are not ours. */
  close(): void {
    this.#client?.close();
  }
}

class FetchCall implements UpstreamCall, UpstreamResponse {
  readonly response: Promise<UpstreamResponse>;
  readonly #controller = new AbortController();
  #head: Response | null = null;
  #reader: ReadableStreamDefaultReader<Bytes> | null = null;
  #over = false;

  constructor(request: UpstreamRequest, client: Deno.HttpClient | null) {
    this.response = this.#send(request, client);
    this.response.catch(ignore);
  }

  get status(): number {
    return this.#head?.status ?? 0;
  }

  header(name: string): string | null {
    return this.#head?.headers.get(name) ?? null;
  }

  read(): Promise<Bytes | null> {
    const piece = this.#read();
    piece.catch(ignore);
    return piece;
  }

  cancel(): void {
    if (!this.#over) this.#controller.abort();
  }

  async #send(
    request: UpstreamRequest,
    client: Deno.HttpClient | null,
  ): Promise<UpstreamResponse> {
    const init: RequestInit & { client?: Deno.HttpClient } = {
      method: request.method,
      headers: [...request.headers.map(([name, value]): [string, string] => [name, value]), [
        "accept-encoding",
        "identity",
      ]],
      body: request.body,
      redirect: "manual",
      signal: this.#controller.signal,
    };
    if (client !== null) init.client = client;
    let head: Response;
    try {
      head = await fetch(request.url, init);
    } catch (cause) {
      throw this.#failure("send request", cause);
    }
    const encoding = head.headers.get("content-encoding")?.toLowerCase() ?? "identity";
    if (encoding !== "identity" && encoding !== "" && head.body !== null) {
      this.#controller.abort();
      const why = "its content-encoding was not asked for";
      throw new UpstreamError("protocol", `Cannot read response: ${why}`);
    }
    this.#head = head;
    this.#reader = head.body?.getReader() ?? null;
    return this;
  }

  async #read(): Promise<Bytes | null> {
    try {
      for (;;) {
        const { done, value } = await this.#reader?.read() ?? { done: true, value: undefined };
        this.#over ||= done;
        if (done) return null;
        if (value.length > 0) return value;
      }
    } catch (cause) {
      throw this.#failure("read response", cause);
    }
  }

  #failure(what: string, cause: unknown): UpstreamError {
    if (this.#controller.signal.aborted) {
      return new UpstreamError("cancelled", "Cannot go on: the request was cancelled");
    }
    const why = describe(cause);
    const kind = FAILURES.find(([words]) => words.test(why))?.[1] ?? "reset";
    return new UpstreamError(kind, `Cannot ${what}: ${why}`, { cause });
  }
}

/** The messages of an error and of what caused it, without the URL, which may hold a secret. */
function describe(cause: unknown): string {
  const messages: string[] = [];
  for (let error = cause; error instanceof Error; error = error.cause) messages.push(error.message);
  return messages.join(": ").replace(/ for url \([^)]*\)/g, "");
}

function ignore(): void {}
