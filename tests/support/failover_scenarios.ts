/**
 * The sixteen faults of FailoverBench, and what a caller may expect of each.
 *
 * Source: the public catalogue of failoverbench/failoverbench, methodology 0.1:
 * its scenarios, its timing and the conditions of its verdict "pass". The set-up
 * is its baseline: two retries, a limit of 30 s, one fallback model.
 *
 * @module
 */
import assert from "node:assert/strict";
import { FAILOVER_ANSWER } from "../../src/simulate/faults/failover_models.ts";
import type { LogEntry } from "../../src/simulate/request_log.ts";
import { callChat, type CallResult } from "./failover_caller.ts";

/** What happened in a scenario, from both sides. */
export interface View {
  /** What the caller got. */
  readonly result: CallResult;
  /** Attempts on the model that fails. */
  readonly primary: readonly LogEntry[];
  /** Attempts on the fallback model. */
  readonly fallback: readonly LogEntry[];
}

/** One scenario of the catalogue. */
export interface Scenario {
  /** Catalogue number. */
  readonly id: string;
  /** What is tested. */
  readonly title: string;
  /** The model that fails. */
  readonly model: string;
  /** The model behind it. */
  readonly fallback: string;
  /** After this long the call counts as hung, in the full timing. */
  readonly maxSeconds: number;
  /** What makes the verdict a pass. */
  readonly check: (view: View) => void;
  /** Bounds in seconds, which hold for the full timing only. */
  readonly withinSeconds?: number;
}

/** The model names that need a configuration of their own. */
export const SCENARIOS: readonly Scenario[] = [
  {
    id: "S01",
    title: "429 with Retry-After: the second attempt waits for it",
    model: "fb-s01-429-retry-after",
    fallback: "fb-ok",
    maxSeconds: 20,
    check(view) {
      rescued(view);
      assert.equal(view.primary.length, 2);
      assert.equal(view.fallback.length, 0);
      assert.ok(gapSeconds(view) >= 1.8, `gap of ${gapSeconds(view)} s`);
    },
  },
  {
    id: "S02",
    title: "429 for ever: bounded attempts, then the fallback",
    model: "fb-s02-429-persistent",
    fallback: "fb-ok",
    maxSeconds: 40,
    check(view) {
      rescued(view);
      assert.ok(view.primary.length <= 4);
    },
  },
  {
    id: "S03",
    title: "500 once: the retry goes to the same backend",
    model: "fb-s03-500-then-200",
    fallback: "fb-ok",
    maxSeconds: 20,
    check(view) {
      rescued(view);
      assert.equal(view.primary.length, 2);
      assert.equal(view.fallback.length, 0);
    },
  },
  {
    id: "S04",
    title: "503 for ever: the fallback answers",
    model: "fb-s04-503-persistent",
    fallback: "fb-ok",
    maxSeconds: 40,
    check(view) {
      rescued(view);
      assert.ok(view.primary.length <= 6);
    },
  },
  {
    id: "S05",
    title: "reset before headers: the retry goes to the same backend",
    model: "fb-s05-reset",
    fallback: "fb-ok",
    maxSeconds: 20,
    check(view) {
      rescued(view);
      assert.equal(view.primary.length, 2);
      assert.equal(view.fallback.length, 0);
    },
  },
  {
    id: "S06",
    title: "no response at all: a silent backend is tried once",
    model: "fb-s06-no-response",
    fallback: "fb-ok",
    maxSeconds: 130,
    withinSeconds: 100,
    check(view) {
      rescued(view);
      assert.equal(view.primary.length, 1);
    },
  },
  {
    id: "S07",
    title: "slow first token: the limit moves the request",
    model: "fb-s07-slow-ttft",
    fallback: "fb-ok",
    maxSeconds: 60,
    withinSeconds: 15,
    check(view) {
      rescued(view);
      assert.equal(view.primary.length, 1);
      assert.equal(view.fallback.length, 1);
    },
  },
  {
    id: "S08",
    title: "stream cut in the middle: the whole answer all the same",
    model: "fb-s08-stream-cut",
    fallback: "fb-ok",
    maxSeconds: 40,
    check: rescued,
  },
  {
    id: "S09",
    title: "stream stalls: the whole answer all the same",
    model: "fb-s09-stream-stall",
    fallback: "fb-ok",
    maxSeconds: 70,
    withinSeconds: 45,
    check: rescued,
  },
  {
    id: "S10",
    title: "malformed event: nothing of it leaks, nothing is lost",
    model: "fb-s10-malformed-chunk",
    fallback: "fb-ok",
    maxSeconds: 30,
    check: rescued,
  },
  {
    id: "S11",
    title: "no [DONE]: ends at once, usage kept",
    model: "fb-s11-no-done",
    fallback: "fb-ok",
    maxSeconds: 30,
    withinSeconds: 8,
    check(view) {
      rescued(view);
      assert.equal(view.primary.length, 1);
      assert.equal(view.result.completionTokens, 60);
    },
  },
  {
    id: "S12",
    title: "context length exceeded: not again on the same model",
    model: "fb-s12-context-length",
    fallback: "fb-ok",
    maxSeconds: 20,
    check(view) {
      rescued(view);
      assert.equal(view.primary.length, 1);
    },
  },
  {
    id: "S13",
    title: "content filter: the provider's reason reaches the caller",
    model: "fb-s13-content-filter",
    fallback: "fb-ok",
    maxSeconds: 20,
    check({ result, primary, fallback }) {
      assert.equal(result.outcome, "error");
      assert.equal(result.status, 400);
      assert.equal(result.code, "content_policy_violation");
      assert.equal(primary.length, 1);
      assert.equal(fallback.length, 0);
    },
  },
  {
    id: "S14",
    title: "cut, and the fallback refuses a prefill: restarted instead",
    model: "fb-s14-stream-cut",
    fallback: "fb-ok-noprefill",
    maxSeconds: 40,
    check: rescued,
  },
  {
    id: "S16",
    title: "fail-over accounting: the answer names the model that gave it",
    model: "fb-s16-503-persistent",
    fallback: "fb-ok",
    maxSeconds: 40,
    check(view) {
      rescued(view);
      assert.equal(view.result.model, "fb-ok");
      assert.equal(view.result.completionTokens, 60);
      assert.ok(view.primary.length <= 6);
    },
  },
];

