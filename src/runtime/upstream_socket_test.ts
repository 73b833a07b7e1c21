/**
 * What the socket transport promises beyond the common cases: kept connections,
 * replays, time limits, early answers, size limits.
 */

import assert from "node:assert/strict";
import type { Clock, UpstreamCall, UpstreamRequest } from "../ports.ts";
import {
  always,
  CERTIFICATE,
  CHUNKED,
  CONNECT,
  failure,
  HEAD,
  readAll,
} from "./conformance_fixture.ts";
import { ManualClock } from "./manual_clock_fixture.ts";
import { type Peer, type RawServer, serveRaw } from "./server_fixture.ts";
import { SocketUpstream, type SocketUpstreamOptions } from "./upstream_socket.ts";

const OK = `${HEAD}content-length: 2\r\n\r\nok`;

interface World {
  readonly clock: ManualClock;
  readonly server: RawServer;
  readonly upstream: SocketUpstream;
  send(request?: Partial<UpstreamRequest>): UpstreamCall;
}

/** Runs a case against a server; the clock stands still. */
function play(
  name: string,
  script: (peer: Peer) => Promise<void>,
  body: (world: World) => Promise<void>,
  options: Partial<SocketUpstreamOptions> = {},
): void {
  Deno.test(`SocketUpstream ${name}`, async () => {
    await using server = await serveRaw(script);
    const clock = new ManualClock();
    const upstream = new SocketUpstream({ clock, ...options });
    const url = `http://127.0.0.1:${server.port}/`;
    const send = (request: Partial<UpstreamRequest> = {}) =>
      upstream.start({ method: "POST", url, headers: [], body: null, ...request }, CONNECT);
    await body({ clock, server, upstream, send });
    upstream.close();
    assert.equal(clock.pending, 0, "a timer was left behind");
  });
}

async function fetchText(call: UpstreamCall): Promise<string> {
  return await readAll(await call.response);
}

// Kept connections.

play("keeps a connection for the next request", always(OK), async ({ server, send }) => {
  for (let round = 0; round < 5; round++) assert.equal(await fetchText(send()), "ok");
  assert.equal(server.accepted(), 1);
});

play("opens a second connection while the first is busy", always(OK), async ({ server, send }) => {
  await Promise.all([fetchText(send()), fetchText(send())]);
  assert.equal(server.accepted(), 2);
  await fetchText(send());
  assert.equal(server.accepted(), 2);
});

const NOT_KEPT: ReadonlyArray<readonly [string, string]> = [
  ["connection: close", `${HEAD}connection: Close\r\ncontent-length: 2\r\n\r\nok`],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok"],
  ["bytes after a length", `${OK}x`],
  ["bytes after the last chunk", `${CHUNKED}2\r\nok\r\n0\r\n\r\nx`],
  ["a second answer", `${OK}${OK}`],
];

for (const [name, answer] of NOT_KEPT) {
  play(`does not keep a connection: ${name}`, always(answer), async ({ server, send }) => {
    assert.equal(await fetchText(send()), "ok");
    assert.equal(await fetchText(send()), "ok");
    assert.equal(server.accepted(), 2);
  });
}

play(
  "drops an idle connection when the server ends it or speaks unasked",
  async (peer) => {
    await peer.request();
    await peer.write(OK);
    if (peer.number === 1) {
      await told.promise;
      peer.end();
    } else {
      await told.promise;
      await peer.write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    }
    await peer.closed;
    gone.resolve();
  },
  async ({ clock, send }) => {
    for (const _ of ["end", "speak"]) {
      told = Promise.withResolvers();
      gone = Promise.withResolvers();
      await fetchText(send());
      assert.equal(clock.pending, 1);
      told.resolve();
      await gone.promise;
      assert.equal(clock.pending, 0, "the pool is empty again");
    }
  },
);

let told = Promise.withResolvers<void>();
let gone = Promise.withResolvers<void>();

play(
  "closes a connection that was idle for idleMs",
  async (peer) => {
    while (await peer.request() !== null) await peer.write(OK);
    await peer.closed;
    gone.resolve();
  },
  async ({ clock, server, send }) => {
    gone = Promise.withResolvers();
    await fetchText(send());
    clock.advance(9_999);
    await fetchText(send());
    assert.equal(server.accepted(), 1);
    clock.advance(20_000);
    await gone.promise;
    await fetchText(send());
    assert.equal(server.accepted(), 2);
  },
  { idleMs: 10_000 },
);

play(
  "keeps idlePerOriginMax connections",
  async (peer) => {
    while (await peer.request() !== null) await peer.write(OK);
    await peer.closed;
    gone.resolve();
  },
  async ({ server, send }) => {
    gone = Promise.withResolvers();
    await Promise.all([fetchText(send()), fetchText(send())]);
    await gone.promise;
    await Promise.all([fetchText(send()), fetchText(send())]);
    assert.equal(server.accepted(), 3);
  },
  { idlePerOriginMax: 1 },
);

