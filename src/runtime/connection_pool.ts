/**
 * Idle connections, kept for the next request to the same origin.
 *
 * The youngest is taken first: the others may then grow old and go. An idle
 * connection listens; one that the other side ends, or that says something
 * without having been asked, leaves at once, so that hardly any request meets a
 * dead one.
 *
 * @module
 */

import type { Clock } from "../ports.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";

/** How many connections are kept, and for how long. */
export interface ConnectionPoolOptions {
  /** Tells when a connection has been idle for too long. */
  readonly clock: Clock;
  /** Idle connections kept an origin; 0 keeps none. */
  readonly idlePerOriginMax: number;
  /** Idle for this long, a connection is closed. */
  readonly idleMs: number;
}

/** Keeps idle connections. */
export class ConnectionPool implements ConnectionOwner {
  readonly #options: ConnectionPoolOptions;
  /** Oldest first. */
  readonly #idle = new Map<string, Connection[]>();
  #sweep: Disposable | null = null;
  #closed = false;

  /** Starts empty. */
  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
  }

  /** The youngest idle connection to an origin, or `null`; the caller has to own it at once. */
  take(origin: string): Connection | null {
    const connections = this.#idle.get(origin);
    const connection = connections?.pop();
    if (connections?.length === 0) this.#idle.delete(origin);
    if (this.#idle.size === 0) this.#stopSweep();
    return connection ?? null;
  }

  /** Keeps a connection whose last response is complete, or closes it if there is no room. */
  give(connection: Connection): void {
    const { clock, idlePerOriginMax } = this.#options;
    const connections = this.#idle.get(connection.origin) ?? [];
    if (this.#closed || connections.length >= idlePerOriginMax) {
      connection.close();
      return;
    }
    connection.idleSinceMs = clock.nowMs();
    connection.pass(this, "idle");
    connection.read();
    connections.push(connection);
    this.#idle.set(connection.origin, connections);
    this.#startSweep();
  }

  /** Closes what is idle, now and from now on. */
  close(): void {
    this.#closed = true;
    this.#stopSweep();
    for (const connections of this.#idle.values()) {
      for (const connection of connections) connection.close();
    }
    this.#idle.clear();
  }

  /** Bytes nobody asked for: whatever they are, no request may take them for its answer. */
  onBytes(connection: Connection): void {
    this.#drop(connection);
  }

  /** The other side has ended the connection. */
  onEnd(connection: Connection): void {
    this.#drop(connection);
  }

  #drop(connection: Connection): void {
    connection.close();
    const connections = this.#idle.get(connection.origin) ?? [];
    const at = connections.indexOf(connection);
    if (at >= 0) connections.splice(at, 1);
    if (connections.length === 0) this.#idle.delete(connection.origin);
    if (this.#idle.size === 0) this.#stopSweep();
  }

  /** One timer for all: it may close a connection late, by `idleMs` at most. */
  #startSweep(): void {
    const { clock, idleMs } = this.#options;
    this.#sweep ??= clock.after(idleMs, () => {
      this.#sweep = null;
      this.#closeOld();
      if (this.#idle.size > 0) this.#startSweep();
    });
  }

  #stopSweep(): void {
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = null;
  }

  #closeOld(): void {
    const oldestMs = this.#options.clock.nowMs() - this.#options.idleMs;
    for (const [origin, connections] of this.#idle) {
      while ((connections[0]?.idleSinceMs ?? Infinity) <= oldestMs) connections.shift()?.close();
      if (connections.length === 0) this.#idle.delete(origin);
    }
  }
}
