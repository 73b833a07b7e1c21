/**
 * One listening address: started with words for what can go wrong, stopped in
 * bounded time.
 *
 * @module
 */
import type { Gateway } from "../gateway.ts";
import { type Address, hostAndPort } from "../runtime/address.ts";
import { systemClock } from "../runtime/clock.ts";
import { type HttpListener, listenHttp } from "../runtime/http_listener.ts";
import { serveHttp } from "../runtime/http_server.ts";
import { CommandError, systemRefusal } from "./command_error.ts";

/**
 * Listens for clients, with the gateway's own server: Deno's does not notice a
 * client that leaves before its answer has begun.
 *
 * @throws {CommandError} If the address cannot be had.
 */
export function listenForClients(gateway: Gateway, address: Address): HttpListener {
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
 * Listens for operators.
 *
 * @throws {CommandError} If the address cannot be had.
 */
export function listenForOperators(gateway: Gateway, address: Address): HttpListener {
  return naming(
    "operators",
    address,
    () => listenHttp(address, (request) => gateway.admin.fetch(request)),
  );
}

/** Runs `start`; what the system refuses is told in words. */
function naming(purpose: string, address: Address, start: () => HttpListener): HttpListener {
  const place = hostAndPort(address.host, address.port);
  try {
    return start();
  } catch (cause) {
    const why = systemRefusal(cause, `--allow-net=${place}`);
    if (why === null) throw cause;
    throw new CommandError(`Cannot listen for ${purpose} on ${place}: ${why}`, { cause });
  }
}
