/**
 * Every metric of a KV node.
 *
 * Invariant: no label carries a key, a value or the name of a database; all of
 * them come from closed lists.
 *
 * @module
 */
import type { MetricSample } from "../../src/telemetry/exposition.ts";
import {
  declareHistograms,
  declareNumbers,
  declareReadings,
  type MetricRegistry,
} from "../../src/telemetry/series.ts";

/** What clients ask for. */
export type KvOperation =
  | "metadata"
  | "snapshot_read"
  | "atomic_write"
  | "watch"
  | "queue"
  | "other";

/** By which way. */
export type KvTransport = "http" | "link";

/** What commits came to. */
export type CommitCounts = Readonly<Record<"committed" | "conflict" | "invalid", number>>;

/** What is read when somebody looks. */
export interface KvSources {
  /** Whether reads and writes are served. */
  ready(): boolean;
  /** Whether the disk has no room for writes. */
  diskFull(): boolean;
  /** State files in which something damaged was found. */
  damagedFiles(): number;
  /** Commits that wait, and their bytes. */
  waiting(): { readonly commits: number; readonly bytes: number };
  /** Rows and bytes of each group's state. */
  states(): ReadonlyArray<
    { readonly group: number; readonly rows: number; readonly bytes: number }
  >;
  /** Last applied entry of each group, and the last that needs no log any more. */
  progress(): ReadonlyArray<
    { readonly group: number; readonly applied: number; readonly durable: number }
  >;
  /** The log. */
  log(): { readonly segments: number; readonly bytes: number };
  /** Open watches. */
  watches(): number;
  /** Open connections of the own client. */
  linkConnections(): number;
  /** Databases. */
  databases(): number;
  /** Queued messages of all databases; `null` where no queue was used since the start. */
  queues(): {
    readonly due: number;
    readonly delayed: number;
    readonly leased: number;
    readonly dead: number;
    readonly oldestDueSeconds: number;
  } | null;
}

/** What a node records. No method throws, and none waits. */
export interface KvMetrics {
  /** A request was answered. */
  answered(transport: KvTransport, operation: KvOperation, status: number): void;
  /** A batch was applied. */
  batch(figures: {
    readonly commands: number;
    readonly seconds: number;
    readonly outcomes: CommitCounts;
  }): void;
  /** The log was synced. */
  synced(
    figures: { readonly records: number; readonly bytes: number; readonly seconds: number },
  ): void;
  /** A request was refused by a limit. */
  limited(limit: string): void;
  /** Rows expired. */
  expired(rows: number): void;
  /** A checkpoint ended. */
  checkpointed(result: "done" | "failed", seconds: number): void;
  /** The log was replayed at the start. */
  replayed(figures: { readonly entries: number; readonly seconds: number }): void;
  /** Messages of queues were settled. */
  settled(
    result: "enqueued" | "delivered" | "acknowledged" | "failed" | "dead",
    count: number,
  ): void;
}

const SYNC_BUCKETS = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
];
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];
const CHECKPOINT_BUCKETS = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60];
/** The limits that a refusal may name; see `Limits`. */
const LIMITS: ReadonlySet<string> = new Set([
  ...["keyBytesMax", "readKeyBytesMax", "valueBytesMax", "rangesMax", "entriesMax", "checksMax"],
  ...["mutationsMax", "commitBytesMax", "commitKeyBytesMax", "watchedKeysMax", "delayMsMax"],
  ...["backoffsMax", "backoffMsMax", "undeliveredKeysMax", "bodyBytesMax", "watchesMax"],
]);

/** Declares a node's metrics. */
export function createKvMetrics(registry: MetricRegistry, sources: KvSources): KvMetrics {
  declareGauges(registry, sources);
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    declareNumbers(registry, "counter", { name, help, labelNames });
  const requests = counter(
    "weir_kv_requests_total",
    "Requests answered, by way, operation and class of status.",
    ["transport", "operation", "status"],
  );
  const commits = counter("weir_kv_txn_total", "Commits in the log, by outcome.", ["outcome"]);
  const [committed, conflicts, invalid] = [
    commits.of({ outcome: "committed" }),
    commits.of({ outcome: "conflict" }),
    commits.of({ outcome: "invalid" }),
  ];
  const limits = counter("weir_kv_limit_refused_total", "Requests refused by a limit.", ["limit"]);
  const expired = counter("weir_kv_expired_total", "Rows deleted after their time.").of({});
  const messages = counter("weir_kv_queue_total", "Queued messages by what happened.", ["event"]);
  const checkpoints = counter("weir_kv_checkpoints_total", "Checkpoints by result.", ["result"]);
  const logged = counter("weir_kv_wal_bytes_total", "Bytes written to the log.").of({});
  const times = declareTimes(registry);
  const gauge = (name: string, help: string) =>
    declareNumbers(registry, "gauge", { name, help, labelNames: [] }).of({});
  const replaySeconds = gauge("weir_kv_replay_seconds", "Replay of the log at the last start.");
  const replayEntries = gauge("weir_kv_replayed_entries", "Entries replayed at the last start.");
  return {
    answered: (transport, operation, status) => {
      const group = `${Math.floor(status / 100)}xx`;
      requests.of({ transport, operation, status: group }).value++;
    },
    batch({ commands, seconds, outcomes }) {
      committed.value += outcomes.committed;
      conflicts.value += outcomes.conflict;
      invalid.value += outcomes.invalid;
      times.commit.observe(seconds);
      times.batch.observe(commands);
    },
    synced({ records, bytes, seconds }) {
      times.sync.observe(seconds);
      times.records.observe(records);
      logged.value += bytes;
    },
    limited: (limit) => void limits.of({ limit: LIMITS.has(limit) ? limit : "other" }).value++,
    expired: (count) => void (expired.value += count),
    checkpointed(result, seconds) {
      checkpoints.of({ result }).value++;
      times.checkpoint.observe(seconds);
    },
    replayed({ entries, seconds }) {
      replayEntries.value = entries;
      replaySeconds.value = seconds;
    },
    settled: (event, count) => void (messages.of({ event }).value += count),
  };
}

