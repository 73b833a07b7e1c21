import assert from "node:assert/strict";
import { demandOf, failureOf, targetOf, Theatre } from "../../tests/support/dispatch_script.ts";
import { forEachSeed, randomFrom } from "../../tests/sim/harness.ts";
import { Balancer } from "./balancer.ts";
import type { DispatchEvent, FailureReason } from "./types.ts";

Deno.test("Balancer shares measured state between pools that name the same key", () => {
  const balancer = new Balancer(() => 0.5);
  const first = balancer.pool("one", [targetOf("a")], undefined, 0);
  const second = balancer.pool("two", [targetOf("a"), targetOf("b")], undefined, 0);
  first.dispatch(demandOf(), 0).start(0);
  assert.equal(second.members[0]?.state.inFlight, 1);
  assert.deepEqual(balancer.snapshots(0).map(({ backend }) => backend), ["a", "b"]);
});

Deno.test("Balancer.pool keeps what it has learned when it is replaced", () => {
  const balancer = new Balancer(() => 0.5);
  const before = balancer.pool("chat", [targetOf("a"), targetOf("b")], { retryBudgetMax: 5 }, 0);
  before.members[0]?.state.observe(0.3, 0);
  before.memory.retries.take(0);
  const after = balancer.pool("chat", [targetOf("a"), targetOf("c")], { retryBudgetMax: 8 }, 9);
  assert.equal(after.members[0]?.state.latency.valueSeconds, 0.3);
  assert.equal(after.memory.fit, before.memory.fit);
  assert.equal(after.memory.retries.read(9), 5); // 4 left and refilled to the old maximum.
  assert.deepEqual(balancer.snapshots(9).map(({ slowStart }) => slowStart), [1, 0.1]);
});

Deno.test("Balancer.pool refuses what cannot work", () => {
  const balancer = new Balancer(() => 0.5);
  assert.throws(() => balancer.pool("chat", [], {}, 0), RangeError);
  assert.throws(() => balancer.pool("chat", [targetOf("a"), targetOf("a")], {}, 0), RangeError);
  assert.throws(() => balancer.pool("chat", [targetOf("a", { weight: 0 })], {}, 0), RangeError);
});

Deno.test("Balancer.drain stops new attempts and lets those in flight go on", () => {
  const theatre = new Theatre({ targets: [targetOf("a")] });
  const script = theatre.request();
  theatre.balancer.drain("a", true);
  assert.equal(theatre.request().gaveUp?.code, "no_healthy_backend");
  script.firstToken().finish();
  assert.equal(theatre.snapshot("a").inFlight, 0);
  theatre.balancer.drain("a", false);
  assert.equal(theatre.request().sent, "a");
  assert.throws(() => theatre.balancer.drain("z", true), RangeError);
});

Deno.test("Balancer.snapshots shows what the cost is made of", () => {
  const theatre = new Theatre({ targets: [targetOf("a", { weight: 2 }), targetOf("b")] });
  theatre.answer(0.4, { promptTokens: 1 });
  const [first] = theatre.balancer.snapshots(theatre.nowSeconds);
  const expected = { backend: "a", model: "a", inFlight: 0, breaker: "closed", trips: 0 };
  assert.deepEqual({ ...first, ...expected }, first);
  assert.ok(Math.abs((first?.score ?? 0) - 0.2) < 1e-6);
});

const REASONS: readonly FailureReason[] = [
  "refused",
  "reset",
  "status_5xx",
  "rate_limited",
  "unauthorized",
  "model_missing",
  "context_length",
  "bad_request",
  "first_token_timeout",
  "cut",
  "idle_timeout",
  "total_timeout",
];

/** Plays requests of random course to their end; returns what they ran on. */
function playAtRandom(seed: number): Balancer {
  const random = randomFrom(seed);
  const balancer = new Balancer(random);
  const targets = ["a", "b", "c", "d"].map((name, place) =>
    targetOf(name, { tier: place >> 1, maxConcurrency: place === 1 ? 3 : null })
  );
  const policy = { hedging: true, hedgeSamplesMin: 1, affinity: true } as const;
  const pool = balancer.pool("chat", targets, policy, 0);
  let now = 0;
  for (let i = 0; i < 150; i++) {
    const dispatch = pool.dispatch(
      demandOf({ continuable: random() < 0.5, affinityKey: `k${i % 3}` }),
      now,
    );
    let actions = dispatch.start(now);
    for (let step = 0; step < 30; step++) {
      now += random() * 0.3;
      const sent = actions.flatMap((action) => action.type === "send" ? [action.attempt] : []);
      const attempt = sent[0];
      const wake = actions.find((action) => action.type === "wake");
      if (wake?.type === "wake" && random() < 0.7) now = Math.max(now, wake.atSeconds);
      const events: DispatchEvent[] = [{ type: "wake" }];
      if (attempt) {
        const reason = REASONS[Math.floor(random() * REASONS.length)] ?? "cut";
        const answer = { tokens: 9, decodeSeconds: 0.1, promptTokens: null };
        events.push(
          { type: "first_token", attempt },
          { type: "failed", attempt, failure: failureOf(reason) },
          { type: "finished", attempt, ...answer },
        );
      }
      const event = events[Math.floor(random() * events.length)] ?? { type: "wake" };
      const next = dispatch.step(event, now);
      actions = next.length === 0 ? actions : next;
    }
    dispatch.step({ type: "cancelled" }, now);
  }
  return balancer;
}

Deno.test("Balancer has nothing in flight once every request is over, whatever happened", () => {
  forEachSeed(30, (seed) => {
    for (const { inFlight, silenceSeconds } of playAtRandom(seed).snapshots(1e6)) {
      assert.deepEqual({ inFlight, silenceSeconds }, { inFlight: 0, silenceSeconds: 0 });
    }
  });
});
