/**
 * A benchmark's life around its measurements: a folder and child processes that are gone
 * afterwards, whether it ends, fails, takes too long or is interrupted.
 *
 * @module
 */
import type { Child } from "./children.ts";

/** What the measurements work with. */
export interface BenchWorld {
  /** Where they keep what they store; removed afterwards. */
  readonly folder: string;
  /** Is told of every child as soon as it runs, so that nothing survives a Ctrl-C. */
  readonly track: (child: Child) => Child;
}

/** How long a benchmark may take, and where. */
export interface BenchBounds {
  /** After so long everything is ended, with status 1. */
  readonly limitMs: number;
  /** Where its folder is made; the system's place for temporary files where left out. */
  readonly parent?: string | null;
}

/** Runs a benchmark and ends the process: 0, or 1 after `limitMs`, or as a signal says. */
export async function runBench(
  { limitMs, parent = null }: BenchBounds,
  measure: (world: BenchWorld) => Promise<void>,
): Promise<never> {
  const folder = await Deno.makeTempDir({
    prefix: "weir-bench-",
    ...(parent === null ? {} : { dir: parent }),
  });
  const children: Child[] = [];
  const track = (child: Child): Child => {
    children.push(child);
    return child;
  };
  let cleaning: Promise<void> | null = null;
  const cleanUp = (): Promise<void> =>
    cleaning ??= Promise.all(children.map((child) => child.stop()))
      .then(() => Deno.remove(folder, { recursive: true }));
  const giveUp = (code: number) => async (): Promise<void> => {
    await cleanUp();
    Deno.exit(code);
  };
  Deno.addSignalListener("SIGINT", giveUp(130));
  Deno.addSignalListener("SIGTERM", giveUp(143));
  const deadline = setTimeout(giveUp(1), limitMs);
  try {
    await measure({ folder, track });
  } catch (error) {
    // Children that were ended on purpose make what waits for them fail.
    if (cleaning === null) throw error;
    await new Promise(() => {}); // The signal's handler ends the process.
  } finally {
    clearTimeout(deadline);
    await cleanUp();
  }
  Deno.exit(0); // The signal listeners would keep it alive.
}

/** Writes a line for whoever watches. */
export async function say(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text + "\n"));
}

/** The load of the machine, told where it spoils results; `what` says which of them. */
export async function loadBefore(what: string): Promise<number> {
  const [load = 0] = Deno.loadavg();
  if (load > 0.5) await say(`Load is ${load.toFixed(1)} before anything started: ${what}.`);
  return load;
}

/** Writes a result, and says so. */
export async function writeResult(
  path: string,
  result: { readonly elapsedSeconds: number },
): Promise<void> {
  await Deno.mkdir(path.replace(/\/[^/]*$/, "") || ".", { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(result, null, 2) + "\n");
  await say(`written: ${path} (${result.elapsedSeconds} s)`);
}
