/**
 * Streams with a cut, a reset or a stall at a random byte.
 *
 * Whatever byte it hits, framing and UTF-8 included, a stream has to end in one
 * of two ways: complete, or with an error that the caller can see.
 *
 * @module
 */
import assert from "node:assert/strict";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import { randomFrom } from "../sim/harness.ts";
import { callChat, type CallResult } from "./failover_caller.ts";
import { type ServedGateway, serveGateway } from "./gateway_fixture.ts";
import { type SimulatorProcess, spawnSimulator } from "./simulator_process.ts";

/** How many streams, and with what chance. */
export interface CutPlan {
  /** Number of streams. */
  readonly streams: number;
  /** Streams at a time. */
  readonly concurrency: number;
  /** Seed of faults and offsets. */
  readonly seed: number;
  /** Whether broken streams are carried on by another backend. */
  readonly continuation: boolean;
}

/** How the streams ended. */
export interface CutTally {
  /** Streams with the whole answer and a clean end. */
  complete: number;
  /** Streams with an error status, an error event or an abnormal end. */
  failed: number;
  /** Attempts that the gateway carried on elsewhere. */
  continued: number;
}

/** A silence this long is a fault; the gateway notices after its idle limit. */
const STALL_SECONDS = 30;
const IDLE_SECONDS = 0.3;

/** Runs the streams; throws at the first that ends as if it were complete, and is not. */
export async function runCutStreams(plan: CutPlan): Promise<CutTally> {
  await using broken = await spawnSimulator({ profile: INSTANT_PROFILE });
  await using healthy = await spawnSimulator({ profile: INSTANT_PROFILE });
  await using gateway = serveGateway(
    cutConfig(broken, healthy, plan.continuation),
  );
  const whole = await call(gateway, "whole", {});
  assert.equal(whole.outcome, "success");
  assert.ok(whole.content.length > 100);

  const random = randomFrom(plan.seed);
  const tally: CutTally = { complete: 0, failed: 0, continued: 0 };
  let next = 0;
  async function work(): Promise<void> {
    while (next < plan.streams) {
      const number = ++next;
      const fault = faultFrom(random);
      const result = await call(gateway, `cut-${number}`, {
        "x-sim-fault": fault,
      });
      judge(
        result,
        whole.content,
        `seed ${plan.seed}, stream ${number}, ${fault}`,
      );
      if (result.outcome === "success") tally.complete++;
      else tally.failed++;
    }
  }
  await Promise.all(Array.from({ length: plan.concurrency }, work));
  tally.continued = await gateway.metric("weir_continuations_total", {
    result: "completed",
  });
  return tally;
}

function judge(result: CallResult, whole: string, where: string): void {
  assert.notEqual(result.outcome, "hang", where);
  if (result.outcome === "error") {
    assert.ok(
      whole.startsWith(result.content),
      `${where}: what was sent is no part of the answer`,
    );
    return;
  }
  assert.equal(
    result.content,
    whole,
    `${where}: a clean end without the whole answer`,
  );
  assert.ok(result.done, `${where}: a clean end without an end marker`);
}

function call(
  gateway: ServedGateway,
  requestId: string,
  headers: Readonly<Record<string, string>>,
): Promise<CallResult> {
  return callChat({
    baseUrl: `${gateway.url}/v1`,
    model: "chat",
    requestId,
    stream: true,
    maxSeconds: 60,
    headers: { "x-sim-words": "40", ...headers },
  });
}

/** A third each; the offset lies within the answer or a little beyond its end. */
function faultFrom(random: () => number): string {
  const offset = Math.floor(random() * 14_000);
  const kind = random();
  if (kind < 0.4) return `cut-bytes=${offset}`;
  if (kind < 0.8) return `rst-bytes=${offset}`;
  return `stall-bytes=${offset}:${STALL_SECONDS}`;
}

function cutConfig(
  broken: SimulatorProcess,
  healthy: SimulatorProcess,
  continuation: boolean,
): unknown {
  // Only the first backend gets to see the header that asks for a fault.
  const backends = [
    { name: "broken", protocol: "openai", baseUrl: broken.url },
    {
      name: "healthy",
      protocol: "openai",
      baseUrl: healthy.url,
      headers: { "x-sim-fault": "" },
    },
  ];
  const targets = [
    { backend: "broken", model: "m", tier: 0 },
    ...(continuation ? [{ backend: "healthy", model: "m", tier: 1 }] : []),
  ];
  return {
    backends,
    forwardHeaders: ["x-sim-fault", "x-sim-words"],
    timeouts: {
      idleSeconds: IDLE_SECONDS,
      firstTokenSeconds: IDLE_SECONDS * 4,
    },
    log: { level: "error" },
    // The breaker and the retry budget would end the experiment after a few streams.
    balancing: {
      breaker: {
        consecutiveFailures: 1_000,
        failureRatio: 1,
        minimumOutcomes: 100_000,
      },
    },
    models: [{
      name: "chat",
      targets: continuation ? targets : targets.slice(0, 1),
      retries: {
        attemptsMax: continuation ? 3 : 1,
        budget: { max: 10_000, perRequest: 10, perSecond: 1_000 },
      },
      continuation: continuation ? "verified" : "off",
    }],
  };
}
