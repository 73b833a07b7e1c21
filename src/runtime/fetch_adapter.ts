/**
 * Requests and replies of servers that speak `Request` and `Response`: the
 * runtime's own, and those of platforms.
 *
 * @module
 */
import type { Departure, HeaderFields, Reply, ServerRequest, StreamSource } from "../ports.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A platform's request, as handlers take it. */
export function serverRequest(request: Request): ServerRequest {
  return new FetchRequest(request);
}

/** A `Request`; nothing of it is looked at before somebody asks. */
class FetchRequest implements ServerRequest {
  readonly #request: Request;
  #headers: FetchHeaders | null = null;

  constructor(request: Request) {
    this.#request = request;
  }

  get method(): string {
    return this.#request.method;
  }

  get url(): string {
    return this.#request.url;
  }

  get headers(): HeaderFields {
    return this.#headers ??= new FetchHeaders(this.#request.headers);
  }

  get signal(): Departure {
    return this.#request.signal;
  }

  async bytes(bytesMax: number): Promise<Bytes | null> {
    const request = this.#request;
    // The server lets no more through than was announced.
    const announced = Number(request.headers.get("content-length") ?? 0);
    if (announced > bytesMax) {
      await request.body?.cancel();
      return null;
    }
    return announced > 0 ? await request.bytes() : await collect(request.body, bytesMax);
  }
}

class FetchHeaders implements HeaderFields {
  readonly #headers: Headers;

  constructor(headers: Headers) {
    this.#headers = headers;
  }

  get(name: string): string | null {
    return this.#headers.get(name);
  }

  has(name: string): boolean {
    return this.#headers.has(name);
  }

  get sizeBytes(): number {
    let sizeBytes = 0;
    for (const [name, value] of this.#headers) sizeBytes += name.length + value.length + 4;
    return sizeBytes;
  }
}

/** A body of unknown length; `null` if it is longer than it may be. */
async function collect(
  body: ReadableStream<Uint8Array> | null,
  bytesMax: number,
): Promise<Bytes | null> {
  if (body === null) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of body) {
    sizeBytes += piece.length;
    if (sizeBytes > bytesMax) return null;
    pieces.push(piece);
  }
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A reply as a platform takes it. */
export function fetchResponse(reply: Reply): Response {
  const { status, body } = reply;
  const headers = reply.headers.map(([name, value]): [string, string] => [name, value]);
  const isWhole = body === null || typeof body === "string" || body instanceof Uint8Array;
  return new Response(isWhole ? body : streamOf(body), { status, headers });
}

/** Asks for the next piece only when the last one has been taken. */
function streamOf(source: StreamSource): ReadableStream<Bytes> {
  return new ReadableStream({
    async pull(controller) {
      const slices = await source.pull();
      if (slices === null) return controller.close();
      for (const slice of slices) controller.enqueue(slice);
    },
    cancel: () => source.cancel(),
  }, { highWaterMark: 0 });
}
