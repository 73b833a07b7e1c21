/**
 * The life of a commit in one group: proposed, logged, applied, answered.
 *
 * ```
 * propose ─→ gathered ─→ in the log, being synced ─→ applied ─→ answered
 *               ↑   one batch at a time   │
 *               └── what comes meanwhile ─┘
 * ```
 *
 * While one batch is being synced the next gathers; when the sync is done the
 * next one is handed to the log first and only then is the finished one applied,
 * so that disk and CPU work at the same time. Checks are evaluated when a command
 * is applied, in the order of the log: nothing lies between looking and writing.
 *
 * A read over a damaged row is refused, and everything else goes on: one row is no
 * reason to take away all others. A commit that is in the log and cannot be applied for
 * such a row ends the node: entries are applied in order, and leaving one out would make
 * another state of the same log.
 *
 * One node is leader and only voter of its groups here; what is logged already
 * says group, term and index.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import type { StampOracle } from "../clock/stamps.ts";
import { KvError } from "../errors.ts";
import { DiskError, type Log, type LogRecord, type State, type StateWriter } from "../ports.ts";
import { encodeCommand } from "../txn/command_codec.ts";
import { evaluate, failedChecks } from "../txn/evaluate.ts";
import type { Command, Outcome, ReadRange, Row } from "../types.ts";
import { Watchers } from "./watchers.ts";

/** What a group is made of. */
export interface GroupParts {
  /** Its number. */
  readonly group: number;
  /** Term under which it leads. */
  readonly term: number;
  /** What was applied. */
  readonly state: State;
  /** Where entries go. */
  readonly log: Log;
  /** Gives versionstamps; above all that the log holds. */
  readonly oracle: StampOracle;
  /** Time. */
  readonly clock: Clock;
  /** Bounds. */
  readonly limits: GroupLimits;
  /** Called when it cannot go on: what it holds in memory is not to be trusted. */
  readonly onFatal: (error: unknown) => void;
  /**
   * Given what a read of the state threw, says what the client is to be told. If that is
   * a `KvError`, one row cannot be read and others can: the group goes on. Unless given,
   * the client gets what was thrown.
   */
  readonly onUnreadable?: (error: unknown) => unknown;
  /** Is told of each batch. */
  readonly onBatch?: (batch: BatchFigures) => void;
}

/** How much may wait. */
export interface GroupLimits {
  /** Commands that wait for the log or to be applied. */
  readonly waitingMax: number;
  /** Bytes of them. */
  readonly waitingBytesMax: number;
  /** Bytes of the largest command that the log takes. */
  readonly commandBytesMax: number;
  /** How long a commit that cannot be applied yet is waited for, in milliseconds. */
  readonly holdMs: number;
  /** How long after a full disk it is tried again, in milliseconds. */
  readonly retryMs: number;
}

/** Figures of one batch that was committed. */
export interface BatchFigures {
  /** Commands. */
  readonly commands: number;
  /** Bytes of their entries. */
  readonly bytes: number;
  /** From the first proposal to the answer, in seconds. */
  readonly seconds: number;
  /** How many of them came to what. */
  readonly outcomes: Readonly<Record<Outcome["type"], number>>;
}

/** Keys that a sweep deletes in one entry. */
export const SWEEP_KEYS_MAX = 1_000;

interface Proposal {
  readonly command: Command;
  readonly sizeBytes: number;
  readonly sinceMs: number;
  readonly settle: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
}

interface Entry extends Proposal {
  readonly stamp: Uint8Array;
  readonly index: number;
}

interface Logging {
  readonly batch: readonly Entry[];
  readonly appended: Promise<void>;
}

/** One replication group on the node that leads it. */
export class GroupEngine {
  readonly #parts: GroupParts;
  readonly #watchers = new Watchers();
  #gathered: Proposal[] = [];
  #gatheredBytes = 0;
  #lastIndex: number;
  #isWriting = false;
  #retry: (() => void) | null = null;
  #refusal: KvError | null = null;
  #failed: KvError | null = null;
  #stopped: PromiseWithResolvers<void> | null = null;

