/**
 * An HTTP/1.1 server on plain sockets; where it is wanted it serves HTTP/2 as well.
 *
 * The runtime's own server does not tell a handler that its client has gone
 * before the response begins (Deno 2.9), and its request and response objects
 * cost more than all the rest of a request. This one reads on while a request is
 * handled, so a departure shows at once (see `server_connection.ts`), and hands
 * out plain values.
 *
 * No timer belongs to a request or connection: one sweep looks at all of them,
 * so a time limit is kept to within one or two sweeps, never early.
 *
 * @module
 */

import type { Clock, Reply, ServerRequest } from "../ports.ts";
import type { ConnectionContext, OpenConnection } from "./connection_context.ts";
import { Http2Connection } from "./http2/http2_connection.ts";
import { createHttp2Context, type Http2Context } from "./http2/http2_context.ts";
import type { Http2Options } from "./http2/http2_options.ts";
import { NewConnection, type Protocol } from "./new_connection.ts";
import { ReplyHeadEncoder } from "./reply_head.ts";
import { ServerConnection } from "./server_connection.ts";
import { BufferPool, Slab } from "./slab.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How to serve. */
export interface HttpServerOptions {
  /** Host name or IP address to listen on. */
  readonly host: string;
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
  /** Time limits and the `date` header. */
  readonly clock: Clock;
  /** Longest request head in bytes; 65,536 by default. */
  readonly headBytesMax?: number;
  /** Longest time for a head to arrive once its first byte is there; 10,000 ms by default. */
  readonly headMs?: number;
  /** Longest time that a connection stays open without a request; 75,000 ms by default. */
  readonly idleMs?: number;
  /** Most connections; 20,000 by default. More are closed as they come. */
  readonly connectionsMax?: number;
  /** Longest time a write may make no progress before the client is dropped; 120,000 ms. */
  readonly writeMs?: number;
  /**
   * Serves HTTP/2 too, to clients that begin with it ("prior knowledge"), within these limits;
   * `{}` for the usual ones. HTTP/1.1 alone if left out.
   */
  readonly http2?: Http2Options;
  /** Answers a request. If it fails the client gets status 500, and the connection is closed. */
  readonly handle: (request: ServerRequest) => Promise<Reply>;
  /**
   * Builds the reply to a request that could not be read.
   *
   * @param status 400, 408, 431, 501 or 505.
   * @param message Why, without anything that the client sent.
   */
  readonly refuse: (status: number, message: string) => Reply;
}

/** A running server. */
export interface HttpServer {
  /** Where it listens, with the port that the system chose: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The port. */
  readonly port: number;
  /** Open connections. */
  readonly connections: number;
  /**
   * Accepts no more connections, closes idle ones and lets requests under way
   * finish; HTTP/1.1 is told so by `connection: close`, HTTP/2 by GOAWAY. After
   * `limitMs` it closes the rest. Settles when all are closed; calling it again
   * only lowers the limit.
   */
  stop(limitMs: number): Promise<void>;
}

const SWEEP_MS = 500;
/** A pause after the system has run out of sockets. */
const ACCEPT_PAUSE_MS = 100;
const WRITE_BUFFER_BYTES = 16_384;
const WRITE_BUFFERS_KEPT_MAX = 64;

/**
 * Listens and serves.
 *
 * @throws What `Deno.listen` throws, if the address cannot be had.
 */
export function serveHttp(options: HttpServerOptions): HttpServer {
  const listener = Deno.listen({ hostname: options.host, port: options.port });
  return new SocketServer(listener, options);
}

