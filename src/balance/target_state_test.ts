import assert from "node:assert/strict";
import { BALANCER_POLICY } from "./policy.ts";
import { TargetState } from "./target_state.ts";

function newState(): TargetState {
  return new TargetState("a", BALANCER_POLICY, () => 0.5, Number.NEGATIVE_INFINITY);
}

/** A state that answered within 0.4 s at time 0. */
function knownState(): TargetState {
  const state = newState();
  state.observe(0.4, 0);
  return state;
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

Deno.test("TargetState shows silence since the oldest waiting attempt (case 9)", () => {
  for (const [factor, latencySeconds] of [[1, 2], [2, 1]] as const) {
    const state = knownState();
    const first = state.open(1, "normal", 0);
    state.firstToken(first, 0.5, 0.5);
    state.open(factor, "normal", 1);
    state.open(1, "normal", 2);
    near(state.latencySeconds(0.5, 3), latencySeconds);
  }
});

Deno.test("TargetState counts silence from the last first token if that is later", () => {
  const state = knownState();
  state.open(1, "normal", 1);
  const second = state.open(1, "normal", 2);
  state.firstToken(second, 0.5, 2.5);
  near(state.silenceSeconds(4), 1.5);
});

Deno.test("TargetState is silent no more when nobody waits, in whatever order they end", () => {
  const state = knownState();
  const flights = [1, 2, 3].map((at) => state.open(1, "normal", at));
  const [first, second, third] = flights;
  assert.ok(first && second && third);
  state.close(second);
  near(state.silenceSeconds(5), 4);
  state.close(first);
  near(state.silenceSeconds(5), 2);
  state.close(third);
  near(state.silenceSeconds(5), 0);
  assert.equal(state.inFlight, 0);
});

Deno.test("TargetState.close settles an attempt once", () => {
  const state = knownState();
  const flight = state.open(1, "panic", 1);
  state.close(flight);
  state.close(flight);
  assert.equal(state.inFlight, 0);
  assert.equal(state.panicInFlight, 0);
});

Deno.test("TargetState.slowDown doubles the estimate or more (cases 10, 12)", () => {
  const state = knownState();
  state.slowDown(0.005, 0.5, 1);
  near(state.latency.valueSeconds, 1);
  state.slowDown(30, 0.5, 1);
  near(state.latency.valueSeconds, 30);
});

Deno.test("TargetState.atLeast raises, never lowers (case 13)", () => {
  const left = knownState();
  left.atLeast(0.5, 2);
  near(left.latency.valueSeconds, 0.5);
  const early = knownState();
  early.atLeast(0.3, 2);
  near(early.latency.valueSeconds, 0.4);
  near(early.latency.read(2), 0.327492);
});

Deno.test("TargetState that never answered costs the baseline at least, however long ago it failed", () => {
  const state = newState();
  near(state.latencySeconds(0.5, 0), 0.5);
  state.slowDown(0, 0.5, 0);
  near(state.latencySeconds(0.5, 0), 1);
  near(state.latencySeconds(0.5, 100), 0.5);
});

Deno.test("TargetState.coolDown takes the Retry-After, else a doubling time; the later end wins", () => {
  const state = newState();
  state.coolDown(20, 0);
  near(state.cooldownUntilSeconds, 20);
  state.coolDown(1, 1);
  near(state.cooldownUntilSeconds, 20);
  state.coolDown(3600, 1);
  near(state.cooldownUntilSeconds, 61);

  const growing = newState();
  for (const seconds of [0.75, 1.5, 3, 6, 12, 22.5, 22.5]) {
    growing.coolDown(null, 100);
    near(growing.cooldownUntilSeconds, 100 + seconds);
  }
  growing.firstToken(growing.open(1, "normal", 200), 0.5, 200);
  growing.coolDown(null, 200);
  near(growing.cooldownUntilSeconds, 200.75);
});

Deno.test("TargetState starts over at the baseline, and slowly, when its breaker closes", () => {
  const state = knownState();
  for (let i = 0; i < 5; i++) {
    const flight = state.open(1, "normal", 1);
    state.close(flight);
    state.slowDown(0.01, 0.5, 1);
    state.breaker.failure(flight.epoch, 1, null);
  }
  assert.equal(state.breaker.phase(2.5), "half_open");
  for (let i = 0; i < 2; i++) {
    const flight = state.open(1, "probe", 3);
    state.firstToken(flight, 0.5, 3);
    state.close(flight);
  }
  assert.equal(state.breaker.phase(3), "closed");
  near(state.latency.valueSeconds, 0.5);
  near(state.slowStart(3), 0.1);
  near(state.slowStart(8), 0.5);
});

Deno.test("TargetState shows the silence behind a long prompt in front", () => {
  const state = knownState();
  state.open(8, "normal", 1);
  near(state.silenceSeconds(3), 0.25);
  state.open(0.5, "normal", 2);
  near(state.silenceSeconds(3), 2);
});

Deno.test("TargetState clears what failures put on the estimate after five good answers in a row", () => {
  const state = knownState();
  for (let i = 0; i < 4; i++) state.slowDown(0.01, 0.5, 1);
  near(state.latency.valueSeconds, 8);
  for (const sample of [0.3, 0.6, 0.3, 0.3]) state.observe(sample, 1);
  near(state.latency.valueSeconds, 8);
  state.observe(0.3, 1);
  near(state.latency.valueSeconds, 0.6); // The slowest of the five.
});

Deno.test("TargetState starts that count over at a failure, and keeps peaks that were measured", () => {
  const state = knownState();
  state.slowDown(0.01, 0.5, 1);
  for (let i = 0; i < 4; i++) state.observe(0.3, 1);
  state.slowDown(0.01, 0.5, 1);
  for (let i = 0; i < 4; i++) state.observe(0.3, 1);
  near(state.latency.valueSeconds, 2);

  const slow = knownState();
  slow.observe(5, 1);
  for (let i = 0; i < 20; i++) slow.observe(0.3, 1);
  near(slow.latency.valueSeconds, 5);
});

Deno.test("TargetState takes a backend that stopped crawling at its word after five streams", () => {
  const state = newState();
  state.observeDecode(0.2, 0);
  for (let i = 1; i <= 4; i++) state.observeDecode(0.02, i / 100);
  assert.ok(state.decode.value > 0.19);
  state.observeDecode(0.03, 0.05);
  near(state.decode.value, 0.03);
});
