/**
 * Hands messages to a handler, several at once, and settles them by what becomes of it.
 *
 * @module
 */
import type { QueueConnection } from "./queue_connection.ts";
import { Answer, messageOf, type ReceivedMessage } from "./queue_answer.ts";
import { QueueError } from "./queue_error.ts";

/** What is told of a message beside its value. */
export interface MessageContext extends Omit<ReceivedMessage, "value" | "receipt"> {
  /**
   * Aborted when the message is not this consumer's any more, so that others may have it:
   * its lease could not be extended in time.
   */
  readonly signal: AbortSignal;
}

/** Works on a message. The message is done when it resolves, and tried again when it throws. */
export type MessageHandler = (value: unknown, context: MessageContext) => unknown;

/** How to listen. */
export interface ListenOptions {
  /** Messages that are worked on at once; 10 by default. */
  readonly concurrency?: number;
  /** How long each is leased; extended by itself while the handler works. 30,000 ms by default. */
  readonly leaseMs?: number;
  /** Ends it: no more messages are received, and those under way are finished. */
  readonly signal?: AbortSignal;
}

/** What a consumer says about a message. */
export type SettlementJson =
  | { readonly receipt: string; readonly action: "ack" | "release" }
  | {
    readonly receipt: string;
    readonly action: "fail";
    readonly error?: string;
    readonly final?: boolean;
  }
  | { readonly receipt: string; readonly action: "extend"; readonly leaseMs?: number };

/** What a settlement came to: `lost` if the lease had ended; `later` if it is to be tried again. */
export type SettledResult = "ok" | "lost" | "later";

const CONCURRENCY = 10;
const LEASE_MS = 30_000;
const WAIT_MS = 20_000;
const BATCH_MAX = 100;
const ERROR_CHARS_MAX = 500;
const LATER_MS = 200;

/** Collects settlements while the last ones are on their way, and sends them together. */
class Settler {
  readonly #connection: QueueConnection;
  readonly #retryMs: number;
  #waiting: {
    readonly settlement: SettlementJson;
    readonly resolve: (result: SettledResult) => void;
  }[] = [];
  #isSending = false;

  constructor(connection: QueueConnection, retryMs: number) {
    this.#connection = connection;
    this.#retryMs = retryMs;
  }

  /** Settles with the result; `later` if nothing could be sent for as long as a lease lasts. */
  settle(settlement: SettlementJson): Promise<SettledResult> {
    return new Promise((resolve) => {
      this.#waiting.push({ settlement, resolve });
      this.#send();
    });
  }

  async #send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      let results: readonly string[] = [];
      try {
        const settlements = batch.map(({ settlement }) => settlement);
        const options = { retryMs: this.#retryMs };
        const answer = await this.#connection.call("settle", { settlements }, options);
        results = new Answer(answer).texts("results");
      } catch (error) {
        // The leases end by themselves; whoever waits is told that nothing is certain.
        if (!(error instanceof QueueError)) throw error;
      }
      batch.forEach(({ resolve }, at) => resolve(resultOf(results[at])));
    }
    this.#isSending = false;
  }
}

/**
 * Receives and handles messages until the signal is aborted and all are settled.
 *
 * @throws {QueueError} If the queue refuses to be listened to; what may pass is waited for.
 */
export async function listenTo(
  connection: QueueConnection,
  handler: MessageHandler,
  options: ListenOptions,
): Promise<void> {
  const { concurrency = CONCURRENCY, leaseMs = LEASE_MS, signal } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new RangeError("Cannot listen: concurrency has to be a whole number from 1");
  }
  const settler = new Settler(connection, leaseMs);
  const running = new Set<Promise<void>>();
  try {
    while (signal?.aborted !== true) {
      if (running.size >= concurrency) {
        await Promise.race(running);
        continue;
      }
      const messagesMax = Math.min(BATCH_MAX, concurrency - running.size);
      for (const message of await receiveSome(connection, messagesMax, leaseMs, signal)) {
        const run = work(settler, handler, message).then(() => void running.delete(run));
        running.add(run);
      }
    }
  } finally {
    await Promise.all(running);
  }
}

async function receiveSome(
  connection: QueueConnection,
  messagesMax: number,
  leaseMs: number,
  signal: AbortSignal | undefined,
): Promise<readonly ReceivedMessage[]> {
  const body = { messagesMax, leaseMs, waitMs: WAIT_MS };
  try {
    const options = { signal, waitMs: WAIT_MS, retryMs: Infinity };
    const answer = await connection.call("receive", body, options);
    return new Answer(answer).list("messages").map(messageOf);
  } catch (error) {
    if (signal?.aborted === true) return [];
    throw error;
  }
}

/** One attempt, from its delivery to its settlement; never rejects. */
async function work(
  settler: Settler,
  handler: MessageHandler,
  message: ReceivedMessage,
): Promise<void> {
  const { receipt } = message;
  const gone = new AbortController();
  const stop = keepLease(settler, message, gone);
  let settlement: SettlementJson;
  try {
    const { value } = message;
    const { id, attempt, attemptsMax, enqueuedAt, lastError, leaseMs } = message;
    const { signal } = gone;
    await handler(value, { id, attempt, attemptsMax, enqueuedAt, lastError, leaseMs, signal });
    settlement = { receipt, action: "ack" };
  } catch (error) {
    settlement = { receipt, action: "fail", error: textOf(error) };
  }
  stop();
  // Once more is enough: after that the lease ends and says the same as a failure.
  if (await settler.settle(settlement) !== "later") return;
  await new Promise((resolve) => setTimeout(resolve, LATER_MS));
  await settler.settle(settlement);
}

/** Extends a lease at half its time, again and again; returns what ends that. */
function keepLease(
  settler: Settler,
  { receipt, leaseMs }: ReceivedMessage,
  gone: AbortController,
): () => void {
  let isOver = false;
  let endMs = performance.now() + leaseMs;
  let timer = setTimeout(extend, leaseMs / 2);
  async function extend(): Promise<void> {
    const askedMs = performance.now();
    const result = await settler.settle({ receipt, action: "extend", leaseMs });
    if (isOver) return;
    if (result === "ok") endMs = askedMs + leaseMs;
    if (result === "lost" || performance.now() >= endMs) return gone.abort();
    timer = setTimeout(extend, result === "ok" ? leaseMs / 2 : LATER_MS);
  }
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

function resultOf(text: string | undefined): SettledResult {
  return text === "ok" || text === "lost" ? text : "later";
}

function textOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, ERROR_CHARS_MAX);
}
