/**
 * The cases that both transports must pass are written with this: each runs
 * against a raw server, once a transport.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamFailure,
  type UpstreamRequest,
  type UpstreamResponse,
} from "../ports.ts";
import { systemClock } from "./clock.ts";
import { makeCertificate, type Peer, serveRaw } from "./server_fixture.ts";
import { FetchUpstream } from "./upstream_fetch.ts";
import { SocketUpstream } from "./upstream_socket.ts";

/** Both transports, by name. */
export const TRANSPORTS: ReadonlyArray<
  readonly [string, (caCerts: readonly string[]) => Upstream]
> = [
  ["SocketUpstream", (caCerts) => new SocketUpstream({ clock: systemClock, caCerts })],
  ["FetchUpstream", (caCerts) => new FetchUpstream({ caCerts })],
];

/** The certificate of the TLS server; trusting it gives FetchUpstream a client that can be closed. */
export const CERTIFICATE = makeCertificate();
/** Time enough. */
export const CONNECT = { connectMs: 10_000 };
/** The first line of most answers. */
export const HEAD = "HTTP/1.1 200 OK\r\n";
/** The head of a chunked answer. */
export const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`;

/** What a case gets. */
export interface World {
  /** The transport's name. */
  readonly transport: string;
  /** Port of the case's server. */
  readonly port: number;
  /** Sends a POST without a body to the server, unless told otherwise. */
  send(request?: Partial<UpstreamRequest>): UpstreamCall;
}

/** Runs `body` against a server that plays `script` for each connection, with both transports. */
export function conform(
  name: string,
  script: (peer: Peer) => Promise<void>,
  body: (world: World) => Promise<void>,
): void {
  for (const [transport, make] of TRANSPORTS) {
    Deno.test(`${transport} ${name}`, async () => {
      await using server = await serveRaw(script);
      const upstream = make([CERTIFICATE.certPem]);
      const url = `http://127.0.0.1:${server.port}/v1?a=b`;
      const send = (request: Partial<UpstreamRequest> = {}) =>
        upstream.start({ method: "POST", url, headers: [], body: null, ...request }, CONNECT);
      try {
        await body({ transport, port: server.port, send });
      } finally {
        upstream.close();
      }
    });
  }
}

/** Answers every request on a connection with the same bytes, then ends it if told so. */
export function always(
  answer: string,
  then: "keep" | "end" | "reset" = "keep",
): (peer: Peer) => Promise<void> {
  return async (peer: Peer): Promise<void> => {
    while (await peer.request() !== null) {
      await peer.write(answer);
      if (then === "end") peer.end();
      if (then === "reset") peer.reset();
    }
  };
}

/** The whole body as text. */
export async function readAll(response: UpstreamResponse): Promise<string> {
  let text = "";
  for (let piece = await response.read(); piece !== null; piece = await response.read()) {
    assert.ok(piece.length > 0, "a piece is never empty");
    text += new TextDecoder().decode(piece);
  }
  return text;
}

/** For `assert.rejects`: an UpstreamError of one of these kinds. */
export function failure(...kinds: readonly UpstreamFailure[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UpstreamError, String(error));
    assert.ok(kinds.includes(error.kind), `${error.kind}: ${error.message}`);
    return true;
  };
}

/** The body, and how reading it ended. */
export async function readToEnd(
  response: UpstreamResponse,
): Promise<{ readonly text: string; readonly kind: UpstreamFailure | "end" }> {
  let text = "";
  for (;;) {
    try {
      const piece = await response.read();
      if (piece === null) return { text, kind: "end" };
      text += new TextDecoder().decode(piece);
    } catch (error) {
      assert.ok(error instanceof UpstreamError, String(error));
      return { text, kind: error.kind };
    }
  }
}
