/**
 * A listening address over HTTP/1.1 and HTTP/2.
 *
 * The runtime's own server: for operators, where `@std/http` would stand. Clients
 * are served by `http_server.ts`.
 *
 * @module
 */
import { type Address, hostAndPort } from "./address.ts";

/** A listener at work. */
export interface HttpListener {
  /** Where it listens: `http://127.0.0.1:4513`. */
  readonly url: string;
  /** Takes no more, and cuts off after so long what is still being answered. */
  stop(limitMs: number): Promise<void>;
}

/**
 * Listens.
 *
 * @throws What `Deno.serve` throws, if the address cannot be had.
 */
export function listenHttp(
  address: Address,
  answer: (request: Request) => Response | Promise<Response>,
): HttpListener {
  const abort = new AbortController();
  const server = Deno.serve({
    hostname: address.host,
    port: address.port,
    signal: abort.signal,
    onListen: () => {}, // The command says it in its own way.
    onError: () => new Response("Internal error\n", { status: 500 }), // Not the error's text.
  }, answer);
  return {
    url: `http://${hostAndPort(address.host, server.addr.port)}`,
    async stop(limitMs) {
      const late = setTimeout(() => abort.abort(), limitMs);
      await server.shutdown();
      clearTimeout(late);
    },
  };
}
