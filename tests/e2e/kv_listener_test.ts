/**
 * The port for KV Connect of a node in a process of its own: everybody who may knock at it.
 */
import assert from "node:assert/strict";
import { openStockKv } from "../support/kv_clients.ts";
import { spawnKvNode } from "../support/kv_node_process.ts";
import { Random } from "../support/random.ts";

const PREFACE = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Sends bytes to a node and reads until it closes, or has said that much. */
async function knock(url: string, bytes: Uint8Array, enoughBytes = Infinity): Promise<Uint8Array> {
  const { hostname, port } = new URL(url);
  using socket = await Deno.connect({ hostname, port: Number(port) });
  const answer: number[] = [];
  const buffer = new Uint8Array(4_096);
  try {
    for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
    while (answer.length < enoughBytes) {
      const count = await socket.read(buffer);
      if (count === null) break;
      answer.push(...buffer.subarray(0, count));
    }
  } catch (error) {
    // A client that goes on sending may find its connection reset.
    const isCut = error instanceof Deno.errors.ConnectionReset ||
      error instanceof Deno.errors.BrokenPipe;
    if (!isCut) throw error;
  }
  return Uint8Array.from(answer);
}

Deno.test("one port of a node takes HTTP/2 and HTTP/1.1, and lives through what is neither", async () => {
  await using node = await spawnKvNode();
  using kv = await openStockKv(node.httpUrl("listener"));
  await kv.set(["before"], 1);
  assert.match(await (await fetch(node.url)).text(), /speaks KV Connect/);
  const plain = await knock(node.url, new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  assert.match(new TextDecoder().decode(plain), /^HTTP\/1\.1 200 /);
  const random = new Random(5);
  for (let round = 0; round < 30; round++) {
    const noise = Uint8Array.from({ length: 2_000 }, () => random.below(256));
    // The first frame has to be SETTINGS, so noise behind the preface is the end: GOAWAY.
    const behind = await knock(node.url, new Uint8Array([...PREFACE, ...noise]));
    if (behind.length > 0) assert.equal(behind[3], 4);
    noise[0] = 0xff; // No method begins with it, nor does the preface.
    const answer = new TextDecoder().decode(await knock(node.url, noise));
    assert.match(answer, /^(HTTP\/1\.1 400 |$)/);
  }
  assert.equal((await kv.get(["before"])).value, 1);
});

Deno.test("a stock client asks for more at once than a connection has streams for", async () => {
  await using node = await spawnKvNode();
  using kv = await openStockKv(node.httpUrl("many"));
  const numbers = Array.from({ length: 2_500 }, (_, at) => at);
  await Promise.all(numbers.map((at) => kv.set(["n", at], at)));
  const entries = await Promise.all(numbers.map((at) => kv.get<number>(["n", at])));
  assert.deepEqual(entries.map(({ value }) => value), numbers);
  // Bodies of all sizes, side by side on one connection.
  const sizes = [0, 1, 5_000, 9_000, 16_384, 30_000, 60_000, 65_000];
  await Promise.all(sizes.map((size) => kv.set(["size", size], new Uint8Array(size).fill(7))));
  for (const size of sizes) {
    const { value } = await kv.get<Uint8Array>(["size", size]);
    assert.deepEqual(value, new Uint8Array(size).fill(7));
  }
});

Deno.test("a stock client whose idle connection was closed goes on, its watch too", async () => {
  await using node = await spawnKvNode({ flags: ["--idle-seconds", "1"] });
  using kv = await openStockKv(node.httpUrl("idle"));
  using other = await openStockKv(node.httpUrl("idle"));
  await kv.set(["seen"], 1);
  await other.set(["unseen"], 1);
  const seen: unknown[] = [];
  const arrived = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const reading = (async () => {
    for await (const [entry] of kv.watch([["seen"]])) {
      seen.push(entry.value);
      arrived[seen.length - 1]?.resolve();
      if (seen.length === 2) return;
    }
  })();
  await arrived[0]?.promise;
  // Longer than the node keeps a connection without a request, and than its sweep.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  assert.equal((await other.get(["unseen"])).value, 1);
  await other.set(["seen"], 2);
  await arrived[1]?.promise;
  await reading;
  assert.deepEqual(seen, [1, 2]);
});
