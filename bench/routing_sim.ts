/**
 * The routing simulation's table: how far do the rules get, beside simple ones?
 *
 *     deno run --allow-write=results.json --allow-env=SEED bench/routing_sim.ts results.json
 *
 * Prints one Markdown table (each scenario under each policy, p99 also as a ratio
 * to the oracle), the targets with what came out, and the cost of one pick; writes
 * the same as JSON where a path is given. Ten seeds; about half a minute.
 *
 * @module
 */
import type { Seeker } from "../src/balance/member.ts";
import { type Figures, figuresOf } from "../tests/sim/balancing_figures.ts";
import type { Policy, Scenario } from "../tests/sim/balancing_run.ts";
import {
  BACKGROUND,
  BASE,
  CRAWL,
  CUTS,
  FAST,
  FLAPPING,
  HALF,
  HOLE,
  LIMITED,
  OUTAGE,
  SLOW,
  SPEEDS,
  STRAGGLERS,
  TIERS,
} from "../tests/sim/balancing_scenarios.ts";
import {
  ABLATIONS,
  FURTHER_ROWS,
  HEDGED,
  isMet,
  PLAIN,
  ROWS,
  SHARED_ROWS,
  type Target,
} from "../tests/sim/balancing_targets.ts";
import { seeds } from "../tests/sim/harness.ts";
import { busyPool, DEMAND } from "./balancing_stage.ts";

const SCENARIOS: readonly Scenario[] = [
  BASE,
  SLOW,
  HALF,
  HOLE,
  FAST,
  FLAPPING,
  OUTAGE,
  BACKGROUND,
  SPEEDS,
  STRAGGLERS,
  TIERS,
  CRAWL,
  CUTS,
  LIMITED,
];
const POLICIES: ReadonlyArray<readonly [string, Policy]> = [
  ["**weir, hedged**", HEDGED],
  ["**weir**", PLAIN],
  ["least + breaker", { kind: "least + breaker" }],
  ["least request", { kind: "least request" }],
  ["round robin", { kind: "round robin" }],
  ["random", { kind: "random" }],
  ["oracle", { kind: "oracle" }],
];
const PICKS = 200_000;

interface TableRow {
  readonly scenario: string;
  readonly policy: string;
  readonly p99ToOracle: number;
  readonly figures: Figures;
}

interface CheckedTarget extends Target {
  readonly scenario: string;
  readonly met: boolean;
}

function compare(): TableRow[] {
  return SCENARIOS.flatMap((scenario) => {
    const rows = POLICIES.map(([policy, policyOf]) => ({
      policy,
      figures: figuresOf(scenario, policyOf, seeds(10)),
    }));
    const oracle = rows.at(-1)?.figures.p99Seconds ?? Number.NaN;
    return rows.map(({ policy, figures }) => ({
      scenario: scenario.name,
      policy,
      p99ToOracle: figures.p99Seconds / oracle,
      figures,
    }));
  });
}

function checkTargets(): CheckedTarget[] {
  return [...ROWS, ...FURTHER_ROWS, ...SHARED_ROWS, ...ABLATIONS].flatMap((row) =>
    row.targets(seeds(10)).map((target) => ({
      scenario: row.name,
      ...target,
      met: isMet(target) && target.missed === undefined,
    }))
  );
}

function pickMicroseconds(size: number): number {
  const pool = busyPool(size);
  const seeker: Seeker = { demand: DEMAND, keyHash: null, excludes: () => false };
  const rounds = Array.from({ length: 5 }, () => {
    const startMs = performance.now();
    for (let i = 0; i < PICKS; i++) pool.pick(seeker, pool.ranks, 2);
    return (performance.now() - startMs) * 1000 / PICKS;
  });
  return rounds.toSorted((a, b) => a - b)[2] ?? Number.NaN;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function printTable(rows: readonly TableRow[]): void {
  const header = [
    "scenario",
    "policy",
    "attempts to bad in 5 s",
    "late share",
    "p99 (s)",
    "p99 / oracle",
    "client errors",
    "recovery, worst (s)",
    "calls a client",
  ];
  print(`| ${header.join(" | ")} |`);
  print(`|${"---|".repeat(header.length)}`);
  for (const { scenario, policy, p99ToOracle, figures } of rows) {
    const cells = [
      scenario,
      policy,
      figures.early.toFixed(1),
      percent(figures.lateShare),
      figures.p99Seconds.toFixed(2),
      p99ToOracle.toFixed(2),
      percent(figures.errors),
      `${figures.recoverySeconds.toFixed(0)}, ${figures.recoveryWorstSeconds.toFixed(0)}`,
      figures.calls.toFixed(3),
    ];
    print(`| ${cells.join(" | ")} |`);
  }
}

function printTargets(targets: readonly CheckedTarget[]): void {
  for (const { scenario, what, value, side, limit, met, missed, note } of targets) {
    const verdict = met ? "met   " : "MISSED";
    const held = missed === undefined ? "" : `, held to ${limit}`;
    const figure = `${value.toFixed(4)} (${side} ${missed ?? limit}${held})`;
    print(`${verdict} ${scenario}: ${what} ${figure}${note ? `; ${note}` : ""}`);
  }
}

function print(line: string): void {
  // deno-lint-ignore no-console
  console.log(line);
}

const [path] = Deno.args;
const table = compare();
const targets = checkTargets();
const pick = [4, 16, 64].map((size) => ({ size, microseconds: pickMicroseconds(size) }));
printTable(table);
print("");
printTargets(targets);
print("");
for (const { size, microseconds } of pick) {
  print(`One pick of ${size}: ${microseconds.toFixed(2)} µs`);
}
const missed = targets.filter(({ met }) => !met).length;
print(`${targets.length - missed} targets met, ${missed} missed`);
if (path !== undefined) {
  const machine = { deno: Deno.version.deno, arch: Deno.build.arch, os: Deno.build.os };
  const results = { date: new Date().toISOString(), machine, pick, targets, table };
  await Deno.writeTextFile(path, `${JSON.stringify(results, null, 2)}\n`);
}