class SocketServer implements HttpServer, ConnectionContext {
  readonly url: string;
  readonly port: number;
  readonly handle: ConnectionContext["handle"];
  readonly refuse: ConnectionContext["refuse"];
  readonly headBytesMax: number;
  readonly headMs: number;
  readonly idleMs: number;
  readonly writeMs: number;
  readonly authority: string;
  readonly heads: ReplyHeadEncoder;
  readonly buffers = new BufferPool(WRITE_BUFFER_BYTES, WRITE_BUFFERS_KEPT_MAX);
  readonly slab = new Slab();
  readonly #clock: Clock;
  readonly #connectionsMax: number;
  readonly #listener: Deno.TcpListener;
  readonly #http2: Http2Context | null;
  readonly #open = new Set<OpenConnection>();
  readonly #onClosed = (connection: OpenConnection): void => {
    this.#open.delete(connection);
    this.#settle();
  };
  readonly #onKnown = (known: NewConnection, protocol: Protocol, first: Bytes): void => {
    this.#know(known, protocol, first);
  };
  readonly #stopped = Promise.withResolvers<void>();
  #stopping = false;
  #sweep: Disposable | null = null;

  constructor(listener: Deno.TcpListener, options: HttpServerOptions) {
    const { host } = options;
    this.port = listener.addr.port;
    this.authority = `${host.includes(":") ? `[${host}]` : host}:${this.port}`;
    this.url = `http://${this.authority}`;
    this.handle = options.handle;
    this.refuse = options.refuse;
    this.headBytesMax = options.headBytesMax ?? 65_536;
    this.headMs = options.headMs ?? 10_000;
    this.idleMs = options.idleMs ?? 75_000;
    this.writeMs = options.writeMs ?? 120_000;
    this.heads = new ReplyHeadEncoder(options.clock, this.idleMs);
    const { http2 } = options;
    this.#http2 = http2 === undefined ? null : createHttp2Context(this, http2, options.clock);
    this.#clock = options.clock;
    this.#connectionsMax = options.connectionsMax ?? 20_000;
    this.#listener = listener;
    this.#accept();
  }

  get connections(): number {
    return this.#open.size;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  async stop(limitMs: number): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.#listener.close();
      for (const connection of [...this.#open]) connection.drain();
      this.#settle();
    }
    using _limit = this.#clock.after(limitMs, () => {
      for (const connection of [...this.#open]) connection.close();
    });
    await this.#stopped.promise;
  }

  #settle(): void {
    if (this.#open.size > 0) return;
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = null;
    if (this.#stopping) this.#stopped.resolve();
  }

  #accept(): void {
    this.#listener.accept().then((socket) => {
      this.#take(socket);
      this.#accept();
    }, () => {
      // Out of sockets, or a client that left while it waited: neither ends the server.
      if (!this.#stopping) this.#clock.after(ACCEPT_PAUSE_MS, () => this.#acceptAgain());
    });
  }

  #acceptAgain(): void {
    if (!this.#stopping) this.#accept();
  }

  #take(socket: Deno.TcpConn): void {
    if (this.#stopping || this.#open.size >= this.#connectionsMax) return socket.close();
    try {
      // A token is smaller than a packet and must not wait for the next one.
      socket.setNoDelay(true);
    } catch {
      return socket.close(); // The client has left already.
    }
    this.#sweep ??= this.#clock.after(SWEEP_MS, () => this.#sweepAll());
    if (this.#http2 === null) return this.#serve(socket, null);
    const connection = new NewConnection(socket, this, this.#onKnown, this.#onClosed);
    this.#open.add(connection);
    connection.open();
  }

  /** Serves HTTP/1.1. */
  #serve(socket: Deno.TcpConn, first: Bytes | null): void {
    const connection = new ServerConnection(socket, this, this.#onClosed);
    this.#open.add(connection);
    connection.open(first);
  }

  #know(known: NewConnection, protocol: Protocol, first: Bytes): void {
    this.#open.delete(known);
    if (this.#http2 === null || protocol === "http1") return this.#serve(known.socket, first);
    const connection = new Http2Connection(known.socket, this.#http2, this.#onClosed);
    this.#open.add(connection);
    connection.open(first);
  }

  #sweepAll(): void {
    const nowMs = this.#clock.nowMs();
    this.#sweep = this.#clock.after(SWEEP_MS, () => this.#sweepAll());
    for (const connection of this.#open) connection.sweep(nowMs);
  }
}
