/**
 * Calls to the queue of a database: finds the node by the metadata exchange of KV
 * Connect, and tries again what may pass.
 *
 * What was agreed in an exchange is used until a call fails by it; so the death of
 * a node costs one failed call and a new exchange.
 *
 * @module
 */
import { QueueError } from "./queue_error.ts";

/** How to call. */
export interface CallOptions {
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** How long the node may take to answer, beside the network, in milliseconds. */
  readonly waitMs?: number | undefined;
  /** How long passing failures are tried again, in milliseconds. */
  readonly retryMs?: number | undefined;
}

interface Exchange {
  readonly queueUrl: string;
  readonly token: string;
}

/** A failure that may pass. */
class PassingFailure {
  readonly error: QueueError;

  constructor(error: QueueError) {
    this.error = error;
  }
}

const ATTEMPT_MS = 15_000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 5_000;
const TEXT_CHARS_MAX = 500;

/** A connection to the queue of one database. */
export class QueueConnection implements Disposable {
  readonly #url: string;
  readonly #accessToken: string | null;
  readonly #retryMs: number;
  readonly #closing = new AbortController();
  /** A pool of its own, so that no connection outlives it. */
  readonly #client = Deno.createHttpClient({});
  #exchange: Promise<Exchange> | null = null;

  /** Connects when it is first used. */
  constructor(url: string, accessToken: string | null, retryMs: number) {
    this.#url = url;
    this.#accessToken = accessToken;
    this.#retryMs = retryMs;
  }

  /**
   * Does the exchange once, without trying again.
   *
   * @throws {QueueError} If the address, the token or the server is not the right one.
   */
  async open(): Promise<void> {
    const outcome = await this.#exchanged(this.#closing.signal);
    if (outcome instanceof PassingFailure) throw outcome.error;
  }

  /**
   * Calls an operation; returns the JSON that it answers.
   *
   * @throws {QueueError} If it is refused, or fails for longer than it is tried again.
   */
  async call(operation: string, body: unknown, options: CallOptions = {}): Promise<unknown> {
    const { waitMs = 0, retryMs = this.#retryMs } = options;
    const signal = this.#signalOf(options.signal);
    const text = JSON.stringify(body);
    const startMs = performance.now();
    for (let attempt = 0;; attempt++) {
      const outcome = await this.#attempt(operation, text, signal, waitMs);
      if (!(outcome instanceof PassingFailure)) return outcome;
      const pauseMs = backoffMs(attempt);
      if (performance.now() - startMs + pauseMs > retryMs) throw outcome.error;
      await pause(pauseMs, signal);
    }
  }

  /** Gives up what is under way and closes connections. */
  [Symbol.dispose](): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#client.close();
  }

  #signalOf(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined
      ? this.#closing.signal
      : AbortSignal.any([signal, this.#closing.signal]);
  }

  async #attempt(
    operation: string,
    body: string,
    signal: AbortSignal,
    waitMs: number,
  ): Promise<unknown> {
    const exchange = await this.#exchanged(signal);
    if (exchange instanceof PassingFailure) return exchange;
    const url = `${exchange.queueUrl}/${operation}`;
    const response = await this.#post(url, exchange.token, body, signal, ATTEMPT_MS + waitMs);
    if (response instanceof PassingFailure) {
      this.#exchange = null;
      return response;
    }
    const { status, text } = response;
    if (status === 200) return parse(text);
    const error = refusal("Cannot use the queue", status, text);
    // A data token was revoked, or the database is another one now: a new exchange tells.
    if (status === 401 || status === 403) {
      this.#exchange = null;
      return new PassingFailure(error);
    }
    if (status >= 500) return new PassingFailure(error);
    throw error;
  }

  async #exchanged(signal: AbortSignal): Promise<Exchange | PassingFailure> {
    this.#exchange ??= this.#doExchange();
    const current = this.#exchange;
    try {
      const result = await current;
      if (signal.aborted) throw closed();
      return result;
    } catch (error) {
      if (this.#exchange === current) this.#exchange = null;
      if (error instanceof PassingFailure) return error;
      throw error;
    }
  }

  /** Shared by calls that need it at the same time, so it ends with the connection alone. */
  async #doExchange(): Promise<Exchange> {
    const body = '{"supportedVersions":[2,3]}';
    const { signal } = this.#closing;
    const response = await this.#post(this.#url, this.#accessToken, body, signal, ATTEMPT_MS);
    if (response instanceof PassingFailure) throw response;
    const { status, text } = response;
    if (status === 200) return exchangeOf(parse(text));
    const error = refusal("Cannot open the queue", status, text);
    throw status >= 500 ? new PassingFailure(error) : error;
  }

  async #post(
    url: string,
    token: string | null,
    body: string,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<{ readonly status: number; readonly text: string } | PassingFailure> {
    if (signal.aborted) throw closed();
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        body,
        redirect: "manual",
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        client: this.#client,
      });
      return { status: response.status, text: await response.text() };
    } catch (cause) {
      if (signal.aborted) throw closed();
      if (cause instanceof Deno.errors.NotCapable) {
        const { host } = new URL(url);
        throw new QueueError(
          "refused",
          `Cannot reach the queue: no permission; start with --allow-net=${host}`,
          { cause },
        );
      }
      const error = new QueueError("unavailable", "Cannot reach the queue: no answer", { cause });
      return new PassingFailure(error);
    }
  }
}

/** The error for a call that was given up. */
function closed(): QueueError {
  return new QueueError("closed", "Cannot use the queue: the call was given up or it is closed");
}

function refusal(what: string, status: number, text: string): QueueError {
  // A node says in plain text why; others may send a page.
  const isPlain = text.length <= TEXT_CHARS_MAX && !text.includes("<");
  const said = isPlain && text !== "" ? text.trim() : `the server answered ${status}`;
  const message = said.startsWith("Cannot ") ? said : `${what}: ${said}`;
  if (status === 401) return new QueueError("token", message);
  return new QueueError(status >= 500 ? "unavailable" : "refused", message);
}

function exchangeOf(value: unknown): Exchange {
  const fields = new Map(Object.entries(value ?? {}));
  const token: unknown = fields.get("token");
  const endpoints: unknown = fields.get("endpoints");
  for (const endpoint of Array.isArray(endpoints) ? endpoints : []) {
    const { url, consistency } = endpoint ?? {};
    if (consistency !== "strong" || typeof url !== "string" || typeof token !== "string") continue;
    // The data path of a Weir node ends in /data; the queue lies beside it.
    if (url.endsWith("/data")) return { queueUrl: `${url.slice(0, -"data".length)}queue`, token };
  }
  throw new QueueError("protocol", "Cannot open the queue: the server is no Weir node");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QueueError("protocol", "Cannot use the queue: the server answers no JSON", { cause });
  }
}

/** Doubles with each attempt, half of it by chance. */
function backoffMs(attempt: number): number {
  const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** attempt);
  return most * (0.5 + Math.random() / 2);
}

/** Waits; throws if it is given up. */
function pause(pauseMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(closed());
    const give = (): void => {
      clearTimeout(timer);
      reject(closed());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", give);
      resolve();
    }, pauseMs);
    signal.addEventListener("abort", give, { once: true });
  });
}
