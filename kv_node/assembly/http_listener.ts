/**
 * A listening address over HTTP/1.1 and HTTP/2.
 *
 * The runtime's own server, since stock clients of Deno KV speak HTTP/2 without
 * TLS from the first byte.
 *
 * @module
 */

/** Where to listen. */
export interface Address {
  /** Host name or IP address. */
  readonly host: string;
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
}

/** A listener at work. */
export interface HttpListener {
  /** Where it listens: `http://127.0.0.1:4512`. */
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

/** `host:port`, with brackets around an IPv6 address. */
export function hostAndPort(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
