/**
 * What clients of a simulated node saw, and whether one order of commits explains it.
 *
 * Every command also writes a marker, a row of its own that nobody ever deletes.
 * So what became of a commit whose answer was lost in a crash can be read from the
 * node itself. Then all commits there are, in the order of their stamps, are
 * applied to a {@linkcode KvModel}, and everything that was ever answered has to
 * agree with it.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Command, Outcome, Row } from "../../kv_node/types.ts";
import type { SteppedTime } from "../support/stepped_time.ts";
import { KvModel, type ModelRow, modelRowOf, stampMsOf } from "./kv_model.ts";

/** A command that was proposed, and what is known of it. */
export interface Operation {
  readonly id: number;
  readonly command: Command;
  /** Hex of its marker's key. */
  readonly marker: string;
  readonly asked: Moment;
  /** The answer, if there was one that says what happened. */
  outcome: Outcome | null;
  answered: Moment | null;
  /** Its stamp, once it is known to be committed. */
  stamp: string | null;
  /** Whether it is known never to have happened. */
  isLost: boolean;
}

/** A point in a history, and the time of day around it. */
interface Moment {
  /** Operations that had been proposed. */
  readonly proposed: number;
  /** The highest stamp that anybody had seen. */
  readonly floor: string;
  readonly wallMs: number;
  readonly wallMsMax: number;
}

interface Observation {
  readonly rows: readonly ModelRow[];
  readonly at: Moment;
}

/** Where markers stand: below every other key of a simulation. */
export const MARKER_PREFIX = "0000000001";

const NO_STAMP = "";

/** Everything that was asked, answered and seen. */
export class KvHistory {
  readonly #time: SteppedTime;
  readonly #operations: Operation[] = [];
  /** Answers that say that nothing was changed, until they are judged. */
  #refused: Operation[] = [];
  #observations: Observation[] = [];
  /** Commits by stamp, and the model's rows before the first and after each. */
  #commits: Operation[] = [];
  #states: (readonly ModelRow[])[] = [[]];
  #floor = NO_STAMP;
  /** How many commits were found that nobody had been told of. */
  surfaced = 0;

  /** Begins, with the clock of the node. */
  constructor(time: SteppedTime) {
    this.#time = time;
  }

  /** Commands so far. */
  get proposed(): number {
    return this.#operations.length;
  }

  /** Commits that are known. */
  get committed(): number {
    return this.#commits.length;
  }

  /** A command is proposed; its marker is added by `mark`. */
  propose(mark: (id: number) => { readonly command: Command; readonly marker: string }): Operation {
    const id = this.#operations.length;
    const operation: Operation = {
      id,
      ...mark(id),
      asked: this.#now(),
      outcome: null,
      answered: null,
      stamp: null,
      isLost: false,
    };
    this.#operations.push(operation);
    return operation;
  }

  /** It was answered. An error is no answer: it may have been committed all the same. */
  answer(operation: Operation, outcome: Outcome): void {
    operation.outcome = outcome;
    if (outcome.type === "committed") this.#commit(operation, outcome.stamp.toHex());
    else this.#refused.push(operation);
    operation.answered = this.#now();
  }

  /** Somebody has read everything while others may be writing. */
  observe(rows: readonly Row[]): void {
    this.#observations.push({ rows: rows.map(modelRowOf), at: this.#now() });
    for (const row of rows) this.#see(row.stamp.toHex());
  }

