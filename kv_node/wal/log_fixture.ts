/**
 * What the tests of the log have in common: small logs and the records in them.
 *
 * @module
 */
import type { LogRecord, RecordType } from "../ports.ts";
import type { MemoryDisk } from "./memory_disk_fixture.ts";
import { type LogOptions, type OpenedLog, openLog } from "./open_log.ts";

/** A cluster and a node. */
export const IDENTITY = {
  clusterId: new Uint8Array(16).fill(0xc1),
  nodeId: new Uint8Array(16).fill(0x0d),
};

/** An opened log, with all that it handed out and told. */
export interface TestLog extends OpenedLog {
  /** Records that were read when it was opened. */
  readonly replayed: LogRecord[];
  /** What it told `onFatal`. */
  readonly fatal: Error[];
}

/** Opens a log with small segments. */
export async function openTestLog(
  disk: MemoryDisk,
  options: Partial<LogOptions> = {},
): Promise<TestLog> {
  const replayed: LogRecord[] = [];
  const fatal: Error[] = [];
  const opened = await openLog(disk, {
    ...IDENTITY,
    segmentBytes: 4096,
    queueBytesMax: 1 << 20,
    isReserved: false,
    retryMs: 0,
    nowMs: () => 0,
    onRecord: (record) => void replayed.push(record),
    onFatal: (error) => void fatal.push(error),
    ...options,
  });
  return { ...opened, replayed, fatal };
}

/** A record whose payload can be told from that of every other index. */
export function recordOf(
  index: number,
  payloadBytes = 20,
  options: { readonly type?: RecordType; readonly group?: number } = {},
): LogRecord {
  const payload = new Uint8Array(payloadBytes);
  for (let at = 0; at < payloadBytes; at++) payload[at] = (index * 31 + at * 7 + 1) & 255;
  return { type: "entry", group: 1, term: 1, index, payload, ...options };
}

/** Records with indexes from `first` to `last`. */
export function recordsOf(first: number, last: number, payloadBytes = 20): LogRecord[] {
  return Array.from({ length: last - first + 1 }, (_, at) => recordOf(first + at, payloadBytes));
}

/** Indexes of records. */
export function indexesOf(records: readonly LogRecord[]): number[] {
  return records.map((record) => record.index);
}

/** A generator of numbers in [0, 1) for a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
