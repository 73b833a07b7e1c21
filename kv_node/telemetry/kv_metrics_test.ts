import assert from "node:assert/strict";
import { Registry } from "../../src/telemetry/prometheus.ts";
import { createKvMetrics, type KvSources } from "./kv_metrics.ts";

const SOURCES: KvSources = {
  ready: () => true,
  diskFull: () => false,
  damagedFiles: () => 1,
  waiting: () => ({ commits: 1, bytes: 2 }),
  states: () => [{ group: 0, rows: 3, bytes: 4 }],
  progress: () => [{ group: 0, applied: 9, durable: 5 }],
  log: () => ({ segments: 2, bytes: 100 }),
  watches: () => 6,
  linkConnections: () => 7,
  databases: () => 8,
  queues: () => null,
};

Deno.test("createKvMetrics() writes what was recorded, under closed labels", async () => {
  const registry = new Registry();
  const metrics = createKvMetrics(registry, {
    ...SOURCES,
    queues: () => ({ due: 1, delayed: 2, leased: 3, dead: 4, oldestDueSeconds: 5 }),
  });
  metrics.answered("http", "snapshot_read", 200);
  metrics.answered("http", "atomic_write", 503);
  const outcomes = { committed: 60, conflict: 3, invalid: 1 };
  metrics.batch({ commands: 64, seconds: 0.002, outcomes });
  metrics.synced({ records: 64, bytes: 4_096, seconds: 0.0004 });
  metrics.limited("valueBytesMax");
  metrics.limited("a client's own words");
  metrics.expired(3);
  metrics.settled("dead", 2);
  metrics.checkpointed("done", 0.1);
  metrics.replayed({ entries: 12, seconds: 0.5 });
  const page = await registry.metrics();
  for (
    const line of [
      'weir_kv_requests_total{transport="http",operation="snapshot_read",status="2xx"} 1',
      'weir_kv_requests_total{transport="http",operation="atomic_write",status="5xx"} 1',
      'weir_kv_txn_total{outcome="conflict"} 3',
      "weir_kv_wal_bytes_total 4096",
      'weir_kv_wal_sync_seconds_bucket{le="0.0005"} 1',
      'weir_kv_batch_commits_bucket{le="64"} 1',
      'weir_kv_limit_refused_total{limit="valueBytesMax"} 1',
      'weir_kv_limit_refused_total{limit="other"} 1',
      "weir_kv_expired_total 3",
      "weir_kv_damaged_files 1",
      'weir_kv_queue_total{event="dead"} 2',
      'weir_kv_queue_messages{state="leased"} 3',
      "weir_kv_queue_oldest_due_seconds 5",
      'weir_kv_applied_index{group="0"} 9',
      "weir_kv_replayed_entries 12",
    ]
  ) {
    assert.ok(page.includes(`${line}\n`), line);
  }
  assert.ok(!page.includes("own words"));
});

Deno.test("createKvMetrics() says nothing of queues that nobody used", async () => {
  const registry = new Registry();
  createKvMetrics(registry, SOURCES);
  assert.doesNotMatch(await registry.metrics(), /^weir_kv_queue_(messages|oldest)\S* \d/m);
});