  /**
   * Everything was read with nothing under way: what is not there will never be.
   *
   * @throws {assert.AssertionError} If it does not agree with what was answered and seen before.
   */
  settle(rows: readonly Row[]): void {
    const found = rows.map(modelRowOf);
    const at = this.#now();
    const markers = new Map(
      found.filter(({ key }) => key.startsWith(MARKER_PREFIX)).map((row) => [row.key, row.stamp]),
    );
    for (const operation of this.#operations) {
      const stamp = markers.get(operation.marker);
      if (stamp === undefined) {
        assert.equal(operation.stamp, null, `commit ${operation.id} was acknowledged and is gone`);
        operation.isLost = true;
        continue;
      }
      markers.delete(operation.marker);
      assert.ok(!operation.isLost, `commit ${operation.id} was gone and has come back`);
      if (operation.stamp === null) {
        assert.equal(
          operation.outcome,
          null,
          `${operation.outcome?.type} ${operation.id} is there`,
        );
        this.surfaced++;
        this.#commit(operation, stamp);
      }
      assert.equal(stamp, operation.stamp, `commit ${operation.id} has another stamp now`);
    }
    assert.deepEqual([...markers.keys()], [], "rows that nobody wrote");
    this.#replay();
    const last = this.#states.at(-1) ?? [];
    const problem = difference(last, found, this.#lowMs(at), at.wallMsMax);
    assert.equal(
      problem,
      null,
      `the node differs from ${this.#commits.length} commits: ${problem}`,
    );
    this.#judge();
  }

  #now(): Moment {
    const wallMs = this.#time.wallMs();
    const [proposed, floor] = [this.#operations.length, this.#floor];
    return { proposed, floor, wallMs, wallMsMax: this.#time.wallMsMax };
  }

  #see(stamp: string): void {
    if (stamp > this.#floor) this.#floor = stamp;
  }

  #commit(operation: Operation, stamp: string): void {
    operation.stamp = stamp;
    assert.ok(
      stamp > operation.asked.floor,
      `commit ${operation.id} has stamp ${stamp}, but ${operation.asked.floor} was seen before it`,
    );
    this.#see(stamp);
    const place = this.#commits.findLastIndex((other) => (other.stamp ?? "") <= stamp) + 1;
    const before = this.#commits[place - 1];
    assert.notEqual(
      before?.stamp,
      stamp,
      `commits ${before?.id} and ${operation.id} share a stamp`,
    );
    this.#commits.splice(place, 0, operation);
    // What was computed after its place is void.
    this.#states.length = Math.min(this.#states.length, place + 1);
  }

  #replay(): void {
    const model = new KvModel();
    model.rows = this.#states.at(-1) ?? [];
    for (const { id, command, stamp } of this.#commits.slice(this.#states.length - 1)) {
      const outcome = model.apply(command, stamp ?? "");
      assert.equal(outcome, "committed", `commit ${id} should have been a ${outcome}`);
      this.#states.push(model.rows);
    }
  }

  /** Judges what was read and refused meanwhile, now that the order is known. */
  #judge(): void {
    for (const { rows, at } of this.#observations) {
      const problems = new Set<string | null>();
      const isExplained = this.#window(at, at).some((state) => {
        const problem = difference(state, rows, this.#lowMs(at), at.wallMsMax);
        problems.add(problem);
        return problem === null;
      });
      assert.ok(isExplained, `a read fits no moment: ${[...problems].join(", or ")}`);
    }
    for (const operation of this.#refused) {
      const { id, asked, answered, outcome } = operation;
      const isExplained = this.#window(asked, answered ?? asked).some((state) =>
        this.#explains(state, operation)
      );
      assert.ok(isExplained, `${outcome?.type} ${id} fits no moment`);
    }
    this.#observations = [];
    this.#refused = [];
  }

  /** States that somebody may have met who asked then and was answered then. */
  #window(asked: Moment, answered: Moment): readonly (readonly ModelRow[])[] {
    const low = this.#commits.findLastIndex(({ stamp }) => (stamp ?? "") <= asked.floor) + 1;
    const high = this.#commits.findLastIndex(({ id }) => id < answered.proposed) + 1;
    return this.#states.slice(low, Math.max(low, high) + 1);
  }

  #explains(rows: readonly ModelRow[], { command, asked, answered, outcome }: Operation): boolean {
    const model = new KvModel();
    model.rows = rows;
    const [lowMs, highMs] = [this.#lowMs(asked), (answered ?? asked).wallMsMax];
    const instants = [lowMs, highMs];
    for (const { expiresMs } of rows) {
      if (expiresMs !== null && expiresMs > lowMs && expiresMs < highMs) instants.push(expiresMs);
    }
    return instants.some((nowMs) => {
      const failed = model.failedChecks(command, nowMs);
      if (outcome?.type === "conflict") {
        return failed.length > 0 && String(failed) === String(outcome.failedChecks);
      }
      return model.outcome(command, nowMs) === outcome?.type;
    });
  }

  /** The earliest time that a node may have taken it for. */
  #lowMs({ wallMs, floor }: Moment): number {
    return Math.max(wallMs, floor === NO_STAMP ? 0 : stampMsOf(floor));
  }
}

/** How rows that were read differ from a state, at some time from `lowMs` to `highMs`. */
function difference(
  state: readonly ModelRow[],
  found: readonly ModelRow[],
  lowMs: number,
  highMs: number,
): string | null {
  let at = 0;
  for (const row of state) {
    const other = found[at];
    const { key, data, encoding, stamp, expiresMs } = row;
    if (other?.key === key) {
      at++;
      if (expiresMs !== null && expiresMs <= lowMs) return `${key} has expired and is there`;
      const isSame = other.data === data && other.encoding === encoding && other.stamp === stamp &&
        other.expiresMs === expiresMs;
      if (!isSame) return `${key} is ${JSON.stringify(other)}, not ${JSON.stringify(row)}`;
    } else if (expiresMs === null || expiresMs > highMs) {
      return `${key} is missing`;
    }
  }
  const more = found[at];
  return more === undefined ? null : `${more.key} is there, or out of order`;
}
