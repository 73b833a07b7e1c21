/**
 * Where a node's metrics come from, and how they are written out.
 *
 * @module
 */
import { processReaders } from "../../src/runtime/process_readers.ts";
import { type Exposition, renderMetrics } from "../../src/telemetry/exposition.ts";
import { MetricList } from "../../src/telemetry/metric_list.ts";
import { registerProcessMetrics } from "../../src/telemetry/process_metrics.ts";
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

/** Declares all metrics of a node; its status is read once for each page. */
export function createNodeMetrics(
  status: () => NodeStatus,
  queues: KvSources["queues"],
): NodeMetrics {
  const metrics = new MetricList();
  let seen: NodeStatus | null = null;
  const now = (): NodeStatus => seen ??= status();
  const record = createKvMetrics(metrics, {
    ready: () => now().phase === "serving",
    diskFull: () => now().diskFull,
    damagedFiles: () => now().damagedFiles.length,
    waiting: () => ({ commits: now().waitingCommits, bytes: now().waitingBytes }),
    states: () => now().groups,
    progress: () =>
      now().groups.map(({ group, appliedIndex, durableIndex }) => ({
        group,
        applied: appliedIndex,
        durable: durableIndex,
      })),
    log: () => ({ segments: now().logSegments, bytes: now().logBytes }),
    watches: () => now().watches,
    linkConnections: () => now().linkConnections,
    databases: () => now().databases,
    queues,
  });
  registerProcessMetrics(metrics, { version: VERSION, ...processReaders });
  return {
    record,
    render(accept) {
      seen = null;
      return renderMetrics(metrics, accept);
    },
  };
}
