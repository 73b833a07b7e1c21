/** Several attempts at once: hedges, and rescues of probes. */
import assert from "node:assert/strict";
import { type Script, type Stage, targetOf, Theatre } from "../../tests/support/dispatch_script.ts";
import { bucketEdgeSeconds, bucketOf } from "./latency_histogram.ts";

const HEDGED: Stage = {
  targets: [targetOf("a"), targetOf("b")],
  policy: { hedging: true },
};
/** The p95 of answers within 0.35 s, as the histogram tells it. */
const DELAY_SECONDS = 0.374653;

function near(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

/** A theatre whose pool has seen `answers` first tokens within 0.35 s. */
function warm(stage: Stage = HEDGED, answers = 100): Theatre {
  const theatre = new Theatre(stage);
  for (let i = 0; i < answers; i++) theatre.answer(0.35);
  return theatre;
}

/** A request that was hedged and still waits for both. */
function hedged(theatre: Theatre): Script {
  const script = theatre.request();
  near(script.wakeSeconds, DELAY_SECONDS);
  return script.wakeAfter(DELAY_SECONDS);
}

/** A theatre with `a` half-open and `b` healthy. */
function halfOpen(): Theatre {
  const theatre = warm({ targets: HEDGED.targets });
  theatre.trip("a");
  theatre.nowSeconds += theatre.snapshot("a").openSeconds;
  assert.equal(theatre.snapshot("a").breaker, "half_open");
  return theatre;
}

Deno.test("Dispatch hedges to another target after the usual time", () => {
  const theatre = warm();
  const script = theatre.request();
  const first = script.sent;
  script.wakeAfter(DELAY_SECONDS);
  assert.ok(script.sent !== null && script.sent !== first);
  assert.equal(script.attempt.kind, "hedge");
  assert.equal(script.wakeSeconds, null);
});

Deno.test("Dispatch does not hedge below 100 samples, or where hedging is off", () => {
  assert.equal(warm(HEDGED, 99).request().wakeSeconds, null);
  assert.equal(warm({ targets: HEDGED.targets }).request().wakeSeconds, null);
});

Deno.test("Dispatch does not hedge what may not be sent twice, comes in one piece, or says so", () => {
  assert.equal(warm().request({ replayable: false }).wakeSeconds, null);
  assert.equal(warm().request({ streaming: false }).wakeSeconds, null);
  const never = warm({ ...HEDGED, targets: [targetOf("a", { hedge: false }), targetOf("b")] });
  const scripts = [never.request(), never.request()];
  const [onA, onB] = ["a", "b"].map((name) => scripts.find(({ sent }) => sent === name));
  assert.equal(onA?.wakeSeconds, null);
  assert.equal(onB?.wakeAfter(DELAY_SECONDS).sent, null);
});

Deno.test("Dispatch does not hedge into a tier below", () => {
  const theatre = warm({ ...HEDGED, targets: [targetOf("a"), targetOf("b", { tier: 1 })] });
  assert.equal(theatre.request().wakeAfter(DELAY_SECONDS).sent, null);
});

Deno.test("Dispatch scales the hedge delay with the prompt", () => {
  const theatre = new Theatre(HEDGED);
  for (let i = 0; i < 200; i++) {
    const promptTokens = 200 + (i % 5) * 400;
    theatre.answer(0.1 + promptTokens / 5000, { promptTokens });
  }
  const long = theatre.request({ promptTokens: 4000 }).wakeSeconds ?? 0;
  const short = theatre.request({ promptTokens: 200 }).wakeSeconds ?? 0;
  // The factors of a fit a = 0.1, b = 0.0002: 0.9 and 0.14 over the same mean.
  assert.ok(Math.abs(long / short - 0.9 / 0.14) < 0.1, `${long} / ${short}`);
});

Deno.test("Dispatch aborts the loser in the step of the first token", () => {
  const theatre = warm();
  const script = theatre.request();
  const primary = script.attempt;
  script.wakeAfter(DELAY_SECONDS);
  const hedge = script.attempt;
  script.firstToken(hedge);
  assert.deepEqual(script.aborted, [primary.target.backend]);
  assert.equal(theatre.snapshot(primary.target.backend).inFlight, 0);
  assert.deepEqual(script.fail("reset", {}, primary).actions, []);
  script.finish();
  assert.equal(theatre.snapshot(hedge.target.backend).inFlight, 0);
});

Deno.test("Dispatch counts a lost hedge as a failure if nothing came from there meanwhile", () => {
  const theatre = warm();
  const script = hedged(theatre);
  const loser = script.attempt.target.backend === "a" ? "b" : "a";
  script.firstToken();
  assert.deepEqual(script.aborted, [loser]);
  near(
    theatre.snapshot(loser).latencySeconds,
    2 * theatre.pool.baselineSeconds(theatre.nowSeconds),
  );
});

Deno.test("Dispatch trips the breaker of a target that loses five races in silence", () => {
  const theatre = warm({ ...HEDGED, policy: { hedging: true, hedgeBudgetMax: 50 } });
  let losses = 0;
  for (; theatre.snapshot("a").breaker === "closed" && losses < 50; losses++) {
    theatre.balancer.drain("b", true);
    const script = theatre.request();
    theatre.balancer.drain("b", false);
    assert.equal(script.sent, "a");
    script.wakeAfter(script.wakeSeconds ?? 0);
    assert.equal(script.sent, "b");
    script.firstToken().finish();
  }
  assert.equal(losses, 5);
});

Deno.test("Dispatch does not blame a loser that answered others meanwhile, or that came second", () => {
  const answering = warm();
  const requests = Array.from({ length: 4 }, () => answering.request());
  const [script, witness] = requests.filter(({ sent }) => sent === "a");
  assert.ok(script && witness);
  const primary = script.attempt;
  script.wakeAfter(DELAY_SECONDS);
  witness.firstToken();
  const { latencySeconds } = answering.snapshot(primary.target.backend);
  script.firstToken();
  near(answering.snapshot(primary.target.backend).latencySeconds, latencySeconds);

  const second = warm();
  const late = second.request();
  const first = late.attempt;
  late.wakeAfter(DELAY_SECONDS);
  const hedge = late.attempt.target.backend;
  const before = second.snapshot(hedge).latencySeconds;
  late.firstToken(first);
  near(second.snapshot(hedge).latencySeconds, before);
});

Deno.test("Dispatch waits for the hedge when the first attempt fails, and for it alone", () => {
  const theatre = warm();
  const script = theatre.request();
  const primary = script.attempt;
  script.wakeAfter(DELAY_SECONDS);
  const hedge = script.attempt;
  assert.deepEqual(script.fail("reset", {}, primary).actions, []);
  script.firstToken(hedge);
  assert.deepEqual(script.actions, []);

  const both = theatre.request();
  const attempt = both.attempt;
  both.wakeAfter(both.wakeSeconds ?? 0);
  both.fail("reset", {}, attempt).fail("reset");
  near(both.wakeSeconds, 0.05);
  both.wakeAfter(0.05);
  assert.equal(both.attempt.kind, "retry");
  assert.equal(both.attempts, 3);
});

Deno.test("Dispatch hedges at most 5 % of the requests, after a handful", () => {
  const theatre = warm({ ...HEDGED, policy: { hedging: true, hedgePerRequest: 0 } });
  let hedges = 0;
  for (let i = 0; i < 20; i++) {
    const script = theatre.request();
    if (script.wakeSeconds !== null && script.wakeAfter(script.wakeSeconds).sent) hedges++;
    script.firstToken().finish();
  }
  assert.equal(hedges, 5);
});

Deno.test("Dispatch hedges only to a target within twice the baseline", () => {
  const theatre = warm();
  const script = theatre.request();
  const other = script.sent === "a" ? "b" : "a";
  const member = theatre.pool.members.find(({ spec }) => spec.key === other);
  member?.state.latency.observe(0.9, theatre.nowSeconds);
  assert.equal(script.wakeAfter(DELAY_SECONDS).sent, null);
});

Deno.test("Dispatch rescues a silent probe elsewhere", () => {
  const theatre = halfOpen();
  const script = theatre.request();
  const probe = script.attempt;
  assert.equal(probe.target.backend, "a");
  const delaySeconds = bucketEdgeSeconds(bucketOf(0.35));
  near(script.wakeSeconds, delaySeconds);
  script.wakeAfter(delaySeconds);
  assert.equal(script.sent, "b");
  assert.equal(script.attempt.kind, "rescue");
  script.firstToken();
  assert.deepEqual(script.aborted, ["a"]);
});

Deno.test("Dispatch rescues after one second while the usual time is not known", () => {
  const theatre = new Theatre({ targets: HEDGED.targets });
  theatre.trip("a");
  theatre.nowSeconds += theatre.snapshot("a").openSeconds;
  near(theatre.request().wakeSeconds, 1);
});

Deno.test("Dispatch fails a rescued probe that took over three times the baseline, no other", () => {
  for (const [seconds, breaker] of [[1, "half_open"], [1.2, "open"]] as const) {
    const theatre = halfOpen();
    const script = theatre.request();
    script.wakeAfter(DELAY_SECONDS);
    theatre.nowSeconds += seconds - DELAY_SECONDS;
    script.firstToken();
    assert.equal(theatre.snapshot("a").breaker, breaker);
    if (breaker === "half_open") assert.equal(theatre.request().sent, "a"); // The slot is free.
  }
});

Deno.test("Dispatch gives the probe slot back when the client leaves or the request is at fault", () => {
  const theatre = halfOpen();
  const left = theatre.request();
  assert.equal(left.sent, "a");
  left.cancel();
  const refused = theatre.request();
  assert.equal(refused.sent, "a");
  refused.fail("bad_request", { status: 400 });
  assert.equal(theatre.request().sent, "a");
  assert.equal(theatre.snapshot("a").breaker, "half_open");
});

Deno.test("Dispatch fails a probe that is told to slow down", () => {
  const theatre = halfOpen();
  const script = theatre.request();
  assert.equal(script.fail("rate_limited").sent, "b");
  assert.equal(theatre.snapshot("a").breaker, "open");
});

Deno.test("Dispatch retries a probe that fails before its rescue", () => {
  const theatre = halfOpen();
  const script = theatre.request();
  assert.equal(script.fail("reset").sent, "b");
  assert.equal(script.attempt.kind, "retry");
});
