/**
 * The client of the cache's benchmark: one command a line in, one result a line out.
 *
 * A process of its own over plain sockets, warm for all runs alike. Requests are
 * made before they are timed; afterwards each answer is checked, for what it has to
 * be and for which layer it has to come from.
 *
 *     deno run --allow-net=127.0.0.1 bench/cache/client.ts
 *
 * @module
 */
import { ResponseParser } from "../load/response_parser.ts";
import { prompt, type Wording } from "./prompts.ts";

/** What is asked. */
export interface Asking {
  /** The model; `null` for `GET /healthz`, the least a server can be asked. */
  readonly model: string | null;
  /** Whether a stream is wanted. */
  readonly stream: boolean;
  /** How the questions are put. */
  readonly wording: Wording;
  /** Number of the first question. */
  readonly from: number;
  /** So many different questions, then again from the first. */
  readonly count: number;
  /** The layer that must say it has answered, as in `x-weir-cache`; `null` where none may. */
  readonly layer: string | null;
}

/** One run of load. */
export interface CacheLoad extends Asking {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Connections, each with one request at a time. */
  readonly connections: number;
  /** New requests start within this time. */
  readonly durationMs: number;
  /** No more requests than this; 0 for no limit. */
  readonly requestsMax: number;
  /** Rest of a connection after each answer; 0 for none. */
  readonly pauseMs: number;
}

/** What one run gave; times in milliseconds. */
export interface CacheLoadResult {
  /** Right answers. */
  readonly requests: number;
  /** Other answers, broken ones included. */
  readonly errors: number;
  /** The first of them, or "". */
  readonly firstError: string;
  /** From the request to the first byte of its answer. */
  readonly firstByteMs: { readonly p50: number; readonly p99: number };
  /** From the request to the last byte. */
  readonly wholeMs: { readonly p50: number; readonly p99: number };
}

const SYSTEM = "You are the help desk of a small firm. Answer in one sentence.";
/** Every stream has a role, content, a finish reason and its end mark at least. */
const EVENTS_MIN = 4;
const ERRORS_MAX = 1_000;
const PREPARED_MAX = 4_096;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of one request. */
export function requestBytes(asking: Asking, number: number): Uint8Array<ArrayBuffer> {
  const { model, stream, wording } = asking;
  if (model === null) return encoder.encode("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
  const body = encoder.encode(JSON.stringify({
    model,
    messages: [
      { role: "system", content: SYSTEM },
      { role: "user", content: prompt(number, wording) },
    ],
    max_tokens: 200,
    ...(stream ? { stream: true } : {}),
  }));
  const head = encoder.encode(
    "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n" +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** The share-th of sorted times, 0 for none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
}

class Run {
  readonly #load: CacheLoad;
  readonly #prepared: readonly Uint8Array<ArrayBuffer>[];
  readonly #firstByteMs: number[] = [];
  readonly #wholeMs: number[] = [];
  #startMs = 0;
  #started = 0;
  #errors = 0;
  #firstError = "";

  constructor(load: CacheLoad) {
    this.#load = load;
    const length = Math.min(PREPARED_MAX, load.count);
    this.#prepared = Array.from({ length }, (_, i) => requestBytes(load, load.from + i));
  }

  async play(): Promise<CacheLoadResult> {
    this.#startMs = performance.now();
    await Promise.all(Array.from({ length: this.#load.connections }, async () => {
      while (this.#mayStart()) await this.#connect().catch((error) => this.#fail(error));
    }));
    const [first, whole] = [this.#firstByteMs, this.#wholeMs].map((times) =>
      times.sort((a, b) => a - b)
    );
    const both = (times: readonly number[] = []) => ({
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
    });
    return {
      requests: this.#wholeMs.length,
      errors: this.#errors,
      firstError: this.#firstError,
      firstByteMs: both(first),
      wholeMs: both(whole),
    };
  }

  #mayStart(): boolean {
    const { durationMs, requestsMax } = this.#load;
    if (this.#errors > ERRORS_MAX || (requestsMax > 0 && this.#started >= requestsMax)) {
      return false;
    }
    return performance.now() - this.#startMs < durationMs;
  }

  #fail(error: unknown): void {
    this.#errors++;
    if (this.#firstError === "") this.#firstError = String(error);
  }

  async #connect(): Promise<void> {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#load.port });
    connection.setNoDelay(true);
    const parser = new ResponseParser();
    const buffer = new Uint8Array(65_536);
    const { pauseMs } = this.#load;
    while (parser.keepAlive && this.#mayStart()) {
      const number = this.#started++ % this.#load.count;
      const request = this.#prepared[number] ?? requestBytes(this.#load, this.#load.from + number);
      await this.#exchange(connection, request, { parser, buffer });
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #exchange(
    connection: Deno.Conn,
    request: Uint8Array,
    { parser, buffer }: { readonly parser: ResponseParser; readonly buffer: Uint8Array },
  ): Promise<void> {
    parser.reset();
    const sentMs = performance.now();
    let offset = 0;
    while (offset < request.length) offset += await connection.write(request.subarray(offset));
    let firstByteMs = 0;
    let head = "";
    while (!parser.done) {
      const length = await connection.read(buffer);
      if (firstByteMs === 0) {
        firstByteMs = performance.now() - sentMs;
        head = decoder.decode(buffer.subarray(0, Math.min(length ?? 0, 1_024)));
      }
      if (length === null) throw new Error("Cannot read on: the connection was closed");
      parser.feed(buffer.subarray(0, length));
    }
    const wholeMs = performance.now() - sentMs;
    const problem = this.#problemOf(parser, head);
    if (problem !== null) return this.#fail(problem);
    this.#firstByteMs.push(firstByteMs);
    this.#wholeMs.push(wholeMs);
  }

  #problemOf({ status, events }: ResponseParser, head: string): string | null {
    const { stream, layer } = this.#load;
    const said = /\r\nx-weir-cache: ([a-z]+)\r\n/.exec(head)?.[1] ?? null;
    if (status !== 200) return `status ${status}`;
    if (said !== layer) return `it came from "${said}" instead of "${layer}"`;
    if (stream ? events < EVENTS_MIN : events > 0) return `it has ${events} events`;
    return null;
  }
}

async function main(): Promise<void> {
  let text = "";
  for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      const load: CacheLoad = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      const result = await new Run(load).play();
      await Deno.stdout.write(encoder.encode(JSON.stringify(result) + "\n"));
    }
  }
}

if (import.meta.main) await main();
