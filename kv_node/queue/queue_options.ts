/**
 * What a queue is told by its operator, and whom it tells what happens.
 *
 * @module
 */

/** Bounds of one database's queue. */
export interface QueueOptions {
  /** Consumers that wait for messages at once. */
  readonly waitingMax: number;
  /** Messages that are leased at once. */
  readonly leasedMax: number;
  /** Messages of one answer, and settlements of one request. */
  readonly batchMax: number;
  /** Bytes of payloads in one answer, unless one alone is larger. */
  readonly answerBytesMax: number;
  /** Shortest lease, in milliseconds. */
  readonly leaseMsMin: number;
  /** Longest lease at a time, in milliseconds; it may be extended again and again. */
  readonly leaseMsMax: number;
  /** Longest wait for messages, in milliseconds. */
  readonly waitMsMax: number;
  /** Longest text that says why an attempt failed, in characters. */
  readonly errorCharsMax: number;
  /** Dead letters that are kept; older ones go first. */
  readonly deadMax: number;
  /** How long a dead letter is kept, in milliseconds. */
  readonly deadAgeMsMax: number;
}

/** Bounds that fit most uses. */
export const DEFAULT_QUEUE_OPTIONS: QueueOptions = {
  waitingMax: 1_000,
  leasedMax: 10_000,
  batchMax: 100,
  answerBytesMax: 1_048_576,
  leaseMsMin: 1_000,
  leaseMsMax: 3_600_000,
  waitMsMax: 60_000,
  errorCharsMax: 500,
  deadMax: 10_000,
  deadAgeMsMax: 14 * 86_400_000,
};

/** Lease of a receiver that asks for none in particular. */
export const DEFAULT_LEASE_MS = 30_000;

/** Waits before the second and further attempts where a message names none; those of Deno KV. */
export const DEFAULT_BACKOFF_MS: readonly number[] = [100, 1_000, 5_000, 30_000, 60_000];

/** What became of messages. */
export type QueueEvent = "enqueued" | "delivered" | "acknowledged" | "failed" | "dead";

/** Told what happens; none of it may throw. */
export interface QueueMetrics {
  /** So many messages came to that. */
  settled(event: QueueEvent, count: number): void;
  /** Something was thrown, or is stored, that should not be. */
  fault(error: unknown): void;
}

/** How full a queue is. */
export interface QueueStats {
  /** Messages that could be delivered now. */
  readonly due: number;
  /** Messages whose time has not come. */
  readonly delayed: number;
  /** Messages that a consumer has. */
  readonly leased: number;
  /** Dead letters. */
  readonly dead: number;
  /** Consumers that wait. */
  readonly waiting: number;
  /** How long the first message is due already, leased or not, in milliseconds; 0 for none. */
  readonly oldestDueMs: number;
  /** Whether all was counted since the start: until then numbers may be too small. */
  readonly isCounted: boolean;
}
