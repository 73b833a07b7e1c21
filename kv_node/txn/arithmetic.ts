/**
 * What `sum`, `min` and `max` come to, as Deno's own store has it.
 *
 * Each takes the value that is there (`null` for none) and an operand, and gives
 * the new value or says why there is none. Without a value the operand becomes the
 * value, bounds or not. `min` and `max` are for unsigned 64-bit numbers alone; `sum`
 * adds V8 numbers and V8 bigints as well. The words of a refusal are those that
 * programs written for Deno KV look for.
 *
 * @module
 */
import { ENCODING_LE64, ENCODING_V8, type KvValue, type SumBounds } from "../types.ts";
import { readV8Number, writeV8Number } from "../values/v8_number.ts";

/** A new value, or the reason why there is none. */
export type Result = KvValue | string;

const LE64_BYTES = 8;
const UINT64_LIMIT = 2n ** 64n;

/** The sum of what is there and an operand; unsigned 64-bit numbers wrap around. */
export function sumOf(current: KvValue | null, operand: KvValue, bounds: SumBounds): Result {
  if (operand.encoding !== ENCODING_LE64) return sumOfV8(current, operand, bounds);
  if (bounds.min !== null || bounds.max !== null) {
    return "Cannot use min/max parameters with KvU64 operands";
  }
  return refusalOfLe64("sum", current, operand) ??
    le64(current === null ? operand.data : wrappingSum(current.data, operand.data));
}

/** The lesser or the greater of what is there and an operand, both unsigned 64-bit numbers. */
export function extremeOf(
  kind: "min" | "max",
  current: KvValue | null,
  operand: KvValue,
): Result {
  const refusal = refusalOfLe64(kind, current, operand);
  if (refusal !== null) return refusal;
  if (current === null) return operand;
  const isLess = compareLe64(operand.data, current.data) < 0;
  return isLess === (kind === "min") ? operand : current;
}

function refusalOfLe64(
  kind: "sum" | "min" | "max",
  current: KvValue | null,
  operand: KvValue,
): string | null {
  if (!isLe64(operand)) return `Failed to perform '${kind}' mutation on a non-U64 operand`;
  if (current === null || isLe64(current)) return null;
  return `Failed to perform '${kind}' mutation on a non-U64 value in the database`;
}

function isLe64(value: KvValue): boolean {
  return value.encoding === ENCODING_LE64 && value.data.length === LE64_BYTES;
}

function le64(data: Uint8Array): KvValue {
  return { data, encoding: ENCODING_LE64 };
}

/** Byte by byte with a carry: there is no wider whole number than a slow bigint. */
function wrappingSum(one: Uint8Array, other: Uint8Array): Uint8Array {
  const sum = new Uint8Array(LE64_BYTES);
  let carry = 0;
  for (let place = 0; place < LE64_BYTES; place++) {
    carry += (one[place] ?? 0) + (other[place] ?? 0);
    sum[place] = carry;
    carry >>>= 8;
  }
  return sum;
}

function compareLe64(one: Uint8Array, other: Uint8Array): number {
  for (let place = LE64_BYTES - 1; place >= 0; place--) {
    const difference = (one[place] ?? 0) - (other[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function sumOfV8(current: KvValue | null, operand: KvValue, bounds: SumBounds): Result {
  const addend = operand.encoding === ENCODING_V8 ? readV8Number(operand.data) : null;
  const min = boundOf(bounds.min);
  const max = boundOf(bounds.max);
  if (addend === null || min === null || max === null) {
    return "Some of the parameters are not valid V8 values";
  }
  if (!isLike(min, addend) || !isLike(max, addend)) {
    return "Min/max parameters have different types than the operand";
  }
  if (current === null) return v8(addend);
  if (current.encoding === ENCODING_LE64) return sumOnLe64(current, addend, bounds);
  const present = current.encoding === ENCODING_V8 ? readV8Number(current.data) : null;
  if (present === null) return "Cannot sum: unsupported value type in the database";
  const sum = add(present, addend);
  if (sum === null) return `Cannot sum ${nameOf(present)} with ${nameOf(addend)}`;
  return boundedBy(sum, min, max, bounds.clamp);
}

/** A bigint without bounds may be added to an unsigned number: older clients do. */
function sumOnLe64(current: KvValue, addend: number | bigint, bounds: SumBounds): Result {
  const isPlain = bounds.min === null && bounds.max === null && !bounds.clamp;
  const fits = typeof addend === "bigint" && addend >= 0n && addend < UINT64_LIMIT;
  if (!isPlain || !fits || !isLe64(current)) return `Cannot sum KvU64 with ${nameOf(addend)}`;
  const data = new Uint8Array(LE64_BYTES);
  new DataView(data.buffer).setBigUint64(0, addend, true);
  return le64(wrappingSum(current.data, data));
}

/** A bound as a number; `undefined` if there is none, `null` if it is not a number. */
function boundOf(bound: Uint8Array | null): number | bigint | undefined | null {
  return bound === null || bound.length === 0 ? undefined : readV8Number(bound);
}

function isLike(bound: number | bigint | undefined, addend: number | bigint): boolean {
  return bound === undefined || typeof bound === typeof addend;
}

function nameOf(value: number | bigint): string {
  return typeof value === "bigint" ? "BigInt" : "Number";
}

function add(one: number | bigint, other: number | bigint): number | bigint | null {
  if (typeof one === "number" && typeof other === "number") return one + other;
  return typeof one === "bigint" && typeof other === "bigint" ? one + other : null;
}

/** The lower bound is judged first, so that with crossed bounds the upper one wins. */
function boundedBy(
  sum: number | bigint,
  min: number | bigint | undefined,
  max: number | bigint | undefined,
  clamp: boolean,
): Result {
  let result = sum;
  if (min !== undefined && result < min) {
    if (!clamp) return "The result of a Sum operation would exceed its range limit";
    result = min;
  }
  if (max !== undefined && result > max) {
    if (!clamp) return "The result of a Sum operation would exceed its range limit";
    result = max;
  }
  return v8(result);
}

function v8(value: number | bigint): KvValue {
  return { data: writeV8Number(value), encoding: ENCODING_V8 };
}
