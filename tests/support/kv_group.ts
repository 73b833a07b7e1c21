/**
 * A group in memory, whose log is on disk at once.
 *
 * @module
 */
import { StampOracle } from "../../kv_node/clock/stamps.ts";
import { ManualClock } from "../../src/runtime/manual_clock_fixture.ts";
import type { Log, LogRecord } from "../../kv_node/ports.ts";
import { MemoryDisk } from "../../kv_node/wal/memory_disk_fixture.ts";
import { GroupEngine } from "../../kv_node/group/engine.ts";
import { type MemoryState, openMemoryState } from "./memory_state.ts";

/** A log that keeps records in memory and says at once that they are on disk. */
export class InstantLog implements Log {
  /** What was appended, in order. */
  readonly records: LogRecord[] = [];
  /** What was asked to be cut, the last time. */
  needed: ReadonlyMap<number, number> = new Map();

  append(records: readonly LogRecord[]): Promise<void> {
    this.records.push(...records);
    return Promise.resolve();
  }

  cut(needed: ReadonlyMap<number, number>): Promise<void> {
    this.needed = new Map(needed);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A group and what it stands on. */
export interface MemoryGroup {
  readonly engine: GroupEngine;
  readonly log: InstantLog;
  readonly state: MemoryState;
  readonly clock: ManualClock;
}

/** Opens a group in memory. */
export function openMemoryGroup(group = 1, log: InstantLog = new InstantLog()): MemoryGroup {
  const [state, clock] = [openMemoryState(new MemoryDisk()), new ManualClock(1_000_000)];
  const engine = new GroupEngine({
    ...{ group, term: 1, log, state, clock },
    oracle: new StampOracle(group, null),
    limits: {
      waitingMax: 1_000,
      waitingBytesMax: 1_000_000,
      commandBytesMax: 1_000_000,
      holdMs: 3_000,
      retryMs: 500,
    },
    onFatal: (error) => {
      throw error;
    },
  });
  return { engine, log, state, clock };
}
