/**
 * For tests of the listener: a database in a sorted array, and all that a
 * listener needs beside it.
 *
 * Of mutations it knows `set`, `delete` and `sum` over unsigned 64-bit numbers;
 * anything else it calls invalid, as a store does with what makes no sense.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { bytesEqual, compareBytes } from "../keyspace/bytes.ts";
import { spaceOf } from "../keyspace/spaces.ts";
import {
  type Command,
  type Database,
  DEFAULT_LIMITS,
  type Limits,
  type Mutation,
  type Outcome,
  type ReadRange,
  type Row,
  type SpaceKind,
} from "../types.ts";
import type { AccessControl, Databases, EdgeMetrics } from "./ports.ts";

/** A database in memory. */
export class MemoryDatabase implements Database {
  readonly name: string;
  readonly id: string;
  readonly limits: Limits = DEFAULT_LIMITS;
  /** See {@linkcode Database.readDisabled}. */
  readDisabled = false;
  /** See {@linkcode Database.writeDisabled}. */
  writeDisabled = false;
  /** Thrown by reads and writes, if set. */
  failure: Error | null = null;
  /** Watches that were not disposed. */
  watching = 0;
  /** Reads so far. */
  reads = 0;
  readonly #number: number;
  readonly #wallMs: () => number;
  #rows: Row[] = [];
  #commits = 0;
  readonly #listeners = new Set<{ readonly keys: readonly Uint8Array[]; changed(): void }>();

  /** `number` decides its spaces and its UUID. */
  constructor(name: string, number: number, wallMs: () => number) {
    this.name = name;
    this.id = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
    this.#number = number;
    this.#wallMs = wallMs;
  }

  /** See {@linkcode Database.prefixOf}. */
  prefixOf(kind: SpaceKind): Uint8Array {
    return spaceOf(this.#number, kind);
  }

  /** See {@linkcode Database.read}. */
  read(ranges: readonly ReadRange[]): readonly (readonly Row[])[] {
    if (this.failure !== null) throw this.failure;
    this.reads++;
    const nowMs = this.#wallMs();
    return ranges.map(({ start, end, limit, reverse }) => {
      const rows = this.#rows.filter(({ key, expiresMs }) =>
        compareBytes(key, start) >= 0 && compareBytes(key, end) < 0 &&
        (expiresMs === null || expiresMs > nowMs)
      );
      return (reverse ? rows.toReversed() : rows).slice(0, limit);
    });
  }

  /** See {@linkcode Database.write}. */
  write(command: Command): Promise<Outcome> {
    if (this.failure !== null) return Promise.reject(this.failure);
    const failedChecks = command.checks.flatMap(({ key, stamp }, at) => {
      const found = this.#find(key)?.stamp ?? null;
      const holds = stamp === null || found === null ? stamp === found : bytesEqual(stamp, found);
      return holds ? [] : [at];
    });
    if (failedChecks.length > 0) return Promise.resolve({ type: "conflict", failedChecks });
    const stamp = new Uint8Array(10);
    new DataView(stamp.buffer).setUint32(4, ++this.#commits);
    const before = this.#rows;
    for (const mutation of command.mutations) {
      if (this.#apply(mutation, stamp)) continue;
      this.#rows = before;
      return Promise.resolve({ type: "invalid", message: "Cannot commit: that makes no sense" });
    }
    this.#tell(command.mutations.map(({ key }) => key));
    return Promise.resolve({ type: "committed", stamp });
  }

  /** See {@linkcode Database.watch}. */
  watch(keys: readonly Uint8Array[], changed: () => void): Disposable {
    const listener = { keys, changed };
    this.#listeners.add(listener);
    this.watching++;
    return {
      [Symbol.dispose]: () => {
        if (this.#listeners.delete(listener)) this.watching--;
      },
    };
  }

  /** See {@linkcode Database.watchPrefix}; nothing here asks for it. */
  watchPrefix(): Disposable {
    throw new Error("Cannot watch prefix: the listener never does");
  }

  #find(key: Uint8Array): Row | undefined {
    return this.#rows.find((row) => bytesEqual(row.key, key));
  }

  #apply(mutation: Mutation, stamp: Uint8Array): boolean {
    const { key, type } = mutation;
    const found = this.#find(key);
    const others = this.#rows.filter((row) => row !== found);
    switch (type) {
      case "delete":
        this.#rows = others;
        return true;
      case "set": {
        const { value, expiresMs } = mutation;
        this.#put(others, { key, ...value, stamp, expiresMs });
        return true;
      }
      case "sum": {
        const { value } = mutation;
        if (value.encoding !== 2 || (found !== undefined && found.encoding !== 2)) return false;
        const data = new Uint8Array(8);
        const sum = numberIn(value.data) + (found === undefined ? 0n : numberIn(found.data));
        new DataView(data.buffer).setBigUint64(0, sum, true);
        this.#put(others, { key, data, encoding: 2, stamp, expiresMs: null });
        return true;
      }
      default:
        return false;
    }
  }

  #put(others: readonly Row[], row: Row): void {
    this.#rows = [...others, row].sort((one, other) => compareBytes(one.key, other.key));
  }

