/**
 * From runs to a table, ratios and verdicts. Pure.
 *
 * Every figure is the median of its rounds. What a gateway adds is taken from
 * "direct" within the same round, so that a noisy minute hits both.
 *
 * @module
 */
import type { Figures, Scenario } from "./measures.ts";

/** All runs: by scenario, by peer, one entry a round. */
export type Runs = Readonly<Record<string, Readonly<Record<string, readonly Figures[]>>>>;

/** One line of the table. */
export interface Row {
  /** What is measured, with its unit. */
  readonly measure: string;
  /** Digits behind the point. */
  readonly digits: number;
  /** Value by peer; a peer for which it makes no sense is missing. */
  readonly values: Readonly<Record<string, number>>;
}

/** One target of the project, and what came out. */
export interface Verdict {
  /** The target in words. */
  readonly target: string;
  /** What was measured. */
  readonly value: number;
  /** What is allowed at most. */
  readonly limit: number;
  /** Whether it is met. */
  readonly met: boolean;
}

type Pick = (figures: Figures) => number | null;

interface Measure {
  readonly key: string;
  readonly measure: string;
  readonly digits: number;
  readonly scenario: Scenario["name"];
  readonly pick: Pick;
  /** Whether the value of "direct" in the same round is taken off. */
  readonly added?: boolean;
}

const MEGABYTE = 1_000_000;

const MEASURES: readonly Measure[] = [
  {
    key: "plain_c1_rate",
    measure: "plain, 1 connection: requests/s",
    digits: 0,
    scenario: "plain_c1",
    pick: (figures) => figures.requestsPerSecond,
  },
  {
    key: "plain_c1_p50",
    measure: "plain, 1 connection: added latency p50, ms",
    digits: 3,
    scenario: "plain_c1",
    pick: (figures) => figures.latencyP50Ms,
    added: true,
  },
  {
    key: "plain_c32_rate",
    measure: "plain, 32 connections: requests/s",
    digits: 0,
    scenario: "plain_c32",
    pick: (figures) => figures.requestsPerSecond,
  },
  {
    key: "plain_cpu",
    measure: "plain, 32 connections: CPU ms a request",
    digits: 4,
    scenario: "plain_c32",
    pick: (figures) => figures.cpuMsPerRequest,
  },
  {
    key: "stream_c16_rate",
    measure: "50-event streams, 16 connections: streams/s",
    digits: 0,
    scenario: "stream_c16",
    pick: (figures) => figures.requestsPerSecond,
  },
  {
    key: "stream_cpu",
    measure: "50-event streams, 16 connections: CPU ms a stream",
    digits: 3,
    scenario: "stream_c16",
    pick: (figures) => figures.cpuMsPerRequest,
  },
  {
    key: "stream_c1_p50",
    measure: "streams, 1 connection: added first token p50, ms",
    digits: 3,
    scenario: "stream_c1",
    pick: (figures) => figures.firstTokenP50Ms,
    added: true,
  },
  {
    key: "stream_c1_p99",
    measure: "streams, 1 connection: added first token p99, ms",
    digits: 3,
    scenario: "stream_c1",
    pick: (figures) => figures.firstTokenP99Ms,
    added: true,
  },
  {
    key: "paced_cpu",
    measure: "300 paced streams: CPU µs an event",
    digits: 1,
    scenario: "paced",
    pick: (figures) => figures.cpuUsPerEvent,
  },
  {
    key: "paced_p50",
    measure: "300 paced streams: added first token p50, ms",
    digits: 3,
    scenario: "paced",
    pick: (figures) => figures.firstTokenP50Ms,
    added: true,
  },
  {
    key: "paced_p99",
    measure: "300 paced streams: added first token p99, ms",
    digits: 2,
    scenario: "paced",
    pick: (figures) => figures.firstTokenP99Ms,
    added: true,
  },
  {
    key: "paced_gap",
    measure: "300 paced streams: added inter-token gap p99, ms",
    digits: 2,
    scenario: "paced",
    pick: (figures) => figures.gapP99Ms,
    added: true,
  },
  {
    key: "paced_memory",
    measure: "300 paced streams: RSS, MB",
    digits: 1,
    scenario: "paced",
    pick: (figures) =>
      figures.residentBytesMax === null ? null : figures.residentBytesMax / MEGABYTE,
  },
];