/** S15, which is a sequence. */
export const FLAPPING = "fb-s15-flap";

/** The gateway's configuration for a backend at `baseUrl`. */
export function failoverConfig(
  baseUrl: string,
  timing: { readonly firstTokenSeconds: number; readonly idleSeconds: number },
): unknown {
  const aliases = [
    ...SCENARIOS.map(({ model, fallback }) => ({ model, fallback })),
    { model: FLAPPING, fallback: "fb-ok" },
  ];
  const models = aliases.map(({ model, fallback }) => ({
    name: model,
    continuation: "verified",
    retries: { attemptsMax: 3 },
    targets: [
      { backend: "wall", model, tier: 0 },
      // Said to take a prefill although it refuses one: the hard form of S14.
      {
        backend: "wall",
        model: fallback,
        tier: 1,
        capabilities: { prefill: true },
      },
    ],
  }));
  return {
    backends: [{ name: "wall", protocol: "openai", baseUrl }],
    timeouts: timing,
    models: [...models, {
      name: "fb-ok",
      targets: [{ backend: "wall", model: "fb-ok" }],
    }],
  };
}

/** Plays one scenario through the gateway at `baseUrl`. */
export async function play(
  scenario: Scenario,
  baseUrl: string,
  log: () => Promise<readonly LogEntry[]>,
): Promise<View> {
  const result = await callChat({
    baseUrl,
    model: scenario.model,
    requestId: scenario.id,
    stream: true,
    maxSeconds: scenario.maxSeconds,
  });
  const mine = (await log()).filter((entry) => entry.requestId === scenario.id);
  return {
    result,
    primary: mine.filter((entry) => entry.model === scenario.model),
    fallback: mine.filter((entry) => entry.model === scenario.fallback),
  };
}

/** The caller has the whole answer, and a stream that ended as it should. */
export function rescued({ result }: View): void {
  assert.equal(result.error, "");
  assert.equal(result.outcome, "success");
  assert.equal(words(result.content), words(FAILOVER_ANSWER));
  assert.ok(result.done, "the stream has its end marker");
}

function words(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}

function gapSeconds({ primary }: View): number {
  const [first, second] = primary;
  if (first === undefined || second === undefined) return 0;
  return second.sinceResetSeconds - first.sinceResetSeconds;
}
