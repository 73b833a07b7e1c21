/**
 * From runs to lines of target, measured, rival, ratio and verdict. Pure.
 *
 * Every figure is the median of its rounds, and so is every ratio, each of which is
 * taken within one round.
 *
 * @module
 */
import { median } from "../load/report.ts";
import type { IdleFigures } from "./idle.ts";
import type { ReplayFigures } from "./replay.ts";
import type { Round, Rounds } from "./scenarios.ts";

/** What is asked of a line. */
export interface Target {
  /** Of which of its figures. */
  readonly of: "measured" | "ratio";
  /** Which way is good. */
  readonly kind: "at least" | "at most";
  /** How much. */
  readonly limit: number;
}

/** One line of the result. */
export interface Line {
  /** What is measured, with its unit. */
  readonly what: string;
  /** What is asked; `null` where it is only told. */
  readonly target: Target | null;
  /** What was measured. */
  readonly measured: number;
  /** The same of the rival; `null` where there is none. */
  readonly rival: number | null;
  /** One by the other. */
  readonly ratio: number | null;
  /** Whether the target is met; `null` without one, or where the rival did not run. */
  readonly met: boolean | null;
}

/** Everything that a whole run measures. */
export interface Measured {
  /** Single operations. */
  readonly rounds: Rounds;
  /** Starts, by length of value. */
  readonly replays: readonly ReplayFigures[];
  /** A node and a bare server at rest. */
  readonly idle: { readonly node: IdleFigures; readonly bare: IdleFigures };
  /** Resident memory of the node after all rounds, in bytes. */
  readonly loadedBytes: number;
}

const MEGABYTE = 1_000_000;

/** The lines of a run, in the order of the design's table. */
export function linesFrom(measured: Measured): Line[] {
  return [
    ...rateLines(measured.rounds),
    ...latencyLines(measured.rounds),
    ...costLines(measured.rounds),
    ...measured.replays.flatMap(replayLines),
    ...idleLines(measured),
  ];
}

/** The median over rounds of one scenario's figure, NaN for none. */
export function medianOf(rounds: Rounds, scenario: string, pick: keyof Round): number {
  const values = (rounds[scenario] ?? []).flatMap((round) => round[pick] ?? []);
  return median(values) ?? NaN;
}

/** The median over rounds of one scenario's rate by another's; `null` where one did not run. */
export function ratioOf(rounds: Rounds, scenario: string, rival: string): number | null {
  const rivals = rounds[rival] ?? [];
  return median((rounds[scenario] ?? []).flatMap((round, at) => {
    const other = rivals[at];
    return other === undefined ? [] : [round.perSecond / other.perSecond];
  }));
}

/** A line with its verdict. */
export function lineOf(
  what: string,
  target: Target | null,
  measured: number,
  against: { readonly rival: number | null; readonly ratio: number | null } = {
    rival: null,
    ratio: null,
  },
): Line {
  const { rival, ratio } = against;
  const value = target?.of === "ratio" ? ratio : measured;
  const isJudged = target !== null && value !== null && Number.isFinite(value);
  const met = isJudged ? isWithin(value, target) : null;
  return { what, target, measured, rival, ratio, met };
}

function isWithin(value: number, { kind, limit }: Target): boolean {
  return kind === "at least" ? value >= limit : value <= limit;
}

function atLeast(limit: number): Target {
  return { of: "ratio", kind: "at least", limit };
}

function rateLines(rounds: Rounds): Line[] {
  const line = (what: string, scenario: string, rival: string | null, target: Target | null) => {
    const measured = medianOf(rounds, scenario, "perSecond");
    if (rival === null) return lineOf(`${what}, per s`, target, measured);
    const other = medianOf(rounds, rival, "perSecond");
    const against = {
      rival: Number.isNaN(other) ? null : other,
      ratio: ratioOf(rounds, scenario, rival),
    };
    return lineOf(`${what}, per s`, target, measured, against);
  };
  const file = "Deno.openKv(file)";
  return [
    line(`set, stock client, 64 at once : ${file}`, "set_stock_64", "set_file_64", atLeast(1.5)),
    line(`set, stock client, 1 at a time : ${file}`, "set_stock_1", "set_file_1", atLeast(0.38)),
    line(
      "set, own client, 64 in flight on 1 connection : redis-benchmark, 64 connections",
      "set_own_64",
      "set_redis_tool_64",
      atLeast(0.8),
    ),
    line(
      "the same : redis from Deno, 64 in flight on 1 connection",
      "set_own_64",
      "set_redis_64",
      null,
    ),
    line("set, own client, 1 at a time : redis from Deno", "set_own_1", "set_redis_1", null),
    line(
      "set by fetch over HTTP, 64 at once : etcd's HTTP gateway",
      "set_post_64",
      "set_etcd_64",
      null,
    ),
    line(
      "set, stock client, 64 at once : handler with a Map, no disk",
      "set_stock_64",
      "set_map_64",
      null,
    ),
    line(
      "get, stock client, 64 at once : handler with a Map",
      "get_stock_64",
      "get_map_64",
      atLeast(0.85),
    ),
    line(`get, stock client, 64 at once : ${file}`, "get_stock_64", "get_file_64", null),
    line(
      "get, own client, 64 in flight on 1 connection : redis from Deno",
      "get_own_64",
      "get_redis_64",
      null,
    ),
  ];
}

