/**
 * The client's end of a link: sends what is asked, hands answers to whoever waits.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { FrameWriter } from "../link/connection.ts";
import { FrameDecoder } from "../link/frame.ts";
import {
  decodeFailure,
  decodeWelcome,
  encodeHello,
  type Hello,
  MESSAGE,
  type Welcome,
} from "../link/messages.ts";
import type { Limits } from "../types.ts";
import { hostAndPort } from "./weir_address.ts";
import type { Operation } from "./weir_operation.ts";

/** Told what happens on a connection. */
export interface ConnectionEvents {
  /** The server refused an operation. */
  refused(operation: Operation, error: KvError): void;
  /** Answers came, or a batch has left: there may be room for more. */
  relieved(): void;
  /** It is at its end, with these operations unanswered; `isSent` says which ones left. */
  ended(left: readonly Operation[], isSent: (operation: Operation) => boolean): void;
}

/** What a watch is told of its connection. */
export interface WatchEvents {
  /** What has changed; `body` is a view. */
  changed(body: Uint8Array): void;
  /** It has ended on the server. */
  failed(error: KvError): void;
}

/** Bytes that may gather before operations wait outside. */
const GATHERED_BYTES_MAX = 1024 * 1024;
/** What protobuf adds to a row at most, in bytes. */
const ROW_BYTES = 128;
const GREETING_BYTES_MAX = 64 * 1024;
const REQUEST_IDS = 2 ** 32;
const NO_BYTES = new Uint8Array(0);

/** A connection that was let in. */
export class WeirConnection {
  readonly #conn: Deno.TcpConn;
  readonly #writer: FrameWriter;
  readonly #decoder: FrameDecoder;
  readonly #pending = new Map<number, Operation>();
  readonly #watches = new Map<number, WatchEvents>();
  readonly #inFlightMax: number;
  /** What may be asked of the database at once. */
  readonly limits: Limits;
  #events: ConnectionEvents | null = null;
  #lastId = 0;
  #isFarewell = false;
  #isClosed = false;
  #isReferenced = true;
  #heardMs = 0;
  #hasHeard = false;
  #askedMs = 0;
  #sweptMs = -Infinity;

