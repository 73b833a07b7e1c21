/**
 * A backend that costs next to nothing: answers chat completions from bytes
 * prepared beforehand, over plain sockets.
 *
 * The model's name chooses the answer; `stream: true` in the body a stream:
 *
 *     instant            all events in one write
 *     paced-<gapMs>      one event every `gapMs`, from one ticker for all streams
 *
 * A stream is a role-only event together with the first content, the rest of the
 * content, and the finish reason together with `[DONE]`.
 *
 *     deno run --allow-net=127.0.0.1 bench/load/backend.ts
 *
 * prints its port as one line of JSON.
 *
 * @module
 */

/** Content events of every stream. */
export const CONTENT_EVENTS = 50;
/** Events of every stream: role, content, finish reason, `[DONE]`. */
export const STREAM_EVENTS = CONTENT_EVENTS + 3;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The writes of one stream, HTTP chunks and all. */
const WRITES = streamWrites();
const INSTANT_STREAM = joined(WRITES);
const ANSWER = plainAnswer();

function chunkEvent(delta: Record<string, string>, finishReason: string | null): string {
  const chunk = {
    id: "chatcmpl-bench0123456789abcdefghij",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "bench-model-2026-01-01",
    service_tier: "default",
    system_fingerprint: "fp_0123456789",
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
    obfuscation: "QmVuY2htYXJrUGFkZGluZw",
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function httpChunk(text: string): string {
  return `${encoder.encode(text).length.toString(16)}\r\n${text}\r\n`;
}

function streamWrites(): Uint8Array<ArrayBuffer>[] {
  const head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" +
    "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
  const role = httpChunk(chunkEvent({ role: "assistant", content: "" }, null));
  const content = httpChunk(chunkEvent({ content: " token" }, null));
  const end = httpChunk(chunkEvent({}, "stop")) + httpChunk("data: [DONE]\n\n") + "0\r\n\r\n";
  return Array.from({ length: CONTENT_EVENTS }, (_, index) => {
    const before = index === 0 ? head + role : "";
    return encoder.encode(before + content + (index === CONTENT_EVENTS - 1 ? end : ""));
  });
}

function plainAnswer(): Uint8Array<ArrayBuffer> {
  const body = JSON.stringify({
    id: "chatcmpl-bench0123456789abcdefghij",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "bench-model-2026-01-01",
    choices: [{
      index: 0,
      message: { role: "assistant", content: "token ".repeat(50).trim(), refusal: null },
      logprobs: null,
      finish_reason: "stop",
    }],
    usage: { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 },
  });
  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" +
    `content-length: ${encoder.encode(body).length}\r\n\r\n`;
  return encoder.encode(head + body);
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) offset += await connection.write(bytes.subarray(offset));
}

interface PacedStream {
  readonly connection: Deno.Conn;
  readonly gapMs: number;
  dueMs: number;
  /** Index of the next write. */
  next: number;
  /** The last write; the next one waits for it, so that a slow reader slows its stream only. */
  writing: Promise<void> | null;
  readonly finish: (error: unknown) => void;
}

/** All paced streams, moved on by one ticker of a millisecond. */
class Pacer {
  readonly #streams = new Set<PacedStream>();
  #ticker: ReturnType<typeof setInterval> | null = null;

  play(connection: Deno.Conn, gapMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error: unknown): void => error === null ? resolve() : reject(error);
      const stream = { connection, gapMs, dueMs: performance.now(), next: 0, finish };
      const entry: PacedStream = { ...stream, writing: null };
      this.#streams.add(entry);
      this.#advance(entry, entry.dueMs);
      this.#ticker ??= setInterval(() => this.#tick(), 1);
    });
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const stream of this.#streams) this.#advance(stream, nowMs);
    if (this.#streams.size === 0 && this.#ticker !== null) {
      clearInterval(this.#ticker);
      this.#ticker = null;
    }
  }

  #advance(stream: PacedStream, nowMs: number): void {
    if (stream.writing !== null || nowMs < stream.dueMs) return;
    const bytes = WRITES[stream.next];
    if (bytes === undefined) return;
    stream.next++;
    stream.dueMs += stream.gapMs;
    stream.writing = writeAll(stream.connection, bytes).then(() => {
      stream.writing = null;
      if (stream.next === WRITES.length) this.#end(stream, null);
    }, (error) => this.#end(stream, error));
  }

  #end(stream: PacedStream, error: unknown): void {
    this.#streams.delete(stream);
    stream.finish(error);
  }
}

/** Offset just after the head, or -1. */
function headEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at !== -1; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at + 4;
  }
  return -1;
}

/** Reads one request. @returns Its body and what came after it, or `null` at the end. */
async function readRequest(
  connection: Deno.Conn,
  rest: Uint8Array,
): Promise<{ body: string; rest: Uint8Array } | null> {
  const buffer = new Uint8Array(65_536);
  let bytes = rest;
  let bodyStart = headEnd(bytes);
  let bodyEnd = Infinity;
  for (;;) {
    if (bodyStart === -1) bodyStart = headEnd(bytes);
    if (bodyStart !== -1 && bodyEnd === Infinity) {
      const head = decoder.decode(bytes.subarray(0, bodyStart)).toLowerCase();
      if (head.includes("\r\ntransfer-encoding:")) {
        const end = decoder.decode(bytes).indexOf("0\r\n\r\n", bodyStart);
        if (end !== -1) return { body: dechunked(bytes, bodyStart), rest: new Uint8Array() };
      } else {
        bodyEnd = bodyStart + Number(/\r\ncontent-length: *(\d+)/.exec(head)?.[1] ?? 0);
      }
    }
    if (bytes.length >= bodyEnd) {
      return {
        body: decoder.decode(bytes.subarray(bodyStart, bodyEnd)),
        rest: bytes.slice(bodyEnd),
      };
    }
    const length = await connection.read(buffer);
    if (length === null) return null;
    bytes = bytes.length === 0 ? buffer.slice(0, length) : joined([
      bytes,
      buffer.subarray(0, length),
    ]);
  }
}

/** The content of a chunked request that arrived whole (bodies here are plain ASCII). */
function dechunked(bytes: Uint8Array, start: number): string {
  let text = decoder.decode(bytes.subarray(start));
  let body = "";
  for (;;) {
    const lineEnd = text.indexOf("\r\n");
    const size = parseInt(text.slice(0, lineEnd), 16);
    if (!(size > 0)) return body;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    text = text.slice(lineEnd + 4 + size);
  }
}

async function serve(connection: Deno.TcpConn, pacer: Pacer): Promise<void> {
  connection.setNoDelay(true);
  let rest: Uint8Array = new Uint8Array();
  for (;;) {
    const request = await readRequest(connection, rest);
    if (request === null) return;
    rest = request.rest;
    const { model = "", stream } = request.body === "" ? {} : JSON.parse(request.body);
    const gap = /^paced-(\d+)$/.exec(model)?.[1];
    if (stream !== true) await writeAll(connection, ANSWER);
    else if (gap === undefined) await writeAll(connection, INSTANT_STREAM);
    else await pacer.play(connection, Number(gap));
  }
}

async function main(): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const pacer = new Pacer();
  await Deno.stdout.write(encoder.encode(JSON.stringify({ port: listener.addr.port }) + "\n"));
  for await (const connection of listener) {
    serve(connection, pacer).catch(() => {}).finally(() => connection.close());
  }
}

if (import.meta.main) await main();
