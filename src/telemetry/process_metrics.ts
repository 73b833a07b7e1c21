/**
 * Metrics of the process, from readers that the caller brings.
 *
 * The default collectors of `prom-client` read `/proc` and Node's internals and
 * do not all work on Deno; these few do, and need no permission of their own.
 *
 * @module
 */
import { declareReadings, type MetricRegistry } from "./series.ts";

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
export function registerProcessMetrics(registry: MetricRegistry, readers: ProcessReaders): void {
  const { version, denoVersion: deno, startSeconds } = readers;
  const gauge = (name: string, help: string, read: () => number, labels = {}) =>
    declareReadings(registry, "gauge", { name, help }, () => [{ labels, value: read() }]);
  gauge("weir_build_info", "Always 1; the labels say what runs.", () => 1, { version, deno });
  gauge("process_start_time_seconds", "Start of the process since the Unix epoch.", () => {
    return startSeconds;
  });
  gauge("process_resident_memory_bytes", "Resident memory.", () => readers.residentBytes());
  gauge("weir_heap_bytes", "JavaScript heap in use.", () => readers.heapBytes());
  let countedSeconds = 0;
  const cpu = {
    name: "process_cpu_seconds_total",
    help: "CPU time spent, user and system together.",
  };
  declareReadings(registry, "counter", cpu, () => {
    const nowSeconds = readers.cpuSeconds();
    // Counters only rise, though a clock may step back.
    if (nowSeconds > countedSeconds) countedSeconds = nowSeconds;
    return [{ value: countedSeconds }];
  });
}
