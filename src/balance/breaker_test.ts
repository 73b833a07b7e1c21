import assert from "node:assert/strict";
import { Breaker } from "./breaker.ts";
import { BALANCER_POLICY, NO_ABLATION } from "./policy.ts";

/** Open times with this chance: 1.5, 3, 6, 11.25 s. */
function newBreaker(): Breaker {
  return new Breaker(BALANCER_POLICY, () => 0.5);
}

/** Five failures in a row at `atSeconds`: open until 1.5 s later at the first trip. */
function trip(breaker: Breaker, atSeconds: number): void {
  for (let i = 0; i < 5; i++) breaker.failure(breaker.epoch, atSeconds, null);
}

/** Takes the probe slot and ends the probe. */
function probe(breaker: Breaker, ok: boolean, atSeconds: number): boolean {
  assert.equal(breaker.probeFree(atSeconds), true);
  breaker.takeProbe();
  assert.equal(breaker.probeFree(atSeconds), false);
  if (ok) return breaker.success(breaker.epoch, atSeconds);
  breaker.failure(breaker.epoch, atSeconds, null);
  return false;
}

Deno.test("Breaker opens at the fifth failure in a row", () => {
  const breaker = newBreaker();
  for (let i = 0; i < 4; i++) breaker.failure(0, 0, null);
  breaker.success(0, 0);
  for (let i = 0; i < 4; i++) breaker.failure(0, 0, null);
  assert.equal(breaker.phase(0), "closed");
  breaker.failure(0, 0, null);
  assert.equal(breaker.phase(0), "open");
  assert.equal(breaker.openSeconds(0.5), 1);
});

Deno.test("Breaker opens at half failures of ten outcomes in 30 s", () => {
  const breaker = newBreaker();
  for (let i = 0; i < 4; i++) {
    breaker.failure(0, i, null);
    breaker.success(0, i);
  }
  breaker.success(0, 5);
  assert.equal(breaker.phase(5), "closed");
  breaker.failure(0, 5, null);
  assert.equal(breaker.phase(5), "open");
});

Deno.test("Breaker forgets outcomes older than its window", () => {
  const breaker = newBreaker();
  for (let i = 0; i < 4; i++) {
    breaker.failure(0, i, null);
    breaker.success(0, i);
  }
  breaker.success(0, 40);
  breaker.failure(0, 40, null);
  assert.equal(breaker.phase(40), "closed");
});

Deno.test("Breaker becomes half-open when its time is over and closes after trips + 1 successes", () => {
  const breaker = newBreaker();
  trip(breaker, 0);
  assert.equal(breaker.phase(1.49), "open");
  assert.equal(breaker.phase(1.5), "half_open");
  assert.equal(probe(breaker, true, 2), false);
  assert.equal(probe(breaker, true, 2.1), true);
  assert.equal(breaker.phase(2.1), "closed");
});

Deno.test("Breaker reopens for longer at a failed probe", () => {
  const breaker = newBreaker();
  trip(breaker, 0);
  let now = 1.5;
  for (const openSeconds of [3, 6, 11.25, 11.25]) {
    probe(breaker, false, now);
    assert.ok(Math.abs(breaker.openSeconds(now) - openSeconds) < 1e-6);
    now += openSeconds;
  }
  assert.equal(breaker.trips, 5);
  for (let i = 0; i < 4; i++) assert.equal(probe(breaker, true, now), false);
  assert.equal(probe(breaker, true, now), true);
});

Deno.test("Breaker counts trips anew after 60 s closed", () => {
  const breaker = newBreaker();
  trip(breaker, 0);
  probe(breaker, true, 2);
  probe(breaker, true, 2);
  trip(breaker, 61);
  assert.equal(breaker.trips, 2);
  probe(breaker, true, 65);
  probe(breaker, true, 65);
  probe(breaker, true, 65);
  assert.equal(breaker.tripsNow(126), 0);
  trip(breaker, 126);
  assert.equal(breaker.trips, 1);
});

Deno.test("Breaker ignores outcomes of another epoch", () => {
  const breaker = newBreaker();
  trip(breaker, 0);
  assert.equal(breaker.success(0, 1), false);
  assert.equal(breaker.phase(1), "open");
  assert.equal(breaker.phase(2), "half_open");
  breaker.failure(0, 2, null);
  breaker.failure(1, 2, null);
  assert.equal(breaker.phase(2), "half_open");
  breaker.takeProbe();
  breaker.releaseProbe(0);
  assert.equal(breaker.probeFree(2), false);
  breaker.releaseProbe(breaker.epoch);
  assert.equal(breaker.probeFree(2), true);
});

Deno.test("Breaker stays open as long as a 503 asks, up to 60 s", () => {
  const tripWith = (retryAfterSeconds: number) => {
    const breaker = newBreaker();
    for (let i = 0; i < 5; i++) breaker.failure(0, 0, retryAfterSeconds);
    return breaker.openSeconds(0);
  };
  assert.equal(tripWith(20), 20);
  assert.equal(tripWith(0.1), 1.5);
  assert.equal(tripWith(3600), 60);
});

Deno.test("Breaker becomes half-open at a success in panic, and ignores a failure in it", () => {
  const breaker = newBreaker();
  trip(breaker, 0);
  breaker.failure(breaker.epoch, 1, null);
  assert.equal(breaker.openSeconds(1), 0.5);
  assert.equal(breaker.success(breaker.epoch, 1), false);
  assert.equal(breaker.phase(1), "half_open");
});

Deno.test("Breaker never opens where the ablation takes it out", () => {
  const policy = { ...BALANCER_POLICY, ablation: { ...NO_ABLATION, breaker: true } };
  const breaker = new Breaker(policy, () => 0.5);
  trip(breaker, 0);
  assert.equal(breaker.phase(0), "closed");
});
