import assert from "node:assert/strict";
import { type AttemptLimits, AttemptState } from "./attempt_state.ts";

const LIMITS: AttemptLimits = {
  firstTokenMs: 1_000,
  idleMs: 500,
  endingMs: 100,
  deadlineMs: 10_000,
};

/** Plays steps into a fresh attempt: `h` headers, `c` content, `e` answer complete. */
function play(steps: string): AttemptState {
  const state = new AttemptState(0, LIMITS);
  for (const step of steps) {
    if (step === "h") state.headersArrived();
    if (step === "c") state.contentArrived();
    if (step === "e") state.answerComplete();
  }
  return state;
}

Deno.test("AttemptState reaches done only by a complete answer", () => {
  for (const steps of ["", "h", "hc", "c", "e", "he"]) {
    assert.throws(() => play(steps).finish(), TypeError, steps);
  }
  const state = play("hce");
  state.finish();
  assert.equal(state.phase, "done");
});

Deno.test("AttemptState keeps the first-token limit whatever arrives before content", () => {
  for (const steps of ["", "h"]) {
    const state = play(steps);
    state.waitStarted(900);
    assert.equal(state.limitPassed(999), null);
    assert.equal(state.limitPassed(1_000), "first_token_timeout");
  }
});

Deno.test("AttemptState counts idle time only while it waits for the backend", () => {
  const state = play("hc");
  state.waitStarted(2_000);
  assert.equal(state.limitPassed(2_499), null);
  assert.equal(state.limitPassed(2_500), "idle_timeout");

  state.waitEnded();
  assert.equal(state.limitPassed(9_000), null, "a slow client is not the backend's silence");
});

Deno.test("AttemptState ends a complete stream whose end marker does not come", () => {
  const state = play("hce");
  state.waitStarted(3_000);
  assert.equal(state.limitPassed(3_099), null);
  assert.equal(state.limitPassed(3_100), "ended");
});

Deno.test("AttemptState fails at the deadline in every phase before the end", () => {
  for (const steps of ["", "h", "hc"]) {
    assert.equal(play(steps).limitPassed(10_000), "total_timeout");
  }
  const complete = play("hce");
  complete.waitEnded();
  assert.equal(complete.limitPassed(10_000), null, "a complete answer is not taken back");
});

Deno.test("AttemptState tells a reset, a cut and an end apart", () => {
  assert.equal(play("").connectionLost(), "reset");
  assert.equal(play("h").connectionLost(), "reset");
  assert.equal(play("hc").connectionLost(), "cut");
  assert.equal(play("hce").connectionLost(), "ended");
});

Deno.test("AttemptState fails once", () => {
  const state = play("hc");
  assert.equal(state.fail(), true);
  assert.equal(state.fail(), false);
  assert.equal(state.limitPassed(99_999), null);
});
