/**
 * What the process tells of itself: for metrics.
 *
 * @module
 */
import process from "node:process";

/** Reads the process's figures; needs no permission. */
export const processReaders = {
  /** Version of the Deno it runs on. */
  denoVersion: Deno.version.deno,
  /** Start of the process, in seconds since the Unix epoch. */
  startSeconds: performance.timeOrigin / 1_000,
  /** Resident memory now. */
  residentBytes: (): number => Deno.memoryUsage().rss,
  /** Heap in use now. */
  heapBytes: (): number => Deno.memoryUsage().heapUsed,
  /** CPU time spent so far, user and system together. */
  cpuSeconds(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
} as const;
