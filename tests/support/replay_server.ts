/**
 * A server between clients and a simulated backend that remembers what it passed
 * on, and gives it again.
 *
 * Under `/live` a request goes to the backend, and its answer is recorded on the
 * way. Under `/from-stream` and `/from-json` it is answered from what was recorded
 * of a stream, or of an answer that came whole: as a stream if it asks for one.
 * Nothing else of the gateway is in between, so what a client makes of a replay is
 * the replay's own doing.
 *
 * @module
 */
import type { AnswerRecord, CachedSurface } from "../../src/cache/types.ts";
import { decodeRecord, encodeRecord } from "../../src/cache/answer/record_codec.ts";
import { recordAnswer, type Recorded, StreamRecorder } from "../../src/cache/answer/recorder.ts";
import { replayAnswer, replayEvents } from "../../src/cache/answer/replay.ts";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import { startSimulator } from "../../src/simulate/server.ts";
import { EventScanner } from "../../src/stream/sse.ts";

/** What recordings an answer can be made from. */
export const RECORDINGS = ["from-stream", "from-json"] as const;

/** Where an answer comes from. */
export type AnswerSource = "live" | (typeof RECORDINGS)[number];

/** The server, with its backend. */
export interface ReplayServer extends AsyncDisposable {
  /** Base URL without `/v1`, as Anthropic clients want it. */
  url(source: AnswerSource): string;
  /** The last outcome of recording, by API and way, such as `chat from-stream`. */
  readonly outcomes: ReadonlyMap<string, Recorded>;
}

const SURFACE_BY_PATH: ReadonlyMap<string, CachedSurface> = new Map([
  ["/v1/chat/completions", "chat"],
  ["/v1/completions", "completions"],
  ["/v1/responses", "responses"],
  ["/v1/messages", "messages"],
]);

const LIMIT = { bytesMax: 256_000 };

interface Call {
  readonly source: AnswerSource;
  readonly path: string;
  readonly surface: CachedSurface;
  readonly text: string;
  readonly isStream: boolean;
  readonly includeUsage: boolean;
}

/** Starts both on free ports. */
export async function serveReplays(): Promise<ReplayServer> {
  const simulator = await startSimulator({ profile: INSTANT_PROFILE });
  const outcomes = new Map<string, Recorded>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const call = await callOf(request);
      if (call === null) return Response.json({ error: { message: "Unknown" } }, { status: 404 });
      if (call.source === "live") return await passOn(call, simulator.port, outcomes);
      const outcome = outcomes.get(`${call.surface} ${call.source}`);
      if (outcome === undefined || "refused" in outcome) {
        return Response.json({ error: { message: "Not recorded" } }, { status: 504 });
      }
      return replay(call, outcome.record);
    },
  );
  return {
    url: (source) => `http://127.0.0.1:${server.addr.port}/${source}`,
    outcomes,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await simulator.close();
    },
  };
}

async function callOf(request: Request): Promise<Call | null> {
  const [, source, path] = /^\/(live|from-stream|from-json)(\/.*)$/
    .exec(new URL(request.url).pathname) ?? [];
  const surface = SURFACE_BY_PATH.get(path ?? "");
  if (surface === undefined || path === undefined) return null;
  const text = await request.text();
  const body = JSON.parse(text);
  return {
    source: source as AnswerSource,
    path,
    surface,
    text,
    isStream: body.stream === true,
    includeUsage: body.stream_options?.include_usage === true,
  };
}

async function passOn(
  call: Call,
  port: number,
  outcomes: Map<string, Recorded>,
): Promise<Response> {
  const answer = await fetch(`http://127.0.0.1:${port}${call.path}`, {
    method: "POST",
    headers: { "anthropic-version": "2023-06-01" },
    body: call.text,
  });
  const headers = { "content-type": answer.headers.get("content-type") ?? "" };
  if (!call.isStream || answer.body === null) {
    const text = await answer.text();
    outcomes.set(`${call.surface} from-json`, recordAnswer(call.surface, JSON.parse(text), LIMIT));
    return new Response(text, { status: answer.status, headers });
  }
  const recorder = new StreamRecorder(call.surface, LIMIT);
  const scanner = new EventScanner({ eventBytesMax: 1_000_000 });
  const recording = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      scanner.push(piece, ({ event, data }) => {
        if (data !== null) recorder.push(event, data);
      });
      controller.enqueue(piece);
    },
    flush() {
      outcomes.set(`${call.surface} from-stream`, recorder.finish());
    },
  });
  return new Response(answer.body.pipeThrough(recording), { status: answer.status, headers });
}

function replay(call: Call, recorded: AnswerRecord): Response {
  // By way of its written form, as an answer of another gateway comes.
  const record = decodeRecord(encodeRecord(recorded));
  if (record === null) throw new Error("Cannot replay: the record cannot be read back");
  const options = {
    id: crypto.randomUUID().replaceAll("-", ""),
    createdSeconds: Math.floor(Date.now() / 1_000),
    includeUsage: call.includeUsage,
  };
  if (!call.isStream) return Response.json(replayAnswer(record, options));
  const events = ReadableStream.from(replayEvents(record, options))
    .pipeThrough(new TextEncoderStream());
  return new Response(events, { headers: { "content-type": "text/event-stream" } });
}
