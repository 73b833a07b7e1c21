/**
 * One request and its response over a connection.
 *
 *     dialling --> waiting (sent or sending) --head--> reading --last byte--> finished
 *         |            |        ^                         |
 *         |            +--stale-+ (once, on a fresh one)  |
 *         +-----------------failure or cancel-------------+--> failed
 *
 * Reading begins together with writing: a server may answer (413, 429) and
 * close before it has taken the whole body, and that answer must not be lost.
 *
 * **Stale connections.** A kept connection may be closed by the server at the
 * very moment the next request is sent; the request then meets EOF or a reset
 * without having been seen. It is sent again once, on a fresh connection, if the
 * connection had been used before, not one byte of a response arrived, and the
 * loss came within `replayMs` of sending. RFC 9112, section 9.3.1, allows this
 * for requests known not to have been processed. A close that crosses the
 * request shows after one round trip; a server that dies after thinking for
 * seconds has perhaps spent (and billed) tokens, so that failure is reported and
 * the gateway's own retry policy decides. On a fresh connection nothing is ever
 * sent twice.
 *
 * @module
 */

import { type Clock, type UpstreamCall, UpstreamError, type UpstreamResponse } from "../ports.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { dial, type Dialling } from "./dialler.ts";
import { ResponseParser } from "./http1_parser.ts";
import type { Target } from "./http1_request.ts";

/** What an exchange needs besides its request. */
export interface ExchangeOptions {
  /** Time limits and the age of a replay. */
  readonly clock: Clock;
  /** Where connections come from and go to. */
  readonly pool: ConnectionPool;
  /** Limit for opening a connection, in milliseconds. */
  readonly connectMs: number;
  /** PEM certificates that are trusted besides the usual ones. */
  readonly caCerts: readonly string[];
  /** The most bytes a response head may take. */
  readonly headBytesMax: number;
  /** Up to this long after sending, the loss of a kept connection counts as stale. */
  readonly replayMs: number;
}

/** The request as it goes out. */
export interface EncodedRequest {
  /** Decides whether the response can have a body. */
  readonly method: string;
  /** Where it goes. */
  readonly target: Target;
  /** Its bytes, in order. */
  readonly parts: readonly Uint8Array[];
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Carries out one request. */
export class SocketExchange implements UpstreamCall, UpstreamResponse, ConnectionOwner {
  /** See {@linkcode UpstreamCall.response}. */
  readonly response: Promise<UpstreamResponse>;
  readonly #request: EncodedRequest;
  readonly #options: ExchangeOptions;
  readonly #parser: ResponseParser;
  readonly #resolve: (response: UpstreamResponse) => void;
  readonly #reject: (failure: UpstreamError) => void;
  #dialling: Dialling | null = null;
  #connection: Connection | null = null;
  /** Whether the present connection carried other requests before this one. */
  #reused = false;
  #received = false;
  #sent = false;
  #sentAtMs = 0;
  #answered = false;
  /** Body bytes that arrived together with the head. */
  #piece: Bytes | null = null;
  #waiting: PromiseWithResolvers<Bytes | null> | null = null;
  #failure: UpstreamError | null = null;
  #over = false;

  /** Takes an idle connection or opens one, and sends the request. */
  constructor(request: EncodedRequest, options: ExchangeOptions) {
    this.#request = request;
    this.#options = options;
    this.#parser = new ResponseParser({ ...options, method: request.method });
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamResponse>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    // The caller may have cancelled and gone: that is no unhandled rejection.
    promise.catch(ignore);

    const connection = options.pool.take(request.target.origin);
    if (connection === null) {
      this.#dial();
    } else {
      this.#reused = true;
      connection.pass(this, "busy");
      this.#send(connection);
    }
  }

  /** HTTP status. */
  get status(): number {
    return this.#parser.head?.status ?? 0;
  }

  /** See {@linkcode UpstreamResponse.header}. */
  header(name: string): string | null {
    return this.#parser.head?.header(name) ?? null;
  }