  #tell(touched: readonly Uint8Array[]): void {
    for (const { keys, changed } of this.#listeners) {
      if (keys.some((key) => touched.some((other) => bytesEqual(key, other)))) changed();
    }
  }
}

/** Databases and tokens of a test. */
export class MemoryNode implements Databases, AccessControl {
  /** See {@linkcode AccessControl.epochOf}. */
  epoch = 0;
  /** What `check` says to everything but this, if set. */
  accessToken: string | null = null;
  readonly #databases = new Map<string, MemoryDatabase>();

  /** Holds these; makes no others. */
  constructor(databases: readonly MemoryDatabase[]) {
    for (const database of databases) this.#databases.set(database.name, database);
  }

  /** See {@linkcode Databases.find}. */
  find(name: string): Database | null {
    return this.#databases.get(name) ?? null;
  }

  /** See {@linkcode Databases.open}. */
  open(name: string): Promise<Database> {
    const database = this.#databases.get(name);
    if (database !== undefined) return Promise.resolve(database);
    return Promise.reject(
      new KvError("not_found", "Cannot open the database: there is none of that name"),
    );
  }

  /** See {@linkcode AccessControl.check}. */
  check(bearer: string | null): "ok" | KvError {
    if (this.accessToken === null || bearer === this.accessToken) return "ok";
    return new KvError("unauthorized", "Cannot let request in: its access token is not known here");
  }

  /** See {@linkcode AccessControl.epochOf}. */
  epochOf(): number {
    return this.epoch;
  }
}

/** Writes down what a listener told. */
export class MetricsRecord implements EdgeMetrics {
  /** `kind status` of every answer. */
  readonly answers: string[] = [];
  /** Limits that were named. */
  readonly limits: string[] = [];
  /** What was thrown that should not have been. */
  readonly faults: unknown[] = [];
  /** Bytes in and out. */
  readonly bytes = { in: 0, out: 0 };
  /** Watches open now. */
  watchesOpen = 0;

  /** See {@linkcode EdgeMetrics.answered}. */
  answered(kind: string, status: number): void {
    this.answers.push(`${kind} ${status}`);
  }

  /** See {@linkcode EdgeMetrics.transferred}. */
  transferred(direction: "in" | "out", sizeBytes: number): void {
    this.bytes[direction] += sizeBytes;
  }

  /** See {@linkcode EdgeMetrics.limitRefused}. */
  limitRefused(limit: string): void {
    this.limits.push(limit);
  }

  /** See {@linkcode EdgeMetrics.watches}. */
  watches(open: number): void {
    this.watchesOpen = open;
  }

  /** See {@linkcode EdgeMetrics.fault}. */
  fault(error: unknown): void {
    this.faults.push(error);
  }
}

function numberIn(data: Uint8Array): bigint {
  return new DataView(data.buffer, data.byteOffset, data.byteLength).getBigUint64(0, true);
}
