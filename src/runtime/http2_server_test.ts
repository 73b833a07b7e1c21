import assert from "node:assert/strict";
import { echo, echoOrStall, Feed, RawClient, serve } from "./http_server_fixture.ts";
import { Flag } from "./http2/frame.ts";
import {
  data,
  type Frame,
  framesOf,
  GET,
  headers,
  joined,
  ping,
  POST,
  settings,
  short,
  widen,
} from "./http2/http2_fixture.ts";
import { ManualClock } from "./manual_clock_fixture.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const PREFACE = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const HELLO = joined(PREFACE, settings());

/** A client that sends the bytes that it is told to, and reads frames. */
class FrameClient implements Disposable {
  readonly #socket: Deno.TcpConn;
  readonly #buffer = new Uint8Array(1_048_576);
  #held: Bytes = new Uint8Array(0);
  #open = true;

  constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async connect(port: number, first: Uint8Array = HELLO): Promise<FrameClient> {
    const client = new FrameClient(await Deno.connect({ hostname: "127.0.0.1", port }));
    client.#socket.setNoDelay(true);
    await client.send(first);
    return client;
  }

  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const bytes = joined(...parts);
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** What one read brings; `null` at the end. */
  async read(): Promise<Frame[] | null> {
    const count = await this.#socket.read(this.#buffer);
    if (count === null) return null;
    const bytes = joined(this.#held, this.#buffer.subarray(0, count));
    let end = 0;
    while (end + 9 <= bytes.length) {
      const next = end + 9 +
        (((bytes[end] ?? 0) << 16) | ((bytes[end + 1] ?? 0) << 8) | (bytes[end + 2] ?? 0));
      if (next > bytes.length) break;
      end = next;
    }
    this.#held = bytes.slice(end);
    return framesOf(bytes.slice(0, end));
  }

  /** Reads until `text` has come, or to the end; all in short. */
  async until(text: string): Promise<string[]> {
    const all: string[] = [];
    while (!all.includes(text)) {
      const frames = await this.read();
      if (frames === null) break;
      all.push(...short(frames));
    }
    return all;
  }

  [Symbol.dispose](): void {
    if (this.#open) this.#socket.close();
    this.#open = false;
  }
}

/** Lets a second of a server's time go by. */
async function tick(clock: ManualClock): Promise<void> {
  clock.advance(1_000);
  await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("serveHttp tells HTTP/2 from HTTP/1.1 by the first bytes, however they come", async () => {
  await using server = serve(echo, { http2: {} });
  for (const stepBytes of [1, 10, 24, 1_000]) {
    const bytes = joined(HELLO, headers(1, GET));
    using client = await FrameClient.connect(server.port, bytes.subarray(0, stepBytes));
    for (let at = stepBytes; at < bytes.length; at += stepBytes) {
      await client.send(bytes.subarray(at, at + stepBytes));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert.ok((await client.until("DATA 1 6 END")).includes("HEADERS 1"));
  }
  for (
    const pieces of [["GET / HTTP/1.1\r\nhost: test\r\n\r\n"], [
      "P",
      "OST / HTTP/1.1\r\nhost: t",
      "\r\ncontent-length: 2\r\n\r\nab",
    ]]
  ) {
    using client = await RawClient.connect(server.port);
    for (const piece of pieces) {
      await client.send(piece);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.match((await client.response()).body, /^(GET \/ |POST \/ ab)$/);
    // Its connection is an ordinary one.
    await client.get("/again");
    assert.equal((await client.response()).body, "GET /again ");
  }
  using long = await RawClient.connect(server.port);
  await long.send(`GET /long HTTP/1.1\r\nhost: test\r\nx: ${"y".repeat(20_000)}\r\n\r\n`);
  assert.equal((await long.response()).body, "GET /long ");
  using wrong = await RawClient.connect(server.port);
  await wrong.send("PRI * HTTP/2.0\r\n\r\nWRONG\r\n\r\n");
  assert.equal((await wrong.response()).status, 505);
});

Deno.test("serveHttp speaks HTTP/1.1 alone unless it is told to speak HTTP/2", async () => {
  await using server = serve(echo);
  using client = await RawClient.connect(server.port);
  await client.send(PREFACE);
  assert.equal((await client.response()).status, 505);
});

Deno.test("serveHttp closes connections that are silent or slow, whatever they speak", async () => {
  const clock = new ManualClock();
  const feed = new Feed();
  await using server = serve(
    echoOrStall(feed),
    { clock, http2: {}, headMs: 10_000, idleMs: 75_000, writeMs: 120_000 },
  );
  using silent = await FrameClient.connect(server.port, new Uint8Array(0));
  using slow = await FrameClient.connect(server.port, PREFACE.subarray(0, 20));
  using headless = await FrameClient.connect(
    server.port,
    joined(HELLO, headers(1, GET).subarray(0, 15)),
  );
  using idle = await FrameClient.connect(server.port);
  await idle.until("SETTINGS ACK");
  await headless.until("SETTINGS ACK");
  using unread = await RawClient.connect(server.port);
  const stall = GET.map(([name, value]) => [name, name === ":path" ? "/stall" : value] as const);
  await unread.send(
    joined(HELLO, settings([4, 2 ** 31 - 1]), widen(0, 2 ** 31 - 1 - 65_535), headers(1, stall)),
  );
  await unread.until("\0\x04\x01");
  for (let pushed = 0; pushed < 30; pushed++) feed.push("z".repeat(1_000_000));
  while (server.connections < 5) await tick(clock);
  for (let at = 0; at < 16; at++) await tick(clock);
  assert.equal(server.connections, 3);
  assert.equal(await slow.read(), null);
  assert.deepEqual(await headless.until("none"), ["GOAWAY 0 11"]);
  for (let at = 0; at < 66; at++) await tick(clock);
  assert.equal(server.connections, 1);
  assert.equal(await silent.read(), null);
  assert.deepEqual(await idle.until("none"), ["GOAWAY 2147483647 0", "PING", "GOAWAY 0 0"]);
  for (let at = 0; at < 58; at++) await tick(clock);
  assert.equal(server.connections, 0);
  await feed.cancelled;
  assert.equal(clock.pending, 0);
});

Deno.test("serveHttp puts the replies to requests of one packet into one packet", async () => {
  await using server = serve(echo, { http2: {} });
  using client = await FrameClient.connect(server.port);
  await client.until("SETTINGS ACK");
  const ids = Array.from({ length: 20 }, (_, at) => at * 2 + 1);
  await client.send(...ids.map((id) => joined(headers(id, POST, false), data(id, "abc"))));
  const frames = short(await client.read() ?? []);
  assert.deepEqual(frames, ids.flatMap((id) => [`HEADERS ${id}`, `DATA ${id} 10 END`]));
});

Deno.test("serveHttp answers a part of a body with something, lest small packets wait", async () => {
  await using server = serve(echo, { http2: {} });
  using client = await FrameClient.connect(server.port);
  await client.until("SETTINGS ACK");
  const body = data(1, "x".repeat(16_000));
  await client.send(
    headers(1, [...POST, ["content-length", "16000"]], false),
    body.subarray(0, 5_000),
  );
  assert.deepEqual(short(await client.read() ?? []), ["WINDOW 0 1"]);
  await client.send(body.subarray(5_000));
  await client.until("DATA 1 16007 END");
});

Deno.test("serveHttp keeps no more than so many connections, and forgets those that ended", async () => {
  await using server = serve(echo, { http2: {}, connectionsMax: 2 });
  using one = await FrameClient.connect(server.port);
  using other = await FrameClient.connect(server.port, new Uint8Array(0));
  await one.until("SETTINGS ACK");
  using third = await FrameClient.connect(server.port, new Uint8Array(0));
  assert.equal(await third.read().catch(() => null), null);
  assert.equal(server.connections, 2);
  one[Symbol.dispose]();
  other[Symbol.dispose]();
  while (server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  using again = await FrameClient.connect(server.port, joined(HELLO, headers(1, GET)));
  await again.until("DATA 1 6 END");
});

Deno.test("stop tells HTTP/2 clients, lets requests finish, and closes the rest in time", async () => {
  const clock = new ManualClock();
  const finishing = new Feed();
  const endless = new Feed();
  const server = serve((request) => {
    return Promise.resolve({
      status: 200,
      headers: [],
      body: request.method === "GET" ? finishing : endless,
    });
  }, { clock, http2: {} });
  using unknown = await FrameClient.connect(server.port, PREFACE.subarray(0, 3));
  using idle = await FrameClient.connect(server.port);
  using first = await FrameClient.connect(server.port, joined(HELLO, headers(1, GET)));
  using second = await FrameClient.connect(server.port, joined(HELLO, headers(1, POST)));
  await idle.until("SETTINGS ACK");
  await first.until("HEADERS 1");
  await second.until("HEADERS 1");
  while (server.connections < 4) await new Promise((resolve) => setTimeout(resolve, 1));
  let isStopped = false;
  const stopping = server.stop(5_000).then(() => isStopped = true);
  assert.equal(await unknown.read(), null);
  for (const client of [idle, first, second]) {
    assert.deepEqual(await client.until("PING"), ["GOAWAY 2147483647 0", "PING"]);
    await client.send(ping(new Uint8Array(8), Flag.ack));
  }
  assert.deepEqual(await idle.until("none"), ["GOAWAY 0 0"]);
  idle[Symbol.dispose]();
  finishing.push("last words");
  finishing.end();
  assert.deepEqual(await first.until("none"), ["GOAWAY 1 0", "DATA 1 10", "DATA 1 0 END"]);
  first[Symbol.dispose]();
  while (server.connections > 1) await tick(clock);
  assert.equal(isStopped, false);
  while (!isStopped) await tick(clock);
  await stopping;
  await endless.cancelled;
  assert.deepEqual(await second.until("none").catch(() => ["GOAWAY 1 0"]), ["GOAWAY 1 0"]);
  assert.equal(clock.pending, 0);
});

Deno.test("a client of HTTP/2 that closes or resets its connection is noticed", async () => {
  const departed: PromiseWithResolvers<void>[] = [];
  await using server = serve((request) => {
    const gone = Promise.withResolvers<void>();
    departed.push(gone);
    request.signal.addEventListener("abort", () => gone.resolve());
    return new Promise(() => {});
  }, { http2: {} });
  using client = await FrameClient.connect(
    server.port,
    joined(HELLO, headers(1, GET), headers(3, GET)),
  );
  await client.until("SETTINGS ACK");
  while (departed.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  client[Symbol.dispose]();
  await Promise.all(departed.map(({ promise }) => promise));
  while (server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 1));
});