  /** See {@linkcode UpstreamResponse.read}. */
  read(): Promise<Bytes | null> {
    if (this.#waiting !== null) {
      return Promise.reject(new TypeError("Cannot read: the last read has not settled"));
    }
    const piece = this.#piece;
    if (piece !== null) {
      this.#piece = null;
      return Promise.resolve(piece);
    }
    if (this.#failure !== null) return rejected(this.#failure);
    if (this.#parser.done) {
      this.#over = true;
      return Promise.resolve(null);
    }
    this.#waiting = Promise.withResolvers();
    this.#connection?.read();
    return this.#waiting.promise;
  }

  /** See {@linkcode UpstreamCall.cancel}. */
  cancel(): void {
    if (this.#over) return;
    this.#piece = null;
    this.#fail(new UpstreamError("cancelled", "Cannot go on: the request was cancelled"));
  }

  /** Bytes of the response. */
  onBytes(connection: Connection, count: number): void {
    this.#received = true;
    let piece: Bytes | null;
    try {
      piece = this.#parser.push(connection.buffer, count);
    } catch (cause) {
      return this.#fail(asUpstreamError(cause));
    }
    if (this.#parser.done) this.#release(connection);
    this.#deliver(piece);
  }

  /** The connection is at its end; so is the response, or it is lost. */
  onEnd(connection: Connection, cause: unknown): void {
    if (this.#isStale()) {
      connection.close();
      this.#dial();
      return;
    }
    try {
      if (cause !== null) throw lost(cause);
      this.#parser.end();
    } catch (failure) {
      return this.#fail(asUpstreamError(failure));
    }
    this.#release(connection);
    this.#deliver(null);
  }

  #dial(): void {
    const { target } = this.#request;
    this.#connection = null;
    this.#reused = false;
    const dialling = dial(target, this.#options);
    this.#dialling = dialling;
    dialling.socket.then((socket) => {
      this.#dialling = null;
      this.#send(new Connection(target.origin, socket, this));
    }, (failure) => this.#fail(asUpstreamError(failure)));
  }

  #send(connection: Connection): void {
    this.#connection = connection;
    this.#sentAtMs = this.#options.clock.nowMs();
    // A failed write is not reported: the read, which is out already, finds
    // either an answer that came before the close, or the close.
    connection.write(this.#request.parts).then(() => this.#sent = true, ignore);
    connection.read();
  }

  #isStale(): boolean {
    if (!this.#reused || this.#received) return false;
    return this.#options.clock.nowMs() - this.#sentAtMs <= this.#options.replayMs;
  }

  /** Hands on what one read gave, to whom waits for it, or reads on. */
  #deliver(piece: Bytes | null): void {
    const { head, done } = this.#parser;
    if (!this.#answered) {
      if (head === null) return this.#connection?.read();
      this.#answered = true;
      this.#piece = piece;
      return this.#resolve(this);
    }
    if (piece === null && !done) return this.#connection?.read();
    if (piece === null) this.#over = true;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(piece);
  }

  /** The response is complete: the connection goes to the next request, if it can. */
  #release(connection: Connection): void {
    this.#connection = null;
    // A server that answered before it had the whole request still waits for the rest.
    if (this.#parser.reusable && this.#sent) this.#options.pool.give(connection);
    else connection.close();
  }

  #fail(failure: UpstreamError): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    this.#dialling?.cancel(failure);
    this.#dialling = null;
    this.#connection?.close();
    this.#connection = null;
    if (!this.#answered) return this.#reject(failure);
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.promise.catch(ignore);
    waiting?.reject(failure);
  }
}

/** A rejection that may be left unseen, as after a cancel. */
function rejected(failure: UpstreamError): Promise<never> {
  const promise = Promise.reject(failure);
  promise.catch(ignore);
  return promise;
}

function lost(cause: unknown): UpstreamError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UpstreamError("reset", `Cannot read response: ${why}`, { cause });
}

function asUpstreamError(cause: unknown): UpstreamError {
  if (cause instanceof UpstreamError) return cause;
  throw cause;
}

function ignore(): void {}
