/** Streams that break after their first token. */
import assert from "node:assert/strict";
import { type Script, type Stage, targetOf, Theatre } from "../../tests/support/dispatch_script.ts";

const AB: Stage = { targets: [targetOf("a"), targetOf("b")] };
const TIERS: Stage = { targets: [targetOf("a"), targetOf("b", { tier: 1 })] };
const ALONE: Stage = { targets: [targetOf("a")] };

/** A request that may be continued and has its first token after 0.4 s. */
function streaming(stage: Stage): { readonly theatre: Theatre; readonly script: Script } {
  const theatre = new Theatre(stage);
  const script = theatre.request({ continuable: true });
  theatre.nowSeconds += 0.4;
  return { theatre, script: script.firstToken() };
}

function near(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

Deno.test("Dispatch does not retry a broken stream that may not be continued", () => {
  const theatre = new Theatre(AB);
  const script = theatre.request().firstToken();
  const { attempt } = script;
  const gaveUp = script.fail("cut").gaveUp;
  assert.equal(gaveUp?.failure?.failure.reason, "cut");
  assert.equal(gaveUp.failure?.attempt, attempt);
});

Deno.test("Dispatch carries a broken stream on at an untried target, first in the tier", () => {
  for (const reason of ["cut", "idle_timeout", "malformed", "reset"] as const) {
    const { script } = streaming({ targets: [...AB.targets, targetOf("c", { tier: 1 })] });
    const first = script.attempt.target.backend;
    script.fail(reason);
    assert.equal(script.sent, first === "a" ? "b" : "a");
    assert.equal(script.attempt.kind, "continuation");
    assert.deepEqual(script.firstToken().actions, []);
    assert.deepEqual(script.finish().actions, []);
  }
});

Deno.test("Dispatch carries a broken stream on in the next tier rather than where it broke", () => {
  assert.equal(streaming(TIERS).script.fail("cut").sent, "b");
});

Deno.test("Dispatch goes back for a cut, not for a stall, where there is nobody else", () => {
  const cut = streaming(ALONE).script.fail("cut");
  near(cut.wakeSeconds, 0.05);
  assert.equal(cut.wakeAfter(0.05).sent, "a");
  assert.equal(cut.attempt.kind, "continuation");
  const again = cut.firstToken().fail("cut");
  assert.equal(again.gaveUp?.code, "failed");
  const stalled = streaming(ALONE).script.fail("idle_timeout");
  assert.equal(stalled.gaveUp?.failure?.failure.reason, "idle_timeout");
});

Deno.test("Dispatch never carries on after the total time", () => {
  const { script } = streaming(AB);
  assert.equal(script.fail("total_timeout").gaveUp?.failure?.failure.reason, "total_timeout");
});

Deno.test("Dispatch retries a continuation that fails before its first token", () => {
  const { script } = streaming({ targets: [...AB.targets, targetOf("c", { tier: 1 })] });
  script.fail("cut").fail("status_5xx");
  near(script.wakeSeconds, 0.5 * 0.2);
  assert.equal(script.wakeAfter(0.1).sent, "c");
  assert.equal(script.attempt.kind, "continuation");
  assert.equal(script.fail("reset").gaveUp?.code, "failed"); // Three attempts.
});

Deno.test("Dispatch lets the caller ask in another way where a continuation is refused", () => {
  const { script } = streaming(TIERS);
  assert.equal(script.fail("cut").sent, "b");
  assert.equal(script.fail("bad_request", { status: 400 }).sent, "b");
  assert.equal(script.attempt.kind, "continuation");
  assert.equal(script.attempts, 3);
});

Deno.test("Dispatch continues within the retry budget", () => {
  const { script } = streaming({ ...AB, policy: { retryBudgetMax: 0 } });
  assert.equal(script.fail("cut").gaveUp?.code, "failed");
});

Deno.test("Dispatch counts a cut as one more failure, and not its length as latency", () => {
  const { theatre, script } = streaming(ALONE);
  theatre.nowSeconds += 30;
  const read = theatre.snapshot("a").latencySeconds;
  script.fail("idle_timeout");
  const { latencySeconds, inFlight } = theatre.snapshot("a");
  assert.ok(read < 0.4);
  near(latencySeconds, 0.8); // Twice the baseline.
  assert.equal(inFlight, 0);
});

Deno.test("Dispatch trips the breaker of a target that cuts every stream", () => {
  const theatre = new Theatre(ALONE);
  // Each is a success first, so it is not five in a row but half of ten that trips it.
  for (let i = 0; i < 5; i++) {
    assert.equal(theatre.snapshot("a").breaker, "closed");
    theatre.request().firstToken().fail("cut");
  }
  assert.equal(theatre.snapshot("a").breaker, "open");
});
