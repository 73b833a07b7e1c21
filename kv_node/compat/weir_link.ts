/**
 * A link to whichever node can be reached: sends operations, watches over their
 * time, connects again.
 *
 * ```
 *            room                    answer
 * submit ──────────→ on the way ───────────────→ over
 *   │ no room            │ connection lost        ↑ too late
 *   └──→ queue ←─────────┘ if it may be repeated ─┘
 * ```
 *
 * A read may always be repeated. A commit may be if its frame never left, or if the
 * node said that it was not carried out; otherwise it fails with `outcome_unknown`,
 * because sending it again could carry it out twice.
 *
 * @module
 */
import type { KvError } from "../errors.ts";
import { LINK_PROTOCOL } from "../link/messages.ts";
import { DEFAULT_LIMITS, type Limits } from "../types.ts";
import { StoreOpenError, weirFailure } from "./open_error.ts";
import { StoreOperationError } from "./operation_error.ts";
import { OperationQueue } from "./operation_queue.ts";
import type { WeirAddress } from "./weir_address.ts";
import { WeirConnection } from "./weir_connection.ts";
import { exchange } from "./weir_exchange.ts";
import { errorOf, isPassing } from "./weir_failure.ts";
import {
  type Operation,
  ReadOperation,
  type RowsReader,
  WriteOperation,
} from "./weir_operation.ts";
import type { WeirWatch } from "./weir_watch.ts";

/** How a link behaves. */
export interface LinkSettings {
  /** Access token, or `null` for none. */
  readonly token: string | null;
  /** How long an operation may take in all, in milliseconds. */
  readonly deadlineMs: number;
  /** How long one node may take to let the client in, in milliseconds. */
  readonly connectMs: number;
}

/** Longest pause between two tries to connect, in milliseconds. */
const PAUSE_MAX_MS = 2_000;
const PAUSE_MIN_MS = 50;
/** Operations that may wait for their turn, and their bytes. */
const WAITING_MAX = 100_000;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Longest silence of a node that was asked something, in milliseconds. */
const SILENCE_MAX_MS = 5_000;
/** How often an idle connection is kept alive, in milliseconds. */
const KEEP_ALIVE_MS = 20_000;
/** How often a token may be turned away before that is believed. */
const REFUSALS_MAX = 2;

/** A connection that comes back. */
export class WeirLink {
  readonly #address: WeirAddress;
  readonly #settings: LinkSettings;
  readonly #tickMs: number;
  readonly #queue = new OperationQueue();
  readonly #watches = new Set<WeirWatch>();
  readonly #end = new AbortController();
  /** Connections that take nothing new and wait for their last answers. */
  readonly #leaving = new Set<WeirConnection>();
  #connection: WeirConnection | null = null;
  #limits: Limits = DEFAULT_LIMITS;
  #isConnecting = false;
  #node = 0;
  #ticker: ReturnType<typeof setInterval> | null = null;
  #keepAlive: ReturnType<typeof setInterval> | null = null;
  #nowMs = 0;
  #lastFailure: unknown = null;

  private constructor(address: WeirAddress, settings: LinkSettings) {
    this.#address = address;
    this.#settings = settings;
    this.#tickMs = Math.min(100, Math.max(5, settings.deadlineMs / 20));
  }

  /**
   * Connects to the first node that lets it in.
   *
   * @throws {StoreOpenError} If none does.
   */
  static async open(address: WeirAddress, settings: LinkSettings): Promise<WeirLink> {
    const link = new WeirLink(address, settings);
    link.#adopt(await link.#connectAnywhere());
    return link;
  }

  /** What may be asked of the database at once. */
  get limits(): Limits {
    return this.#limits;
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return this.#end.signal.aborted;
  }

  /** Reads; `convert` is called as soon as the rows are there. */
  read<Result>(body: Uint8Array, convert: RowsReader<Result>): Promise<Result> {
    if (this.isClosed) return Promise.reject(closedBefore());
    return new Promise((resolve, reject) => {
      this.#submit(new ReadOperation(body, this.#deadlineMs(), convert, resolve, reject));
    });
  }

  /** Commits; resolves with the versionstamp, or `null` if a check did not hold. */
  write(body: Uint8Array): Promise<string | null> {
    if (this.isClosed) return Promise.reject(closedBefore());
    return new Promise((resolve, reject) => {
      this.#submit(new WriteOperation(body, this.#deadlineMs(), resolve, reject));
    });
  }

