/**
 * One listening address: started with words for what can go wrong, stopped in
 * bounded time.
 *
 * @module
 */
import type { Gateway } from "../gateway.ts";
import { systemClock } from "../runtime/clock.ts";
import { serveHttp } from "../runtime/http_server.ts";
import { CommandError, systemRefusal } from "./command_error.ts";
import { hostAndPort } from "./permissions.ts";

/** Where to listen. */
export interface Address {
  /** Host name or IP address. */
  readonly host: string;
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
}

/** A running server. */
export interface Listener {
  /** Where it listens, with the port that the system chose: `http://127.0.0.1:8080`. */
  readonly url: string;
  /**
   * Accepts no more connections, lets answers under way finish, and after
   * `limitMs` closes what is left.
   */
  stop(limitMs: number): Promise<void>;
}

/**
 * Listens for clients, with the gateway's own server: Deno's does not notice a
 * client that leaves before its answer has begun.
 *
 * @throws {CommandError} If the address cannot be had.
 */
export function listenForClients(gateway: Gateway, address: Address): Listener {
  return naming("clients", address, () =>
    serveHttp({
      host: address.host,
      port: address.port,
      clock: systemClock,
      handle: (request) => gateway.handle(request),
      refuse: (status, message) => gateway.refuse(status, message),
    }));
}

/**
 * Listens for operators, with Deno's server; `@std/http` would stand here.
 *
 * @throws {CommandError} If the address cannot be had.
 */
export function listenForOperators(gateway: Gateway, address: Address): Listener {
  return naming("operators", address, () => {
    const abort = new AbortController();
    const server = Deno.serve({
      hostname: address.host,
      port: address.port,
      signal: abort.signal,
      onListen: () => {}, // The command says it in its own way.
      onError: () => new Response("Internal error\n", { status: 500 }), // Not the error's text.
    }, (request) => gateway.admin.fetch(request));
    return {
      url: `http://${hostAndPort(address.host, server.addr.port)}`,
      async stop(limitMs) {
        const late = setTimeout(() => abort.abort(), limitMs);
        await server.shutdown();
        clearTimeout(late);
      },
    };
  });
}

/** Runs `start`; what the system refuses is told in words. */
function naming(purpose: string, address: Address, start: () => Listener): Listener {
  const place = hostAndPort(address.host, address.port);
  try {
    return start();
  } catch (cause) {
    const why = systemRefusal(cause, `--allow-net=${place}`);
    if (why === null) throw cause;
    throw new CommandError(`Cannot listen for ${purpose} on ${place}: ${why}`, { cause });
  }
}