play(
  "close() ends idle connections and lets calls go on",
  async (peer) => {
    await peer.request();
    await peer.write(`${CHUNKED}5\r\nhello\r\n`);
    await told.promise;
    await peer.write("0\r\n\r\n");
    await peer.closed;
    gone.resolve();
  },
  async ({ upstream, send }) => {
    told = Promise.withResolvers();
    gone = Promise.withResolvers();
    const response = await send().response;
    upstream.close();
    told.resolve();
    assert.equal(await readAll(response), "hello");
    await gone.promise;
  },
);

// Stale connections.

/** Answers the first request of the first connection; ends it at the second one. */
function staleOnce(end: (peer: Peer) => Promise<void>) {
  return async (peer: Peer): Promise<void> => {
    for (let count = 1; await peer.request() !== null; count++) {
      if (peer.number === 1 && count === 2) return await end(peer);
      await peer.write(OK);
    }
  };
}

for (
  const [name, end] of [
    ["ended", (peer: Peer) => Promise.resolve(peer.end())],
    ["reset", (peer: Peer) => Promise.resolve(peer.reset())],
  ] as const
) {
  play(
    `sends again when a kept connection turns out ${name}`,
    staleOnce(end),
    async ({ server, send }) => {
      await fetchText(send());
      assert.equal(await fetchText(send({ body: new Uint8Array(200_000) })), "ok");
      assert.equal(server.accepted(), 2);
    },
  );
}

play(
  "does not send again once a byte of the answer has come",
  staleOnce(async (peer) => {
    await peer.write("H");
    peer.end();
  }),
  async ({ server, send }) => {
    await fetchText(send());
    await assert.rejects(send().response, failure("reset"));
    assert.equal(server.accepted(), 1);
  },
);

play(
  "does not send again after replayMs",
  staleOnce(async (peer) => {
    gone.resolve();
    await told.promise;
    peer.end();
  }),
  async ({ clock, server, send }) => {
    told = Promise.withResolvers();
    gone = Promise.withResolvers();
    await fetchText(send());
    const call = send();
    await gone.promise;
    clock.advance(1_001);
    told.resolve();
    await assert.rejects(call.response, failure("reset"));
    assert.equal(server.accepted(), 1);
  },
);

play(
  "does not send again on a fresh connection",
  async (peer) => {
    await peer.request();
    peer.end();
  },
  async ({ server, send }) => {
    await assert.rejects(send().response, failure("reset"));
    assert.equal(server.accepted(), 1);
  },
);

play(
  "sends again once only",
  async (peer) => {
    await peer.request();
    if (peer.number === 1) {
      await peer.write(OK);
      await peer.request();
    }
    peer.end();
  },
  async ({ server, send }) => {
    await fetchText(send());
    await assert.rejects(send().response, failure("reset"));
    assert.equal(server.accepted(), 2);
  },
);

play(
  "cancel() during a replay rejects",
  staleOnce((peer) => Promise.resolve(peer.reset())),
  async ({ send }) => {
    await fetchText(send());
    const call = send();
    // The reset is handled before the answer of a request that starts later.
    await fetchText(send());
    call.cancel();
    await call.response.then(() => {}, failure("cancelled"));
  },
);

// Time limits.

for (const scheme of ["http", "https"]) {
  play(
    `gives up connecting after connectMs, ${scheme}`,
    async (peer) => {
      await peer.firstBytes();
      peer.resume();
      told.resolve();
      await gone.promise;
      await peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
      await peer.closed;
    },
    async ({ clock, server, send }) => {
      told = Promise.withResolvers();
      gone = Promise.withResolvers();
      const call = send({ url: `${scheme}://127.0.0.1:${server.port}/` });
      if (scheme === "https") await told.promise;
      clock.advance(CONNECT.connectMs);
      await assert.rejects(call.response, failure("connect_timeout"));
      gone.resolve();
    },
  );
}

Deno.test("SocketUpstream leaves no timer and no socket of a call cancelled while connecting", async () => {
  await using server = await serveRaw(always(OK));
  const clock = new ManualClock();
  const upstream = new SocketUpstream({ clock });
  const url = `http://127.0.0.1:${server.port}/`;
  const calls = Array.from(
    { length: 20 },
    () => upstream.start({ method: "GET", url, headers: [], body: null }, CONNECT),
  );
  for (const call of calls) call.cancel();
  assert.equal(clock.pending, 0);
  for (const call of calls) await assert.rejects(call.response, failure("cancelled"));
});

// Early answers.

play(
  "delivers an answer that comes before the body was taken",
  async (peer) => {
    await peer.firstBytes();
    await peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig");
    peer.end();
    await peer.closed;
  },
  async ({ server, send }) => {
    const response = await send({ body: new Uint8Array(64_000_000) }).response;
    assert.equal(response.status, 413);
    assert.equal(await readAll(response), "big");
    assert.equal(server.accepted(), 1);
  },
);

