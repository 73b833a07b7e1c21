import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { chosenSeed, Random } from "../../tests/support/random.ts";
import { echoOrStream, Feed, serve } from "./http_server_fixture.ts";

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function read(stream: ClientHttp2Stream): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const parts: Uint8Array[] = [];
  let headers: IncomingHttpHeaders = {};
  stream.on("response", (received) => headers = received);
  stream.on("data", (part: Uint8Array) => parts.push(part));
  stream.on("end", () => resolve({ headers, body: Buffer.concat(parts).toString() }));
  stream.on("error", reject);
  return promise;
}

function ask(client: ClientHttp2Session, headers: OutgoingHttpHeaders, body = ""): Promise<Answer> {
  const stream = client.request(headers);
  const answered = read(stream);
  // A request without a body has ended already.
  if (headers[":method"] === "POST") stream.end(body);
  return answered;
}

async function withClient(
  url: string,
  run: (client: ClientHttp2Session) => Promise<void>,
): Promise<void> {
  const client = connect(url);
  client.on("error", () => {});
  try {
    await run(client);
  } finally {
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    client.destroy();
    await closed;
  }
}

Deno.test("node:http2 sends bodies of all sizes, and reads whole and streamed replies", async () => {
  await using server = serve(echoOrStream, { http2: {} });
  await withClient(server.url, async (client) => {
    for (const size of [0, 1, 8_192, 65_535, 65_536, 300_000, 2_000_000]) {
      const body = "x".repeat(size);
      const reply = await ask(client, { ":method": "POST", ":path": "/a" }, body);
      assert.equal(reply.body, `POST /a ${body}`);
      const announced = await ask(client, {
        ":method": "POST",
        ":path": "/a",
        "content-length": size,
      }, body);
      assert.equal(announced.body, reply.body);
    }
    const streamed = await ask(client, { ":path": "/stream/a/b/c" });
    assert.equal(streamed.headers["x-kind"], "stream");
    assert.equal(streamed.body, "abc");
    const head = await ask(client, { ":method": "HEAD", ":path": "/a" });
    assert.deepEqual([head.headers["content-length"], head.body], ["8", ""]);
    await assert.rejects(ask(client, { ":path": "/stream/a/cut" }), {
      code: "ERR_HTTP2_STREAM_ERROR",
    });
    assert.equal(server.connections, 1);
  });
});

Deno.test("node:http2 and the server agree on random headers, both ways", async () => {
  const seed = chosenSeed();
  const random = new Random(seed);
  const names = Array.from({ length: 30 }, (_, at) => `x-${at}-${"n".repeat(random.below(30))}`);
  const letters = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)).join("") +
    "éÿ\t";
  const value = () => {
    const count = random.below(random.below(5) === 0 ? 500 : 30);
    return Array.from({ length: count }, () => letters[random.below(letters.length)]).join("")
      .trim();
  };
  await using server = serve((request) => {
    const headers = names.flatMap((name): [string, string][] => {
      const sent = request.headers.get(name);
      return sent === null ? [] : [[name, sent]];
    });
    return Promise.resolve({ status: 200, headers, body: null });
  }, { http2: {} });
  await withClient(server.url, async (client) => {
    for (let round = 0; round < 300; round++) {
      const sent: Record<string, string> = {};
      for (let count = random.below(10); count > 0; count--) sent[random.of(names)] = value();
      const { headers } = await ask(client, { ":path": `/${round}`, ...sent });
      const received = Object.fromEntries(
        names.map((name) => [name, headers[name]])
          .filter(([, text]) => text !== undefined),
      );
      assert.deepEqual(received, sent, `seed ${seed}, round ${round}`);
    }
  });
});

Deno.test("node:http2 asks for much at once on one connection", async () => {
  await using server = serve(echoOrStream, { http2: {} });
  await withClient(server.url, async (client) => {
    const all = await Promise.all(Array.from({ length: 1_000 }, (_, at) => {
      return ask(client, { ":method": "POST", ":path": `/${at}` }, "y".repeat(at));
    }));
    assert.deepEqual(
      all.map(({ body }) => body),
      all.map((_, at) => `POST /${at} ${"y".repeat(at)}`),
    );
    assert.equal(server.connections, 1);
  });
});

Deno.test("node:http2 waits to be told before it sends a body", async () => {
  await using server = serve(echoOrStream, { http2: {} });
  await withClient(server.url, async (client) => {
    const stream = client.request({ ":method": "POST", ":path": "/e", "expect": "100-continue" });
    const answered = read(stream);
    stream.once("continue", () => stream.end("now"));
    assert.equal((await answered).body, "POST /e now");
  });
});

Deno.test("node:http2 gives up a stream, and the server hears of it", async () => {
  const feed = new Feed();
  const gone = Promise.withResolvers<void>();
  await using server = serve((request) => {
    if (!request.url.endsWith("/feed")) return echoOrStream(request);
    request.signal.addEventListener("abort", () => gone.resolve());
    return Promise.resolve({ status: 200, headers: [], body: feed });
  }, { http2: {} });
  await withClient(server.url, async (client) => {
    const stream = client.request({ ":path": "/feed" });
    stream.on("error", () => {});
    feed.push("first");
    const [first] = await new Promise<[Uint8Array]>((resolve) =>
      stream.once("data", (part) => resolve([part]))
    );
    assert.equal(Buffer.from(first).toString(), "first");
    stream.close(constants.NGHTTP2_CANCEL);
    await gone.promise;
    await feed.cancelled;
    assert.equal((await ask(client, { ":path": "/still" })).body, "GET /still ");
  });
});

Deno.test("fetch speaks HTTP/1.1, and HTTP/2 where it is told to, to the same server", async () => {
  await using server = serve(echoOrStream, { http2: {} });
  using http2 = Deno.createHttpClient({ http1: false, http2: true });
  using http1 = Deno.createHttpClient({ http1: true, http2: false });
  for (const client of [http1, http2]) {
    for (const size of [0, 5, 60_000, 1_000_000]) {
      const body = "x".repeat(size);
      const response = await fetch(`${server.url}/a`, { method: "POST", body, client });
      assert.equal(await response.text(), `POST /a ${body}`);
    }
    const stream = await fetch(`${server.url}/stream/a/b`, { client });
    assert.equal(await stream.text(), "ab");
    const cut = await fetch(`${server.url}/stream/a/cut`, { client });
    await assert.rejects(cut.text());
  }
});

Deno.test("curl speaks HTTP/2 by prior knowledge", { ignore: !await has("curl") }, async () => {
  await using server = serve(echoOrStream, { http2: {} });
  const curl = async (...rest: string[]) => {
    const args = ["-sS", "-m", "10", "--http2-prior-knowledge", ...rest];
    const { code, stdout } = await new Deno.Command("curl", { args, stderr: "null" }).output();
    return [code, new TextDecoder().decode(stdout)];
  };
  const large = "y".repeat(100_000);
  assert.deepEqual(await curl("-d", large, `${server.url}/a`), [0, `POST /a ${large}`]);
  assert.deepEqual(await curl(`${server.url}/stream/a/b`), [0, "ab"]);
  const version = await curl("-o", "/dev/null", "-w", "%{http_version}", `${server.url}/a`);
  assert.deepEqual(version, [0, "2"]);
  assert.equal((await curl(`${server.url}/stream/a/cut`))[0], 92); // A stream's error.
});

/** Whether curl is there and can speak HTTP/2. */
async function has(command: string): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command(command, { args: ["--version"] }).output();
    return new TextDecoder().decode(stdout).includes("HTTP2");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
