/**
 * A load generator over plain sockets: one command a line in, one result a line out.
 *
 * It runs as a process of its own, stays up for the whole benchmark (so that its
 * code is warm for every peer alike) and checks what it gets: a response that is
 * not complete, or has not the expected number of events, is an error.
 *
 *     deno run --allow-net=127.0.0.1 bench/load/client.ts
 *
 * @module
 */
import { ResponseParser } from "./response_parser.ts";

/** One run of load. */
export interface LoadCommand {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Extra headers. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** The request's body. */
  readonly body: string;
  /** Events that a complete answer has; 0 for an answer that is no stream. */
  readonly events: number;
  /** Connections, each with one request at a time. */
  readonly connections: number;
  /** New requests start within this time; those under way are finished. */
  readonly durationMs: number;
  /** First requests are spread evenly over this time. */
  readonly spreadMs: number;
  /** No more requests than this; 0 for no limit. */
  readonly requestsMax: number;
}

/** Percentiles in milliseconds. */
export interface Percentiles {
  /** Median. */
  readonly p50: number;
  /** 99th percentile. */
  readonly p99: number;
}

/** What one run gave. */
export interface LoadResult {
  /** Requests answered in full. */
  readonly requests: number;
  /** Requests that were not. */
  readonly errors: number;
  /** The first error, or "". */
  readonly firstError: string;
  /** From the first request to the last answer. */
  readonly elapsedMs: number;
  /** Whole answers. */
  readonly latencyMs: Percentiles;
  /** From the request to its first content event (streams). */
  readonly firstTokenMs: Percentiles;
  /** From content event to content event (streams). */
  readonly gapMs: Percentiles;
}

/** A role-only event comes first, so content starts with the second one. */
const FIRST_CONTENT_EVENT = 2;

class Samples {
  #values = new Float64Array(4_096);
  #count = 0;

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#count * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = value;
  }

  percentiles(): Percentiles {
    const sorted = this.#values.subarray(0, this.#count).sort();
    const at = (share: number): number => sorted[Math.floor(share * (this.#count - 1))] ?? NaN;
    return this.#count === 0 ? { p50: 0, p99: 0 } : { p50: at(0.5), p99: at(0.99) };
  }
}

class Run {
  readonly #command: LoadCommand;
  readonly #request: Uint8Array;
  readonly #latency = new Samples();
  readonly #firstToken = new Samples();
  readonly #gap = new Samples();
  readonly #startMs = performance.now();
  #requests = 0;
  #started = 0;
  #errors = 0;
  #firstError = "";

  constructor(command: LoadCommand) {
    this.#command = command;
    const encoder = new TextEncoder();
    const length = encoder.encode(command.body).length;
    const headers = command.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    this.#request = encoder.encode(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${command.port}\r\n` +
        `content-type: application/json\r\ncontent-length: ${length}\r\n${headers}\r\n` +
        command.body,
    );
  }

  async play(): Promise<LoadResult> {
    const { connections, spreadMs } = this.#command;
    await Promise.all(Array.from({ length: connections }, async (_, index) => {
      const delayMs = spreadMs * index / connections;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      while (this.#mayStart()) {
        await this.#useConnection().catch((error: unknown) => this.#fail(error));
      }
    }));
    return {
      requests: this.#requests,
      errors: this.#errors,
      firstError: this.#firstError,
      elapsedMs: performance.now() - this.#startMs,
      latencyMs: this.#latency.percentiles(),
      firstTokenMs: this.#firstToken.percentiles(),
      gapMs: this.#gap.percentiles(),
    };
  }

  #mayStart(): boolean {
    const { durationMs, requestsMax } = this.#command;
    if (this.#errors > 1_000) return false; // A peer that is gone must not be hammered.
    if (requestsMax > 0 && this.#started >= requestsMax) return false;
    return performance.now() - this.#startMs < durationMs;
  }

  #fail(error: unknown): void {
    this.#errors++;
    if (this.#firstError === "") this.#firstError = String(error);
  }

  async #useConnection(): Promise<void> {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#command.port });
    connection.setNoDelay(true);
    const parser = new ResponseParser();
    const buffer = new Uint8Array(65_536);
    while (parser.keepAlive && this.#mayStart()) {
      this.#started++;
      parser.reset();
      await this.#exchange(connection, parser, buffer);
      const { status, events } = parser;
      if (status !== 200 || events !== this.#command.events) {
        throw new Error(`Cannot use the answer: status ${status}, ${events} events`);
      }
      this.#requests++;
    }
  }

  async #exchange(
    connection: Deno.Conn,
    parser: ResponseParser,
    buffer: Uint8Array,
  ): Promise<void> {
    const sentMs = performance.now();
    let offset = 0;
    while (offset < this.#request.length) {
      offset += await connection.write(this.#request.subarray(offset));
    }
    const contentEnd = this.#command.events - 2; // Finish reason and [DONE] are no content.
    let seen = 0;
    let lastMs = sentMs;
    while (!parser.done) {
      const length = await connection.read(buffer);
      if (length === null) {
        parser.close();
        if (!parser.done) throw new Error(`Cannot read on: closed after ${parser.events} events`);
        break;
      }
      parser.feed(buffer.subarray(0, length));
      const content = Math.min(parser.events, contentEnd);
      if (content <= seen) continue;
      const nowMs = performance.now();
      for (let event = seen + 1; event <= content; event++) {
        if (event < FIRST_CONTENT_EVENT) continue;
        if (event === FIRST_CONTENT_EVENT) this.#firstToken.add(nowMs - sentMs);
        else this.#gap.add(nowMs - lastMs);
        lastMs = nowMs;
      }
      seen = content;
    }
    this.#latency.add(performance.now() - sentMs);
  }
}

async function main(): Promise<void> {
  const encoder = new TextEncoder();
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  let text = "";
  for await (const piece of lines) {
    text += piece;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      const command: LoadCommand = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      const result = await new Run(command).play();
      await Deno.stdout.write(encoder.encode(JSON.stringify(result) + "\n"));
    }
  }
}

if (import.meta.main) await main();
