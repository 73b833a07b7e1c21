/**
 * Where a node's metrics come from, and how they are written out.
 *
 * @module
 */
import process from "node:process";
import { type Exposition, renderMetrics } from "../../src/telemetry/exposition.ts";
import { registerProcessMetrics } from "../../src/telemetry/process_metrics.ts";
import { Registry } from "../../src/telemetry/prometheus.ts";
import { VERSION } from "../../src/version.ts";
import type { NodeStatus } from "../admin/status.ts";
import { createKvMetrics, type KvMetrics, type KvSources } from "../telemetry/kv_metrics.ts";

/** Metrics, and their text. */
export interface NodeMetrics {
  /** What is recorded. */
  readonly record: KvMetrics;
  /** The text in the form that an Accept header asks for. */
  readonly render: (accept: string | null) => Promise<Exposition>;
}

/** Declares all metrics of a node whose state is read from its status. */
export function createNodeMetrics(
  status: () => NodeStatus,
  queues: KvSources["queues"],
): NodeMetrics {
  const registry = new Registry();
  const record = createKvMetrics(registry, {
    ready: () => status().phase === "serving",
    diskFull: () => status().diskFull,
    waiting: () => ({ commits: status().waitingCommits, bytes: status().waitingBytes }),
    states: () => status().groups,
    progress: () =>
      status().groups.map(({ group, appliedIndex, durableIndex }) => ({
        group,
        applied: appliedIndex,
        durable: durableIndex,
      })),
    log: () => ({ segments: status().logSegments, bytes: status().logBytes }),
    watches: () => status().watches,
    linkConnections: () => status().linkConnections,
    databases: () => status().databases,
    queues,
  });
  registerProcessMetrics(registry, {
    version: VERSION,
    denoVersion: Deno.version.deno,
    startSeconds: (performance.timeOrigin) / 1_000,
    residentBytes: () => Deno.memoryUsage().rss,
    heapBytes: () => Deno.memoryUsage().heapUsed,
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  });
  return { record, render: (accept) => renderMetrics(registry, accept) };
}
