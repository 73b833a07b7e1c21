/**
 * From runs to lines of target, measured, ratio and verdict. Pure.
 *
 * Every figure is the median of its rounds. What the cache adds is taken from the
 * baseline of the same round, so that a noisy minute hits both.
 *
 * @module
 */
import { median } from "../load/report.ts";
import type { CrowdResult } from "./crowd.ts";
import type { IndexFigures } from "./index_load.ts";
import type { MemoryFigures } from "./memory.ts";
import type { RestartFigures } from "./restart.ts";

/** One run of one scenario. */
export interface Round {
  /** First byte, median, in milliseconds. */
  readonly p50Ms: number;
  /** First byte, 99th percentile, in milliseconds. */
  readonly p99Ms: number;
  /** The gateway's processor time a request, in milliseconds. */
  readonly cpuMs: number;
  /** Right answers. */
  readonly requests: number;
  /** Others. */
  readonly errors: number;
}

/** All rounds by scenario. */
export type Rounds = Readonly<Record<string, readonly Round[]>>;

/** One line of the result. */
export interface Line {
  /** What is measured, with its unit. */
  readonly what: string;
  /** What is allowed at most; `null` where it is only told. */
  readonly limit: number | null;
  /** What was measured. */
  readonly measured: number;
  /** Against the baseline of the same run; `null` where there is none. */
  readonly ratio: number | null;
  /** Whether it is within its limit; `null` without one. */
  readonly met: boolean | null;
}

/** Everything that a whole run measures. */
export interface Measured {
  /** One connection, by scenario. */
  readonly rounds: Rounds;
  /** Which semantic scenarios there are, with their vectors. */
  readonly sizes: readonly number[];
  /** A hundred clients with one question, cache on and off. */
  readonly crowds: {
    readonly on: readonly CrowdResult[];
    readonly off: readonly CrowdResult[];
  };
  /** The index by itself, embedding texts. */
  readonly index: IndexFigures;
  /** The index by itself, with vectors of 384 dimensions. */
  readonly vectors: IndexFigures;
  /** A gateway with answers only, and one with vectors as well. */
  readonly memory: { readonly answers: MemoryFigures; readonly both: MemoryFigures };
  /** A warm restart. */
  readonly restart: RestartFigures;
}

/** At which size semantic hits and restarts have their targets. */
const TARGET_SIZE = 100_000;
const MILLISECOND = 1;

/** The lines of a run, in the order of the design's table. */
export function linesFrom(measured: Measured): Line[] {
  return [
    ...hitLines(measured.rounds),
    ...semanticLines(measured),
    ...missLines(measured.rounds),
    ...crowdLines(measured.crowds),
    ...indexLines(measured),
    ...restartLines(measured.restart),
  ];
}

/** The median over rounds of what `pick` tells of a scenario, less the same of `base`. */
export function addedMs(
  rounds: Rounds,
  scenario: string,
  base: string,
  pick: "p50Ms" | "p99Ms",
): number {
  const bases = rounds[base] ?? [];
  const added = (rounds[scenario] ?? []).flatMap((round, i) => {
    const other = bases[i];
    return other === undefined ? [] : [round[pick] - other[pick]];
  });
  return median(added) ?? NaN;
}

/** One scenario's median over another's. */
export function ratioOf(
  rounds: Rounds,
  scenario: string,
  base: string,
  pick: "p50Ms" | "p99Ms" | "cpuMs",
): number {
  const of = (name: string) => median((rounds[name] ?? []).map((round) => round[pick])) ?? NaN;
  return of(scenario) / of(base);
}

function line(what: string, limit: number | null, measured: number, ratio: number | null): Line {
  return { what, limit, measured, ratio, met: limit === null ? null : measured <= limit };
}

function hitLines(rounds: Rounds): Line[] {
  return (["exact", "canonical"] as const).flatMap((layer) =>
    (["json", "stream"] as const).flatMap((form) => {
      const [hit, pass] = [`${layer}_${form}`, `off_${form}`];
      const what = `${layer} hit, ${form}`;
      return [
        line(
          `${what}: added before the first byte, p50, ms`,
          0.3,
          addedMs(rounds, hit, "trivial", "p50Ms"),
          ratioOf(rounds, hit, pass, "p50Ms"),
        ),
        line(
          `${what}: the same, p99, ms`,
          1,
          addedMs(rounds, hit, "trivial", "p99Ms"),
          ratioOf(rounds, hit, pass, "p99Ms"),
        ),
        line(
          `${what}: CPU a hit, ms`,
          null,
          median((rounds[hit] ?? []).map((round) => round.cpuMs)) ?? NaN,
          ratioOf(rounds, hit, pass, "cpuMs"),
        ),
      ];
    })
  );
}

