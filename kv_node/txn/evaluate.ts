/**
 * A command against a state: its checks, then its changes, all or none.
 *
 * The answer depends on the state, the command and its stamp, and on nothing else,
 * so that everybody who applies the same log comes to the same state. What time it
 * is, is what the stamp says.
 *
 * @module
 */
import { stampHex, stampMs } from "../clock/stamps.ts";
import type { StateWriter } from "../ports.ts";
import {
  type Check,
  type Command,
  type KvValue,
  type Mutation,
  type Outcome,
  type Row,
  STAMP_BYTES,
} from "../types.ts";
import { extremeOf, type Result, sumOf } from "./arithmetic.ts";

/** A string part of a key: this byte, the text, a zero. */
const STRING_PART = 0x02;

/** Bytes of a string part that holds a stamp in hex. */
const SUFFIX_BYTES = STAMP_BYTES * 2 + 2;

/** Bytes that `append` adds to a key: the stamp and the place of the mutation. */
const APPENDIX_BYTES = STAMP_BYTES + 2;

/** A mutation that may turn out to make no sense. */
type Arithmetic = Extract<Mutation, { readonly type: "sum" | "min" | "max" }>;

/**
 * Applies a command. Whatever the outcome but `committed`, nothing was written:
 * one transaction of the state may hold many commands.
 *
 * @throws {RangeError} If the stamp is none. What the writer throws passes through; then
 * it is for the caller to undo what was written.
 */
export function evaluate(stamp: Uint8Array, command: Command, writer: StateWriter): Outcome {
  const nowMs = stampMs(stamp);
  const failed = failedChecks(command.checks, nowMs, writer);
  if (failed !== null) return { type: "conflict", failedChecks: failed };
  const { mutations } = command;
  // A lone mutation is computed before it is written anyhow, and what cannot be
  // refused needs no way back: both go straight to the writer.
  const isDirect = mutations.length === 1 || !mutations.some(isArithmetic);
  const overlay = isDirect ? null : new Overlay(writer);
  const target = overlay ?? writer;
  for (let place = 0; place < mutations.length; place++) {
    const mutation = mutations[place];
    if (mutation === undefined) break;
    const refusal = apply(mutation, place, stamp, nowMs, target);
    if (refusal !== null) {
      const position = `${place + 1} of ${mutations.length}`;
      return { type: "invalid", message: `Cannot apply mutation ${position}: ${refusal}` };
    }
  }
  overlay?.flush();
  return { type: "committed", stamp };
}

/**
 * The places of checks that do not hold, or `null` if all do.
 *
 * @param nowMs A row that has expired by then is absent.
 */
export function failedChecks(
  checks: readonly Check[],
  nowMs: number,
  rows: Pick<StateWriter, "get">,
): readonly number[] | null {
  let failed: number[] | null = null;
  for (let place = 0; place < checks.length; place++) {
    const check = checks[place];
    if (check === undefined) break;
    const row = visible(rows.get(check.key), nowMs);
    if (!isStampOf(check.stamp, row)) (failed ??= []).push(place);
  }
  return failed;
}

function isStampOf(stamp: Uint8Array | null, row: Row | null): boolean {
  if (stamp === null || row === null) return stamp === null && row === null;
  if (stamp.length !== row.stamp.length) return false;
  for (let place = 0; place < stamp.length; place++) {
    if (stamp[place] !== row.stamp[place]) return false;
  }
  return true;
}

/** Applies one mutation, or says why it cannot be and writes nothing. */
function apply(
  mutation: Mutation,
  place: number,
  stamp: Uint8Array,
  nowMs: number,
  target: StateWriter,
): string | null {
  switch (mutation.type) {
    case "set":
      target.put(rowOf(mutation.key, mutation.value, stamp, mutation.expiresMs));
      return null;
    case "delete":
      target.remove(mutation.key);
      return null;
    case "set_suffixed": {
      const key = suffixedKey(mutation.key, stamp);
      target.put(rowOf(key, mutation.value, stamp, mutation.expiresMs));
      return null;
    }
    case "append":
      target.put(rowOf(appendedKey(mutation.key, stamp, place), mutation.value, stamp, null));
      return null;
    case "expire":
      if (isExpired(target.get(mutation.key), nowMs)) target.remove(mutation.key);
      return null;
    default: {
      const result = resultOf(mutation, visible(target.get(mutation.key), nowMs));
      if (typeof result === "string") return result;
      // A new value does not inherit the time at which the earlier one was to go.
      target.put(rowOf(mutation.key, result, stamp, null));
      return null;
    }
  }
}

function isArithmetic(mutation: Mutation): mutation is Arithmetic {
  return mutation.type === "sum" || mutation.type === "min" || mutation.type === "max";
}

function resultOf(mutation: Arithmetic, current: Row | null): Result {
  return mutation.type === "sum"
    ? sumOf(current, mutation.value, mutation.bounds)
    : extremeOf(mutation.type, current, mutation.value);
}

function isExpired(row: Row | null, nowMs: number): boolean {
  return row !== null && row.expiresMs !== null && row.expiresMs <= nowMs;
}

function visible(row: Row | null, nowMs: number): Row | null {
  return isExpired(row, nowMs) ? null : row;
}

function rowOf(
  key: Uint8Array,
  value: KvValue,
  stamp: Uint8Array,
  expiresMs: number | null,
): Row {
  return { key, data: value.data, encoding: value.encoding, stamp, expiresMs };
}

function suffixedKey(key: Uint8Array, stamp: Uint8Array): Uint8Array {
  const suffixed = new Uint8Array(key.length + SUFFIX_BYTES);
  suffixed.set(key);
  suffixed[key.length] = STRING_PART;
  const digits = stampHex(stamp);
  for (let place = 0; place < digits.length; place++) {
    suffixed[key.length + 1 + place] = digits.charCodeAt(place);
  }
  return suffixed;
}

function appendedKey(key: Uint8Array, stamp: Uint8Array, place: number): Uint8Array {
  const appended = new Uint8Array(key.length + APPENDIX_BYTES);
  appended.set(key);
  appended.set(stamp, key.length);
  appended[appended.length - 2] = place >>> 8;
  appended[appended.length - 1] = place;
  return appended;
}

/** The state as a command sees it that may yet come to nothing: its changes are only here. */
class Overlay implements StateWriter {
  readonly #below: StateWriter;
  readonly #changes = new Map<string, Row | Uint8Array>();

  constructor(below: StateWriter) {
    this.#below = below;
  }

  get(key: Uint8Array): Row | null {
    const change = this.#changes.get(textOf(key));
    if (change === undefined) return this.#below.get(key);
    return change instanceof Uint8Array ? null : change;
  }

  put(row: Row): void {
    this.#changes.set(textOf(row.key), row);
  }

  /** Where nothing is left, the key stands for the change. */
  remove(key: Uint8Array): void {
    this.#changes.set(textOf(key), key);
  }

  /** Writes each changed key once, as it came to be in the end. */
  flush(): void {
    for (const change of this.#changes.values()) {
      if (change instanceof Uint8Array) this.#below.remove(change);
      else this.#below.put(change);
    }
  }
}

/** Bytes as a text of their own, to find them in a map. */
function textOf(key: Uint8Array): string {
  let text = "";
  for (let place = 0; place < key.length; place++) text += String.fromCharCode(key[place] ?? 0);
  return text;
}
