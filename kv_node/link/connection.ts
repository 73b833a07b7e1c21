/**
 * Connections: what moves frames between a socket and whoever answers them.
 *
 * All frames that are added in one turn of the event loop leave in one write, and
 * all that are added while a write is under way leave in the next one. That, and
 * not the frame, is what a system call is paid for.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { FrameDecoder, FrameEncoder } from "./frame.ts";
import { encodeFailure, MESSAGE } from "./messages.ts";
import type { LinkSession, SessionOutput } from "./session.ts";

/** How often a turn's frames are waited for after the last one came, in microtasks. */
const QUIET_HOPS = 3;

/** Told how a writer gets on; called from a turn of its own. */
export interface WriterEvents {
  /** A batch has left. */
  left(): void;
  /** The connection is broken: nothing leaves any more. */
  broken(error: unknown): void;
}

/** Writes frames to a connection, gathered. */
export class FrameWriter {
  readonly #conn: Deno.Conn;
  readonly #events: WriterEvents;
  readonly #encoder = new FrameEncoder();
  #isScheduled = false;
  #isBroken = false;
  #writingBytes = 0;
  #seenBytes = 0;
  #quietHops = 0;
  /** Number of the batch that gathers now; all before it were handed to the socket. */
  batch = 0;
  /** Rises whenever the socket took something. */
  progress = 0;

  /** Writes to `conn`, and closes it never. */
  constructor(conn: Deno.Conn, events: WriterEvents) {
    this.#conn = conn;
    this.#events = events;
  }

  /** Bytes that were added and that the socket has not taken yet. */
  get waitingBytes(): number {
    return this.#encoder.sizeBytes + this.#writingBytes;
  }

  /** Adds a frame; the body is copied. Nothing happens on a broken connection. */
  add(type: number, requestId: number, body: Uint8Array): void {
    if (this.#isBroken) return;
    this.#encoder.add(type, requestId, body);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#quietHops = 0;
    queueMicrotask(this.#hop);
  }

  /** Lets other microtasks of this turn add theirs, until none does. */
  readonly #hop = (): void => {
    if (this.#encoder.sizeBytes !== this.#seenBytes) {
      this.#seenBytes = this.#encoder.sizeBytes;
      this.#quietHops = 0;
    }
    if (this.#quietHops++ < QUIET_HOPS) queueMicrotask(this.#hop);
    else this.#write();
  };

  async #write(): Promise<void> {
    try {
      while (this.#encoder.sizeBytes > 0) {
        const batch = this.#encoder.take();
        this.#seenBytes = 0;
        this.batch++;
        this.#writingBytes = batch.length;
        while (this.#writingBytes > 0) {
          const rest = batch.subarray(batch.length - this.#writingBytes);
          this.#writingBytes -= await this.#conn.write(rest);
          this.progress++;
        }
        this.#events.left();
      }
      this.#isScheduled = false;
    } catch (error) {
      this.#isBroken = true;
      this.#events.broken(error);
    }
  }
}

/** Bounds of a server's connection. */
export interface ConnectionLimits {
  /** How long somebody may take to be let in, in milliseconds. */
  readonly helloMs: number;
  /** How long a client may say nothing, in milliseconds; ours pings more often. */
  readonly idleMs: number;
  /** How long a client may take none of the answers that wait for it, in milliseconds. */
  readonly stallMs: number;
  /** How long an ended connection waits for the client to hang up, in milliseconds. */
  readonly lingerMs: number;
  /** Answers that may wait for a client, in bytes; beyond it is cut off. */
  readonly waitingBytesMax: number;
}

/** The server's end of a connection. */
export class ServerConnection implements SessionOutput {
  readonly #conn: Deno.Conn;
  readonly #limits: ConnectionLimits;
  readonly #session: LinkSession;
  readonly #writer: FrameWriter;
  readonly #decoder = new FrameDecoder(0);
  readonly #openedMs: number;
  #resume: (() => void) | null = null;
  #isWoken = false;
  #isEnding = false;
  #isClosed = false;
  #heardMs: number;
  #endingMs = Infinity;
  #movedMs: number;
  #progress = 0;
  #hasHeard = false;
  #hasSaidAll = false;

  /** Serves `conn`; `nowMs` is of the clock that `sweep` will be called with. */
  constructor(
    conn: Deno.Conn,
    limits: ConnectionLimits,
    openSession: (output: SessionOutput) => LinkSession,
    nowMs: number,
  ) {
    this.#conn = conn;
    this.#limits = limits;
    this.#openedMs = this.#heardMs = this.#movedMs = nowMs;
    this.#writer = new FrameWriter(conn, {
      left: () => this.#look(),
      broken: () => this.close(),
    });
    this.#session = openSession(this);
  }