function semanticLines({ rounds, sizes }: Measured): Line[] {
  return sizes.flatMap((size) =>
    (["json", "stream"] as const).flatMap((form) => {
      const [hit, pass] = [`semantic_${size}_${form}`, `off_${form}`];
      const what = `semantic hit, ${size} vectors, ${form}`;
      return [
        line(
          `${what}: added before the first byte, p50, ms`,
          2 * MILLISECOND,
          addedMs(rounds, hit, "trivial", "p50Ms"),
          ratioOf(rounds, hit, pass, "p50Ms"),
        ),
        line(
          `${what}: the same, p99, ms`,
          5 * MILLISECOND,
          addedMs(rounds, hit, "trivial", "p99Ms"),
          ratioOf(rounds, hit, pass, "p99Ms"),
        ),
      ];
    })
  );
}

function missLines(rounds: Rounds): Line[] {
  const ratio = (scenario: string, base: string) => ratioOf(rounds, scenario, base, "p50Ms");
  return [
    line(
      "miss with all layers on: added p50, ms",
      1,
      addedMs(rounds, "miss", "off_paused", "p50Ms"),
      ratio("miss", "off_paused"),
    ),
    line(
      "cache off for this model, on for others: added p50, ms",
      null,
      addedMs(rounds, "off_json", "none_json", "p50Ms"),
      ratio("off_json", "none_json"),
    ),
    line(
      "the same, stream",
      null,
      addedMs(rounds, "off_stream", "none_stream", "p50Ms"),
      ratio("off_stream", "none_stream"),
    ),
    line(
      "the same, JSON: CPU a request, ratio",
      null,
      ratioOf(rounds, "off_json", "none_json", "cpuMs"),
      ratioOf(rounds, "off_json", "none_json", "cpuMs"),
    ),
  ];
}

function crowdLines({ on, off }: Measured["crowds"]): Line[] {
  const behind = (runs: readonly CrowdResult[], pick: "p50" | "p99") =>
    median(runs.map((run) => run.behindMs[pick])) ?? NaN;
  const clients = Math.max(...on.map((run) => run.complete));
  const ratio = (pick: "p50" | "p99") => behind(on, pick) / behind(off, pick);
  const calls = Math.max(...on.map((run) => run.calls));
  return [
    line(`${clients} equal streams at once: upstream calls`, 1, calls, calls / clients),
    line("followers' first token after the leader's, p99, ms", 5, behind(on, "p99"), ratio("p99")),
    line("the same, p50, ms", null, behind(on, "p50"), ratio("p50")),
  ];
}

function indexLines({ index, vectors, memory }: Measured): Line[] {
  const { answers, both } = memory;
  const lag = (what: string, seen: IndexFigures["buildLag"], idle: IndexFigures["idleLag"]) =>
    line(`main loop's lag while ${what}, p99, ms`, 5, seen.p99, seen.p99 / idle.p99);
  const fewer = both.vectors < both.entries ? ` (${both.vectors} of ${both.entries})` : "";
  return [
    lag(`${index.vectors} texts are inserted`, index.buildLag, index.idleLag),
    lag(`${index.vectors} vectors are rebuilt`, index.rebuildLag, index.idleLag),
    line(`build of the index, s`, null, index.buildSeconds, null),
    line(`rebuild of the index, s`, null, index.rebuildSeconds, null),
    line(
      "memory a vector of 384 dimensions, resident, kB",
      2.2,
      vectors.residentBytes / 1_000,
      vectors.residentBytes / (384 * 4),
    ),
    line(
      `of that in the main thread's maps, kB${fewer}`,
      null,
      (both.heapBytes - answers.heapBytes) / both.entries / 1_000,
      null,
    ),
    line(
      "memory a stored answer of 300 characters, kB (ratio: to what the store reckons)",
      null,
      answers.heapBytes / answers.entries / 1_000,
      answers.heapBytes / answers.reckonedBytes,
    ),
  ];
}

function restartLines(figures: RestartFigures): Line[] {
  const { entries, listenSeconds } = figures;
  const scale = entries === TARGET_SIZE ? "" : ` (the target is for ${TARGET_SIZE})`;
  const of = (what: string, limit: number, seconds: number) =>
    line(
      `warm restart with ${entries} entries until ${what}, s${scale}`,
      limit,
      seconds,
      seconds / listenSeconds,
    );
  return [
    of("exact serves", 1, figures.exactSeconds),
    of("semantic serves", 3, figures.semanticSeconds),
  ];
}

/** The lines as a Markdown table. */
export function tableFrom(lines: readonly Line[]): string {
  const number = (value: number | null): string => value === null ? "–" : value.toPrecision(3);
  const verdict = (met: boolean | null): string => met === null ? "" : met ? "met" : "MISSED";
  const rows = lines.map(({ what, limit, measured, ratio, met }) => [
    what,
    number(limit),
    number(measured),
    number(ratio),
    verdict(met),
  ]);
  const head = ["what", "target", "measured", "ratio", "verdict"];
  return [head, ["---", "---:", "---:", "---:", "---"], ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
