/**
 * The balancer in a simulated world: does it isolate, recover and stay fair?
 *
 * Method: the real balancer, breaker, budgets and hedging route Poisson traffic
 * to four simulated backends on a virtual clock, beside simple policies and an
 * oracle; figures and limits are in `balancing_targets.ts`. Five or ten seeds, and
 * one for several gateways, keep this under 20 s; `bench/routing_sim.ts` runs ten
 * of all.
 *
 * @module
 */
import assert from "node:assert/strict";
import { figuresOf } from "./balancing_figures.ts";
import { run } from "./balancing_run.ts";
import { FAST, HALF, HOLE, SLOW, TIERS } from "./balancing_scenarios.ts";
import {
  ABLATIONS,
  FURTHER_ROWS,
  HEDGED,
  isMet,
  ROWS,
  SHARED_ROWS,
  type TargetRow,
} from "./balancing_targets.ts";
import { seeds } from "./harness.ts";

const SEEDS = seeds(5);
/** Ratios of two noisy figures need more. */
const MANY_SEEDS = seeds(10);
const SHARED_SEEDS = seeds(1);

function check(row: TargetRow, rowSeeds: readonly number[]): void {
  const missed = row.targets(rowSeeds).filter((target) => !isMet(target));
  assert.deepEqual(
    missed.map(({ what, value, side, limit }) => `${what}: ${value} is not ${side} ${limit}`),
    [],
  );
}

for (const row of ROWS) {
  Deno.test(`Balancer meets its targets: ${row.name}`, () => check(row, SEEDS));
}

for (const row of FURTHER_ROWS) {
  Deno.test(`Balancer meets its targets: ${row.name}`, () => check(row, MANY_SEEDS));
}

for (const row of SHARED_ROWS) {
  Deno.test(`Balancers that share nothing meet their targets: ${row.name}`, () =>
    check(row, SHARED_SEEDS));
}

for (const row of ABLATIONS) {
  Deno.test(`Every rule is worth its place: ${row.name}`, () => check(row, MANY_SEEDS));
}

Deno.test("Balancer asks a bad backend less than least request does, with or without a breaker", () => {
  for (const scenario of [SLOW, HALF, HOLE, FAST]) {
    const early = figuresOf(scenario, HEDGED, SEEDS).early;
    const breaker = figuresOf(scenario, { kind: "least + breaker" }, SEEDS).early;
    const least = figuresOf(scenario, { kind: "least request" }, SEEDS).early;
    assert.ok(early < 0.75 * breaker && early < 0.75 * least, `${scenario.name}: ${early}`);
  }
});

Deno.test("Plain policies fail clients where the balancer fails none", () => {
  const fails = (kind: "least request" | "round robin") => figuresOf(FAST, { kind }, SEEDS).errors;
  assert.ok(fails("least request") > 0.2);
  assert.ok(fails("round robin") > 0.005);
  assert.equal(figuresOf(FAST, HEDGED, SEEDS).errors, 0);
});

Deno.test("A simulation with the same seed takes the same course, with another seed another", () => {
  const course = (seed: number) =>
    run(TIERS, HEDGED, seed).attempts.map(({ place }) => place).join("");
  assert.equal(course(7), course(7));
  assert.notEqual(course(7), course(8));
});