  /** Begins to watch, now and on every connection to come. */
  watch(watch: WeirWatch): void {
    if (this.isClosed) return watch.fail(closedBefore());
    this.#watches.add(watch);
    this.#deadlineMs();
    if (this.#connection !== null) watch.attach(this.#connection);
    else this.#connect();
  }

  /** Ends a watch. */
  unwatch(watch: WeirWatch): void {
    this.#watches.delete(watch);
    watch.detach();
    this.#rest();
  }

  /** The token of this connection has ended: begins another one, with another token. */
  renew(connection: WeirConnection): void {
    if (this.#connection === connection) {
      this.#connection = null;
      this.#leaving.add(connection);
    }
    this.#connect();
  }

  /** Ends it: what waits is rejected, watches end. */
  close(): void {
    if (this.isClosed) return;
    this.#end.abort();
    for (const watch of this.#watches) watch.end();
    this.#watches.clear();
    this.#stopTicker();
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
    for (const connection of [...this.#leaving]) connection.close();
    this.#connection?.close();
    for (const operation of this.#queue.takeAll()) operation.fail(closedMeanwhile());
  }

  #submit(operation: Operation): void {
    const connection = this.#connection;
    if (connection !== null && this.#queue.size === 0 && connection.hasRoom) {
      return connection.send(operation);
    }
    if (this.#queue.size >= WAITING_MAX || this.#queue.sizeBytes >= WAITING_BYTES_MAX) {
      const text = `Cannot send: ${this.#queue.size} operations wait already; await some of them`;
      return operation.fail(new StoreOperationError("unavailable", text));
    }
    this.#queue.push(operation);
    if (connection === null) this.#connect();
  }

  /** When what is asked now has to be answered; starts the clock if it stands still. */
  #deadlineMs(): number {
    if (this.#ticker === null) {
      this.#nowMs = performance.now();
      this.#ticker = setInterval(() => this.#tick(), this.#tickMs);
      this.#connection?.reference(true);
    }
    return this.#nowMs + this.#settings.deadlineMs;
  }

  #tick(): void {
    this.#nowMs = performance.now();
    const silenceMs = Math.min(SILENCE_MAX_MS, this.#settings.deadlineMs / 2);
    const late = (operation: Operation) => this.#tooLate(operation, !operation.isRepeatable);
    this.#connection?.sweep(this.#nowMs, silenceMs, late);
    for (const connection of [...this.#leaving]) connection.sweep(this.#nowMs, silenceMs, late);
    for (const operation of this.#queue.takeLate(this.#nowMs)) this.#tooLate(operation, false);
    this.#pump();
    if (this.#connection === null && this.#isWanted) this.#connect();
    this.#rest();
  }

  /** Lets the process end, and the clock stand still, while nobody waits for anything. */
  #rest(): void {
    const inFlight = this.#connection?.inFlight ?? 0;
    if (this.#isWanted || inFlight > 0 || this.#leaving.size > 0) return;
    this.#stopTicker();
    this.#connection?.reference(false);
  }

  get #isWanted(): boolean {
    return this.#queue.size > 0 || this.#watches.size > 0;
  }

  #stopTicker(): void {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#ticker = null;
  }

  #pump(): void {
    const connection = this.#connection;
    if (connection === null) return;
    while (connection.hasRoom) {
      const operation = this.#queue.shift(this.#nowMs);
      if (operation === null) return;
      connection.send(operation);
    }
  }

  #tooLate(operation: Operation, isSent: boolean): void {
    const { deadlineMs } = this.#settings;
    if (isSent) return operation.fail(outcomeUnknown(`no answer within ${deadlineMs} ms`));
    const isReachable = this.#connection !== null;
    const text = isReachable ? "no answer" : "no node could be reached";
    operation.fail(
      new StoreOperationError(
        isReachable ? "deadline" : "unavailable",
        `Cannot use the store: ${text} within ${deadlineMs} ms`,
        { cause: this.#lastFailure },
      ),
    );
  }

  async #connect(): Promise<void> {
    if (this.#isConnecting || this.isClosed) return;
    this.#isConnecting = true;
    // Clients that lost the same node must not come back together.
    for (let pauseMs = PAUSE_MIN_MS; this.#isWanted && !this.isClosed;) {
      try {
        this.#adopt(await this.#connectAnywhere());
        // It may have broken the protocol with its first words.
        if (this.#connection !== null) break;
      } catch (error) {
        this.#lastFailure = error;
        if (this.isClosed) break;
        if (error instanceof StoreOpenError && error.kind !== "failed") this.#giveUp(error);
      }
      await this.#pause(pauseMs * (0.5 + Math.random()));
      pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2);
    }
    this.#isConnecting = false;
  }

  /** Waiting does not mend this one: a token that is refused, a permission that is missing. */
  #giveUp(cause: StoreOpenError): void {
    const error = new StoreOperationError("refused", cause.message, { cause });
    for (const operation of this.#queue.takeAll()) operation.fail(error);
    for (const watch of this.#watches) watch.fail(error);
    this.#watches.clear();
  }

  async #pause(pauseMs: number): Promise<void> {
    const { signal } = this.#end;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, pauseMs);
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    });
  }

  /** Tries every node once, the last good one first. */
  async #connectAnywhere(): Promise<WeirConnection> {
    const { nodes } = this.#address;
    let failure: StoreOpenError | null = null;
    for (let tried = 0; tried < nodes.length; tried++) {
      const node = nodes[this.#node % nodes.length] ?? "";
      try {
        return await this.#connectTo(node);
      } catch (error) {
        if (this.isClosed) throw error;
        this.#node++;
        // What has to be mended says more than what may pass.
        const failed = weirFailure(node, error);
        if (failure === null || failure.kind === "failed") failure = failed;
      }
    }
    throw failure ?? new StoreOpenError("failed", "Cannot open the store: no address is given");
  }

  async #connectTo(node: string): Promise<WeirConnection> {
    const { token, connectMs } = this.#settings;
    const { database } = this.#address;
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new Error(`Cannot connect: no answer within ${connectMs} ms`));
    }, connectMs);
    const signal = AbortSignal.any([late.signal, this.#end.signal]);
    try {
      const metadata = await exchange(node, database, token, signal);
      const hello = { protocol: LINK_PROTOCOL, database, token: metadata.token };
      return await WeirConnection.open(metadata.link, hello, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  #adopt(connection: WeirConnection): void {
    if (this.isClosed) return connection.close();
    this.#connection = connection;
    this.#limits = connection.limits;
    this.#keepAlive ??= setInterval(() => this.#connection?.ping(), KEEP_ALIVE_MS).unref();
    connection.reference(this.#ticker !== null);
    connection.listen({
      refused: (operation, error) => this.#refused(connection, operation, error),
      relieved: () => {
        this.#pump();
        if (this.#leaving.has(connection) && connection.inFlight === 0) connection.close();
      },
      ended: (left, isSent) => this.#ended(connection, left, isSent),
    });
    if (this.#connection !== connection) return;
    for (const watch of this.#watches) watch.attach(connection);
    this.#pump();
    this.#rest();
  }

  #refused(connection: WeirConnection, operation: Operation, error: KvError): void {
    if (error.code === "unauthorized" && ++operation.refusals < REFUSALS_MAX) {
      this.#queue.putBack([operation]);
      this.renew(connection);
    } else if (isPassing(error, operation)) {
      const pauseMs = Math.min(1_000, 10 * 2 ** operation.refusals++) * (0.5 + Math.random());
      operation.againMs = this.#nowMs + pauseMs;
      this.#queue.push(operation);
    } else operation.fail(errorOf(error, operation));
  }

  #ended(
    connection: WeirConnection,
    left: readonly Operation[],
    isSent: (operation: Operation) => boolean,
  ): void {
    this.#leaving.delete(connection);
    if (this.#connection === connection) {
      this.#connection = null;
      for (const watch of this.#watches) watch.detach();
    }
    const isLost = (operation: Operation) => !operation.isRepeatable && isSent(operation);
    for (const operation of left) {
      if (isLost(operation)) operation.fail(outcomeUnknown("the connection to the node was lost"));
      else if (this.isClosed) operation.fail(closedMeanwhile());
    }
    if (this.isClosed) return;
    this.#queue.putBack(left.filter((operation) => !operation.isOver));
    if (this.#isWanted && this.#connection === null) this.#connect();
  }
}

function outcomeUnknown(why: string): StoreOperationError {
  return new StoreOperationError(
    "outcome_unknown",
    `Cannot tell whether the commit was carried out: ${why}; read before trying again, or use a check`,
  );
}

function closedMeanwhile(): StoreOperationError {
  return new StoreOperationError("closed", "Cannot use the store: it was closed meanwhile");
}

/** What `Deno.Kv` throws too. */
function closedBefore(): Error {
  return new Deno.errors.BadResource("Cannot use the store: it was closed");
}
