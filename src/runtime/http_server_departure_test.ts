import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import type { Reply, ServerRequest } from "../ports.ts";
import { echo, Feed, RawClient, serve } from "./http_server_fixture.ts";

/** A handler that waits, and tells what it saw. */
class Waiting {
  readonly started = Promise.withResolvers<ServerRequest>();
  readonly departed = Promise.withResolvers<void>();
  readonly reply = Promise.withResolvers<Reply>();
  departures = 0;

  readonly handle = (request: ServerRequest): Promise<Reply> => {
    request.signal.addEventListener("abort", () => {
      this.departures++;
      this.departed.resolve();
    });
    this.started.resolve(request);
    return this.reply.promise;
  };
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

const LEAVING: readonly (readonly [string, (socket: Socket) => void])[] = [
  ["closes", (socket) => socket.destroy()],
  ["resets", (socket) => socket.resetAndDestroy()],
  ["half-closes", (socket) => socket.end()],
];

for (const [how, leave] of LEAVING) {
  Deno.test(`a client that ${how} before the reply is noticed, whatever it sent`, async () => {
    for (const size of [0, 1, 800, 7_900, 8_192, 20_000, 2_000_000]) {
      for (const pieces of size === 0 ? [1] : [1, 7]) {
        const waiting = new Waiting();
        await using server = serve(async (request) => {
          const body = await request.bytes(3_000_000);
          assert.equal(body?.length, size);
          return await waiting.handle(request);
        });
        const socket = await open(server.port);
        socket.write(`POST / HTTP/1.1\r\nhost: test\r\ncontent-length: ${size}\r\n\r\n`);
        for (let piece = 0; piece < pieces; piece++) {
          const start = Math.floor(size * piece / pieces);
          socket.write("x".repeat(Math.floor(size * (piece + 1) / pieces) - start));
          await new Promise((resolve) => setImmediate(resolve));
        }
        const request = await waiting.started.promise;
        assert.equal(request.signal.aborted, false);
        leave(socket);
        await waiting.departed.promise;
        assert.equal(request.signal.aborted, true);
        assert.equal(server.connections, 0);
        const late = new Feed();
        waiting.reply.resolve({ status: 200, headers: [], body: late });
        await late.cancelled;
        assert.equal(late.pulls, 0);
        assert.equal(waiting.departures, 1);
      }
    }
  });

  Deno.test(`a client that ${how} is noticed before anybody reads its body`, async () => {
    for (const size of [800, 20_000]) {
      const waiting = new Waiting();
      await using server = serve(waiting.handle);
      const socket = await open(server.port);
      socket.write(`POST / HTTP/1.1\r\nhost: test\r\ncontent-length: ${size}\r\n\r\n`);
      socket.write("x".repeat(size));
      const request = await waiting.started.promise;
      leave(socket);
      await waiting.departed.promise;
      await assert.rejects(request.bytes(99_999), /^Error: Cannot read body: the request is over$/);
    }
  });

  Deno.test(`a client that ${how} in the middle of its body fails the read`, async () => {
    for (const framing of ["content-length: 50000", "transfer-encoding: chunked"]) {
      const waiting = new Waiting();
      await using server = serve(waiting.handle);
      const socket = await open(server.port);
      socket.write(`POST / HTTP/1.1\r\nhost: test\r\n${framing}\r\n\r\nc350\r\n${"x".repeat(9)}`);
      const request = await waiting.started.promise;
      const body = assert.rejects(request.bytes(99_999), /^Error: Cannot read body: the client/);
      leave(socket);
      await body;
      await waiting.departed.promise;
    }
  });

  Deno.test(`a client that ${how} while it waits for or reads a stream cancels it`, async () => {
    for (const stage of ["before the first piece", "between pieces", "while reading"]) {
      const feed = new Feed();
      const waiting = new Waiting();
      waiting.reply.resolve({ status: 200, headers: [], body: feed });
      await using server = serve(waiting.handle);
      const socket = await open(server.port);
      socket.write("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
      const first = new Promise((resolve) => socket.once("data", resolve));
      if (stage !== "before the first piece") feed.push("data: 1\n\n");
      await first;
      if (stage === "while reading") {
        socket.pause();
        for (let at = 0; at < 20; at++) feed.push("x".repeat(1_000_000));
        const before = feed.pulls;
        while (feed.pulls === before) await new Promise((resolve) => setImmediate(resolve));
      }
      // A paused socket does not see its own end, so it is destroyed.
      if (stage === "while reading" && how === "half-closes") socket.destroy();
      else leave(socket);
      await feed.cancelled;
      await waiting.departed.promise;
      assert.equal(server.connections, 0);
      socket.destroy();
    }
  });

  Deno.test(`a client that ${how} while it reads a whole answer ends the request`, async () => {
    const waiting = new Waiting();
    await using server = serve(waiting.handle);
    waiting.reply.resolve({ status: 200, headers: [], body: new Uint8Array(30_000_000) });
    const socket = await open(server.port);
    socket.write("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    await new Promise((resolve) => socket.once("data", resolve));
    socket.pause();
    if (how === "half-closes") socket.destroy();
    else leave(socket);
    await waiting.departed.promise;
    assert.equal(server.connections, 0);
  });
}

Deno.test("signal stays silent once the reply has left, and forgets removed listeners", async () => {
  const seen: ServerRequest[] = [];
  let departures = 0;
  await using server = serve((request) => {
    seen.push(request);
    const listener = () => departures++;
    request.signal.addEventListener("abort", listener);
    request.signal.removeEventListener("abort", listener);
    request.signal.addEventListener("abort", () => departures++);
    return echo(request);
  });
  const client = await RawClient.connect(server.port);
  for (let at = 0; at < 3; at++) {
    await client.get("/");
    await client.response();
  }
  client.close();
  while (server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(departures, 0);
  assert.deepEqual(seen.map((request) => request.signal.aborted), [false, false, false]);
});

Deno.test("a listener or a stream that throws harms nobody", async () => {
  const waiting = new Waiting();
  const feed = new Feed();
  feed.cancel = () => {
    throw new Error("bad stream");
  };
  await using server = serve((request) => {
    if (!request.url.endsWith("/bad")) return echo(request);
    request.signal.addEventListener("abort", () => {
      throw new Error("bad listener");
    });
    waiting.reply.resolve({ status: 200, headers: [], body: feed });
    return waiting.handle(request);
  });
  using good = await RawClient.connect(server.port);
  await good.get("/");
  await good.response();
  const bad = await RawClient.connect(server.port);
  await bad.get("/bad");
  await bad.until("\r\n\r\n");
  bad.close();
  await waiting.departed.promise;
  await good.get("/");
  assert.equal((await good.response()).status, 200);
});

Deno.test("a stream that breaks is cut after all it gave, without its last chunk", async () => {
  for (const unread of [false, true]) {
    for (let pieces = 0; pieces < 4; pieces++) {
      const feed = new Feed();
      for (let at = 0; at < pieces; at++) feed.push(`piece ${at} `, "x".repeat(200_000));
      feed.fail();
      await using server = serve(() => Promise.resolve({ status: 200, headers: [], body: feed }));
      using client = await RawClient.connect(server.port);
      // A body that nobody reads must not turn the close into a reset.
      await client.send(
        unread
          ? `POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 99999\r\n\r\n${"y".repeat(50_000)}`
          : "GET / HTTP/1.1\r\nhost: test\r\n\r\n",
      );
      const response = await client.response();
      assert.equal(response.status, 200);
      assert.equal(response.body.length, pieces * 200_008);
      assert.equal(response.whole, false);
      assert.equal(client.ended, "closed");
    }
  }
});

Deno.test("fetch reads all of a broken stream's bytes, then fails", async () => {
  const feed = new Feed();
  feed.push("one ");
  feed.push("two ");
  await using server = serve(() => Promise.resolve({ status: 200, headers: [], body: feed }));
  const response = await fetch(server.url);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader);
  let text = "";
  while (text !== "one two ") text += (await reader.read()).value;
  feed.fail();
  await assert.rejects(reader.read());
});

Deno.test("a stream sends its pieces at once, and its end", async () => {
  const feed = new Feed();
  await using server = serve(() =>
    Promise.resolve({
      status: 200,
      headers: [["content-type", "text/event-stream"]],
      body: feed,
    })
  );
  using client = await RawClient.connect(server.port);
  await client.get("/");
  assert.match(await client.until("\r\n\r\n"), /\r\ntransfer-encoding: chunked\r\n/);
  feed.push("data: 1\n\n");
  assert.ok((await client.until("data: 1")).endsWith("\r\n\r\n9\r\ndata: 1\n\n\r\n"));
  feed.push("", "data: ", "2\n\n");
  assert.ok((await client.until("data: 2")).endsWith("9\r\ndata: 2\n\n\r\n"));
  feed.push(""); // Not the last chunk.
  feed.end();
  const response = await client.response();
  assert.equal(response.body, "data: 1\n\ndata: 2\n\n");
  assert.equal(response.whole, true);
  await client.get("/"); // The connection is of use still.
});

Deno.test("head and first piece leave together where the piece is there", async () => {
  await using server = serve(() => {
    const feed = new Feed();
    feed.push("first");
    feed.end();
    return Promise.resolve({ status: 200, headers: [], body: feed });
  });
  using socket = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await socket.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: test\r\n\r\n"));
  const buffer = new Uint8Array(4_096);
  const count = await socket.read(buffer) ?? 0;
  assert.match(new TextDecoder().decode(buffer.subarray(0, count)), /\r\n\r\n5\r\nfirst\r\n/);
});

Deno.test("a slow reader pauses the stream", async () => {
  let pulls = 0;
  const piece = new Uint8Array(1_000_000).fill(120);
  await using server = serve(() =>
    Promise.resolve({
      status: 200,
      headers: [],
      body: {
        pull: () => Promise.resolve(++pulls > 200 ? null : [piece]),
        cancel() {},
      },
    })
  );
  using client = await RawClient.connect(server.port);
  await client.get("/");
  let before = -1;
  while (pulls !== before) {
    before = pulls;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(pulls < 50, `${pulls} MB were pulled for a reader that does not read`);
  let received = 0;
  using reader = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await reader.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  const buffer = new Uint8Array(1_000_000);
  pulls = 0;
  for (;;) {
    const count = await reader.read(buffer);
    if (count === null) break;
    received += count;
  }
  assert.ok(received > 199_000_000);
});
