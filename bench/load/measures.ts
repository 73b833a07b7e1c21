/**
 * What is measured of each data path, and how one run of load becomes figures.
 *
 * @module
 */
import { CONTENT_EVENTS, STREAM_EVENTS } from "./backend.ts";
import type { Child } from "./children.ts";
import type { LoadCommand, LoadResult } from "./client.ts";
import type { Peer } from "./peers.ts";
import { figuresOf } from "./process_figures.ts";

/** One kind of load. */
export interface Scenario {
  /** Name in the results. */
  readonly name: "plain_c1" | "plain_c32" | "stream_c1" | "stream_c16" | "paced";
  /** Model that the backend answers for. */
  readonly model: string;
  /** Whether a stream is asked for. */
  readonly stream: boolean;
  /** Connections. */
  readonly connections: number;
  /** How long new requests start. */
  readonly durationMs: number;
  /** Spread of the first requests. */
  readonly spreadMs: number;
}

/** Figures of one run; `null` where they make no sense. */
export interface Figures {
  /** Complete answers a second. */
  readonly requestsPerSecond: number;
  /** The gateway's CPU time a request, in milliseconds; `null` for "direct". */
  readonly cpuMsPerRequest: number | null;
  /** The gateway's CPU time a content event, in microseconds. */
  readonly cpuUsPerEvent: number | null;
  /** Whole answers, in milliseconds. */
  readonly latencyP50Ms: number;
  /** Whole answers, in milliseconds. */
  readonly latencyP99Ms: number;
  /** First content, in milliseconds. */
  readonly firstTokenP50Ms: number | null;
  /** First content, in milliseconds. */
  readonly firstTokenP99Ms: number | null;
  /** Content to content, in milliseconds. */
  readonly gapP99Ms: number | null;
  /** Most resident memory seen during the run. */
  readonly residentBytesMax: number | null;
  /** Requests that were answered in full. */
  readonly requests: number;
  /** Requests that were not. */
  readonly errors: number;
  /** The first of them, or "". */
  readonly firstError: string;
}

/** The five kinds of load; `seconds` is the length of each but the paced one, which has 4. */
export function scenarios(
  options: { readonly seconds: number; readonly pacedSeconds: number; readonly gapMs: number },
): readonly Scenario[] {
  const durationMs = options.seconds * 1_000;
  const plain = { model: "instant", stream: false, durationMs, spreadMs: 0 };
  const stream = { model: "instant", stream: true, durationMs, spreadMs: 0 };
  return [
    { name: "plain_c1", ...plain, connections: 1 },
    { name: "plain_c32", ...plain, connections: 32 },
    { name: "stream_c1", ...stream, connections: 1 },
    { name: "stream_c16", ...stream, connections: 16 },
    {
      name: "paced",
      model: `paced-${options.gapMs}`,
      stream: true,
      connections: 300,
      durationMs: options.pacedSeconds * 1_000,
      // Over one stream's length: starts are then spread evenly for good.
      spreadMs: options.gapMs * CONTENT_EVENTS,
    },
  ];
}

/** Puts one load on one peer. `requestsMax` 0 means until the time is over. */
export async function measure(
  client: Child,
  peer: Peer,
  scenario: Scenario,
  requestsMax = 0,
): Promise<Figures> {
  const command: LoadCommand = {
    port: peer.port,
    headers: peer.headers,
    body: requestBody(scenario),
    events: scenario.stream ? STREAM_EVENTS : 0,
    connections: scenario.connections,
    durationMs: scenario.durationMs,
    spreadMs: scenario.spreadMs,
    requestsMax,
  };
  const pid = peer.child?.pid ?? null;
  const beforeMs = pid === null ? 0 : figuresOf(pid).cpuMs;
  let residentBytesMax = 0;
  const look = (): void => {
    if (pid !== null) residentBytesMax = Math.max(residentBytesMax, figuresOf(pid).residentBytes);
  };
  const watch = setInterval(look, 2_000);
  await client.write(JSON.stringify(command));
  const result: LoadResult = JSON.parse(await client.read().finally(() => clearInterval(watch)));
  look();
  const cpuMs = pid === null ? null : figuresOf(pid).cpuMs - beforeMs;
  return figuresFrom(result, scenario, cpuMs, pid === null ? null : residentBytesMax);
}

function figuresFrom(
  result: LoadResult,
  scenario: Scenario,
  cpuMs: number | null,
  residentBytesMax: number | null,
): Figures {
  const { requests, errors, firstError, latencyMs, firstTokenMs, gapMs } = result;
  const answered = Math.max(1, requests);
  return {
    requestsPerSecond: requests / (result.elapsedMs / 1_000),
    cpuMsPerRequest: cpuMs === null ? null : cpuMs / answered,
    cpuUsPerEvent: cpuMs === null || !scenario.stream
      ? null
      : cpuMs * 1_000 / (answered * CONTENT_EVENTS),
    latencyP50Ms: latencyMs.p50,
    latencyP99Ms: latencyMs.p99,
    firstTokenP50Ms: scenario.stream ? firstTokenMs.p50 : null,
    firstTokenP99Ms: scenario.stream ? firstTokenMs.p99 : null,
    gapP99Ms: scenario.stream ? gapMs.p99 : null,
    residentBytesMax,
    requests,
    errors,
    firstError,
  };
}

function requestBody(scenario: Scenario): string {
  return JSON.stringify({
    model: scenario.model,
    messages: [
      { role: "system", content: "You are a helpful assistant. Answer in one sentence." },
      { role: "user", content: "What does a weir do? ".repeat(15).trim() },
    ],
    temperature: 0.7,
    max_tokens: 200,
    ...(scenario.stream ? { stream: true } : {}),
  });
}
