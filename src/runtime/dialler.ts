/**
 * Opens connections: name lookup, TCP and TLS under one time limit.
 *
 * @module
 */

import { type Clock, UpstreamError, type UpstreamFailure } from "../ports.ts";
import type { Target } from "./http1_request.ts";

/** How to open a connection. */
export interface DialOptions {
  /** Measures the time limit. */
  readonly clock: Clock;
  /** Limit for all stages together, in milliseconds. */
  readonly connectMs: number;
  /** PEM certificates that are trusted besides the usual ones. */
  readonly caCerts: readonly string[];
}

/** A connection on its way. */
export interface Dialling {
  /**
   * The open socket.
   *
   * @throws {UpstreamError} If there is none.
   */
  readonly socket: Promise<Deno.Conn>;
  /** Gives up; `socket` rejects with `failure` unless it has settled. */
  cancel(failure: UpstreamError): void;
}

/** Begins to open a connection. */
export function dial(target: Target, options: DialOptions): Dialling {
  const { promise, resolve, reject } = Promise.withResolvers<Deno.Conn>();
  const controller = new AbortController();
  const state: DialState = {
    signal: controller.signal,
    caCerts: options.caCerts,
    stage: "tcp",
    handshake: null,
  };

  // Not every stage can be interrupted (a name lookup runs in a thread of its
  // own), so the promise is settled here and a late socket is closed.
  let open = true;
  const fail = (failure: UpstreamError): void => {
    if (!open) return;
    open = false;
    timer[Symbol.dispose]();
    controller.abort();
    state.handshake?.close();
    reject(failure);
  };
  const timer = options.clock.after(options.connectMs, () => {
    const message =
      `Cannot connect to ${target.origin}: no connection after ${options.connectMs} ms`;
    fail(new UpstreamError("connect_timeout", message));
  });

  connect(target, state).then((socket) => {
    if (!open) return socket.close();
    open = false;
    timer[Symbol.dispose]();
    resolve(socket);
  }, (cause) => fail(dialError(target, cause, state.stage)));
  return { socket: promise, cancel: fail };
}

interface DialState {
  readonly signal: AbortSignal;
  readonly caCerts: readonly string[];
  /** What is being done. */
  stage: "tcp" | "tls";
  /** The socket whose TLS handshake is under way. */
  handshake: Deno.TlsConn | null;
}

async function connect(target: Target, state: DialState): Promise<Deno.Conn> {
  const { hostname, port } = target;
  const socket = await Deno.connect({ hostname, port, signal: state.signal });
  // An event is smaller than a packet and must not wait for the next one.
  socket.setNoDelay(true);
  if (!target.secure || state.signal.aborted) return socket;

  state.stage = "tls";
  const caCerts = [...state.caCerts];
  let secured: Deno.TlsConn;
  try {
    secured = await Deno.startTls(socket, { hostname, caCerts, alpnProtocols: ["http/1.1"] });
  } catch (cause) {
    closeQuietly(socket);
    throw cause;
  }
  if (state.signal.aborted) return secured;
  state.handshake = secured;
  try {
    await secured.handshake();
    return secured;
  } catch (cause) {
    closeQuietly(secured);
    throw cause;
  } finally {
    state.handshake = null;
  }
}

/** For a socket that may be closed, or taken over, already. */
function closeQuietly(socket: Deno.Conn): void {
  try {
    socket.close();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.BadResource)) throw cause;
  }
}

/** Words for what the runtime reports; `cause` keeps the original. */
function dialError(target: Target, cause: unknown, stage: DialState["stage"]): UpstreamError {
  const kind = stage === "tls" ? "tls" : dialFailure(cause);
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UpstreamError(kind, `Cannot connect to ${target.origin}: ${why}`, { cause });
}

function dialFailure(cause: unknown): UpstreamFailure {
  if (cause instanceof Deno.errors.TimedOut) return "connect_timeout";
  if (cause instanceof Deno.errors.ConnectionReset) return "reset";
  // A failed lookup has no class of its own (Deno 2.9).
  if (cause instanceof Error && /lookup|resolve/i.test(cause.message)) return "dns";
  // Unreachable, no free port, no permission: the backend cannot be reached from here.
  return "refused";
}
