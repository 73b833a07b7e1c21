/**
 * Clients that leave: the backend has to notice at once.
 *
 * Gateway and backend share this process and so its clock; the sockets between
 * them are real.
 *
 * @module
 */
import assert from "node:assert/strict";
import { checkConfig } from "../../src/config/load.ts";
import { createGateway } from "../../src/gateway.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { serveHttp } from "../../src/runtime/http_server.ts";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import type { LogEntry } from "../../src/simulate/request_log.ts";
import { type Simulator, startSimulator } from "../../src/simulate/server.ts";

/** Where a request stands when its client leaves. */
export type Stage =
  | "before_headers"
  | "before_first_token"
  | "mid_stream"
  | "whole_answer";

/** Stages in the order of trials. */
export const STAGES: readonly Stage[] = [
  "before_headers",
  "before_first_token",
  "mid_stream",
  "whole_answer",
];

const MODEL_BY_STAGE: Readonly<Record<Stage, string>> = {
  before_headers: "m!silence=60",
  before_first_token: "m!slow=60",
  mid_stream: "m!stall=3:60",
  whole_answer: "m!silence=60",
};

/** Requests of one packet and of many. */
const PROMPTS = ["hi", "x".repeat(1_500), "y".repeat(40_000)];

/** One trial. */
export interface Abort {
  /** Where the request stood. */
  readonly stage: Stage;
  /** From the gateway's learning of it to the backend's. */
  readonly delayMs: number;
}

/** The clock that the simulator's log uses. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Runs `trials` aborts, one after the other, over all stages in turn. */
export async function runAborts(trials: number): Promise<Abort[]> {
  const waiting = new Map<string, PromiseWithResolvers<LogEntry>>();
  const arrived = new Map<string, PromiseWithResolvers<void>>();
  const simulator = await startSimulator({
    profile: INSTANT_PROFILE,
    onRequest: (entry) => arrived.get(entry.requestId ?? "")?.resolve(),
    onSettled: (entry) => waiting.get(entry.requestId ?? "")?.resolve(entry),
  });
  const learnedMs = new Map<string, number>();
  const gateway = createGateway(checkConfig(config(simulator)));
  const server = serveHttp({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    refuse: (status, message) => gateway.refuse(status, message),
    handle(request) {
      const id = request.headers.get("x-request-id") ?? "";
      request.signal.addEventListener("abort", () => learnedMs.set(id, nowMs()));
      return gateway.handle(request);
    },
  });
  const aborts: Abort[] = [];
  try {
    for (let trial = 0; trial < trials; trial++) {
      const stage = STAGES[trial % STAGES.length] ?? "mid_stream";
      const id = `abort-${trial}`;
      const settled = Promise.withResolvers<LogEntry>();
      const started = Promise.withResolvers<void>();
      waiting.set(id, settled);
      arrived.set(id, started);
      const prompt = PROMPTS[trial % PROMPTS.length] ?? "";
      await leave(server.url, stage, id, started.promise, prompt);
      const entry = await settled.promise;
      assert.ok(
        entry.clientGoneAtMs !== null,
        `${id} ${stage}: ${entry.action}`,
      );
      const learned = learnedMs.get(id);
      assert.ok(
        learned !== undefined,
        `${id} ${stage}: the gateway never learned of it`,
      );
      aborts.push({ stage, delayMs: entry.clientGoneAtMs - learned });
      waiting.delete(id);
      arrived.delete(id);
    }
    assert.equal(gateway.running, 0);
  } finally {
    await gateway.close();
    await server.stop(1_000);
    await simulator.close();
  }
  return aborts;
}

async function leave(
  url: string,
  stage: Stage,
  requestId: string,
  arrived: Promise<void>,
  prompt: string,
): Promise<void> {
  const controller = new AbortController();
  const stream = stage !== "whole_answer";
  const response = fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-request-id": requestId },
    body: JSON.stringify({
      model: stage,
      stream,
      messages: [{ role: "user", content: prompt }],
    }),
    signal: controller.signal,
  });
  const ended = response.then((answer) => answer.text()).catch(() => "aborted");
  await arrived;
  if (stage === "mid_stream") {
    // Read by a second reader's eyes: the first content has passed the gateway.
    await response;
  }
  controller.abort();
  assert.equal(await ended, "aborted");
}

function config(simulator: Simulator): unknown {
  return {
    backends: [{ name: "sim", protocol: "openai", baseUrl: simulator.url }],
    models: STAGES.map((stage) => ({
      name: stage,
      targets: [{ backend: "sim", model: MODEL_BY_STAGE[stage] }],
      retries: { attemptsMax: 1 },
    })),
  };
}
