/**
 * A crowd that asks the same at once, and the backend it is about: one command a line
 * in, one result a line out.
 *
 * The backend lets a stream's first token wait, so that everybody is there when it
 * comes, and counts its calls itself. One client asks first, the others right behind
 * it; what is measured is how much later than the first each has its first token.
 *
 *     deno run --allow-net=127.0.0.1 bench/cache/crowd.ts
 *
 * prints its backend's port as one line of JSON first.
 *
 * @module
 */
import { ResponseParser } from "../load/response_parser.ts";
import { percentile, requestBytes } from "./client.ts";

/** One run. */
export interface CrowdCommand {
  /** Port of the gateway. */
  readonly port: number;
  /** The model. */
  readonly model: string;
  /** Clients. */
  readonly clients: number;
  /** Number of the question. */
  readonly number: number;
}

/** What it gave; times in milliseconds. */
export interface CrowdResult {
  /** Clients with a complete stream. */
  readonly complete: number;
  /** Calls that the backend had. */
  readonly calls: number;
  /** First token of the others, after that of the first to ask. */
  readonly behindMs: { readonly p50: number; readonly p99: number };
  /** From the first request to the first token of whoever had it first. */
  readonly firstTokenMs: number;
}

const FIRST_TOKEN_MS = 250;
const GAP_MS = 4;
const TOKENS = 20;
/** Time for the leader's request to arrive before the others'. */
const LEAD_MS = 10;
/** The role comes by itself; the first token is the second event. */
const FIRST_TOKEN_EVENT = 2;
const EVENTS = TOKENS + 3;
const encoder = new TextEncoder();

let calls = 0;

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function event(delta: Readonly<Record<string, string>>, finishReason: string | null): Uint8Array {
  const choices = [{ index: 0, delta, finish_reason: finishReason }];
  const chunk = {
    id: "chatcmpl-crowd",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "crowd-1",
    choices,
  };
  return encoder.encode(`data: ${JSON.stringify(chunk)}\n\n`);
}

async function* tokens(): AsyncGenerator<Uint8Array> {
  await pause(FIRST_TOKEN_MS);
  yield event({ role: "assistant", content: "" }, null);
  for (let i = 0; i < TOKENS; i++) {
    yield event({ content: ` token${i}` }, null);
    await pause(GAP_MS);
  }
  yield event({}, "stop");
  yield encoder.encode("data: [DONE]\n\n");
}

async function answer(request: Request): Promise<Response> {
  await request.body?.cancel();
  calls++;
  return new Response(ReadableStream.from(tokens()), {
    headers: { "content-type": "text/event-stream" },
  });
}

/** Reads one stream to its end. @returns When its first token came. */
async function read(connection: Deno.Conn): Promise<number> {
  const parser = new ResponseParser();
  const buffer = new Uint8Array(65_536);
  let firstTokenMs = NaN;
  while (!parser.done) {
    const length = await connection.read(buffer);
    if (length === null) throw new Error("Cannot read on: the connection was closed");
    parser.feed(buffer.subarray(0, length));
    if (Number.isNaN(firstTokenMs) && parser.events >= FIRST_TOKEN_EVENT) {
      firstTokenMs = performance.now();
    }
  }
  return parser.status === 200 && parser.events === EVENTS ? firstTokenMs : NaN;
}

async function gather(command: CrowdCommand): Promise<CrowdResult> {
  const { port, model, clients, number } = command;
  const asking = {
    model,
    stream: true,
    wording: "stored",
    from: 0,
    count: 1,
    layer: null,
  } as const;
  const request = requestBytes(asking, number);
  const connections = await Promise.all(
    Array.from({ length: clients }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  try {
    const callsBefore = calls;
    const startMs = performance.now();
    const streams = connections.map((connection) => read(connection));
    // One write each: these requests are shorter than any socket's buffer.
    await connections[0]?.write(request);
    await pause(LEAD_MS);
    await Promise.all(connections.slice(1).map((connection) => connection.write(request)));
    const times = await Promise.all(streams);
    const [leader = NaN, ...others] = times;
    const behind = others.filter((time) => !Number.isNaN(time)).map((time) => time - leader)
      .sort((a, b) => a - b);
    return {
      complete: times.filter((time) => !Number.isNaN(time)).length,
      calls: calls - callsBefore,
      behindMs: { p50: percentile(behind, 0.5), p99: percentile(behind, 0.99) },
      firstTokenMs: Math.min(...times.filter((time) => !Number.isNaN(time))) - startMs,
    };
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function main(): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  const say = (value: unknown) => Deno.stdout.write(encoder.encode(JSON.stringify(value) + "\n"));
  await say({ port: server.addr.port });
  let text = "";
  for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      const command: CrowdCommand = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      await say(await gather(command));
    }
  }
  await server.shutdown();
}

if (import.meta.main) await main();
