/**
 * What a node costs while nobody asks it anything.
 *
 * @module
 */
import type { BenchWorld } from "../load/bench_run.ts";
import type { Child } from "../load/children.ts";
import { figuresOf } from "../load/process_figures.ts";
import { startMap, startNode } from "./peers.ts";

/** What an idle process takes. */
export interface IdleFigures {
  /** Resident memory in bytes. */
  readonly residentBytes: number;
  /** Share of a core. */
  readonly cpuShare: number;
}

const SETTLE_MS = 5_000;

/** Watches a new node, and beside it a bare server, for so long. */
export async function measureIdle(
  world: BenchWorld,
  watchMs: number,
): Promise<{ readonly node: IdleFigures; readonly bare: IdleFigures }> {
  const node = await startNode(world, "idle");
  const bare = await startMap(world);
  await pause(SETTLE_MS);
  const watch = watchOf([node.child, bare.child]);
  await pause(watchMs);
  const [nodeFigures, bareFigures] = watch();
  await Promise.all([node.child.stop(), bare.child.stop()]);
  if (nodeFigures === undefined || bareFigures === undefined) throw new Error("Cannot watch");
  return { node: nodeFigures, bare: bareFigures };
}

function watchOf(children: readonly Child[]): () => IdleFigures[] {
  const startMs = performance.now();
  const before = children.map((child) => figuresOf(child.pid).cpuMs);
  return () =>
    children.map((child, at) => {
      const { cpuMs, residentBytes } = figuresOf(child.pid);
      const elapsedMs = performance.now() - startMs;
      return { residentBytes, cpuShare: (cpuMs - (before[at] ?? 0)) / elapsedMs };
    });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
