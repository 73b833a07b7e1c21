/**
 * One set of cases for both transports, against a server that misbehaves on
 * purpose: framings, losses, garbage. What only the socket transport promises is
 * in `upstream_socket_test.ts`.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { UpstreamError, UpstreamRequest } from "../ports.ts";
import {
  always,
  CERTIFICATE,
  CHUNKED,
  conform,
  CONNECT,
  failure,
  HEAD,
  readAll,
  readToEnd,
  TRANSPORTS,
} from "./conformance_fixture.ts";
import { serveRaw } from "./server_fixture.ts";

// Framings.

const FRAMINGS: ReadonlyArray<readonly [string, string, string, "keep" | "end"]> = [
  ["content-length", `${HEAD}content-length: 5\r\n\r\nhello`, "hello", "keep"],
  ["content-length 0", `${HEAD}content-length: 0\r\n\r\n`, "", "keep"],
  ["repeated equal content-length", `${HEAD}content-length: 2, 2\r\n\r\nhi`, "hi", "keep"],
  ["chunks", `${CHUNKED}5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n`, "hello, world", "keep"],
  ["chunk extensions", `${CHUNKED}5;a=b;c\r\nhello\r\n00;x\r\n\r\n`, "hello", "keep"],
  ["trailers", `${CHUNKED}A\r\n0123456789\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n`, "0123456789", "keep"],
  ["close-delimited", `${HEAD}\r\nuntil the end`, "until the end", "end"],
  ["HTTP/1.0 close-delimited", "HTTP/1.0 200 OK\r\n\r\nold", "old", "end"],
  ["no reason phrase", "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", "ok", "keep"],
  ["204 without length", "HTTP/1.1 204 No Content\r\n\r\n", "", "keep"],
  ["304 with length", "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", "", "keep"],
  [
    "100 and 103 before the answer",
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${HEAD}content-length: 2\r\n\r\nok`,
    "ok",
    "keep",
  ],
];

for (const [name, answer, text, then] of FRAMINGS) {
  conform(`reads a body: ${name}`, always(answer, then), async ({ send }) => {
    assert.equal(await readAll(await send().response), text);
    assert.equal(await readAll(await send().response), text);
  });
  conform(
    `reads a body byte by byte: ${name}`,
    async (peer) => {
      if (await peer.request() === null) return;
      await peer.writeSlowly(answer);
      if (then === "end") peer.end();
    },
    async ({ send }) => assert.equal(await readAll(await send().response), text),
  );
}

conform(
  "gives status and headers by lower-case name, repeated ones joined",
  always(
    "HTTP/1.1 429 Slow Down\r\nRetry-After:  7 \r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n",
  ),
  async ({ send }) => {
    const response = await send().response;
    assert.equal(response.status, 429);
    assert.equal(response.header("retry-after"), "7");
    assert.equal(response.header("x-a"), "1, 2");
    assert.equal(response.header("x-b"), null);
    assert.equal(await response.read(), null);
  },
);

conform(
  "does not follow redirects",
  always("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"),
  async ({ send }) => {
    const response = await send().response;
    assert.equal(response.status, 302);
    assert.equal(response.header("location"), "/elsewhere");
    assert.equal(await response.read(), null);
  },
);

conform(
  "read() keeps answering null after the end",
  always(`${HEAD}content-length: 2\r\n\r\nok`),
  async ({ send }) => {
    const response = await send().response;
    assert.equal(await readAll(response), "ok");
    assert.equal(await response.read(), null);
  },
);

// The request.

Deno.test("both transports send the same request", async () => {
  const seen: string[] = [];
  for (const [, make] of TRANSPORTS) {
    const lines: string[] = [];
    await using server = await serveRaw(async (peer) => {
      const text = await peer.request() ?? "";
      const [head = "", body = ""] = text.split("\r\n\r\n");
      const [first = "", ...fields] = head.split("\r\n");
      lines.push(first, ...fields.sort(), body);
      await peer.write(`${HEAD}content-length: 0\r\n\r\n`);
    });
    const upstream = make([CERTIFICATE.certPem]);
    const response = await upstream.start({
      method: "POST",
      url: `http://127.0.0.1:${server.port}/v1/chat?a=b%20c`,
      headers: [["content-type", "application/json"], ["x-latin", "caf\u00e9"]],
      body: new TextEncoder().encode('{"a":"\u00e9"}'),
    }, CONNECT).response;
    await readAll(response);
    upstream.close();
    const kept = lines.filter((line) => !/^(accept|accept-language|user-agent): /.test(line));
    seen.push(kept.join("\n").replaceAll(String(server.port), "PORT"));
  }
  assert.equal(
    seen[0],
    [
      "POST /v1/chat?a=b%20c HTTP/1.1",
      "accept-encoding: identity",
      "content-length: 10",
      "content-type: application/json",
      "host: 127.0.0.1:PORT",
      "x-latin: caf\u00e9",
      '{"a":"\u00c3\u00a9"}',
    ].join("\n"),
  );
  assert.equal(seen[1], seen[0]);
});

conform("start() refuses what is the caller's mistake", always(""), ({ send }) => {
  const headers = (name: string, value: string): Partial<UpstreamRequest> => ({
    headers: [[name, value]],
  });
  for (
    const request of [
      { url: "/v1" },
      { url: "ftp://127.0.0.1/" },
      { url: "http://user:secret@127.0.0.1/" },
      headers("x-a", "b\r\nx-c: d"),
      headers("X-A", "b"),
      headers("", "b"),
      headers("content-length", "3"),
      headers("transfer-encoding", "chunked"),
      headers("accept-encoding", "gzip"),
    ]
  ) assert.throws(() => send(request), TypeError, JSON.stringify(request));
  return Promise.resolve();
});

conform(
  "carries 10 MB both ways",
  async (peer) => {
    const text = await peer.request() ?? "";
    const body = text.slice(text.indexOf("\r\n\r\n") + 4);
    await peer.write(`${HEAD}content-length: ${body.length}\r\n\r\n`);
    await peer.write(body);
  },
  async ({ send }) => {
    const body = new Uint8Array(10_000_000);
    for (let at = 0; at < body.length; at++) body[at] = (at * 31) >> 7;
    const response = await send({ body }).response;
    let at = 0;
    for (let piece = await response.read(); piece !== null; piece = await response.read()) {
      assert.equal(
        Buffer.compare(Buffer.from(piece), Buffer.from(body.subarray(at, at + piece.length))),
        0,
        `bytes differ after ${at}`,
      );
      at += piece.length;
    }
    assert.equal(at, body.length);
  },
);

// Losses: none may look like an end.

const CUTS: ReadonlyArray<readonly [string, string]> = [
  ["inside content-length", `${HEAD}content-length: 50\r\n\r\nhello`],
  ["inside a chunk", `${CHUNKED}A\r\nhello`],
  ["after a chunk's data", `${CHUNKED}5\r\nhello`],
  ["between chunks", `${CHUNKED}5\r\nhello\r\n`],
  ["inside a chunk size", `${CHUNKED}5\r\nhello\r\n1`],
  ["inside the last chunk", `${CHUNKED}5\r\nhello\r\n0\r\n`],
  ["inside the trailers", `${CHUNKED}5\r\nhello\r\n0\r\nx: y\r\n`],
];

for (const then of ["end", "reset"] as const) {
  for (const [name, answer] of CUTS) {
    conform(
      `read() reports a connection lost ${name} by ${then}`,
      always(answer, then),
      async ({ send }) => {
        const call = send();
        try {
          const { text, kind } = await readToEnd(await call.response);
          assert.ok("hello".startsWith(text));
          if (then === "end") assert.equal(text, "hello");
          assert.equal(kind, "reset");
        } catch (error) {
          // A reset may overtake what was written before it.
          assert.equal(then, "reset");
          failure("reset")(error);
        }
      },
    );
  }
  for (const [name, answer] of [["before the head", ""], ["inside the head", `${HEAD}x: y\r\n`]]) {
    conform(
      `response rejects if the connection is lost ${name} by ${then}`,
      always(answer ?? "", then),
      async ({ send }) => await assert.rejects(send().response, failure("reset", "protocol")),
    );
  }
}

let released = Promise.withResolvers<void>();

conform(
  "read() reports a close-delimited body that was reset",
  async (peer) => {
    await peer.request();
    await peer.write(`${HEAD}\r\nsome`);
    await released.promise;
    peer.reset();
  },
  async ({ send }) => {
    released = Promise.withResolvers();
    const response = await send().response;
    assert.equal(new TextDecoder().decode(await response.read() ?? undefined), "some");
    const next = response.read();
    released.resolve();
    await assert.rejects(next, failure("reset"));
    await assert.rejects(response.read(), failure("reset"));
  },
);

// Garbage.

const GARBAGE: ReadonlyArray<readonly [string, string]> = [
  ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
  ["HTTP/2 frames", "\0\0\x12\x04\0\0\0\0\0"],
  ["a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["a folded header", `${HEAD}x: y\r\n z\r\ncontent-length: 0\r\n\r\n`],
  ["a header without a colon", `${HEAD}nothing\r\ncontent-length: 0\r\n\r\n`],
  ["a blank before the colon", `${HEAD}content-length : 0\r\n\r\n`],
  ["a NUL in a header", `${HEAD}x: a\0b\r\ncontent-length: 0\r\n\r\n`],
  ["a negative content-length", `${HEAD}content-length: -1\r\n\r\n`],
  ["an empty content-length", `${HEAD}content-length: \r\n\r\n`],
  ["content-lengths that differ", `${HEAD}content-length: 1\r\ncontent-length: 2\r\n\r\nab`],
];

for (const [name, answer] of GARBAGE) {
  conform(
    `response rejects garbage: ${name}`,
    always(answer, "end"),
    async ({ send }) => await assert.rejects(send().response, failure("protocol")),
  );
}

const BAD_CHUNKS: ReadonlyArray<readonly [string, string]> = [
  ["no number", "x\r\n"],
  ["a negative size", "-5\r\nhello\r\n"],
  ["an empty size", "\r\nhello\r\n"],
  ["a size that overflows", "fffffffffffffffff\r\n"],
  ["no line end after the data", "5\r\nhelloX\r\n"],
];

for (const [name, chunks] of BAD_CHUNKS) {
  conform(
    `read() rejects bad chunks: ${name}`,
    always(`${CHUNKED}2\r\nok\r\n${chunks}`, "end"),
    async ({ send, transport }) => {
      const outcome = await send().response.then(readToEnd, (error: UpstreamError) => error);
      // `fetch` has one message for all that can go wrong in a body.
      assert.equal(outcome.kind, transport === "SocketUpstream" ? "protocol" : "reset");
    },
  );
}

// Failures to connect.

conform("response rejects if nobody listens", always(""), async ({ send }) => {
  const server = await serveRaw(() => Promise.resolve());
  const { port } = server;
  await server[Symbol.asyncDispose]();
  await assert.rejects(
    send({ url: `http://127.0.0.1:${port}/` }).response,
    failure("refused"),
  );
});

conform("response rejects if the name is unknown", always(""), async ({ send }) => {
  // RFC 6761, 6.4: no name below `invalid` ever exists, and resolvers need not ask anybody.
  await assert.rejects(send({ url: "http://nowhere.invalid/" }).response, failure("dns"));
});
