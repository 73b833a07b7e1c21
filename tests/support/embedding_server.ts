/**
 * An embeddings backend on 127.0.0.1, with the faults that real ones have.
 *
 * Its vectors are made from the words of a text, so that texts with common words
 * are near to each other, and the same text has the same vector in every run.
 *
 * @module
 */

/** What goes wrong with the next answers. */
export type EmbeddingFault =
  | "none"
  | "hold" // no answer before `release()`, then as the fault of that time says
  | "500"
  | "429" // with `retry-after: 7`
  | "401"
  | "refuse_long" // 400 for a request with a text of more than 100 characters
  | "wrong_dims" // every vector one dimension short
  | "null_values" // what JSON makes of NaN
  | "literal_nan" // NaN as Python writes it, which is no JSON
  | "zero_vector"
  | "one_zero_vector" // the first one only
  | "fewer_items"
  | "shuffled"
  | "without_index"
  | "same_index"
  | "base64"
  | "garbage"
  | "error_in_200"
  | "huge_body"
  | "cut_body" // the connection closes in the middle of the body
  | "cut_head"; // the connection closes before any answer

/** A request as it came. */
export interface EmbeddingRequest {
  /** Its fields. */
  readonly body: {
    readonly model: string;
    readonly input: readonly string[];
    readonly encoding_format?: string;
    readonly dimensions?: number;
  };
  /** Its header fields. */
  readonly headers: Headers;
}

/** A running backend. */
export interface EmbeddingServer extends AsyncDisposable {
  /** URL of the embeddings endpoint. */
  readonly url: string;
  /** The same without `/embeddings`, as it stands in a configuration. */
  readonly baseUrl: string;
  /** Everything asked so far. */
  readonly requests: readonly EmbeddingRequest[];
  /** What goes wrong; may be changed at any time. */
  fault: EmbeddingFault;
  /** Length of the vectors; may be changed at any time. */
  dims: number;
  /** Resolves once `count` requests have come in all. */
  received(count: number): Promise<void>;
  /** Answers what is held. */
  release(): void;
}

/** The vector that the server gives for a text, of no particular length. */
export function vectorOf(text: string, dims: number): number[] {
  const vector = new Array<number>(dims).fill(0);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text]) {
    let state = hashOf(word);
    for (let i = 0; i < dims; i++) {
      state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
      vector[i] = (vector[i] ?? 0) + (state / 2 ** 31 - 1);
    }
  }
  return vector.map(Math.fround);
}

/** Starts a backend on a free port. */
export function startEmbeddingServer(dims = 16): EmbeddingServer {
  return new Server(dims);
}

class Server implements EmbeddingServer {
  readonly url: string;
  readonly baseUrl: string;
  readonly requests: EmbeddingRequest[] = [];
  dims: number;
  #fault: EmbeddingFault = "none";
  #hold = Promise.withResolvers<void>();
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(dims: number) {
    this.dims = dims;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: cutOff },
      (request) => this.#answer(request),
    );
    this.baseUrl = `http://127.0.0.1:${this.#server.addr.port}/v1`;
    this.url = `${this.baseUrl}/embeddings`;
  }

  get fault(): EmbeddingFault {
    return this.#fault;
  }

  set fault(fault: EmbeddingFault) {
    this.#fault = fault;
    if (fault === "hold") this.#hold = Promise.withResolvers();
  }

  received(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ count, resolve });
    this.#tell();
    return promise;
  }

  release(): void {
    this.#hold.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#server.shutdown();
  }

  #tell(): void {
    for (const { count, resolve } of this.#waiting) {
      if (this.requests.length >= count) resolve();
    }
  }

  async #answer(request: Request): Promise<Response> {
    const body: EmbeddingRequest["body"] = await request.json();
    const fault = this.#fault;
    this.requests.push({ body, headers: request.headers });
    this.#tell();
    if (request.method !== "POST" || new URL(request.url).pathname !== "/v1/embeddings") {
      return Response.json({ error: { message: "not here" } }, { status: 404 });
    }
    if (fault !== "hold") return this.#faulty(fault, body);
    await this.#hold.promise;
    return this.#faulty(this.#fault, body);
  }

  #faulty(fault: EmbeddingFault, { input, model, encoding_format }: EmbeddingRequest["body"]) {
    const error = { error: { message: `fault ${fault}: ${input[0]}` } };
    switch (fault) {
      case "500":
        return Response.json(error, { status: 500 });
      case "429":
        return Response.json(error, { status: 429, headers: { "retry-after": "7" } });
      case "401":
        return Response.json(error, { status: 401 });
      case "error_in_200":
        return Response.json(error);
      case "garbage":
        return new Response("<html>it works</html>", { headers: { "content-type": "text/html" } });
      case "huge_body":
        return new Response(endless());
      case "cut_body":
        return new Response(broken());
      case "cut_head":
        throw new Error("cut");
      case "refuse_long":
        if (input.some((text) => text.length > 100)) {
          return Response.json(error, { status: 400 });
        }
    }
    const data = this.#data(fault, input, encoding_format === "base64" || fault === "base64");
    const text = JSON.stringify({ object: "list", model, data, usage: { prompt_tokens: 1 } });
    return new Response(fault === "literal_nan" ? text.replace(/\[[^[{]/, "[NaN,0") : text, {
      headers: { "content-type": "application/json" },
    });
  }

  #data(fault: EmbeddingFault, input: readonly string[], isBase64: boolean): unknown[] {
    const data = input.map((text, index) => {
      const vector = vectorOf(text, fault === "wrong_dims" ? this.dims - 1 : this.dims);
      const isZero = fault === "zero_vector" || (fault === "one_zero_vector" && index === 0);
      const values = isZero ? vector.map(() => 0) : vector;
      const embedding = fault === "null_values" ? values.map(() => null) : values;
      return {
        object: "embedding",
        index: fault === "same_index" ? 0 : index,
        embedding: isBase64 ? base64Of(values) : embedding,
      };
    });
    if (fault === "without_index") return data.map(({ embedding }) => ({ embedding }));
    if (fault === "fewer_items") return data.slice(1);
    return fault === "shuffled" ? data.toReversed() : data;
  }
}

/** Never more than the connection takes, but without an end. */
function endless(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(0x20)),
  });
}

function broken(): ReadableStream<Uint8Array<ArrayBuffer>> {
  let pulls = 0;
  return new ReadableStream({
    pull(controller) {
      if (pulls++ > 0) return controller.error(new Error("cut"));
      controller.enqueue(new TextEncoder().encode('{"data":[{"index":0,"embedding":[0.1,'));
    },
  });
}

/** A handler that throws is answered by an error of the stream, which closes the connection. */
function cutOff(): Response {
  return new Response(
    new ReadableStream({ start: (controller) => controller.error(new Error("cut")) }),
  );
}

function base64Of(values: readonly number[]): string {
  return new Uint8Array(Float32Array.from(values).buffer).toBase64();
}

/** FNV-1a. */
function hashOf(word: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(word)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
