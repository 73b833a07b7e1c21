import assert from "node:assert/strict";
import { demandOf, type Stage, targetOf, Theatre } from "../../tests/support/dispatch_script.ts";
import { randomFrom } from "../../tests/sim/harness.ts";
import { Balancer } from "./balancer.ts";
import type { Seeker } from "./member.ts";
import type { Pool } from "./pool.ts";

const AB: Stage = { targets: [targetOf("a"), targetOf("b")] };

/** A pool with random draws, all targets answering within 0.3 s. */
function randomPool(stage: Stage, seed = 1): Pool {
  const pool = new Balancer(randomFrom(seed)).pool("chat", stage.targets, stage.policy, 0);
  for (const { state } of pool.members) state.observe(0.3, 0);
  return pool;
}

/** How many of 4,000 picks each target gets. */
function picks(pool: Pool, seeker: Seeker = seekerOf(null)): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < 4000; i++) {
    const name = pool.pick(seeker, pool.ranks, 0)?.spec.key ?? "none";
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function seekerOf(keyHash: number | null): Seeker {
  return { demand: demandOf(), keyHash, excludes: () => false };
}

function near(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not about ${expected}`);
}

Deno.test("Pool.pick is even across equals", () => {
  const pool = randomPool({ targets: ["a", "b", "c", "d"].map((name) => targetOf(name)) });
  for (const count of Object.values(picks(pool))) near(count, 1000, 120);
});

Deno.test("Pool.pick prefers the cheaper of two, by latency and load", () => {
  const pool = randomPool(AB);
  pool.members[0]?.state.observe(0.5, 0);
  assert.deepEqual(picks(pool), { b: 4000 });
  for (let i = 0; i < 2; i++) pool.members[1]?.state.open(1, "normal", 0);
  assert.deepEqual(picks(pool), { a: 4000 });
});

Deno.test("Pool.pick takes the first drawn on a tie, so weights decide between equals", () => {
  const pool = randomPool({ targets: [targetOf("a", { weight: 3 }), targetOf("b")] });
  // a costs a third of b at the same latency; three times the latency makes them equal.
  pool.members[0]?.state.latency.reset(0.9, 0);
  near(picks(pool)["a"] ?? 0, 3000, 120);
});

Deno.test("Pool.pick gives a target that joins little at first", () => {
  const balancer = new Balancer(randomFrom(1));
  const targets = ["a", "b"].map((name) => targetOf(name));
  balancer.pool("chat", targets.slice(0, 1), {}, 0);
  const pool = balancer.pool("chat", targets, {}, 100);
  assert.deepEqual(pool.members.map(({ state }) => state.slowStart(100)), [1, 0.1]);
  assert.deepEqual(pool.members.map(({ state }) => state.slowStart(105)), [1, 0.5]);
});

Deno.test("Pool.pick counts a slow decoder as dear", () => {
  const pool = randomPool(AB);
  pool.members[0]?.state.observeDecode(0.02, 0);
  pool.members[1]?.state.observeDecode(0.06, 0);
  const [a, b] = pool.members.map((member) => pool.appraise(member, 0));
  assert.deepEqual([a?.decodeFactor, b?.decodeFactor].map((x) => Math.round(x ?? 0)), [1, 3]);
  assert.deepEqual(picks(pool), { a: 4000 });
});

Deno.test("Pool.pick leaves a tier only when it has no candidate", () => {
  const theatre = new Theatre({
    targets: [targetOf("a", { tier: 5, maxConcurrency: 1 }), targetOf("b", { tier: 10 })],
  });
  const first = theatre.request();
  assert.equal(first.sent, "a");
  assert.equal(theatre.request().sent, "b");
  first.firstToken().finish();
  assert.equal(theatre.request().sent, "a");
  theatre.balancer.drain("a", true);
  assert.equal(theatre.request().sent, "b");
});

Deno.test("Pool.pick spills a part of a weakened tier where the policy says so", () => {
  const targets = ["a", "b", "c", "d"].map((name) => targetOf(name));
  const stage: Stage = {
    targets: [...targets, targetOf("e", { tier: 1 })],
    policy: { spill: "proportional" },
  };
  const pool = randomPool(stage);
  assert.equal(picks(pool)["e"], undefined);
  for (const { state } of pool.members.slice(0, 2)) state.draining = true;
  near(picks(pool)["e"] ?? 0, 4000 * (1 - 1.4 / 2), 120); // The tier keeps 70 %.
  const whole = randomPool({ targets: stage.targets });
  for (const { state } of whole.members.slice(0, 2)) state.draining = true;
  assert.equal(picks(whole)["e"], undefined);
});

Deno.test("Pool.pick keeps a session where it was, and sessions apart", () => {
  const pool = randomPool({
    targets: ["a", "b", "c", "d"].map((name) => targetOf(name)),
    policy: { affinity: true },
  });
  const homes = new Set<string>();
  for (let hash = 1; hash <= 20; hash++) {
    const [home, ...others] = Object.keys(picks(pool, seekerOf(hash)));
    assert.equal(others.length, 0);
    homes.add(home ?? "");
  }
  assert.equal(homes.size, 4);
});

Deno.test("Pool.pick takes sessions from a target that is slow, full or on probation", () => {
  const newPool = () =>
    randomPool({
      targets: ["a", "b", "c", "d"].map((name) => targetOf(name)),
      policy: { affinity: true },
    });
  const home = newPool().pick(seekerOf(7), { first: 0, last: 0 }, 0)?.spec.key ?? "";
  const member = (pool: Pool) => pool.members.find(({ spec }) => spec.key === home);

  const slow = newPool();
  member(slow)?.state.observe(0.61, 0);
  assert.equal(picks(slow, seekerOf(7))[home], undefined);

  const full = newPool();
  member(full)?.state.open(1, "normal", 0); // The bound is ceil(1.25 * 2 / 4) = 1.
  assert.equal(picks(full, seekerOf(7))[home], undefined);

  const tripped = newPool();
  const breaker = member(tripped)?.state.breaker;
  for (let i = 0; i < 5; i++) breaker?.failure(0, 0, null);
  breaker?.success(breaker.epoch, 0); // Half-open, as after a success in panic.
  breaker?.takeProbe();
  assert.equal(picks(tripped, seekerOf(7))[home], undefined);
});

Deno.test("Pool.baselineSeconds is the lower median over closed targets, 1 s at first", () => {
  const theatre = new Theatre({ targets: ["a", "b", "c"].map((name) => targetOf(name)) });
  assert.equal(theatre.pool.baselineSeconds(0), 1);
  [0.9, 0.31, 0.2].forEach((seconds, i) => theatre.pool.members[i]?.state.observe(seconds, 0));
  assert.equal(theatre.pool.baselineSeconds(0), 0.31);
  theatre.trip("c");
  assert.equal(theatre.pool.baselineSeconds(0), 0.31);
  theatre.trip("b");
  assert.equal(theatre.pool.baselineSeconds(0), 0.9);
});
