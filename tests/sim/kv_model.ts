/**
 * What commands mean, as simply as it can be said: a plain sorted array of rows.
 *
 * Written apart from the product, for the simulation to compare with. Of sums it
 * knows those over unsigned 64-bit numbers.
 *
 * @module
 */
import type { Command, KvValue, Mutation, Outcome, Row } from "../../kv_node/types.ts";

const MASK = (1n << 64n) - 1n;

/** A row, all of it as text or number: equal rows are equal by `===` of their parts. */
export interface ModelRow {
  /** Complete key, in hex. */
  readonly key: string;
  /** Value's bytes, in hex. */
  readonly data: string;
  readonly encoding: number;
  /** Versionstamp, in hex. */
  readonly stamp: string;
  readonly expiresMs: number | null;
}

/** A database that cannot fail. */
export class KvModel {
  rows: readonly ModelRow[] = [];

  /** The row under a key that has not expired by then. */
  get(key: string, nowMs: number): ModelRow | undefined {
    return this.rows.find((row) => row.key === key && isLive(row, nowMs));
  }

  /** What has not expired by then, in key order. */
  live(nowMs: number): readonly ModelRow[] {
    return this.rows.filter((row) => isLive(row, nowMs));
  }

  /** Places of the checks that do not hold. */
  failedChecks({ checks }: Command, nowMs: number): number[] {
    return checks.flatMap(({ key, stamp }, place) => {
      const there = this.get(key.toHex(), nowMs)?.stamp ?? null;
      return there === (stamp === null ? null : stamp.toHex()) ? [] : [place];
    });
  }

  /** Applies a command with its stamp; nothing changes unless it is committed. */
  apply(command: Command, stamp: string): Outcome["type"] {
    const nowMs = stampMsOf(stamp);
    if (this.failedChecks(command, nowMs).length > 0) return "conflict";
    const before = this.rows;
    for (const [place, mutation] of command.mutations.entries()) {
      if (this.#mutate(mutation, place, stamp, nowMs)) continue;
      this.rows = before;
      return "invalid";
    }
    return "committed";
  }

  /** What a command would come to then; nothing changes. */
  outcome(command: Command, nowMs: number): Outcome["type"] {
    const before = this.rows;
    const outcome = this.apply(
      command,
      `${(BigInt(nowMs) << 18n).toString(16).padStart(16, "0")}0000`,
    );
    this.rows = before;
    return outcome;
  }

  #mutate(mutation: Mutation, place: number, stamp: string, nowMs: number): boolean {
    const key = mutation.key.toHex();
    switch (mutation.type) {
      case "set":
        this.#put(key, mutation.value, stamp, mutation.expiresMs);
        return true;
      case "delete":
        this.#remove(key);
        return true;
      case "expire":
        if (this.get(key, nowMs) === undefined) this.#remove(key);
        return true;
      case "set_suffixed": {
        const digits = new TextEncoder().encode(stamp).toHex();
        this.#put(`${key}02${digits}00`, mutation.value, stamp, mutation.expiresMs);
        return true;
      }
      case "append":
        this.#put(key + stamp + place.toString(16).padStart(4, "0"), mutation.value, stamp, null);
        return true;
      default: {
        const there = this.get(key, nowMs);
        if (mutation.value.encoding !== 2 || (there !== undefined && there.encoding !== 2)) {
          return false;
        }
        const operand = numberOf(mutation.value.data.toHex());
        const number = there === undefined
          ? operand
          : combine(mutation.type, numberOf(there.data), operand);
        const data = Uint8Array.fromHex(hexOf(number));
        this.#put(key, { data, encoding: 2 }, stamp, null);
        return true;
      }
    }
  }

  #put(key: string, value: KvValue, stamp: string, expiresMs: number | null): void {
    const { encoding } = value;
    const row: ModelRow = { key, data: value.data.toHex(), encoding, stamp, expiresMs };
    this.rows = [...this.rows.filter((other) => other.key !== key), row]
      .sort((one, other) => one.key < other.key ? -1 : 1);
  }

  #remove(key: string): void {
    this.rows = this.rows.filter((row) => row.key !== key);
  }
}

/** A row of the product as the model has it. */
export function modelRowOf({ key, data, encoding, stamp, expiresMs }: Row): ModelRow {
  return { key: key.toHex(), data: data.toHex(), encoding, stamp: stamp.toHex(), expiresMs };
}

/** When a stamp was given: its upper 46 bits are milliseconds since the Unix epoch. */
export function stampMsOf(stamp: string): number {
  return Number(BigInt(`0x${stamp.slice(0, 16)}`) >> 18n);
}

function isLive(row: ModelRow, nowMs: number): boolean {
  return row.expiresMs === null || row.expiresMs > nowMs;
}

function combine(type: "sum" | "min" | "max", there: bigint, operand: bigint): bigint {
  if (type === "sum") return (there + operand) & MASK;
  return (type === "min") === (there < operand) ? there : operand;
}

function numberOf(littleEndianHex: string): bigint {
  return new DataView(Uint8Array.fromHex(littleEndianHex).buffer).getBigUint64(0, true);
}

function hexOf(number: bigint): string {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, number, true);
  return bytes.toHex();
}
