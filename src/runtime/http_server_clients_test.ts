import assert from "node:assert/strict";
import { Agent, request as nodeRequest } from "node:http";
import { echoOrStream, RawClient, serve } from "./http_server_fixture.ts";

Deno.test("fetch sends bodies of all kinds and reads whole and streamed replies", async () => {
  await using server = serve(echoOrStream);
  for (const size of [0, 1, 8_192, 100_000, 2_000_000]) {
    const body = "x".repeat(size);
    const response = await fetch(`${server.url}/a`, { method: "POST", body });
    assert.equal(await response.text(), `POST /a ${body}`);
  }
  const streamed = new Blob(["one ", "two"]).stream();
  const chunked = await fetch(`${server.url}/c`, { method: "PUT", body: streamed });
  assert.equal(await chunked.text(), "PUT /c one two");
  const stream = await fetch(`${server.url}/stream/a/b/c`);
  assert.equal(stream.headers.get("x-kind"), "stream");
  assert.equal(await stream.text(), "abc");
  const head = await fetch(`${server.url}/a`, { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), "8");
  const cut = await fetch(`${server.url}/stream/a/cut`);
  await assert.rejects(cut.text());
});

Deno.test("curl gets replies, streams, and an error for a cut stream", {
  ignore: !await has("curl"),
}, async () => {
  await using server = serve(echoOrStream);
  const curl = async (...rest: string[]) => {
    const args = ["-sS", "-m", "10", ...rest];
    const { code, stdout } = await new Deno.Command("curl", { args, stderr: "null" }).output();
    return [code, new TextDecoder().decode(stdout)];
  };
  assert.deepEqual(await curl("-d", "hello", `${server.url}/a`), [0, "POST /a hello"]);
  assert.deepEqual(await curl(`${server.url}/stream/a/b`), [0, "ab"]);
  assert.deepEqual(await curl("-0", `${server.url}/stream/a/b`), [0, "ab"]);
  // 18: transfer closed with outstanding data remaining.
  assert.deepEqual(await curl(`${server.url}/stream/a/cut`), [18, "acut"]);
  const large = "y".repeat(100_000);
  const expecting = ["-H", "expect: 100-continue", "-d", large, `${server.url}/a`];
  assert.deepEqual(await curl(...expecting), [0, `POST /a ${large}`]);
});

Deno.test("node:http keeps its connections and reads streams", async () => {
  await using server = serve(echoOrStream);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (path: string, body: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const sent = nodeRequest(`${server.url}${path}`, { agent, method: "POST" }, (response) => {
      let text = "";
      response.on("data", (chunk) => text += chunk);
      response.on("end", () => response.complete ? resolve(text) : reject(new Error("cut")));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
    return promise;
  };
  for (let at = 0; at < 20; at++) assert.equal(await ask("/a", `${at}`), `POST /a ${at}`);
  assert.equal(await ask("/stream/a/b", ""), "ab");
  assert.equal(server.connections, 1);
  await assert.rejects(ask("/stream/a/cut", ""));
  agent.destroy();
});

Deno.test("2,000 requests follow each other on one connection", async () => {
  await using server = serve(echoOrStream);
  using client = await RawClient.connect(server.port);
  for (let at = 0; at < 2_000; at++) {
    const body = "z".repeat(at % 977);
    const path = at % 10 === 0 ? "/stream/a" : "/a";
    await client.send(
      `POST ${path} HTTP/1.1\r\nhost: test\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const wanted = at % 10 === 0 ? "a" : `POST /a ${body}`;
    assert.equal((await client.response()).body, wanted);
  }
  assert.equal(server.connections, 1);
});

Deno.test("1,000 connections are served side by side", async () => {
  const everybody = Promise.withResolvers<void>();
  let waiting = 0;
  await using server = serve(async (request) => {
    if (++waiting === 1_000) everybody.resolve();
    await everybody.promise;
    return await echoOrStream(request);
  });
  const clients = await Promise.all(
    Array.from({ length: 1_000 }, () => RawClient.connect(server.port)),
  );
  await Promise.all(clients.map((client, at) => client.get(`/stream/${at}`)));
  const bodies = await Promise.all(clients.map(async (client) => (await client.response()).body));
  assert.deepEqual(bodies, clients.map((_, at) => String(at)));
  assert.equal(server.connections, 1_000);
  for (const client of clients) client.close();
});

async function has(command: string): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args: ["--version"], stdout: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
