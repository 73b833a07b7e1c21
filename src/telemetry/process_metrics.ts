/**
 * Metrics of the process, from readers that the caller brings.
 *
 * The default collectors of `prom-client` read `/proc` and Node's internals and
 * do not all work on Deno; these few do, and need no permission of their own.
 *
 * @module
 */
import { Counter, Gauge, type Registry } from "./prometheus.ts";

/** Where the figures come from. */
export interface ProcessReaders {
  /** Version of the gateway. */
  readonly version: string;
  /** Version of the Deno it runs on. */
  readonly denoVersion: string;
  /** Start of the process, in seconds since the Unix epoch. */
  readonly startSeconds: number;
  /** Resident memory now. */
  residentBytes(): number;
  /** Heap in use now. */
  heapBytes(): number;
  /** CPU time spent so far, user and system together. */
  cpuSeconds(): number;
}

/** Declares `weir_build_info` and `process_*`. */
export function registerProcessMetrics(registry: Registry, readers: ProcessReaders): void {
  const registers = [registry];
  const build = new Gauge({
    name: "weir_build_info",
    help: "Always 1; the labels say what runs.",
    labelNames: ["version", "deno"],
    registers,
  });
  build.set({ version: readers.version, deno: readers.denoVersion }, 1);
  const start = new Gauge({
    name: "process_start_time_seconds",
    help: "Start of the process since the Unix epoch.",
    registers,
  });
  start.set(readers.startSeconds);
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory.",
    registers,
    collect() {
      this.set(readers.residentBytes());
    },
  });
  new Gauge({
    name: "weir_heap_bytes",
    help: "JavaScript heap in use.",
    registers,
    collect() {
      this.set(readers.heapBytes());
    },
  });
  let countedSeconds = 0;
  new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time spent, user and system together.",
    registers,
    collect() {
      const nowSeconds = readers.cpuSeconds();
      // A clock that steps back must not fail the scrape: counters only rise.
      if (!(nowSeconds > countedSeconds)) return;
      this.inc(nowSeconds - countedSeconds);
      countedSeconds = nowSeconds;
    },
  });
}
