/**
 * One life of a simulated node: from opening its disk to its end, put together
 * of the real log, engine, replay, keeper and clock.
 *
 * @module
 */
import { StampOracle } from "../../kv_node/clock/stamps.ts";
import { GroupEngine } from "../../kv_node/group/engine.ts";
import { Keeper } from "../../kv_node/group/keeper.ts";
import { Replay } from "../../kv_node/group/replay.ts";
import type { Disk, Log, LogRecord, State } from "../../kv_node/ports.ts";
import type { Command, Row } from "../../kv_node/types.ts";
import { openLog } from "../../kv_node/wal/open_log.ts";
import { type MemoryState, openMemoryState } from "../support/memory_state.ts";
import type { SteppedTime } from "../support/stepped_time.ts";

/** A bug put in on purpose: what is wrapped around a part of the node. */
export interface KvPlant {
  /** What is wrong. */
  readonly name: string;
  disk?(disk: Disk): Disk;
  log?(log: Log, time: SteppedTime): Log;
  state?(state: State, time: SteppedTime): State;
  /** Changes a record on its way from the log into the state. */
  record?(record: LogRecord): LogRecord;
  /** Whether the clock forgets which stamps were given before. */
  readonly isForgetful?: boolean;
  command?(command: Command): Command;
}

/** What a life needs. */
export interface KvLifeOptions {
  readonly disk: Disk;
  readonly time: SteppedTime;
  readonly term: number;
  readonly segmentBytes: number;
  readonly plant: KvPlant | null;
  /** The process has to end. */
  readonly onFatal: (error: unknown) => void;
}

const GROUP = 1;
const ARC = 1;
const EVERYTHING = {
  start: new Uint8Array(4),
  end: new Uint8Array(4).fill(0xff),
  limit: 1_000_000,
  reverse: false,
};
const IDENTITY = { clusterId: new Uint8Array(16).fill(7), nodeId: new Uint8Array(16).fill(8) };

/** A node that serves. */
export class KvLife {
  readonly state: MemoryState;
  readonly engine: GroupEngine;
  readonly keeper: Keeper;
  readonly #log: Log;
  readonly #plant: KvPlant | null;

  private constructor(
    plant: KvPlant | null,
    parts: { state: MemoryState; engine: GroupEngine; keeper: Keeper; log: Log },
  ) {
    this.#plant = plant;
    this.state = parts.state;
    this.engine = parts.engine;
    this.keeper = parts.keeper;
    this.#log = parts.log;
  }

  /** Opens state and log, replays, and leads. */
  static async open(options: KvLifeOptions): Promise<KvLife> {
    const { time, plant, term, onFatal } = options;
    const disk = plant?.disk?.(options.disk) ?? options.disk;
    const memory = openMemoryState(disk);
    const state = plant?.state?.(memory, time) ?? memory;
    const oracle = new StampOracle(ARC, plant?.isForgetful ? null : state.applied.stamp);
    const observer = plant?.isForgetful ? new StampOracle(ARC, null) : oracle;
    const replay = new Replay(new Map([[GROUP, { state, oracle: observer }]]));
    const opened = await openLog(disk, {
      ...IDENTITY,
      segmentBytes: options.segmentBytes,
      queueBytesMax: 1 << 20,
      retryMs: 20,
      nowMs: () => time.nowMs(),
      onFatal,
      onRecord: (record) => replay.take(plant?.record?.(record) ?? record),
    });
    replay.finish();
    const log = plant?.log?.(opened.log, time) ?? opened.log;
    const engine = new GroupEngine({
      group: GROUP,
      term,
      state,
      log,
      oracle,
      clock: time,
      limits: {
        waitingMax: 100,
        waitingBytesMax: 1 << 20,
        commandBytesMax: 1 << 20,
        holdMs: 30,
        retryMs: 10,
      },
      onFatal,
    });
    const keeper = new Keeper([{ group: GROUP, state }], log);
    return new KvLife(plant, { state: memory, engine, keeper, log });
  }

  /** Proposes a command. */
  propose(command: Command): ReturnType<GroupEngine["propose"]> {
    return this.engine.propose(this.#plant?.command?.(command) ?? command);
  }

  /** Everything that has not expired. */
  read(): readonly Row[] {
    return this.engine.read([EVERYTHING])[0] ?? [];
  }

  /** Ends in order. */
  async close(isKept: boolean): Promise<void> {
    await this.engine.stop();
    if (isKept) await this.keeper.keep();
    await this.#log.close();
    await this.state.close();
  }
}