const LATENCIES: ReadonlyArray<readonly [string, string, string | null]> = [
  ["set, stock client, 64 at once", "set_stock_64", "set_file_64"],
  ["set, stock client, 1 at a time", "set_stock_1", "set_file_1"],
  ["set, own client, 64 in flight", "set_own_64", "set_redis_tool_64"],
  ["set, own client, 1 at a time", "set_own_1", "set_redis_1"],
  ["get, stock client, 64 at once", "get_stock_64", "get_map_64"],
  ["get, own client, 64 in flight", "get_own_64", "get_redis_64"],
];

function latencyLines(rounds: Rounds): Line[] {
  return LATENCIES.flatMap(([what, scenario, rival]) =>
    (["p50Ms", "p99Ms"] as const).map((pick) => {
      const [measured, other] = [scenario, rival ?? ""].map((name) => medianOf(rounds, name, pick));
      const isThere = other !== undefined && Number.isFinite(other);
      const against = {
        rival: isThere ? other : null,
        ratio: isThere ? (measured ?? NaN) / other : null,
      };
      return lineOf(`${what}: ${pick.slice(0, 3)}, ms`, null, measured ?? NaN, against);
    })
  );
}

function costLines(rounds: Rounds): Line[] {
  const line = (what: string, scenario: string) => {
    const server = medianOf(rounds, scenario, "serverCpuUs");
    const client = medianOf(rounds, scenario, "clientCpuUs");
    const against = { rival: client, ratio: server / client };
    return lineOf(`${what}: node's CPU : client's, µs`, null, server, against);
  };
  return [
    line("set, stock client, 64 at once", "set_stock_64"),
    line("set, own client, 64 in flight", "set_own_64"),
    line("get, stock client, 64 at once", "get_stock_64"),
    line("get, own client, 64 in flight", "get_own_64"),
  ];
}

const REPLAY_RATE = 100;
const REPLAY_RATIO = 0.2;

/** The lines of one kind of log. */
export function replayLines(figures: ReplayFigures): Line[] {
  const { valueBytes, logBytes, readSeconds, scanSeconds, replaySeconds } = figures;
  const megabytes = logBytes / MEGABYTE;
  const rate = (seconds: readonly number[]) => megabytes / (median(seconds) ?? NaN);
  const against = (seconds: readonly number[]) => ({
    rival: rate(readSeconds),
    ratio: median(seconds.flatMap((one, at) => (readSeconds[at] ?? NaN) / one)),
  });
  const log = `${megabytes.toFixed(0)} MB of log, values of ${valueBytes} B`;
  const lines = (what: string, seconds: readonly number[]) => {
    const least: Target = { of: "measured", kind: "at least", limit: REPLAY_RATE };
    return [
      lineOf(`${what}, ${log} : file read, MB/s`, least, rate(seconds), against(seconds)),
      lineOf(`the same, ratio`, atLeast(REPLAY_RATIO), rate(seconds), against(seconds)),
    ];
  };
  return [
    ...lines("start after kill -9", scanSeconds),
    ...lines("start without states (all applied anew)", replaySeconds),
  ];
}

const IDLE_MEGABYTES = 70;
const IDLE_SHARE_PERCENT = 1;

function idleLines({ idle: { node, bare }, loadedBytes }: Measured): Line[] {
  const megabytes = ({ residentBytes }: IdleFigures) => residentBytes / MEGABYTE;
  const most = (limit: number): Target => ({ of: "measured", kind: "at most", limit });
  const ratio = node.residentBytes / bare.residentBytes;
  return [
    lineOf("idle node : bare server, RSS, MB", most(IDLE_MEGABYTES), megabytes(node), {
      rival: megabytes(bare),
      ratio,
    }),
    lineOf("idle node, share of a core, %", most(IDLE_SHARE_PERCENT), node.cpuShare * 100),
    lineOf("node after all rounds, RSS, MB", null, loadedBytes / MEGABYTE),
  ];
}

/** The lines as a Markdown table. */
export function tableFrom(lines: readonly Line[]): string {
  const rows = lines.map(({ what, target, measured, rival, ratio, met }) => [
    what,
    targetText(target),
    numberText(measured),
    numberText(rival),
    numberText(ratio),
    verdictText(target, met),
  ]);
  const head = ["what", "target", "measured", "rival", "ratio", "verdict"];
  return [head, ["---", "---:", "---:", "---:", "---:", "---"], ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function targetText(target: Target | null): string {
  if (target === null) return "–";
  const sign = target.kind === "at least" ? "≥" : "≤";
  return `${sign} ${target.limit}${target.of === "ratio" ? " ×" : ""}`;
}

function numberText(value: number | null): string {
  if (value === null || Number.isNaN(value)) return "–";
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function verdictText(target: Target | null, met: boolean | null): string {
  if (target === null) return "";
  return met === null ? "not run" : met ? "met" : "MISSED";
}
