/**
 * What a power cut would leave of a file: `strace` tells what was written to it and
 * which syncs succeeded, and what no sync has covered is taken back.
 *
 * @module
 */

/** The calls that are followed. */
const CALLS = "openat,lseek,read,write,fdatasync,fsync";

interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Follows one file through one run of a process. */
export class WriteTrace {
  readonly #path: string;
  readonly #tracePath: string;
  readonly #before: Uint8Array;

  /** Follows the file at `path`; what strace tells goes to `tracePath`. */
  constructor(path: string, tracePath: string) {
    this.#path = path;
    this.#tracePath = tracePath;
    this.#before = Deno.readFileSync(path);
  }

  /** Arguments of `strace`. */
  get flags(): readonly string[] {
    return ["-s", "0", "-o", this.#tracePath, "-P", this.#path, "-e", `trace=${CALLS}`];
  }

  /** After the end of the process: takes back what was not synced; returns how many bytes. */
  undo(): number {
    using file = Deno.openSync(this.#path, { write: true });
    let bytes = 0;
    for (const { start, end } of unsynced(Deno.readTextFileSync(this.#tracePath))) {
      file.seekSync(start, Deno.SeekMode.Start);
      bytes += file.writeSync(this.#before.subarray(start, end));
    }
    return bytes;
  }
}

/** The parts of a file that were written and that no sync begun later has brought to disk. */
function unsynced(trace: string): readonly Extent[] {
  const places = new Map<string, number>();
  const begun = new Map<string, string>();
  const covered = new Map<string, ReadonlySet<Extent>>();
  const pending = new Set<Extent>();
  for (const line of trace.split("\n")) {
    const [thread = ""] = line.split(" ", 1);
    // A call during which another thread was heard of stands on two lines.
    const isResumed = line.includes("resumed>");
    const call = isResumed ? `${begun.get(thread) ?? ""}${line}` : line.slice(thread.length).trim();
    const [, name = "", handle = ""] = /^(\w+)\((\w+)/.exec(call) ?? [];
    if (/^f(data)?sync$/.test(name) && !isResumed) covered.set(thread, new Set(pending));
    if (call.endsWith("<unfinished ...>")) {
      begun.set(thread, call);
      continue;
    }
    const result = Number(/ = (-?\d+)/.exec(call)?.[1] ?? -1);
    if (result < 0) continue;
    const place = places.get(handle) ?? 0;
    if (name === "openat") places.set(String(result), 0);
    else if (name === "lseek") places.set(handle, result);
    else if (name === "read") places.set(handle, place + result);
    else if (name === "write") {
      places.set(handle, place + result);
      pending.add({ start: place, end: place + result });
    } else for (const extent of covered.get(thread) ?? []) pending.delete(extent);
  }
  return [...pending];
}
