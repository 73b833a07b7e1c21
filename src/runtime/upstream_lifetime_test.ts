/**
 * Cancel at each stage, back-pressure and TLS: cases for both transports.
 */

import assert from "node:assert/strict";
import type { UpstreamRequest } from "../ports.ts";
import {
  always,
  CERTIFICATE,
  CHUNKED,
  conform,
  CONNECT,
  failure,
  HEAD,
  readAll,
  TRANSPORTS,
} from "./conformance_fixture.ts";
import { makeCertificate, serveRaw } from "./server_fixture.ts";

/** What the script of the present case has reached; set anew by each case. */
let reached = Promise.withResolvers<void>();
let released = Promise.withResolvers<void>();
let gone = Promise.withResolvers<void>();

// Cancel, at each stage; the server sees the connection go.

conform(
  "cancel() while waiting for the head closes the connection",
  async (peer) => {
    await peer.request();
    reached.resolve();
    await peer.closed;
    gone.resolve();
  },
  async ({ send }) => {
    reached = Promise.withResolvers();
    gone = Promise.withResolvers();
    const call = send();
    await reached.promise;
    call.cancel();
    call.cancel();
    await assert.rejects(call.response, failure("cancelled"));
    await gone.promise;
  },
);

conform(
  "cancel() while reading the body closes the connection",
  async (peer) => {
    await peer.request();
    await peer.write(`${CHUNKED}5\r\nhello\r\n`);
    await peer.closed;
    gone.resolve();
  },
  async ({ send }) => {
    gone = Promise.withResolvers();
    const call = send();
    const response = await call.response;
    assert.equal(new TextDecoder().decode(await response.read() ?? undefined), "hello");
    const next = response.read();
    call.cancel();
    await assert.rejects(next, failure("cancelled"));
    await assert.rejects(response.read(), failure("cancelled"));
    await gone.promise;
  },
);

conform(
  "cancel() while a large body is stuck closes the connection",
  async (peer) => {
    await peer.firstBytes();
    reached.resolve();
    await released.promise;
    peer.resume();
    await peer.closed;
    gone.resolve();
  },
  async ({ send }) => {
    reached = Promise.withResolvers();
    released = Promise.withResolvers();
    gone = Promise.withResolvers();
    const call = send({ body: new Uint8Array(64_000_000) });
    await reached.promise;
    call.cancel();
    await assert.rejects(call.response, failure("cancelled"));
    released.resolve();
    await gone.promise;
  },
);

conform("cancel() right after start() rejects", always(""), async ({ send }) => {
  const call = send();
  call.cancel();
  await assert.rejects(call.response, failure("cancelled"));
});

// Deno ends a socket inside a handshake only when the other side speaks or goes.
conform(
  "cancel() during the TLS handshake rejects at once and drops the connection later",
  async (peer) => {
    await peer.firstBytes();
    peer.resume();
    reached.resolve();
    await released.promise;
    await peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    await peer.closed;
    gone.resolve();
  },
  async ({ send, port }) => {
    reached = Promise.withResolvers();
    released = Promise.withResolvers();
    gone = Promise.withResolvers();
    const call = send({ url: `https://127.0.0.1:${port}/` });
    await reached.promise;
    call.cancel();
    await assert.rejects(call.response, failure("cancelled"));
    released.resolve();
    await gone.promise;
  },
);

conform(
  "cancel() after the end leaves the connection to others",
  always(`${HEAD}content-length: 2\r\n\r\nok`),
  async ({ send }) => {
    const first = send();
    assert.equal(await readAll(await first.response), "ok");
    const second = send();
    first.cancel();
    assert.equal(await readAll(await second.response), "ok");
    second.cancel();
  },
);

// Back-pressure.

const PIECES = 64;
const PIECE_BYTES = 1_000_000;
let flushed = 0;

conform(
  "not reading pauses the sender",
  async (peer) => {
    if (!(await peer.request() ?? "").includes("GET /big")) {
      return peer.write(`${HEAD}connection: close\r\ncontent-length: 0\r\n\r\n`);
    }
    flushed = 0;
    await peer.write(`${HEAD}content-length: ${PIECES * PIECE_BYTES}\r\n\r\n`);
    const piece = new Uint8Array(PIECE_BYTES);
    for (let sent = 0; sent < PIECES; sent++) {
      await peer.write(piece);
      flushed++;
    }
  },
  async ({ send, port }) => {
    const call = send({ method: "GET", url: `http://127.0.0.1:${port}/big` });
    const response = await call.response;
    // Other requests are the measure of time: plenty for a sender nobody stops.
    for (let round = 0; round < 50; round++) await readAll(await send().response);
    assert.ok(flushed < PIECES, `${flushed} pieces went out unread`);
    let received = 0;
    for (let piece = await response.read(); piece !== null; piece = await response.read()) {
      received += piece.length;
    }
    assert.equal(received, PIECES * PIECE_BYTES);
  },
);

// TLS.

for (const [transport, make] of TRANSPORTS) {
  Deno.test(`${transport} speaks TLS to a server whose certificate it trusts`, async () => {
    await using server = await serveRaw(
      always(`${CHUNKED}5\r\nhello\r\n0\r\n\r\n`),
      CERTIFICATE,
    );
    const upstream = make([CERTIFICATE.certPem]);
    const url = `https://127.0.0.1:${server.port}/`;
    const request: UpstreamRequest = { method: "GET", url, headers: [], body: null };
    for (let round = 0; round < 3; round++) {
      assert.equal(await readAll(await upstream.start(request, CONNECT).response), "hello");
    }
    assert.equal(server.accepted(), 1);
    upstream.close();
  });

  Deno.test(`${transport} refuses a certificate it does not trust`, async () => {
    await using server = await serveRaw(always(""), CERTIFICATE);
    const upstream = make([makeCertificate().certPem]);
    const url = `https://127.0.0.1:${server.port}/`;
    const call = upstream.start({ method: "GET", url, headers: [], body: null }, CONNECT);
    await assert.rejects(call.response, failure("tls"));
    upstream.close();
  });

  Deno.test(`${transport} reports TLS spoken to a server without it`, async () => {
    await using server = await serveRaw(async (peer) => {
      await peer.firstBytes();
      await peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const upstream = make([CERTIFICATE.certPem]);
    const url = `https://127.0.0.1:${server.port}/`;
    const call = upstream.start({ method: "GET", url, headers: [], body: null }, CONNECT);
    await assert.rejects(call.response, failure("tls"));
    upstream.close();
  });
}
