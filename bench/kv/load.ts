/**
 * A closed loop of single operations: so many at once, each followed by the next.
 *
 * @module
 */
import { percentile } from "../cache/client.ts";

/** Keys that a run goes through, one after the other and then again. */
export const KEYS = 10_000;
/** Length of every value but those of the replay. */
export const VALUE_BYTES = 128;

/** What is done. */
export type Operation = "set" | "get";

/** One run of load. */
export interface LoadCommand {
  /** What is done. */
  readonly operation: Operation;
  /** How many are under way. */
  readonly atOnce: number;
  /** New ones start within this time. */
  readonly durationMs: number;
  /** No more than this; 0 for no limit. */
  readonly operationsMax: number;
}

/** What one run gave. */
export interface LoadResult {
  /** Operations that went well. */
  readonly operations: number;
  /** Others. */
  readonly errors: number;
  /** The first of them, or "". */
  readonly firstError: string;
  /** From the first start to the last end. */
  readonly elapsedMs: number;
  /** From the call to its answer. */
  readonly latencyMs: { readonly p50: number; readonly p99: number };
}

/** A store under load, by the numbers of its keys. */
export interface Subject {
  /** Writes the value under a key; settles when that is durable. */
  set(number: number): Promise<void>;
  /** Reads a key that was written; settles with the length of its value. */
  get(number: number): Promise<number>;
  /** Ends the connection. */
  close(): void;
}

const ERRORS_MAX = 100;

/** The value that all subjects store: bytes that no compression makes shorter. */
export function valueOf(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const value = new Uint8Array(sizeBytes);
  let state = 0x9e3779b9;
  for (let i = 0; i < sizeBytes; i++) {
    // Xorshift: Marsaglia 2003.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    value[i] = state;
  }
  return value;
}

/** Puts a load on a subject. `from` is the number of the first key. */
export async function play(
  subject: Subject,
  command: LoadCommand,
  from: number,
): Promise<LoadResult> {
  const { operation, atOnce, durationMs, operationsMax } = command;
  const latencyMs: number[] = [];
  const once = operation === "set"
    ? (number: number) => subject.set(number)
    : (number: number) => checkedGet(subject, number);
  let [started, errors, firstError] = [0, 0, ""];
  const startMs = performance.now();
  const mayStart = (nowMs: number): boolean =>
    nowMs - startMs < durationMs && errors < ERRORS_MAX &&
    (operationsMax === 0 || started < operationsMax);
  const loop = async (): Promise<void> => {
    let sentMs = performance.now();
    while (mayStart(sentMs)) {
      try {
        await once((from + started++) % KEYS);
        const nowMs = performance.now();
        latencyMs.push(nowMs - sentMs);
        sentMs = nowMs;
      } catch (error) {
        errors++;
        if (firstError === "") firstError = String(error);
        sentMs = performance.now();
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
  const elapsedMs = performance.now() - startMs;
  latencyMs.sort((one, other) => one - other);
  const [p50, p99] = [percentile(latencyMs, 0.5), percentile(latencyMs, 0.99)];
  return { operations: latencyMs.length, errors, firstError, elapsedMs, latencyMs: { p50, p99 } };
}

async function checkedGet(subject: Subject, number: number): Promise<void> {
  const length = await subject.get(number);
  if (length !== VALUE_BYTES) throw new Error(`Cannot use an answer of ${length} bytes`);
}
