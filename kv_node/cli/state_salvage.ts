/**
 * Takes out of a state, damaged or not, every row that can be read.
 *
 * It works on a copy: SQLite would write into what it opens, and what is damaged is
 * to stay as it is.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { basename, join } from "node:path";
import { Buffer } from "node:buffer";
import type { AppliedPosition, StateWriter } from "../ports.ts";
import { StateError, stateFailure } from "../store/state_error.ts";
import { readMetaUnchecked, type StateMeta } from "../store/state_file.ts";
import { problemsOf } from "../store/state_report.ts";
import { rowsOfDamaged } from "../store/state_table.ts";
import type { Row } from "../types.ts";
import { rowFault } from "./state_check.ts";

/** What came of a state. */
export interface SavedState {
  /** How far the log was in it; `null` if it could not be opened. */
  readonly applied: AppliedPosition | null;
  /** Rows that were taken over. */
  readonly rows: number;
  /**
   * Rows that could not be read, are not as they were written, or make no sense; 0 where
   * nobody knows how many there were.
   */
  readonly lost: number;
}

/** A copy of a state that can be read. */
export class SalvagedState implements Disposable {
  readonly #connection: DatabaseSync | null;
  readonly #meta: StateMeta | null;
  readonly #problems: string[];
  /** Whether what it says of itself is as it was written. */
  readonly isPositionCertain: boolean;

  /** Copies a state into a folder of its own, and opens it as far as that goes. */
  constructor(path: string, scratch: string, group: number) {
    this.#problems = [];
    let connection: DatabaseSync | null = null;
    let meta: StateMeta | null = null;
    let isCertain = true;
    try {
      const copy = join(scratch, basename(path));
      Deno.copyFileSync(path, copy);
      copyIfThere(`${path}-wal`, `${copy}-wal`);
      connection = new DatabaseSync(copy);
      const found = readMetaUnchecked(connection, path);
      meta = found?.meta ?? null;
      isCertain = found?.isIntact !== false;
      if (meta === null) this.#problems.push("it is empty");
      else if (!isCertain) {
        meta = plausible(connection, meta, group);
        this.#problems.push("what it says of itself is not as it was written");
      } else if (meta.group !== group) {
        this.#problems.push(`it is of group ${meta.group}`);
        meta = null;
      } else this.#problems.push(...problemsOf(connection, path).problems);
    } catch (error) {
      const why = whyUnreadable(error, path);
      if (why === null) throw error;
      this.#problems.push(why);
      meta = null;
    }
    this.#connection = connection;
    this.#meta = meta;
    this.isPositionCertain = isCertain;
  }

  /** How far the log was in it; `null` if it does not open. */
  get applied(): AppliedPosition | null {
    return this.#meta?.applied ?? null;
  }

  /** What is wrong with it, as far as is known by now. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Writes what can be read into another state. */
  copyInto(writer: StateWriter): SavedState {
    const [connection, meta] = [this.#connection, this.#meta];
    if (connection === null || meta === null) {
      return { applied: null, rows: 0, lost: 0 };
    }
    let rows = 0;
    const take = (row: Row): void => {
      if (rowFault(row, meta) !== null) return;
      writer.put(row);
      rows++;
    };
    const end = readUntilDamage(connection, "forward", (row) => take(row));
    if (end !== null) {
      // From the other side, up to what was read already.
      readUntilDamage(connection, "backward", (row) => {
        if (end.lastKey !== null && Buffer.compare(row.key, end.lastKey) <= 0) return false;
        take(row);
      });
      this.#problems.push("it cannot be read to its end");
    }
    const lost = Math.max(0, meta.rows - rows);
    return { applied: meta.applied, rows, lost };
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#connection?.close();
  }
}

/**
 * Reads rows, and passes over those that are not as they were written.
 *
 * @returns `null` if all was read, else where it ended.
 */
function readUntilDamage(
  connection: DatabaseSync,
  direction: "forward" | "backward",
  take: (row: Row) => boolean | void,
): { readonly lastKey: Uint8Array | null } | null {
  let lastKey: Uint8Array | null = null;
  try {
    for (const row of rowsOfDamaged(connection, "state", direction)) {
      if (row === null) continue;
      if (take(row) === false) return null;
      lastKey = row.key;
    }
    return null;
  } catch (error) {
    if (!(stateFailure(error, "Cannot read state") instanceof StateError)) throw error;
    return { lastKey };
  }
}

/** What to go by where a state says things of itself that were not written. */
function plausible(connection: DatabaseSync, meta: StateMeta, group: number): StateMeta {
  let last: Uint8Array | null = null;
  let rows = 0;
  const look = ({ stamp }: Row): void => {
    rows++;
    if (last === null || Buffer.compare(stamp, last) > 0) last = stamp;
  };
  const end = readUntilDamage(connection, "forward", look);
  if (end !== null) readUntilDamage(connection, "backward", look);
  const { term, index } = meta.applied;
  const applied = { term: saneOr(term, 1), index: saneOr(index, 1), stamp: last };
  return { ...meta, group, applied, rows };
}

function saneOr(value: number, otherwise: number): number {
  return Number.isSafeInteger(value) && value > 0 ? value : otherwise;
}

function whyUnreadable(error: unknown, path: string): string | null {
  if (error instanceof Deno.errors.NotFound) return "it is missing";
  const failure = stateFailure(error, `Cannot read ${path}`);
  return failure instanceof StateError ? failure.message : null;
}

function copyIfThere(from: string, to: string): void {
  try {
    Deno.copyFileSync(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
