/**
 * The similarity layer on a replay: how often does it serve, and how often wrongly?
 *
 *     deno run --config tests/deno.json --allow-read --allow-env=SEED bench/cache_replay.ts [STREAM.jsonl]
 *
 * Prints one Markdown table for fixed thresholds and one for `verified` at several
 * error bounds, each the mean of 100 seeded orders of the development stream, or of
 * the one named, with the built-in embedder. Beside what similarity served alone
 * stands the total with the exact and canonical layers. "Kept" counts the orders whose
 * error at the end is within the bound. About ten seconds.
 *
 * @module
 */
import { lexicalVector } from "../src/embed/lexical.ts";
import { readSteps } from "../tests/support/cache_data.ts";
import { seeds } from "../tests/sim/harness.ts";
import { type Replayed, ReplayStream, type Rule } from "../tests/sim/verified_replay.ts";

const ORDERS = seeds(100);
const THRESHOLDS = [0.7, 0.8, 0.85, 0.9, 0.95];
const ERROR_BOUNDS = [0.01, 0.02, 0.05, 0.1];

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function sum(runs: readonly Replayed[], key: keyof Replayed): number {
  return runs.reduce((total, run) => total + run[key], 0);
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : (100 * part / whole).toFixed(2);
}

function row(name: string, runs: readonly Replayed[], errorBound: number | null): string {
  const of = (key: keyof Replayed) => sum(runs, key);
  const [steps, hits, wrong] = [of("steps"), of("hits"), of("wrong")];
  const [lateHits, lateWrong] = [of("lateHits"), of("lateWrong")];
  const kept = errorBound === null
    ? "–"
    : `${runs.filter((run) => run.wrong <= errorBound * run.hits).length} of ${runs.length}`;
  const worst = Math.max(...runs.map((run) => run.hits === 0 ? 0 : run.wrong / run.hits));
  const cells = [
    name,
    percent(hits, steps),
    percent(hits + of("textHits"), steps),
    percent(wrong, steps),
    percent(wrong, hits),
    percent(hits - lateHits, steps / 2),
    percent(lateHits, steps / 2),
    percent(wrong - lateWrong, hits - lateHits),
    percent(lateWrong, lateHits),
    `${runs.filter((run) => run.hits > 0).length}`,
    percent(worst, 1),
    kept,
  ];
  return `| ${cells.join(" | ")} |`;
}

const HEAD = [
  "rule",
  "hits %",
  "with exact and canonical %",
  "wrong of all %",
  "wrong of hits %",
  "hits, 1st half %",
  "2nd half %",
  "wrong of hits, 1st half %",
  "2nd half %",
  "orders that served",
  "worst order %",
  "kept",
];

function table(stream: ReplayStream, rules: ReadonlyArray<readonly [string, Rule]>): void {
  print(`\n| ${HEAD.join(" | ")} |\n|${HEAD.map(() => "---").join("|")}|`);
  for (const [name, rule] of rules) {
    const runs = ORDERS.map((seed) => stream.run(rule, seed));
    print(row(name, runs, rule.mode === "verified" ? rule.errorBound : null));
  }
}

function main(): void {
  const stream = new ReplayStream(readSteps(Deno.args[0]), lexicalVector);
  table(
    stream,
    THRESHOLDS.map((threshold) => [
      `static ${threshold}`,
      { mode: "static", threshold, errorBound: 0.05, learnsGuard: false },
    ]),
  );
  for (const learnsGuard of [false, true]) {
    print(learnsGuard ? "\nThe words guard is learnt:" : "\nAll guards refuse:");
    table(
      stream,
      ERROR_BOUNDS.map((errorBound) => [
        `verified ${100 * errorBound} %`,
        { mode: "verified", threshold: null, errorBound, learnsGuard },
      ]),
    );
  }
}

if (import.meta.main) main();
