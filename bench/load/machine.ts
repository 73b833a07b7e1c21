/**
 * What machine and what code a result belongs to.
 *
 * @module
 */

/** Where a benchmark ran. */
export interface Machine {
  /** Processor model. */
  readonly cpu: string;
  /** Cores that the system shows. */
  readonly cores: number;
  /** Memory in bytes. */
  readonly memoryBytes: number;
  /** Kernel release. */
  readonly kernel: string;
  /** Deno's version. */
  readonly deno: string;
}

/** Describes this machine (Linux). */
export async function describeMachine(): Promise<Machine> {
  const { stdout } = await new Deno.Command("cat", { args: ["/proc/cpuinfo"] }).output();
  const cpus = new TextDecoder().decode(stdout);
  return {
    cpu: /^model name\s*: (.*)$/m.exec(cpus)?.[1] ?? "unknown",
    cores: navigator.hardwareConcurrency,
    memoryBytes: Deno.systemMemoryInfo().total,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
  };
}

/**
 * The commit that is checked out, read from the repository's files; "unknown"
 * where there are none. It says nothing about changes not committed yet.
 */
export async function currentCommit(projectFolder: string): Promise<string> {
  const read = (path: string): Promise<string> =>
    Deno.readTextFile(`${projectFolder}/.git/${path}`).then((text) => text.trim(), () => "");
  const head = await read("HEAD");
  const reference = /^ref: (.*)$/.exec(head)?.[1];
  if (reference === undefined) return head === "" ? "unknown" : head;
  const direct = await read(reference);
  if (direct !== "") return direct;
  const packed = (await read("packed-refs")).split("\n").find((line) => line.endsWith(reference));
  return packed?.split(" ")[0] ?? "unknown";
}