play(
  "does not keep a connection whose answer came before the body was taken",
  async (peer) => {
    if (peer.number === 1) {
      await peer.firstBytes();
      await peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig");
      await told.promise;
      peer.resume();
    }
    while (await peer.request() !== null) await peer.write(OK);
  },
  async ({ server, send }) => {
    told = Promise.withResolvers();
    assert.equal(await fetchText(send({ body: new Uint8Array(64_000_000) })), "big");
    const next = send();
    told.resolve();
    assert.equal(await fetchText(next), "ok");
    assert.equal(server.accepted(), 2);
  },
);

// What one read gives.

play(
  "gives the chunks of one read as one piece",
  always(`${CHUNKED}${"5\r\nhello\r\n".repeat(100)}0\r\n\r\n`),
  async ({ send }) => {
    // The request before it makes the client wait for the answer, which then comes at once.
    const response = await send().response;
    const piece = await response.read();
    assert.equal(new TextDecoder().decode(piece ?? undefined), "hello".repeat(100));
    assert.equal(await response.read(), null);
    await fetchText(send());
    const text = new TextDecoder().decode(piece ?? undefined);
    assert.equal(text, "hello".repeat(100), "a later answer does not write over it");
  },
);

play("refuses a second read while one is out", always(`${CHUNKED}`), async ({ send }) => {
  const call = send();
  const response = await call.response;
  const first = response.read();
  await assert.rejects(response.read(), TypeError);
  call.cancel();
  await assert.rejects(first, failure("cancelled"));
});

play("cancel() before the last piece was read takes it back", always(OK), async ({ send }) => {
  const call = send();
  const response = await call.response;
  call.cancel();
  await assert.rejects(response.read(), failure("cancelled"));
});

// Limits and refusals.

const REFUSED: ReadonlyArray<readonly [string, string]> = [
  ["a head that never ends", `${HEAD}${"x-a: bbbbbbbb\r\n".repeat(200)}`],
  ["too large a head", `${HEAD}${"x-a: bbbbbbbb\r\n".repeat(200)}content-length: 0\r\n\r\n`],
  ["interim answers without end", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)],
  ["gzip", `${HEAD}content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok`],
  ["gzip as a transfer coding", `${HEAD}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ["length and chunks", `${HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["another protocol switched to", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
  ["lines without CR", "HTTP/1.1 200 OK\ncontent-length: 0\n\n"],
  ["HTTP/2.0", "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"],
];

for (const [name, answer] of REFUSED) {
  play(
    `refuses ${name}`,
    always(answer),
    async ({ send }) => await assert.rejects(send().response, failure("protocol")),
    { headBytesMax: 2_000 },
  );
}

play(
  "refuses trailers that are too large",
  always(`${CHUNKED}2\r\nok\r\n0\r\n${"x-a: bbbbbbbb\r\n".repeat(200)}`),
  async ({ send }) =>
    await assert.rejects(async () => await fetchText(send()), failure("protocol")),
  { headBytesMax: 2_000 },
);

Deno.test("SocketUpstream reaches an IPv6 address", async () => {
  const listener = Deno.listen({ hostname: "::1", port: 0 });
  const served = (async () => {
    using socket = await listener.accept();
    const request = new Uint8Array(1_000);
    const count = await socket.read(request) ?? 0;
    await socket.write(new TextEncoder().encode(`${HEAD}connection: close\r\n\r\n`));
    await socket.write(request.subarray(0, count));
  })();
  const clock: Clock = new ManualClock();
  const upstream = new SocketUpstream({ clock });
  const url = `http://[::1]:${listener.addr.port}/`;
  const text = await fetchText(
    upstream.start({ method: "GET", url, headers: [], body: null }, CONNECT),
  );
  assert.match(
    text,
    new RegExp(`^GET / HTTP/1.1\\r\\nhost: \\[::1\\]:${listener.addr.port}\\r\\n`),
  );
  await served;
  listener.close();
});

Deno.test("SocketUpstream reports a TLS server that ends without goodbye inside a body", async () => {
  await using server = await serveRaw(async (peer) => {
    await peer.request();
    await peer.write(`${CHUNKED}2\r\nok\r\n`);
    peer.destroy();
  }, CERTIFICATE);
  const clock = new ManualClock();
  const upstream = new SocketUpstream({ clock, caCerts: [CERTIFICATE.certPem] });
  const url = `https://127.0.0.1:${server.port}/`;
  await assert.rejects(
    async () =>
      await fetchText(
        upstream.start({ method: "GET", url, headers: [], body: null }, CONNECT),
      ),
    failure("reset"),
  );
  upstream.close();
});
