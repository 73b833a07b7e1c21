/**
 * Puts what the log holds into the states of its groups.
 *
 * Records come in the order of the log, each group's with rising index. What a
 * state has already is passed over; the rest is applied in slices, so that one
 * transaction serves many entries.
 *
 * @module
 */
import type { StampOracle } from "../clock/stamps.ts";
import type { LogRecord, State } from "../ports.ts";
import { decodeCommand, isNoop } from "../txn/command_codec.ts";
import { evaluate } from "../txn/evaluate.ts";

/** Entries that are applied in one transaction. */
const SLICE_ENTRIES = 512;
/** Bytes that are kept for one transaction, at most. */
const SLICE_BYTES = 4 * 1_048_576;

/** A log that does not fit the state. */
export class ReplayError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "ReplayError";
}

/** A group that is being brought up to date. */
export interface ReplayedGroup {
  /** Its state. */
  readonly state: State;
  /** Raised above every stamp that is met. */
  readonly oracle: StampOracle;
}

interface Backlog {
  readonly records: LogRecord[];
  bytes: number;
  lastIndex: number;
}

/** Replays records into groups. */
export class Replay {
  readonly #groups: ReadonlyMap<number, ReplayedGroup>;
  readonly #backlogs = new Map<number, Backlog>();
  #applied = 0;

  /** Replays into these groups. */
  constructor(groups: ReadonlyMap<number, ReplayedGroup>) {
    this.#groups = groups;
  }

  /** Entries that were applied. */
  get applied(): number {
    return this.#applied;
  }

  /**
   * Takes the next record of the log.
   *
   * @throws {ReplayError} If it belongs to no group here, or leaves a gap.
   */
  take(record: LogRecord): void {
    if (record.type !== "entry") {
      throw new ReplayError(`Cannot replay a record of type ${record.type}: it is not known here`);
    }
    const group = this.#groups.get(record.group);
    if (group === undefined) {
      throw new ReplayError(`Cannot replay an entry of group ${record.group}: no such group`);
    }
    let backlog = this.#backlogs.get(record.group);
    if (backlog === undefined) {
      backlog = { records: [], bytes: 0, lastIndex: group.state.applied.index };
      this.#backlogs.set(record.group, backlog);
    }
    if (record.index <= backlog.lastIndex) return;
    if (record.index !== backlog.lastIndex + 1) {
      throw new ReplayError(
        `Cannot replay group ${record.group}: entry ${backlog.lastIndex + 1} is missing, ` +
          `${record.index} follows`,
      );
    }
    backlog.lastIndex = record.index;
    backlog.records.push(record);
    backlog.bytes += record.payload.length;
    if (backlog.records.length >= SLICE_ENTRIES || backlog.bytes >= SLICE_BYTES) {
      this.#flush(group, backlog);
    }
  }

  /** Applies what is left. */
  finish(): void {
    for (const [number, backlog] of this.#backlogs) {
      const group = this.#groups.get(number);
      if (group !== undefined) this.#flush(group, backlog);
    }
  }

  #flush({ state, oracle }: ReplayedGroup, backlog: Backlog): void {
    const last = backlog.records.at(-1);
    if (last === undefined) return;
    const entries = backlog.records.filter(({ payload }) => !isNoop(payload))
      .map(({ payload }) => decodeCommand(payload));
    const stamp = entries.at(-1)?.stamp ?? state.applied.stamp;
    state.transact({ term: last.term, index: last.index, stamp }, (writer) => {
      for (const { stamp, command } of entries) evaluate(stamp, command, writer);
    });
    if (stamp !== null) oracle.observe(stamp);
    this.#applied += backlog.records.length;
    backlog.records.length = 0;
    backlog.bytes = 0;
  }
}
