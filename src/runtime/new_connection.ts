/**
 * A client's connection of which nobody knows yet what it speaks.
 *
 *     silent --first byte--> talking --HTTP/2's preface, or anything else--> handed over
 *        +--too long------------+--too long, client closes--> closed
 *
 * Source: RFC 9113, section 3.3: a client that knows begins with the preface.
 *
 * @module
 */

import type { ClosedListener, ConnectionContext, OpenConnection } from "./connection_context.ts";
import { matchPreface, PREFACE_BYTES } from "./http2/preface.ts";
import { Wait } from "./http2/wait.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a connection speaks. */
export type Protocol = "http1" | "http2";

/**
 * Takes over the socket. `first` is what came: from HTTP/2 what is behind its preface, from
 * HTTP/1.1 all, 8 KiB at most.
 */
export type KnownListener = (
  connection: NewConnection,
  protocol: Protocol,
  first: Bytes,
) => void;

/** A first request fits, and an HTTP/1.1 connection takes no more at first. */
const FIRST_BYTES_MAX = 8_192;

/** Reads until it is known. */
export class NewConnection implements OpenConnection {
  /** The socket, to be taken over. */
  readonly socket: Deno.TcpConn;
  readonly #context: Pick<ConnectionContext, "headMs" | "idleMs">;
  readonly #onKnown: KnownListener;
  readonly #onClosed: ClosedListener;
  readonly #bytes: Bytes = new Uint8Array(FIRST_BYTES_MAX);
  readonly #wait = new Wait();
  #count = 0;
  #isDone = false;

  /** Nothing happens before {@linkcode open}. */
  constructor(
    socket: Deno.TcpConn,
    context: Pick<ConnectionContext, "headMs" | "idleMs">,
    onKnown: KnownListener,
    onClosed: ClosedListener,
  ) {
    this.socket = socket;
    this.#context = context;
    this.#onKnown = onKnown;
    this.#onClosed = onClosed;
  }

  /** Begins to read. */
  open(): void {
    this.#read();
  }

  /** See {@linkcode OpenConnection.drain}: nothing is under way. */
  drain(): void {
    this.close();
  }

  /** See {@linkcode OpenConnection.close}. */
  close(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.socket.close();
    this.#onClosed(this);
  }

  /** See {@linkcode OpenConnection.sweep}. */
  sweep(nowMs: number): void {
    const { headMs, idleMs } = this.#context;
    const isTalking = this.#count > 0;
    const waitedMs = this.#wait.look(true, isTalking ? 1 : 0, nowMs);
    if (waitedMs >= (isTalking ? headMs : idleMs)) this.close();
  }

  #read(): void {
    this.socket.read(this.#bytes.subarray(this.#count)).then(
      (count) => this.#take(count),
      () => this.close(),
    );
  }

  #take(count: number | null): void {
    if (this.#isDone) return;
    if (count === null) return this.close();
    this.#count += count;
    const found = matchPreface(this.#bytes, 0, this.#count);
    if (found === "part") return this.#read();
    this.#isDone = true;
    const isHttp2 = found === "whole";
    const first = this.#bytes.subarray(isHttp2 ? PREFACE_BYTES : 0, this.#count);
    this.#onKnown(this, isHttp2 ? "http2" : "http1", first);
  }
}
