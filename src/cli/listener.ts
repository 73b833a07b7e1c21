/**
 * One listening address: started with words for what can go wrong, stopped in
 * bounded time.
 *
 * @module
 */
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
 * Starts to listen.
 *
 * @param purpose What for, as it is called in errors: `clients`.
 * @throws {CommandError} If the address cannot be had.
 */
export function listen(
  purpose: string,
  address: Address,
  handle: (request: Request) => Promise<Response>,
): Listener {
  const place = hostAndPort(address.host, address.port);
  const abort = new AbortController();
  try {
    const server = Deno.serve({
      hostname: address.host,
      port: address.port,
      signal: abort.signal,
      onListen: () => {}, // The command says it in its own way.
      onError: () => new Response("Internal error\n", { status: 500 }), // Not the error's text.
    }, (request) => handle(request));
    return {
      url: `http://${hostAndPort(address.host, server.addr.port)}`,
      async stop(limitMs) {
        const late = setTimeout(() => abort.abort(), limitMs);
        await server.shutdown();
        clearTimeout(late);
      },
    };
  } catch (cause) {
    const why = systemRefusal(cause, `--allow-net=${place}`);
    if (why === null) throw cause;
    throw new CommandError(`Cannot listen for ${purpose} on ${place}: ${why}`, {
      cause,
    });
  }
}
