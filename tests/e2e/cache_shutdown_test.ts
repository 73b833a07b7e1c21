/**
 * Ending a gateway while clients share a request, in this process and in one of
 * its own.
 */
import assert from "node:assert/strict";
import {
  cacheConfig,
  type CacheGateway,
  requestOf,
  serveCache,
  startCounting,
  until,
} from "../support/cache_gateway.ts";
import { spawnGateway } from "../support/gateway_process.ts";
import { rawExchange } from "../support/raw_http.ts";

const SLOW = { prompt: "What is a weir good for?", stream: true };

function serveSlow(target: string): Promise<CacheGateway> {
  return serveCache({ models: { m: { target } }, cache: { semantic: { mode: "off" } } });
}

async function untilAboard(cache: CacheGateway, clients: number): Promise<void> {
  await until(
    async () => (await cache.admin("GET", "/cache")).json.flights.clients === clients,
    `${clients} clients on flights`,
  );
}

Deno.test("drain lets a flight end for all its clients and takes no more", async () => {
  await using cache = await serveSlow("sim!token-ms=10,words=30");
  const asked = [1, 2, 3].map((count) => cache.ask({ ...SLOW, stream: count !== 2 }));
  await untilAboard(cache, 3);
  await cache.simulator.arrived(1);
  const drained = cache.served.gateway.drain(10_000);
  const refused = await cache.ask(SLOW);
  assert.equal(refused.status, 503);
  assert.equal(JSON.parse(refused.text).error.code, "shutting_down");
  await drained;
  for (const answer of await Promise.all(asked)) {
    assert.equal(answer.status, 200);
    assert.equal(answer.ending, "complete");
  }
  assert.equal(cache.calls, 1);
});

Deno.test("a drain that takes too long ends the flight with an error for everybody", async () => {
  await using cache = await serveSlow("sim!stall=3:60");
  const asked = [1, 2, 3].map(() => cache.ask(SLOW));
  await untilAboard(cache, 3);
  await cache.simulator.arrived(1);
  await cache.served.gateway.drain(100);
  for (const answer of await Promise.all(asked)) {
    assert.notEqual(answer.ending, "complete");
    assert.match(answer.text, /data: \{"error":/);
  }
  await cache.simulator.settled(1);
  assert.notEqual(cache.simulator.log[0]?.clientGoneAtMs, null);
  assert.equal(cache.calls, 1);
});

Deno.test("close ends flights, streamed or not, and does not ask again", async (t) => {
  for (const target of ["sim!stall=3:60", "sim!silence=60"]) {
    await t.step(target, async () => {
      await using cache = await serveSlow(target);
      const asked = [true, true, false].map((stream) => cache.ask({ ...SLOW, stream }));
      await untilAboard(cache, 3);
      await cache.simulator.arrived(1);
      await cache.served.gateway.close();
      for (const answer of await Promise.all(asked)) {
        const isError = answer.status === 503 || answer.ending !== "complete";
        assert.ok(isError, `${answer.status} ${answer.ending}`);
      }
      assert.equal(cache.calls, 1);
    });
  }
});

Deno.test("a process that is told to end finishes its flights first", async () => {
  await using simulator = await startCounting();
  const config = cacheConfig(simulator.url, {
    models: { m: { target: "sim!token-ms=15,words=40" } },
    cache: { semantic: { mode: "off" } },
  });
  await using gateway = await spawnGateway(config);
  const port = Number(new URL(gateway.url).port);
  const once = await rawExchange(port, requestOf({ prompt: "Hello there" }));
  const again = await rawExchange(port, requestOf({ prompt: "hello there" }));
  assert.equal(once.status, 200);
  assert.equal(again.headers.get("x-weir-cache"), "canonical");
  const asked = [1, 2, 3].map(() => rawExchange(port, requestOf(SLOW)));
  await simulator.arrived(2);
  await until(async () => {
    const answer = await fetch(`${gateway.adminUrl}/cache`);
    return (await answer.json()).flights.clients === 3;
  }, "three clients on a flight");
  gateway.kill("SIGTERM");
  const answers = await Promise.all(asked);
  for (const answer of answers) {
    assert.equal(answer.ending, "complete");
    assert.match(answer.text, /data: \[DONE\]\n\n$/);
  }
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  await gateway.ended;
  assert.equal(simulator.log.length, 2);
});
