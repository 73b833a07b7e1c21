/**
 * Listens for links.
 *
 * @module
 */
import { type ConnectionLimits, ServerConnection } from "./connection.ts";
import type { LinkSession, SessionOutput } from "./session.ts";

/** How to listen. */
export interface LinkListenerOptions extends Partial<ConnectionLimits> {
  /** Address to listen on. */
  readonly hostname: string;
  /** Port; 0 for any. */
  readonly port: number;
  /** Connections at once; one more is closed as soon as it is made. */
  readonly connectionsMax: number;
  /** Makes the session of a new connection. */
  readonly openSession: (output: SessionOutput) => LinkSession;
  /** Told how many connections there are, whenever that changes. */
  readonly onConnections?: (open: number) => void;
  /** Told of what nobody should have thrown. */
  readonly onFault?: (error: unknown) => void;
}

/** A listener at work. */
export interface LinkListener {
  /** The port it listens on. */
  readonly port: number;
  /** Connections now. */
  readonly connections: number;
  /**
   * Takes no new connection, lets the others finish what is under way, and settles
   * when all are closed; after `graceMs` (default 5,000) they are cut off.
   */
  stop(graceMs?: number): Promise<void>;
}

const DEFAULT_LIMITS: ConnectionLimits = {
  helloMs: 5_000,
  idleMs: 60_000,
  stallMs: 20_000,
  lingerMs: 2_000,
  waitingBytesMax: 128 * 1024 * 1024,
};

const SWEEP_MS = 500;
const GRACE_MS = 5_000;
/** Pause after a connection could not be accepted, such as for want of file descriptors. */
const ACCEPT_PAUSE_MS = 50;

/**
 * Listens for links until it is stopped.
 *
 * @throws {Deno.errors.AddrInUse} If somebody else has the port, and other errors of the system.
 */
export function serveLink(options: LinkListenerOptions): LinkListener {
  return new Listener(options);
}

class Listener implements LinkListener {
  readonly #options: LinkListenerOptions;
  readonly #limits: ConnectionLimits;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Map<ServerConnection, Promise<void>>();
  readonly #sweeper: ReturnType<typeof setInterval>;
  #accepting: Promise<void>;
  #isStopped = false;

  constructor(options: LinkListenerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options };
    const { hostname, port } = options;
    this.#listener = Deno.listen({ hostname, port, transport: "tcp" });
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  get connections(): number {
    return this.#open.size;
  }

  async stop(graceMs = GRACE_MS): Promise<void> {
    if (this.#isStopped) return await this.#accepting;
    this.#isStopped = true;
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#open.keys()) connection.drain();
    const cut = setTimeout(() => {
      for (const connection of this.#open.keys()) connection.close();
    }, graceMs);
    await Promise.all(this.#open.values());
    clearTimeout(cut);
    clearInterval(this.#sweeper);
  }

  async #accept(): Promise<void> {
    while (!this.#isStopped) {
      let conn: Deno.TcpConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (this.#isStopped) return;
        this.#options.onFault?.(error);
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
        continue;
      }
      if (this.#isStopped || this.#open.size >= this.#options.connectionsMax) conn.close();
      else this.#serve(conn);
    }
  }

  #serve(conn: Deno.TcpConn): void {
    try {
      conn.setNoDelay(true);
    } catch {
      // Gone already; the first read will say so.
    }
    const { openSession, onConnections } = this.#options;
    const connection = new ServerConnection(conn, this.#limits, openSession, performance.now());
    const over = connection.run().then(() => {
      this.#open.delete(connection);
      onConnections?.(this.#open.size);
    });
    this.#open.set(connection, over);
    onConnections?.(this.#open.size);
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const connection of this.#open.keys()) connection.sweep(nowMs);
  }
}
