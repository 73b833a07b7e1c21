import assert from "node:assert/strict";
import { Child } from "./children.ts";
import { measure, scenarios } from "./measures.ts";
import type { Peer } from "./peers.ts";

const FOLDER = new URL(".", import.meta.url).pathname;

function run(file: string): Child {
  const deno = [Deno.execPath(), "run", "--no-prompt", "--no-check", "--allow-net=127.0.0.1"];
  return new Child([...deno, `${FOLDER}${file}`], { lines: true });
}

Deno.test("measure() gets every answer of the backend in full, paced or not", async () => {
  const backend = run("backend.ts");
  const client = run("client.ts");
  try {
    const { port } = JSON.parse(await backend.read());
    const peer: Peer = { name: "direct", version: "", port, headers: [], child: null };
    for (const scenario of scenarios({ seconds: 30, pacedSeconds: 30, gapMs: 2 })) {
      const connections = Math.min(4, scenario.connections);
      const figures = await measure(client, peer, { ...scenario, connections }, 8);
      const { requests, errors, firstTokenP50Ms, latencyP50Ms } = figures;
      assert.deepEqual({ requests, errors }, { requests: 8, errors: 0 }, figures.firstError);
      assert.equal(firstTokenP50Ms !== null, scenario.stream, scenario.name);
      // 50 events, 49 gaps of 2 ms, by the client's own clock.
      if (scenario.name === "paced") assert.ok(latencyP50Ms >= 96, `${latencyP50Ms} ms`);
    }
  } finally {
    await Promise.all([backend.stop(), client.stop()]);
  }
});

Deno.test("measure() counts an answer with too few events as an error", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answer = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ndata: 1\n\n";
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(65_536));
      await connection.write(new TextEncoder().encode(answer));
      connection.close();
    }
  })();
  const client = run("client.ts");
  try {
    const { port } = listener.addr;
    const peer: Peer = { name: "direct", version: "", port, headers: [], child: null };
    const stream = scenarios({ seconds: 30, pacedSeconds: 30, gapMs: 2 })
      .find((scenario) => scenario.name === "stream_c1");
    assert.ok(stream);
    const { requests, errors, firstError } = await measure(client, peer, stream, 1);
    assert.deepEqual({ requests, errors }, { requests: 0, errors: 1 });
    assert.match(firstError, /status 200, 1 events/);
  } finally {
    listener.close();
    await serving;
    await client.stop();
  }
});