  private constructor(conn: Deno.TcpConn, decoder: FrameDecoder, welcome: Welcome) {
    this.#conn = conn;
    this.#decoder = decoder;
    this.#inFlightMax = welcome.inFlightMax;
    this.limits = welcome.limits;
    decoder.frameBytesMax = answerBytesMax(welcome.limits);
    this.#writer = new FrameWriter(conn, {
      left: () => this.#events?.relieved(),
      broken: () => this.close(),
    });
  }

  /**
   * Connects and introduces itself.
   *
   * @throws {KvError} Why it is not let in.
   * @throws {Error} If the server cannot be reached, or breaks off.
   */
  static async open(link: string, hello: Hello, signal: AbortSignal): Promise<WeirConnection> {
    signal.throwIfAborted();
    const conn = await Deno.connect({ ...hostAndPort(link), signal });
    const cut = () => conn.close();
    signal.addEventListener("abort", cut, { once: true });
    try {
      conn.setNoDelay(true);
      const decoder = new FrameDecoder(GREETING_BYTES_MAX);
      const welcome = await greet(conn, decoder, hello);
      signal.throwIfAborted();
      return new WeirConnection(conn, decoder, welcome);
    } catch (error) {
      if (!signal.aborted) conn.close();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", cut);
    }
  }

  /** Operations that wait for their answer. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Whether it takes another operation now. */
  get hasRoom(): boolean {
    return this.#pending.size < this.#inFlightMax &&
      this.#writer.waitingBytes < GATHERED_BYTES_MAX && !this.#isFarewell && !this.#isClosed;
  }

  /** Begins to listen. To be called once, soon. */
  listen(events: ConnectionEvents): void {
    if (this.#isClosed) return events.ended([], () => false);
    this.#events = events;
    this.#run().catch(() => this.close());
  }

  /** Sends an operation. */
  send(operation: Operation): void {
    const id = this.#nextId();
    operation.batch = this.#writer.batch;
    this.#pending.set(id, operation);
    this.#writer.add(operation.type, id, operation.body);
  }

  /** Begins a watch; returns what ends it. */
  watch(body: Uint8Array, events: WatchEvents): () => void {
    const id = this.#nextId();
    this.#watches.set(id, events);
    this.#writer.add(MESSAGE.watch, id, body);
    return () => {
      if (!this.#watches.delete(id)) return;
      this.#writer.add(MESSAGE.watch_cancel, id, NO_BYTES);
    };
  }

  /**
   * Gives up operations that wait for too long, and the whole connection if it has been
   * silent for `silenceMs` although something was asked of it.
   *
   * @param late Is told of operations whose time is over.
   */
  sweep(nowMs: number, silenceMs: number, late: (operation: Operation) => void): void {
    for (const [id, operation] of this.#pending) {
      if (operation.deadlineMs > nowMs) continue;
      this.#pending.delete(id);
      late(operation);
    }
    const isWanted = this.#pending.size > 0 || this.#watches.size > 0;
    // After a pause of our own, what came meanwhile has not been read yet.
    const hasPaused = nowMs - this.#sweptMs > silenceMs / 2;
    this.#sweptMs = nowMs;
    if (this.#hasHeard || !isWanted || hasPaused) {
      this.#hasHeard = false;
      this.#heardMs = this.#askedMs = nowMs;
    } else if (nowMs - this.#heardMs > silenceMs) this.close();
    else if (nowMs - this.#askedMs > silenceMs / 3) {
      this.#askedMs = nowMs;
      this.#writer.add(MESSAGE.ping, 0, NO_BYTES);
    }
  }

  /** Says that the client is there, so that an idle connection is kept. */
  ping(): void {
    this.#writer.add(MESSAGE.ping, 0, NO_BYTES);
  }

  /** Whether it keeps the process from ending. */
  reference(isWanted: boolean): void {
    if (isWanted === this.#isReferenced || this.#isClosed) return;
    this.#isReferenced = isWanted;
    if (isWanted) this.#conn.ref();
    else this.#conn.unref();
  }

  /** Ends it. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
    const left = [...this.#pending.values()];
    this.#pending.clear();
    this.#watches.clear();
    // After a goodbye nothing was carried out that was not answered.
    const isSent = (operation: Operation) =>
      !this.#isFarewell && operation.batch < this.#writer.batch;
    this.#events?.ended(left, isSent);
  }

  async #run(): Promise<void> {
    this.#take();
    while (!this.#isClosed) {
      const count = await this.#conn.read(this.#decoder.room());
      if (count === null) break;
      this.#hasHeard = true;
      this.#decoder.filled(count);
      this.#take();
    }
    this.close();
  }

  #take(): void {
    const decoder = this.#decoder;
    while (!this.#isClosed && decoder.next()) {
      this.#receive(decoder.type, decoder.requestId, decoder.payload);
    }
    if (!this.#isClosed) this.#events?.relieved();
  }

  #receive(type: number, id: number, body: Uint8Array): void {
    switch (type) {
      case MESSAGE.read_result:
      case MESSAGE.write_result: {
        const operation = this.#pending.get(id);
        // One that nobody waits for any more was too late.
        if (operation === undefined) return;
        operation.answer(type, body);
        this.#pending.delete(id);
        return;
      }
      case MESSAGE.watch_frame:
        return this.#watches.get(id)?.changed(body);
      case MESSAGE.error:
        return this.#fail(id, decodeFailure(body));
      case MESSAGE.goodbye:
        this.#isFarewell = true;
        return;
      case MESSAGE.pong:
        return;
      default:
        throw new KvError("bad_request", `Cannot read an answer of type ${type}: it is not known`);
    }
  }

  #fail(id: number, error: KvError): void {
    const operation = this.#pending.get(id);
    if (operation !== undefined) {
      this.#pending.delete(id);
      this.#events?.refused(operation, error);
      return;
    }
    const watch = this.#watches.get(id);
    this.#watches.delete(id);
    watch?.failed(error);
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) % REQUEST_IDS; while (
      this.#lastId === 0 || this.#pending.has(this.#lastId) || this.#watches.has(this.#lastId)
    );
    return this.#lastId;
  }
}

async function greet(conn: Deno.TcpConn, decoder: FrameDecoder, hello: Hello): Promise<Welcome> {
  const writer = new FrameWriter(conn, { left() {}, broken() {} });
  writer.add(MESSAGE.hello, 0, encodeHello(hello));
  while (!decoder.next()) {
    const count = await conn.read(decoder.room());
    if (count === null) throw new Error("Cannot connect: the server hung up");
    decoder.filled(count);
  }
  if (decoder.type === MESSAGE.welcome) return decodeWelcome(decoder.payload);
  if (decoder.type === MESSAGE.refused) throw decodeFailure(decoder.payload);
  throw new KvError("bad_request", "Cannot connect: the server does not speak this protocol");
}

/** Longest answer to what a client may ask, in bytes. */
function answerBytesMax(limits: Limits): number {
  const rows = limits.entriesMax + limits.rangesMax + limits.watchedKeysMax;
  return GREETING_BYTES_MAX + rows * (limits.valueBytesMax + limits.keyBytesMax + ROW_BYTES);
}