/** The median; of an even number of values the lower middle one; `null` for none. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}

/** Rows of the table by key, in order. `idleBytes` is each gateway's memory before any load. */
export function rowsFrom(
  runs: Runs,
  idleBytes: Readonly<Record<string, number>>,
): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  for (const measure of MEASURES) {
    const byPeer = runs[measure.scenario] ?? {};
    const values: Record<string, number> = {};
    for (const [peer, rounds] of Object.entries(byPeer)) {
      if (measure.added && peer === "direct") continue;
      const value = median(valuesOf(measure, rounds, byPeer["direct"] ?? []));
      if (value !== null) values[peer] = value;
    }
    rows.set(measure.key, { measure: measure.measure, digits: measure.digits, values });
  }
  const idle = Object.entries(idleBytes).map(([peer, bytes]) => [peer, bytes / MEGABYTE]);
  rows.set("idle_memory", {
    measure: "idle: RSS, MB",
    digits: 1,
    values: Object.fromEntries(idle),
  });
  return rows;
}

function valuesOf(
  measure: Measure,
  rounds: readonly Figures[],
  direct: readonly Figures[],
): number[] {
  const values: number[] = [];
  rounds.forEach((figures, round) => {
    if (figures.requests === 0) return;
    const value = measure.pick(figures);
    const base = measure.added ? direct[round] && measure.pick(direct[round]) : 0;
    if (value !== null && base !== null && base !== undefined) values.push(value - base);
  });
  return values;
}

/** The table as Markdown; the last columns divide `subject` by nginx and by Portkey. */
export function tableFrom(
  rows: ReadonlyMap<string, Row>,
  peers: readonly string[],
  subject: string,
): string {
  const rivals = ["nginx", "portkey"].filter((peer) => peers.includes(peer) && peer !== subject);
  const ratios = peers.includes(subject) ? rivals : [];
  const head = ["measure", ...peers, ...ratios.map((rival) => `${subject}/${rival}`)];
  const lines = [head, head.map((_, column) => column === 0 ? "---" : "---:")];
  for (const row of rows.values()) {
    const cells = peers.map((peer) => row.values[peer]?.toFixed(row.digits) ?? "–");
    lines.push([row.measure, ...cells, ...ratios.map((rival) => ratio(row, subject, rival))]);
  }
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A ratio says nothing where the rival's value is noise around 0. */
function ratio(row: Row, subject: string, rival: string): string {
  const [value, base] = [row.values[subject], row.values[rival]];
  if (value === undefined || base === undefined || base <= 0 || value <= 0) return "–";
  return (value / base).toFixed(2);
}

/** The project's targets for its data path that these rows can judge. */
export function verdictsFrom(rows: ReadonlyMap<string, Row>, subject: string): readonly Verdict[] {
  const read = (key: string, peer: string): number | null => rows.get(key)?.values[peer] ?? null;
  const relative = (
    key: string,
    rival: string,
    factor: number,
  ): readonly [number | null, number] => [
    read(key, subject),
    (read(key, rival) ?? NaN) * factor,
  ];
  const cases: ReadonlyArray<readonly [string, readonly [number | null, number]]> = [
    ["CPU ms a plain request: at most 3 times nginx's", relative("plain_cpu", "nginx", 3)],
    ["CPU ms a plain request: at most a fifth of Portkey's", relative("plain_cpu", "portkey", 0.2)],
    ["CPU µs an SSE event: at most 1.5 times nginx's", relative("paced_cpu", "nginx", 1.5)],
    ["added first token p50, 1 connection, ms", [read("stream_c1_p50", subject), 0.5]],
    ["added first token p99, 1 connection, ms", [read("stream_c1_p99", subject), 3]],
    ["added first token p50, 300 streams, ms", [read("paced_p50", subject), 0.5]],
    ["added first token p99, 300 streams, ms", [read("paced_p99", subject), 3]],
    ["idle RSS, MB", [read("idle_memory", subject), 80]],
  ];
  const verdicts: Verdict[] = [];
  for (const [target, [value, limit]] of cases) {
    if (value === null || Number.isNaN(limit)) continue;
    verdicts.push({ target, value, limit, met: value <= limit });
  }
  return verdicts;
}

/** Verdicts as Markdown: what was asked, what came out, and by how much it was missed. */
export function verdictText(verdicts: readonly Verdict[]): string {
  const lines = ["| target | limit | measured | verdict |", "| --- | ---: | ---: | --- |"];
  for (const { target, value, limit, met } of verdicts) {
    const verdict = met ? "met" : `missed by ${((value / limit - 1) * 100).toFixed(0)} %`;
    lines.push(`| ${target} | ${short(limit)} | ${short(value)} | ${verdict} |`);
  }
  return lines.join("\n");
}

function short(value: number): string {
  return value.toPrecision(3);
}
