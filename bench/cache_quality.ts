/**
 * Which prompts would be answered from the cache, and how many of them wrongly?
 *
 *     deno run --config tests/deno.json --allow-read bench/cache_quality.ts
 *
 * Prints Markdown: pairs by kind under the canonical layer and the built-in embedder at
 * several thresholds, with and without guards; totals, natural pairs apart from
 * rule-made ones, and by halves of the intents; which guard refuses what; the
 * replay at fixed thresholds; the cost of one embedding and one guard check.
 * Other files of the same shape may be named: pairs first, then the replay. About
 * 15 s.
 *
 * @module
 */
import { compareFeatures, GUARD_NAMES, guardFeatures } from "../src/cache/guards/guard.ts";
import {
  LEXICAL_CAREFUL_THRESHOLD,
  LEXICAL_THRESHOLD,
  lexicalVector,
} from "../src/embed/lexical.ts";
import { type LabelledPair, readPairs, readSteps } from "../tests/support/cache_data.ts";
import {
  guardedFrom,
  halfOf,
  isFlip,
  isHardNegative,
  isPositive,
  type JudgedPair,
  judgePairs,
  percentOf,
  plainFrom,
  type ReplayChoice,
  replayFigures,
  replayNeighbours,
  type Rule,
  servedPercent,
} from "../tests/support/cache_quality.ts";

const THRESHOLDS = [0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
const CHOICES: readonly ReplayChoice[] = ["unguarded", "nearest", "candidates"];
const ROUNDS = 10;

const COLUMNS: readonly (readonly [string, Rule])[] = [
  ["canonical", ({ isCanonical }) => isCanonical],
  ...THRESHOLDS.map((t): readonly [string, Rule] => [`${t} plain`, plainFrom(t)]),
  ...THRESHOLDS.map((t): readonly [string, Rule] => [`${t} guarded`, guardedFrom(t)]),
];

function print(...lines: readonly string[]): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${lines.join("\n")}\n`));
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function head(title: string, cells: readonly string[]): void {
  print("", `### ${title}`, "", line(cells), line(cells.map(() => "---")));
}

function pairRow(name: string, judged: readonly JudgedPair[]): void {
  const cells = COLUMNS.map(([, rule]) => servedPercent(judged, rule).toFixed(2));
  print(line([name, String(judged.length), ...cells]));
}

function pairTables(judged: readonly JudgedPair[]): void {
  const columns = ["pairs", "count", ...COLUMNS.map(([name]) => name)];
  head("Pairs that would be served, in per cent", columns);
  const kinds = [...new Set(judged.map(({ pair }) => `${1 - pair.label} ${pair.kind}`))].sort();
  for (const kind of kinds) {
    pairRow(kind.slice(2), judged.filter(({ pair }) => pair.kind === kind.slice(2)));
  }
  const isMade = ({ pair }: JudgedPair) => pair.kind.startsWith("surface-");
  head("The same, totals", columns);
  pairRow("all positives", judged.filter(isPositive));
  pairRow("positives, surface", judged.filter(isMade));
  pairRow("positives, natural", judged.filter((one) => isPositive(one) && !isMade(one)));
  pairRow("all hard negatives", judged.filter(isHardNegative));
  pairRow("negatives, flips", judged.filter(isFlip));
  pairRow("negatives, natural", judged.filter((one) => isHardNegative(one) && !isFlip(one)));
  for (const half of [0, 1]) {
    const part = judged.filter(({ pair }) => halfOf(pair.group) === half);
    pairRow(`positives, half ${half}`, part.filter(isPositive));
    pairRow(`hard negatives, half ${half}`, part.filter(isHardNegative));
  }
}

function guardTable(judged: readonly JudgedPair[]): void {
  const near = judged.filter(plainFrom(LEXICAL_THRESHOLD));
  head(`First guard to refuse, of pairs from ${LEXICAL_THRESHOLD}`, ["guard", "right", "wrongly"]);
  for (const name of GUARD_NAMES) {
    const refused = near.filter(({ guard }) => guard === name);
    const positives = refused.filter(isPositive).length;
    print(line([name, String(refused.length - positives), String(positives)]));
  }
}

function replayTable(path: string | undefined): void {
  const neighbours = replayNeighbours(readSteps(path));
  head(`Replay of ${neighbours.length} prompts, in per cent`, [
    "threshold",
    "choice",
    "hits",
    "wrong of all",
    "wrong of hits",
  ]);
  for (const threshold of THRESHOLDS) {
    for (const choice of CHOICES) {
      const { hits, wrong, wrongOfHits } = replayFigures(neighbours, threshold, choice);
      const cells = [hits.toFixed(2), wrong.toFixed(3), wrongOfHits.toFixed(2)];
      print(line([String(threshold), choice, ...cells]));
    }
  }
}

/** The least of several rounds, in microseconds a call: the others were disturbed. */
function leastMicroseconds(calls: number, round: () => void): string {
  let leastMs = Infinity;
  for (let at = 0; at < ROUNDS; at++) {
    const startMs = performance.now();
    round();
    leastMs = Math.min(leastMs, performance.now() - startMs);
  }
  return (1000 * leastMs / calls).toFixed(1);
}

function costTable(pairs: readonly LabelledPair[]): void {
  const features = pairs.map(({ a, b }) => [guardFeatures(a), guardFeatures(b)] as const);
  head("Cost", ["what", "µs"]);
  const rows: readonly (readonly [string, () => void])[] = [
    ["embedding", () => pairs.forEach(({ a }) => lexicalVector(a))],
    ["guard features", () => pairs.forEach(({ a }) => guardFeatures(a))],
    ["guard check", () => features.forEach(([a, b]) => compareFeatures(a, b))],
  ];
  for (const [name, round] of rows) print(line([name, leastMicroseconds(pairs.length, round)]));
}

function main(): void {
  const [pairsPath, stepsPath] = Deno.args;
  const pairs = readPairs(pairsPath);
  const judged = judgePairs(pairs);
  print(`Default threshold ${LEXICAL_THRESHOLD}, careful ${LEXICAL_CAREFUL_THRESHOLD}.`);
  const negatives = judged.filter(isHardNegative).length;
  print(`Hard negatives are ${percentOf(negatives, judged.length).toFixed(0)} % of the pairs.`);
  pairTables(judged);
  guardTable(judged);
  replayTable(stepsPath);
  costTable(pairs);
}

if (import.meta.main) main();
