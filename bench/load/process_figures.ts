/**
 * What a process and its children cost, read from `/proc` (Linux).
 *
 * @module
 */

/** CPU time and memory of a process tree at one moment. */
export interface ProcessFigures {
  /** User and system time so far, in milliseconds; the kernel counts in steps of 10 ms. */
  readonly cpuMs: number;
  /** Resident memory in bytes; pages that processes share are counted in each. */
  readonly residentBytes: number;
}

const TICK_MS = 10; // USER_HZ is 100 on every Linux that user programs can see.
const PAGE_BYTES = 4_096;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/**
 * Sums up `pid` and everything below it.
 *
 * @throws {Error} If there is no such process.
 */
export function figuresOf(pid: number): ProcessFigures {
  const stats = allStats();
  const tree = new Set([pid]);
  // Children have higher numbers than parents except after a wrap, so look until nothing is new.
  for (let size = 0; size !== tree.size;) {
    size = tree.size;
    for (const stat of stats) if (tree.has(stat.parent)) tree.add(stat.pid);
  }
  const members = stats.filter((stat) => tree.has(stat.pid));
  if (members.length === 0) throw new Error(`Cannot read figures: no process ${pid}`);
  return {
    cpuMs: members.reduce((sum, stat) => sum + stat.cpuMs, 0),
    residentBytes: members.reduce((sum, stat) => sum + stat.residentBytes, 0),
  };
}

/** Read through `cat`: Deno itself opens `/proc` only for programs that may do everything. */
function allStats(): Stat[] {
  const { stdout } = new Deno.Command("sh", {
    args: ["-c", "cat /proc/[0-9]*/stat 2>/dev/null"], // One that just ended is left out.
    stderr: "null",
  }).outputSync();
  const lines = new TextDecoder().decode(stdout).split("\n");
  return lines.filter((line) => line !== "").map(parseStat);
}

/** Reads a line of `/proc/PID/stat`: see proc(5). The name may hold spaces and brackets. */
function parseStat(line: string): Stat {
  const pid = Number(line.slice(0, line.indexOf(" ")));
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid,
    parent: field(4),
    cpuMs: (field(14) + field(15)) * TICK_MS,
    residentBytes: field(24) * PAGE_BYTES,
  };
}
