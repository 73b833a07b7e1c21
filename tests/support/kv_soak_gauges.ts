/**
 * What a node in a soak costs, second by second: memory, descriptors, files, as it
 * says itself and as the system sees it; and whether that is level.
 *
 * @module
 */
import type { KillableNode } from "./kv_killable_node.ts";

/** Figures of one moment. */
export interface Sample {
  /** When, in milliseconds on the soak's own clock. */
  readonly atMs: number;
  /** Resident memory in bytes. */
  readonly residentBytes: number;
  /** JavaScript heap in use, in bytes. */
  readonly heapBytes: number;
  /** CPU time of the process so far, in seconds. */
  readonly cpuSeconds: number;
  /** From the oldest to the newest record of the log, in bytes. */
  readonly logBytes: number;
  /** Files of the log's folder, spares and reserve included, in bytes. */
  readonly logFolderBytes: number;
  /** Bytes written to the log so far. */
  readonly writtenBytes: number;
  /** Main file of the data group's state, in bytes. */
  readonly stateBytes: number;
  /** The same with SQLite's own log. */
  readonly stateAllBytes: number;
  /** Rows of the data group, expired ones included. */
  readonly rows: number;
  /** Open watches. */
  readonly watches: number;
  /** Open connections of our client. */
  readonly links: number;
  /** Open file descriptors. */
  readonly descriptors: number;
  /** Checkpoints so far. */
  readonly checkpoints: number;
  /** Requests that were answered with 4xx or 5xx so far. */
  readonly refusals: ReadonlyMap<string, number>;
}

/** What may rise, and how far. */
export interface Level {
  /** For messages. */
  readonly name: string;
  /** What is looked at. */
  readonly of: (sample: Sample) => number;
  /** What stands for many samples: the middle one, the least, the greatest. */
  readonly by: "median" | "least" | "greatest";
  /** The last third may be above the middle third by this share of it … */
  readonly share: number;
  /** … and this much. */
  readonly more: number;
}

/** How a level came out. */
export interface LevelResult {
  /** For messages. */
  readonly name: string;
  /** Of the middle third. */
  readonly middle: number;
  /** Of the last third. */
  readonly late: number;
  /** The most that the last third may have. */
  readonly most: number;
}

/** Takes a sample; `atMs` is the moment. */
export async function takeSample(node: KillableNode, atMs: number): Promise<Sample> {
  const response = await fetch(`${node.adminUrl}/metrics`);
  const page = await response.text();
  if (response.status !== 200) throw new Error(`Cannot read metrics: status ${response.status}`);
  const metrics = parseMetrics(page);
  const numberOf = (name: string): number => metrics.get(name) ?? NaN;
  const stateFile = `${node.folder}/state/1.db`;
  return {
    atMs,
    residentBytes: numberOf("process_resident_memory_bytes"),
    heapBytes: numberOf("weir_heap_bytes"),
    cpuSeconds: numberOf("process_cpu_seconds_total"),
    logBytes: numberOf("weir_kv_wal_bytes"),
    logFolderBytes: await folderBytes(`${node.folder}/wal`),
    writtenBytes: numberOf("weir_kv_wal_bytes_total"),
    stateBytes: await fileBytes(stateFile),
    stateAllBytes: numberOf('weir_kv_state_bytes{group="1"}'),
    rows: numberOf('weir_kv_state_rows{group="1"}'),
    watches: numberOf("weir_kv_watches"),
    links: numberOf("weir_kv_link_connections"),
    descriptors: await descriptorsOf(node.run.pid),
    checkpoints: numberOf('weir_kv_checkpoints_total{result="done"}'),
    refusals: new Map(
      [...metrics].filter(([name]) =>
        name.startsWith("weir_kv_requests_total{") && /status="[45]xx"/.test(name) ||
        name === 'weir_kv_checkpoints_total{result="failed"}'
      ),
    ),
  };
}

/** Compares the last third with the middle one. */
export function levelOf(level: Level, samples: readonly Sample[]): LevelResult {
  const third = Math.floor(samples.length / 3);
  const values = samples.map(level.of);
  const middle = typical(values.slice(third, 2 * third), level.by);
  const late = typical(values.slice(-third), level.by);
  return { name: level.name, middle, late, most: middle * (1 + level.share) + level.more };
}

/** The value below which `share` of the sorted values are. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function typical(values: readonly number[], by: Level["by"]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const place = { median: 0.5, least: 0, greatest: 1 }[by];
  return quantile(sorted, place);
}

/** Samples of a page by name and labels. */
function parseMetrics(page: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of page.split("\n")) {
    if (line.startsWith("#")) continue;
    const end = line.lastIndexOf(" ");
    if (end > 0) found.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return found;
}

/** Open descriptors; listed by another program, since Deno keeps `/proc` for those who may all. */
async function descriptorsOf(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "").length;
}

async function folderBytes(path: string): Promise<number> {
  let bytes = 0;
  for await (const { name } of Deno.readDir(path)) bytes += await fileBytes(`${path}/${name}`);
  return bytes;
}

/** Length of a file; 0 for one that went meanwhile. */
async function fileBytes(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
