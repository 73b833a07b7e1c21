import assert from "node:assert/strict";
import type { Reply } from "../ports.ts";
import { serveHttp } from "./http_server.ts";
import { echo, echoOrStall, Feed, RawClient, serve } from "./http_server_fixture.ts";
import { ManualClock } from "./manual_clock_fixture.ts";

function post(path: string, body: string, ...lines: readonly string[]): string {
  const head = [`POST ${path} HTTP/1.1`, "host: test", ...lines];
  return `${head.join("\r\n")}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

const CHUNKED = "POST /c HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";

Deno.test("serveHttp keeps the connection and answers one request after the other", async () => {
  await using server = serve(echo);
  using client = await RawClient.connect(server.port);
  for (let round = 0; round < 3; round++) {
    await client.send(post(`/${round}`, "hello"));
    const { status, head, body } = await client.response();
    assert.equal(status, 200);
    assert.equal(body, `POST /${round} hello`);
    assert.match(head, /^HTTP\/1\.1 200 OK\r\ncontent-type: text\/plain\r\n/);
    assert.match(head, /\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
    assert.match(head, /\r\nconnection: keep-alive\r\n/);
  }
  assert.equal(server.connections, 1);
});

Deno.test("serveHttp answers pipelined requests in order, one at a time", async () => {
  let running = 0;
  let most = 0;
  await using server = serve(async (request) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
    const reply = await echo(request);
    running--;
    return reply;
  });
  using client = await RawClient.connect(server.port);
  const numbers = Array.from({ length: 200 }, (_, at) => String(at));
  const sending = client.send(numbers.map((number) => post("/", number)).join(""));
  for (const number of numbers) assert.equal((await client.response()).body, `POST / ${number}`);
  await sending;
  assert.equal(most, 1);
});

Deno.test("serveHttp takes pipelined bytes that outgrow its buffer", async () => {
  await using server = serve(async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return await echo(request);
  }, { headBytesMax: 16_384 });
  using client = await RawClient.connect(server.port);
  const large = "x".repeat(50_000);
  const sending = client.send(Array.from({ length: 20 }, () => post("/", large)).join(""));
  for (let at = 0; at < 20; at++) assert.equal((await client.response()).body.length, 50_007);
  await sending;
});

Deno.test("serveHttp reads chunked bodies whatever their split", async () => {
  await using server = serve(echo);
  using client = await RawClient.connect(server.port);
  const request = `${CHUNKED}5\r\nhello\r\n3;ext=1\r\n wo\r\n4\r\nrld!\r\n0\r\ntrailer: 1\r\n\r\n`;
  await client.send(request + request);
  assert.equal((await client.response()).body, "POST /c hello world!");
  assert.equal((await client.response()).body, "POST /c hello world!");
  for (const character of request) await client.send(character);
  assert.equal((await client.response()).body, "POST /c hello world!");
});

Deno.test("serveHttp refuses broken chunks, tells the handler and closes", async () => {
  const departed = Promise.withResolvers<boolean>();
  await using server = serve(async (request) => {
    request.signal.addEventListener("abort", () => departed.resolve(request.signal.aborted));
    return await echo(request);
  });
  using client = await RawClient.connect(server.port);
  await client.send(`${CHUNKED}5\r\nhelloX`);
  const { status, head, body } = await client.response();
  assert.equal(status, 400);
  assert.match(head, /\r\nconnection: close\r\n/);
  assert.equal(body, "Cannot read request: a chunk does not end with CR LF");
  assert.equal(await departed.promise, true);
  assert.equal(await client.rest(), "");
  assert.equal(client.ended, "closed");
});

Deno.test("serveHttp sends 100 only when the body is asked for", async () => {
  let ask = true;
  await using server = serve((request) => {
    const refused: Reply = { status: 401, headers: [], body: null };
    return ask ? echo(request) : Promise.resolve(refused);
  });
  using client = await RawClient.connect(server.port);
  const head =
    "POST /e HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
  await client.send(head);
  assert.equal((await client.response()).status, 100);
  await client.send("body");
  assert.equal((await client.response()).body, "POST /e body");
  await client.send(`${head}body`); // Some do not wait.
  assert.equal((await client.response()).body, "POST /e body");
  ask = false;
  await client.send(head);
  const last = await client.response();
  assert.equal(last.status, 401);
  assert.match(last.head, /\r\nconnection: close\r\n/);
  assert.equal(await client.rest(), "");
});

Deno.test("serveHttp answers though a 100 is still being written", async () => {
  await using server = serve((request) => {
    request.bytes(10).catch(() => {});
    return Promise.resolve({ status: 413, headers: [], body: "no" });
  });
  using client = await RawClient.connect(server.port);
  await client.send(
    "POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
  );
  assert.equal((await client.response()).status, 100);
  assert.equal((await client.response()).status, 413);
});

Deno.test("bytes gives null for what is too long, announced or not, and the reply arrives", async () => {
  await using server = serve(async (request) => {
    const body = await request.bytes(1_000);
    return { status: body === null ? 413 : 200, headers: [], body: String(body?.length) };
  });
  const big = "x".repeat(3_000_000);
  for (
    const request of [
      post("/", big),
      `${CHUNKED}${(3_000_000).toString(16)}\r\n${big}\r\n0\r\n\r\n`,
      `${CHUNKED}3e8\r\n${"x".repeat(1_000)}\r\n1\r\nx\r\n0\r\n\r\n`,
    ]
  ) {
    using client = await RawClient.connect(server.port);
    const sending = client.send(request);
    assert.equal((await client.response()).status, 413);
    client.close();
    await sending.catch(() => {});
  }
  using client = await RawClient.connect(server.port);
  await client.send(post("/", "x".repeat(1_000)) + post("/", "x".repeat(1_001)) + post("/", "y"));
  assert.equal((await client.response()).body, "1000");
  assert.equal((await client.response()).status, 413);
  // What was there already has been skipped, so the connection is of use still.
  assert.equal((await client.response()).body, "1");
});

Deno.test("bytes can be asked for late, and once only", async () => {
  await using server = serve(async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const body = await request.bytes(1_000_000);
    const again = await request.bytes(1).catch((error) => error.message);
    return { status: 200, headers: [], body: `${body?.length} ${again}` };
  });
  using client = await RawClient.connect(server.port);
  for (const size of [0, 1, 8_000, 8_192, 70_000, 500_000]) {
    await client.send(post("/", "x".repeat(size)));
    assert.equal((await client.response()).body, `${size} Cannot read body: it was read before`);
  }
});

Deno.test("serveHttp skips a body nobody asked for, or closes", async () => {
  await using server = serve(() => Promise.resolve({ status: 404, headers: [], body: "no" }));
  using client = await RawClient.connect(server.port);
  await client.send(post("/", "x".repeat(500)));
  assert.match((await client.response()).head, /\r\nconnection: keep-alive\r\n/);
  await client.send(post("/", "x".repeat(3_000_000)).slice(0, 2_000));
  assert.match((await client.response()).head, /\r\nconnection: close\r\n/);
  assert.equal(await client.rest(), "");
  assert.equal(client.ended, "closed");
});

Deno.test("serveHttp refuses what it cannot read, in words, and closes", async () => {
  await using server = serve(echo, { headBytesMax: 2_000 });
  for (
    const [text, status] of [
      ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
      ["GET / HTTP/1.1\n", 400],
      ["GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400],
      [`GET /${"a".repeat(3_000)}`, 431],
      ["GET / HTTP/2.0\r\n\r\n", 505],
      ["POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 501],
    ] as const
  ) {
    using client = await RawClient.connect(server.port);
    await client.send(text);
    const response = await client.response();
    assert.equal(response.status, status);
    assert.match(response.body, /^Cannot read request: /);
    assert.match(response.head, /\r\nconnection: close\r\n/);
    assert.equal(await client.rest(), "");
    assert.equal(client.ended, "closed", text);
  }
});

Deno.test("serveHttp never takes a smuggled request for one", async () => {
  const seen: string[] = [];
  await using server = serve((request) => {
    seen.push(new URL(request.url).pathname);
    return echo(request);
  });
  const hidden = "GET /hidden HTTP/1.1\r\nhost: test\r\n\r\n";
  for (
    const lines of [
      ["content-length: 5", "transfer-encoding: chunked"],
      ["transfer-encoding: chunked", "content-length: 5"],
      ["content-length: 0", `content-length: ${hidden.length}`],
      ["transfer-encoding: chunked, identity"],
      ["transfer-encoding : chunked"],
      ["content-length: 0\nx: y"],
      ["x: y\rtransfer-encoding: chunked"],
    ]
  ) {
    using client = await RawClient.connect(server.port);
    const head = ["POST /open HTTP/1.1", "host: test", ...lines].join("\r\n");
    await client.send(`${head}\r\n\r\n0\r\n\r\n${hidden}`);
    assert.ok((await client.response()).status >= 400);
    await client.rest();
  }
  assert.deepEqual(seen, []);
});

Deno.test("serveHttp drops slow heads with 408, idle connections and stalled readers", async () => {
  const clock = new ManualClock();
  const feed = new Feed();
  await using server = serve(
    echoOrStall(feed),
    { clock, headMs: 10_000, idleMs: 75_000, writeMs: 120_000 },
  );
  using slow = await RawClient.connect(server.port);
  await slow.send("GET / HT");
  using idle = await RawClient.connect(server.port);
  await idle.get("/");
  await idle.response();
  using stalled = await RawClient.connect(server.port);
  await stalled.get("/stall");
  for (let at = 0; at < 40; at++) feed.push("x".repeat(1_000_000));
  await stalled.until("xxxx");

  // The bytes above may still be on their way to the server when the clock moves.
  while (server.connections < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  for (let second = 0; second < 12; second++) await tick(clock);
  const response = await slow.response();
  assert.equal(response.status, 408);
  assert.equal(await slow.rest(), "");
  slow.close();
  await idle.get("/");
  assert.equal((await idle.response()).status, 200);
  for (let second = 0; second < 80; second++) await tick(clock);
  assert.equal(await idle.rest(), "");
  assert.equal(idle.ended, "closed");
  for (let second = 0; second < 130; second++) await tick(clock);
  await feed.cancelled;
  assert.equal(server.connections, 0);
  assert.equal(clock.pending, 0);
});

/** A second on the server's clock, and time for what it set off. */
async function tick(clock: ManualClock): Promise<void> {
  clock.advance(1_000);
  await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("serveHttp answers HTTP/1.0, with and without keep-alive", async () => {
  await using server = serve((request) => {
    if (!request.url.endsWith("/stream")) return echo(request);
    const feed = new Feed();
    feed.push("one ", "two ");
    feed.push("three");
    feed.end();
    return Promise.resolve({ status: 200, headers: [], body: feed });
  });
  using kept = await RawClient.connect(server.port);
  await kept.send("GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  assert.equal((await kept.response()).body, "GET /a ");
  await kept.send("GET /b HTTP/1.0\r\n\r\n");
  assert.equal((await kept.response()).body, "GET /b ");
  assert.equal(await kept.rest(), "");
  using streamed = await RawClient.connect(server.port);
  await streamed.send("GET /stream HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  const response = await streamed.response();
  assert.doesNotMatch(response.head, /transfer-encoding|content-length/);
  assert.match(response.head, /\r\nconnection: close\r\n/);
  assert.equal(response.body, "one two three");
});

Deno.test("serveHttp sends no body with HEAD, 204 and 304", async () => {
  const feed = new Feed();
  await using server = serve((request) => {
    const path = new URL(request.url).pathname;
    if (path === "/stream") return Promise.resolve({ status: 200, headers: [], body: feed });
    const status = Number(path.slice(1));
    return Promise.resolve({ status, headers: [["content-length", "99"]], body: "hellö" });
  });
  using client = await RawClient.connect(server.port);
  await client.send("HEAD /200 HTTP/1.1\r\nhost: test\r\n\r\n");
  assert.match((await client.response("HEAD")).head, /\r\ncontent-length: 6\r\n/);
  await client.send("HEAD /stream HTTP/1.1\r\nhost: test\r\n\r\n");
  assert.match((await client.response("HEAD")).head, /\r\ntransfer-encoding: chunked\r\n/);
  await feed.cancelled;
  await client.get("/204");
  assert.doesNotMatch((await client.response()).head, /content-length|transfer-encoding/);
  await client.get("/200");
  assert.equal((await client.response()).body, "hell\xc3\xb6");
});

Deno.test("serveHttp answers 500 and closes where the handler fails", async () => {
  const handlers: (() => Promise<Reply>)[] = [
    () => Promise.reject(new Error("secret")),
    () => {
      throw new Error("secret");
    },
    () => Promise.resolve({ status: 200, headers: [["x", "a\r\nb: c"]], body: "secret" }),
    () => Promise.resolve({ status: 200, headers: [["x", "\u20ac"]], body: new Feed() }),
    () => Promise.resolve({ status: 42, headers: [], body: "secret" }),
  ];
  for (const handle of handlers) {
    await using server = serve(handle);
    using client = await RawClient.connect(server.port);
    await client.get("/");
    const { status, head, body } = await client.response();
    assert.equal(status, 500);
    assert.equal(body, "");
    assert.match(head, /\r\nconnection: close\r\n/);
    assert.equal(await client.rest(), "");
  }
});

Deno.test("serveHttp closes connections above its limit", async () => {
  await using server = serve(echo, { connectionsMax: 2 });
  const clients: RawClient[] = [];
  for (let at = 0; at < 2; at++) {
    const client = await RawClient.connect(server.port);
    clients.push(client);
    await client.get("/");
    await client.response();
  }
  using third = await RawClient.connect(server.port);
  assert.equal(await third.rest(), "");
  for (const client of clients) {
    await client.get("/");
    assert.equal((await client.response()).status, 200);
    client.close();
  }
});

Deno.test("stop closes idle connections, lets requests finish, and closes the rest in time", async () => {
  const clock = new ManualClock();
  const finishing = new Feed();
  const endless = new Feed();
  await using server = serve((request) => {
    const body = request.url.endsWith("/f") ? finishing : request.url.endsWith("/e") ? endless : "";
    return Promise.resolve({ status: 200, headers: [], body });
  }, { clock });
  const [idle, first, second] = [
    await RawClient.connect(server.port),
    await RawClient.connect(server.port),
    await RawClient.connect(server.port),
  ];
  await idle.get("/");
  await idle.response();
  await first.get("/f");
  await second.get("/e");
  await first.until("\r\n\r\n");
  await second.until("\r\n\r\n");

  let stopped = false;
  const stop = server.stop(5_000).then(() => stopped = true);
  assert.equal(await idle.rest(), "");
  await assert.rejects(RawClient.connect(server.port));
  finishing.push("done");
  finishing.end();
  const response = await first.response();
  assert.equal(response.body, "done");
  assert.equal(response.whole, true);
  assert.equal(await first.rest(), "");
  first.close();
  assert.equal(stopped, false);
  clock.advance(5_000);
  await stop;
  await endless.cancelled;
  assert.equal((await second.response()).whole, false);
  assert.equal(server.connections, 0);
  assert.equal(clock.pending, 0);
  idle.close();
  second.close();
});

Deno.test("serveHttp throws what the system says about the address", async () => {
  await using server = serve(echo);
  const options = { host: "127.0.0.1", port: server.port, clock: new ManualClock() };
  assert.throws(
    () =>
      serveHttp({
        ...options,
        handle: echo,
        refuse: () => ({ status: 400, headers: [], body: "" }),
      }),
    Deno.errors.AddrInUse,
  );
});