function declareTimes(registry: MetricRegistry) {
  const histogram = (name: string, help: string, bounds: readonly number[]) =>
    declareHistograms(registry, { name, help, labelNames: [] }, bounds).of({});
  return {
    commit: histogram(
      "weir_kv_commit_seconds",
      "From the first proposal of a batch to its answers.",
      SYNC_BUCKETS,
    ),
    batch: histogram("weir_kv_batch_commits", "Commits of a batch.", BATCH_BUCKETS),
    sync: histogram("weir_kv_wal_sync_seconds", "Syncs of the log.", SYNC_BUCKETS),
    records: histogram(
      "weir_kv_wal_batch_records",
      "Records that one sync of the log made last.",
      BATCH_BUCKETS,
    ),
    checkpoint: histogram(
      "weir_kv_checkpoint_seconds",
      "How long checkpoints took.",
      CHECKPOINT_BUCKETS,
    ),
  };
}

function declareGauges(registry: MetricRegistry, sources: KvSources): void {
  type Put = (value: number, labels?: Record<string, string>) => void;
  const gauge = (name: string, help: string, read: (put: Put) => void) =>
    declareReadings(registry, "gauge", { name, help }, () => {
      const samples: MetricSample[] = [];
      read((value, labels = {}) => samples.push({ value, labels }));
      return samples;
    });
  gauge("weir_kv_ready", "1 while reads and writes are served.", (put) => {
    put(sources.ready() ? 1 : 0);
  });
  gauge("weir_kv_disk_full", "1 while the disk has no room for writes.", (put) => {
    put(sources.diskFull() ? 1 : 0);
  });
  gauge("weir_kv_damaged_files", "State files found damaged since the start.", (put) => {
    put(sources.damagedFiles());
  });
  gauge("weir_kv_waiting_commits", "Commits that wait for the log.", (put) => {
    put(sources.waiting().commits);
  });
  gauge("weir_kv_waiting_bytes", "Bytes of commits that wait for the log.", (put) => {
    put(sources.waiting().bytes);
  });
  gauge("weir_kv_state_rows", "Rows of the applied state.", (put) => {
    for (const state of sources.states()) put(state.rows, { group: String(state.group) });
  });
  gauge("weir_kv_state_bytes", "Bytes of the applied state on disk.", (put) => {
    for (const state of sources.states()) put(state.bytes, { group: String(state.group) });
  });
  gauge("weir_kv_applied_index", "Last applied entry.", (put) => {
    for (const { group, applied } of sources.progress()) put(applied, { group: String(group) });
  });
  gauge("weir_kv_durable_index", "Last entry that needs no log any more.", (put) => {
    for (const { group, durable } of sources.progress()) put(durable, { group: String(group) });
  });
  gauge("weir_kv_wal_segments", "Segments of the log.", (put) => put(sources.log().segments));
  gauge("weir_kv_wal_bytes", "Bytes of the log's segments.", (put) => put(sources.log().bytes));
  gauge("weir_kv_watches", "Open watches.", (put) => put(sources.watches()));
  gauge("weir_kv_link_connections", "Open connections of weir:// clients.", (put) => {
    put(sources.linkConnections());
  });
  gauge("weir_kv_databases", "Databases.", (put) => put(sources.databases()));
  gauge("weir_kv_queue_messages", "Queued messages.", (put) => {
    const queues = sources.queues();
    if (queues === null) return;
    for (const state of ["due", "delayed", "leased", "dead"] as const) {
      put(queues[state], { state });
    }
  });
  gauge("weir_kv_queue_oldest_due_seconds", "Wait of the message that waits longest.", (put) => {
    const queues = sources.queues();
    if (queues !== null) put(queues.oldestDueSeconds);
  });
}