  /** See {@linkcode SessionOutput.waitingBytes}. */
  get waitingBytes(): number {
    return this.#writer.waitingBytes;
  }

  /** See {@linkcode SessionOutput.send}. */
  send(type: number, requestId: number, body: Uint8Array): void {
    if (this.#isEnding || this.#isClosed) return;
    this.#writer.add(type, requestId, body);
    if (this.#writer.waitingBytes > this.#limits.waitingBytesMax) this.close();
  }

  /** See {@linkcode SessionOutput.wake}. */
  wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    queueMicrotask(() => {
      this.#isWoken = false;
      this.#look();
    });
  }

  /** See {@linkcode SessionOutput.end}. */
  end(): void {
    this.#isEnding = true;
    this.wake();
  }

  /** Answers what is under way, says goodbye and ends. */
  drain(): void {
    this.#session.drain();
    // What the client still sends is read and dropped, so that it hears the goodbye.
    this.#resume?.();
  }

  /** Cuts it off. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#session.end();
    this.#resume?.();
    this.#conn.close();
  }

  /** Serves until the connection is at its end; never rejects. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const count = await this.#conn.read(this.#decoder.room());
        if (count === null) break;
        this.#decoder.filled(count);
        this.#hasHeard = true;
        await this.#receive();
      }
    } catch {
      // Reset, or closed on this side: both are an end.
    }
    this.close();
  }

  /** Looks whether somebody takes too long; to be called about once a second. */
  sweep(nowMs: number): void {
    const { helloMs, idleMs, stallMs, lingerMs } = this.#limits;
    if (this.#progress !== this.#writer.progress || this.#writer.waitingBytes === 0) {
      this.#movedMs = nowMs;
    }
    this.#progress = this.#writer.progress;
    if (this.#hasHeard) this.#heardMs = nowMs;
    this.#hasHeard = false;
    if (this.#isEnding) this.#endingMs = Math.min(this.#endingMs, nowMs);
    const isLate = (!this.#session.isGreeted && nowMs - this.#openedMs > helloMs) ||
      (!this.#session.isFull && nowMs - this.#heardMs > idleMs) ||
      nowMs - this.#movedMs > stallMs ||
      nowMs - this.#endingMs > lingerMs;
    if (isLate) this.close();
  }

  async #receive(): Promise<void> {
    for (;;) {
      try {
        this.#decoder.frameBytesMax = this.#session.frameBytesMax;
        while (!this.#isEnding && !this.#session.isFull && this.#decoder.next()) {
          const { type, requestId, payload } = this.#decoder;
          this.#session.receive(type, requestId, payload);
        }
      } catch (error) {
        this.#refuse(error);
      }
      if (this.#isEnding || this.#isClosed) return this.#decoder.drop();
      if (!this.#session.isFull) return;
      await new Promise<void>((resolve) => this.#resume = resolve);
      this.#resume = null;
    }
  }

  /** The client broke the protocol: it is told so, and nothing of it is read any more. */
  #refuse(error: unknown): void {
    if (!(error instanceof KvError)) return this.close();
    this.send(MESSAGE.error, 0, encodeFailure(error));
    this.#session.end();
    this.end();
  }

  #look(): void {
    if (this.#isClosed) return;
    if (!this.#isEnding) this.#session.collect();
    if (this.#resume !== null && (this.#isEnding || !this.#session.isFull)) this.#resume();
    if (this.#isEnding && this.#writer.waitingBytes === 0 && !this.#hasSaidAll) {
      this.#hasSaidAll = true;
      // Closing with unread bytes would reset the connection, and take the last words with it.
      this.#conn.closeWrite().catch(() => this.close());
    }
  }
}
