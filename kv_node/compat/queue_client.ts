/**
 * A client for the durable queues of a Weir node: what users of Deno KV's queues
 * know, over HTTP.
 *
 * ```ts ignore
 * await using queue = await openQueue("http://127.0.0.1:4512");
 * await queue.enqueue({ to: "ada@example.com" }, { delay: 60_000 });
 * await queue.listen(async (value) => await send(value));
 * ```
 *
 * @module
 */
import { Answer, type DeadMessage, deadMessageOf, messageOf } from "./queue_answer.ts";
import type { ReceivedMessage } from "./queue_answer.ts";
import { QueueAtomic } from "./queue_atomic.ts";
import type { EnqueueOptions } from "./queue_atomic.ts";
import { QueueConnection } from "./queue_connection.ts";
import { QueueError } from "./queue_error.ts";
import { listenTo } from "./queue_listener.ts";
import type {
  ListenOptions,
  MessageHandler,
  SettledResult,
  SettlementJson,
} from "./queue_listener.ts";

/** How to open a queue. */
export interface OpenQueueOptions {
  /** Access token; without it the environment's `DENO_KV_ACCESS_TOKEN`, if it may be read. */
  readonly token?: string;
  /** How long passing failures are tried again; 10,000 ms by default. */
  readonly retryMs?: number;
}

/** How to receive. */
export interface ReceiveOptions {
  /** The most messages; 1 by default. */
  readonly messagesMax?: number;
  /** How long they are leased; 30,000 ms by default. */
  readonly leaseMs?: number;
  /** How long to wait for one; 0 by default. */
  readonly waitMs?: number;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** How full a queue is. */
export interface QueueFigures {
  /** Messages that could be delivered now. */
  readonly due: number;
  /** Messages whose time has not come. */
  readonly delayed: number;
  /** Messages that consumers have. */
  readonly leased: number;
  /** Dead letters. */
  readonly dead: number;
  /** Consumers that wait. */
  readonly waiting: number;
  /** How long the first message is due already, in milliseconds. */
  readonly oldestDueMs: number;
}

const RETRY_MS = 10_000;
const DEAD_BATCH = 100;
const TOKEN_VARIABLE = "DENO_KV_ACCESS_TOKEN";

/**
 * Opens the queue of a database by its address for KV Connect.
 *
 * @throws {QueueError} If it is not there, or the token does not count.
 */
export async function openQueue(
  url: string,
  options: OpenQueueOptions = {},
): Promise<QueueClient> {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) {
    throw new QueueError("address", "Cannot open the queue: its address has to begin with http");
  }
  const token = options.token ?? await tokenOfEnvironment();
  const connection = new QueueConnection(url, token, options.retryMs ?? RETRY_MS);
  try {
    await connection.open();
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
  return new QueueClient(connection);
}

/** The queue of a database. */
export class QueueClient implements Disposable, AsyncDisposable {
  readonly #connection: QueueConnection;
  readonly #stopping = new AbortController();
  readonly #listening = new Set<Promise<void>>();

  /** See {@linkcode openQueue}. */
  constructor(connection: QueueConnection) {
    this.#connection = connection;
  }

  /**
   * Enqueues a value. If its answer is lost on the way it is sent again and may be there twice.
   *
   * @throws {QueueError} If that is refused, or fails for too long.
   */
  async enqueue(
    value: unknown,
    options: EnqueueOptions = {},
  ): Promise<{ readonly ok: true; readonly versionstamp: string; readonly id: string }> {
    const result = await this.atomic().enqueue(value, options).commit();
    const id = result.ok ? result.ids[0] : undefined;
    if (!result.ok || id === undefined) throw new QueueError("protocol", "Cannot enqueue: no id");
    return { ok: true, versionstamp: result.versionstamp, id };
  }

  /** Begins a commit with messages, checks and mutations: all of it takes effect, or nothing. */
  atomic(): QueueAtomic {
    return new QueueAtomic(this.#connection);
  }

  /**
   * Handles messages until the signal is aborted or the client is disposed, and those under
   * way are settled.
   *
   * @throws {QueueError} If the queue refuses; what may pass is waited for.
   */
  async listen(handler: MessageHandler, options: ListenOptions = {}): Promise<void> {
    const signal = options.signal === undefined
      ? this.#stopping.signal
      : AbortSignal.any([options.signal, this.#stopping.signal]);
    const listening = listenTo(this.#connection, handler, { ...options, signal });
    this.#listening.add(listening);
    try {
      await listening;
    } finally {
      this.#listening.delete(listening);
    }
  }

  /** Leases messages; whoever receives them settles them. */
  async receive(options: ReceiveOptions = {}): Promise<readonly ReceivedMessage[]> {
    const { signal, ...body } = options;
    const call = { signal, waitMs: body.waitMs };
    return new Answer(await this.#connection.call("receive", body, call))
      .list("messages").map(messageOf);
  }

  /** Settles messages; one result for each. */
  async settle(settlements: readonly SettlementJson[]): Promise<readonly SettledResult[]> {
    const answer = new Answer(await this.#connection.call("settle", { settlements }));
    return answer.texts("results").map((result) =>
      result === "ok" || result === "later" ? result : "lost"
    );
  }

  /** Dead letters, oldest first, or newest first if `reverse` is set. */
  async *dead(
    options: { readonly reverse?: boolean } = {},
  ): AsyncGenerator<DeadMessage, void, undefined> {
    let cursor: string | null = null;
    do {
      const body: unknown = {
        limit: DEAD_BATCH,
        values: true,
        reverse: options.reverse ?? false,
        cursor,
      };
      const answer: Answer = new Answer(await this.#connection.call("dead/list", body));
      yield* answer.list("letters").map(deadMessageOf);
      cursor = answer.textOrNull("cursor");
    } while (cursor !== null);
  }

  /** Puts dead letters back into the queue; for each whether it was there. */
  async requeue(
    ids: readonly string[],
    options: { readonly delay?: number } = {},
  ): Promise<readonly boolean[]> {
    const body = { ids, delayMs: options.delay ?? 0 };
    return flagsOf(await this.#connection.call("dead/requeue", body));
  }

  /** Deletes dead letters; for each whether it was there. */
  async deleteDead(ids: readonly string[]): Promise<readonly boolean[]> {
    return flagsOf(await this.#connection.call("dead/delete", { ids }));
  }

  /** How full it is. */
  async stats(): Promise<QueueFigures> {
    const answer = new Answer(await this.#connection.call("stats", {}));
    return {
      due: answer.number("due"),
      delayed: answer.number("delayed"),
      leased: answer.number("leased"),
      dead: answer.number("dead"),
      waiting: answer.number("waiting"),
      oldestDueMs: answer.number("oldestDueMs"),
    };
  }

  /** Gives up all calls. Messages under way are delivered again when their leases have ended. */
  close(): void {
    this.#stopping.abort();
    this.#connection[Symbol.dispose]();
  }

  /** See {@linkcode QueueClient.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Ends listening, waits until what is under way is settled, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#listening);
    this.close();
  }
}

function flagsOf(answer: unknown): readonly boolean[] {
  return new Answer(answer).list("results").map((result) => result === true);
}

async function tokenOfEnvironment(): Promise<string | null> {
  const permission = { name: "env", variable: TOKEN_VARIABLE } as const;
  const { state } = await Deno.permissions.query(permission);
  return state === "granted" ? Deno.env.get(TOKEN_VARIABLE) ?? null : null;
}