  /** Leads a group whose log has been replayed into its state. */
  constructor(parts: GroupParts) {
    this.#parts = parts;
    this.#lastIndex = parts.state.applied.index;
  }

  /** Its number. */
  get group(): number {
    return this.#parts.group;
  }

  /** Its state; to be read only. */
  get state(): State {
    return this.#parts.state;
  }

  /** Commands that wait. */
  get waiting(): number {
    return this.#gathered.length;
  }

  /** Bytes that wait. */
  get waitingBytes(): number {
    return this.#gatheredBytes;
  }

  /** Why nothing can be written now, or `null`. */
  get refusal(): KvError | null {
    return this.#refusal;
  }

  /** Watches open on it. */
  get watches(): number {
    return this.#watchers.size;
  }

  /** The present moment for reads: never behind the stamp of a commit that was applied. */
  get nowMs(): number {
    return Math.max(this.#parts.clock.wallMs(), this.#parts.oracle.lastMs);
  }

  /**
   * Reads ranges, all as of one moment.
   *
   * @throws {KvError} `internal` if a row of them is damaged on the disk.
   */
  read(ranges: readonly ReadRange[]): readonly (readonly Row[])[] {
    const { nowMs } = this;
    try {
      return ranges.map((range) => this.#parts.state.scan(range, nowMs));
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  /**
   * Commits; settles when the outcome is on disk and applied.
   *
   * @throws {KvError} `overloaded` if too much waits, `too_large`, `disk_full`, `stopping`.
   */
  propose(command: Command): Promise<Outcome> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal);
    let early: Outcome | null;
    try {
      early = this.#earlyConflict(command);
    } catch (error) {
      return Promise.reject(this.#unreadable(error));
    }
    if (early !== null) return Promise.resolve(early);
    const sizeBytes = sizeOf(command);
    const { commandBytesMax, waitingMax, waitingBytesMax } = this.#parts.limits;
    if (sizeBytes > commandBytesMax) {
      return Promise.reject(
        new KvError(
          "too_large",
          `Cannot commit: ${sizeBytes} bytes are more than the ${commandBytesMax} that an entry ` +
            "of the log may have; see --segment-bytes",
        ),
      );
    }
    if (
      this.#gathered.length >= waitingMax || this.#gatheredBytes + sizeBytes > waitingBytesMax
    ) {
      return Promise.reject(
        new KvError(
          "overloaded",
          `Cannot commit: ${this.#gathered.length} commits (${this.#gatheredBytes} bytes) wait ` +
            "for the disk already; try again",
        ),
      );
    }
    return new Promise((settle, fail) => {
      const sinceMs = this.#parts.clock.nowMs();
      this.#gathered.push({ command, sizeBytes, sinceMs, settle, fail });
      this.#gatheredBytes += sizeBytes;
      // What else is proposed in this turn goes along.
      if (!this.#isWriting) Promise.resolve().then(() => this.#write());
    });
  }

  /** Proposes the deletion of what has expired; returns how many keys that were. */
  async sweep(): Promise<number> {
    if (this.#refusal !== null) return 0;
    const { nowMs } = this;
    const keys = this.#parts.state.expired(nowMs, SWEEP_KEYS_MAX)
      .filter((key) => this.#mayExpire(key, nowMs));
    if (keys.length === 0) return 0;
    const mutations = keys.map((key) => ({ type: "expire", key } as const));
    await this.propose({ checks: [], mutations });
    return keys.length;
  }

  /**
   * Whether the row itself says that its time has passed. One that cannot be read stays:
   * nobody asked for it, and an entry over it could never be applied.
   */
  #mayExpire(key: Uint8Array, nowMs: number): boolean {
    try {
      const expiresMs = this.#parts.state.get(key)?.expiresMs ?? null;
      return expiresMs !== null && expiresMs <= nowMs;
    } catch (error) {
      const told = this.#unreadable(error);
      if (told instanceof KvError) return false;
      throw told;
    }
  }

  /** Calls `changed` after each commit that touched one of the keys. */
  watch(keys: readonly Uint8Array[], changed: () => void): Disposable {
    return this.#watchers.watch(keys, changed);
  }

  /** Calls `changed` after each commit that wrote below the prefix. */
  watchPrefix(prefix: Uint8Array, changed: () => void): Disposable {
    return this.#watchers.watchPrefix(prefix, changed);
  }

  /** Takes no more commits, and waits for those under way. */
  async stop(): Promise<void> {
    this.#refusal = new KvError("stopping", "Cannot commit: the node is stopping");
    this.#stopped ??= Promise.withResolvers();
    this.#retry?.();
    if (!this.#isWriting && this.#gathered.length === 0) return;
    await this.#stopped.promise;
  }

  /**
   * Checks that fail already, with nothing under way that could change it, need no
   * place in the log.
   */
  #earlyConflict(command: Command): Outcome | null {
    if (command.checks.length === 0 || this.#isWriting || this.#gathered.length > 0) return null;
    const { state } = this.#parts;
    const failed = failedChecks(command.checks, this.nowMs, state);
    return failed === null ? null : { type: "conflict", failedChecks: failed };
  }

  /** Hands what was gathered to the log, and applies it once it is there; again while there is more. */
  async #write(): Promise<void> {
    if (this.#isWriting || this.#gathered.length === 0) return;
    this.#isWriting = true;
    let current: Logging | null = this.#beginBatch();
    while (current !== null) {
      const { batch } = current;
      const isLogged = await this.#isLogged(current);
      const mayGoOn = this.#failed === null;
      // The disk goes on while this batch is applied.
      const next: Logging | null = mayGoOn && this.#gathered.length > 0 ? this.#beginBatch() : null;
      if (!mayGoOn || (isLogged && !await this.#isApplied(batch, next?.batch ?? []))) {
        this.#giveUp(next?.batch ?? []);
        this.#giveUp(this.#takeGathered());
        break;
      }
      current = next ?? (this.#gathered.length > 0 ? this.#beginBatch() : null);
    }
    this.#isWriting = false;
    this.#stopped?.resolve();
  }

  #beginBatch(): Logging {
    const { group, term, oracle, clock, log } = this.#parts;
    const wallMs = clock.wallMs();
    const batch: Entry[] = [];
    const records: LogRecord[] = [];
    for (const proposal of this.#takeGathered()) {
      const stamp = oracle.next(wallMs);
      const index = ++this.#lastIndex;
      batch.push({ ...proposal, stamp, index });
      const payload = encodeCommand(stamp, proposal.command);
      records.push({ type: "entry", group, term, index, payload });
    }
    const appended = log.append(records);
    // It is awaited later, maybe after it has failed.
    appended.catch(() => {});
    return { batch, appended };
  }

  #takeGathered(): Proposal[] {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return gathered;
  }

  /** Waits for the log; a batch that it did not take is refused, and its numbers are free. */
  async #isLogged({ batch, appended }: Logging): Promise<boolean> {
    try {
      await appended;
      return true;
    } catch (error) {
      const first = batch[0];
      // No later batch was begun yet: one at a time is in the log's hands.
      if (first !== undefined) this.#lastIndex = first.index - 1;
      if (error instanceof KvError) {
        for (const { fail } of batch) fail(error);
      } else {
        this.#fail(error);
        this.#giveUp(batch);
      }
      return false;
    }
  }

  /**
   * Applies a batch, as soon as there is room for it; `false` if that will not be.
   *
   * @param behind The batch that the log has got since; what comes later is refused meanwhile.
   */
  async #isApplied(batch: readonly Entry[], behind: readonly Entry[]): Promise<boolean> {
    for (;;) {
      try {
        this.#apply(batch);
        if (this.#refusal?.code === "disk_full") this.#refusal = null;
        return true;
      } catch (error) {
        if (!(error instanceof DiskError) || error.kind !== "full") {
          this.#fail(error);
          this.#giveUp(batch);
          return false;
        }
      }
      this.#refusal ??= new KvError(
        "disk_full",
        "Cannot commit: the disk is full; reads go on, and writes when there is room again",
      );
      await this.#retryLater([...batch, ...behind]);
      if (this.#stopped !== null) {
        this.#giveUp(batch);
        return false;
      }
    }
  }

  /** Waits before a full disk is tried again. What is in the log will be applied, answered or not. */
  async #retryLater(logged: readonly Entry[]): Promise<void> {
    const { clock, limits } = this.#parts;
    for (const { sinceMs, fail } of logged) {
      if (clock.nowMs() - sinceMs >= limits.holdMs) fail(keptWaiting());
    }
    const retried = Promise.withResolvers<void>();
    using _timer = clock.after(limits.retryMs, retried.resolve);
    this.#retry = retried.resolve;
    await retried.promise;
    this.#retry = null;
  }

  #apply(batch: readonly Entry[]): void {
    const { state, term, clock, onBatch } = this.#parts;
    const last = batch.at(-1);
    if (last === undefined) return;
    const outcomes: Outcome[] = [];
    const touched: Uint8Array[] = [];
    const isWatched = this.#watchers.size > 0;
    state.transact({ term, index: last.index, stamp: last.stamp }, (writer) => {
      outcomes.length = 0;
      touched.length = 0;
      const through = isWatched ? noting(writer, touched) : writer;
      for (const { stamp, command } of batch) outcomes.push(evaluate(stamp, command, through));
    });
    if (touched.length > 0) this.#watchers.tell(touched);
    for (let i = 0; i < batch.length; i++) {
      const outcome = outcomes[i];
      if (outcome !== undefined) batch[i]?.settle(outcome);
    }
    if (onBatch === undefined) return;
    let bytes = 0;
    for (const { sizeBytes } of batch) bytes += sizeBytes;
    const counts = { committed: 0, conflict: 0, invalid: 0 };
    for (const { type } of outcomes) counts[type]++;
    const seconds = (clock.nowMs() - (batch[0]?.sinceMs ?? 0)) / 1_000;
    onBatch({ commands: batch.length, bytes, seconds, outcomes: counts });
  }

  #unreadable(error: unknown): unknown {
    const { onUnreadable } = this.#parts;
    return onUnreadable === undefined ? error : onUnreadable(error);
  }

  #giveUp(proposals: readonly Proposal[]): void {
    for (const { fail } of proposals) fail(this.#refusal);
  }

  #fail(error: unknown): void {
    this.#failed = new KvError("stopping", "Cannot commit: the node has failed and is ending");
    this.#refusal = this.#failed;
    this.#parts.onFatal(error);
  }
}

/** Not `disk_full`, which says that nothing was carried out: this commit will be, after a restart too. */
function keptWaiting(): KvError {
  return new KvError(
    "outcome_unknown",
    "Cannot commit yet: the disk is full; what is in the log already follows when there is room",
  );
}

/** A writer that also tells which keys were touched. */
function noting(writer: StateWriter, touched: Uint8Array[]): StateWriter {
  return {
    get: (key) => writer.get(key),
    put: (row) => {
      touched.push(row.key);
      writer.put(row);
    },
    remove: (key) => {
      touched.push(key);
      writer.remove(key);
    },
  };
}

/** About what a command takes in memory and in the log. */
function sizeOf({ checks, mutations }: Command): number {
  let bytes = 64;
  for (const { key } of checks) bytes += key.length + 16;
  for (const mutation of mutations) {
    bytes += mutation.key.length + 32;
    if ("value" in mutation) bytes += mutation.value.data.length;
    if (mutation.type === "sum") {
      bytes += (mutation.bounds.min?.length ?? 0) + (mutation.bounds.max?.length ?? 0);
    }
  }
  return bytes;
}
