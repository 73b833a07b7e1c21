/**
 * One watch of a session: which keys, and what the client knows of them.
 *
 * @module
 */
import type { Database, ReadRange, Row } from "../types.ts";
import { encodeWatchDisabled, encodeWatchOutput } from "../wire/watch.ts";

/** A stamp that no row has: the client has not been told anything of this key. */
const UNTOLD = new Uint8Array(0);

/** Keys that a client watches. */
export class SessionWatch {
  /** Id of the request that began it. */
  readonly requestId: number;
  readonly #database: Database;
  readonly #ranges: readonly ReadRange[];
  readonly #subscription: Disposable;
  /** Stamp that was told of each key; `null` for none. */
  readonly #told: (Uint8Array | null)[];

  /** Watches complete keys; `changed` is called after each commit that touched one. */
  constructor(
    requestId: number,
    keys: readonly Uint8Array[],
    database: Database,
    changed: () => void,
  ) {
    this.requestId = requestId;
    this.#database = database;
    this.#ranges = keys.map(rangeOf);
    this.#told = keys.map(() => UNTOLD);
    this.#subscription = database.watch(keys, changed);
  }

  /**
   * What the client does not know yet, as the body of a message; `null` if that is nothing.
   *
   * @throws {KvError} While the database cannot be read.
   */
  frame(): Uint8Array | null {
    if (this.#database.readDisabled) return encodeWatchDisabled();
    const rows = this.#database.read(this.#ranges).map(([row]) => row ?? null);
    const keys = rows.map((row, place) => this.#isTold(row, place) ? "unchanged" : row);
    if (keys.every((key) => key === "unchanged")) return null;
    for (const [place, row] of rows.entries()) this.#told[place] = row?.stamp ?? null;
    return encodeWatchOutput(keys);
  }

  /** Watches no more. */
  end(): void {
    this.#subscription[Symbol.dispose]();
  }

  #isTold(row: Row | null, place: number): boolean {
    const told = this.#told[place] ?? null;
    if (row === null || told === null) return row === told;
    return told.length === row.stamp.length && told.every((byte, i) => byte === row.stamp[i]);
  }
}

function rangeOf(key: Uint8Array): ReadRange {
  const end = new Uint8Array(key.length + 1);
  end.set(key);
  return { start: key, end, limit: 1, reverse: false };
}
