/**
 * The fast transport: HTTP/1.1 on a socket, with kept connections.
 *
 * Against `fetch` it saves the streams between socket and reader, a task per
 * chunk and most copies; one read of the socket is one piece of the body.
 *
 * @module
 */

import type { Clock, Upstream, UpstreamCall, UpstreamRequest } from "../ports.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { encodeRequest, parseTarget, type Target } from "./http1_request.ts";
import { type ExchangeOptions, SocketExchange } from "./socket_exchange.ts";

/** How {@linkcode SocketUpstream} behaves; everything but the clock has a default. */
export interface SocketUpstreamOptions {
  /** Measures time limits and idleness. */
  readonly clock: Clock;
  /** PEM certificates that are trusted besides the usual ones; none by default. */
  readonly caCerts?: readonly string[];
  /** Idle connections kept an origin; 64 by default, 0 keeps none. */
  readonly idlePerOriginMax?: number;
  /** Idle for this long, a connection is closed; 30,000 ms by default. */
  readonly idleMs?: number;
  /** The most bytes a response head may take; 65,536 by default. */
  readonly headBytesMax?: number;
  /**
   * Up to this long after sending, the loss of a kept connection counts as
   * stale and the request goes out again; 1,000 ms by default, at least one
   * round trip.
   */
  readonly replayMs?: number;
}

/** Backends have a few URLs each; this many are remembered in parsed form. */
const TARGETS_MAX = 1024;

/** Sends requests over its own sockets. */
export class SocketUpstream implements Upstream {
  readonly #options: Omit<ExchangeOptions, "connectMs">;
  readonly #targets = new Map<string, Target>();

  /** Opens nothing yet. */
  constructor(options: SocketUpstreamOptions) {
    this.#options = {
      clock: options.clock,
      pool: new ConnectionPool({
        clock: options.clock,
        idlePerOriginMax: options.idlePerOriginMax ?? 64,
        idleMs: options.idleMs ?? 30_000,
      }),
      caCerts: options.caCerts ?? [],
      headBytesMax: options.headBytesMax ?? 65_536,
      replayMs: options.replayMs ?? 1_000,
    };
  }

  /**
   * Starts a request.
   *
   * @throws {TypeError} If the URL is not an absolute `http:` or `https:` one or carries a
   * password, or if a header is malformed or the transport's to set.
   */
  start(request: UpstreamRequest, options: { readonly connectMs: number }): UpstreamCall {
    const target = this.#target(request.url);
    const parts = encodeRequest(target, request);
    return new SocketExchange(
      { method: request.method, target, parts },
      { ...this.#options, connectMs: options.connectMs },
    );
  }

  /** See {@linkcode Upstream.close}. */
  close(): void {
    this.#options.pool.close();
  }

  #target(url: string): Target {
    const known = this.#targets.get(url);
    if (known !== undefined) return known;
    const target = parseTarget(url);
    if (this.#targets.size >= TARGETS_MAX) this.#targets.clear();
    this.#targets.set(url, target);
    return target;
  }
}
