/**
 * Many clients, one call: what they read, and what becomes of them when the first
 * one leaves or the backend fails.
 */
import assert from "node:assert/strict";
import {
  type Ask,
  type CacheAnswer,
  type CacheGateway,
  chunksOf,
  requestOf,
  serveCache,
  startCounting,
  textOf,
  until,
} from "../support/cache_gateway.ts";
import { requestBytes } from "../support/raw_http.ts";

const SLOW = { model: "slow", prompt: "What is a weir good for?", stream: true };

/** A gateway whose model `slow` takes a while. */
function serveSlow(more: Record<string, { target: string }> = {}): Promise<CacheGateway> {
  return serveCache({
    models: { slow: { target: "sim!token-ms=5,words=40" }, ...more },
    cache: { semantic: { mode: "off" } },
  });
}

/** Clients that ask at once, the first one first. */
async function askAfterFirst(cache: CacheGateway, asks: readonly Ask[]): Promise<CacheAnswer[]> {
  const [first, ...others] = asks;
  const leading = cache.ask(first ?? {});
  await cache.simulator.arrived(1);
  return await Promise.all([leading, ...others.map((ask) => cache.ask(ask))]);
}

/** Settles once so many clients share requests. */
async function untilAboard(cache: CacheGateway, clients: number): Promise<void> {
  await until(async () => {
    const { json } = await cache.admin("GET", "/cache");
    return json.flights.clients === clients;
  }, `${clients} clients on flights`);
}

/** A client that can leave. */
class Leaver {
  readonly #connection: Deno.TcpConn;
  #text = "";

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Sends a request. */
  static async send(cache: CacheGateway, ask: Ask): Promise<Leaver> {
    const { hostname, port } = new URL(cache.url);
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const bytes = requestBytes(requestOf(ask));
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    return new Leaver(connection);
  }

  /** Reads until so many pieces of content have come. */
  async read(tokens: number): Promise<void> {
    const buffer = new Uint8Array(4_096);
    while ((this.#text.match(/"content":"[^"]/g) ?? []).length < tokens) {
      const count = await this.#connection.read(buffer);
      if (count === null) throw new Error(`Cannot read on: the stream ended: ${this.#text}`);
      this.#text += new TextDecoder().decode(buffer.subarray(0, count));
    }
  }

  /** Leaves. */
  leave(): void {
    this.#connection.close();
  }
}

Deno.test("100 identical concurrent streams are one call, and byte-identical", async () => {
  await using cache = await serveSlow();
  const answers = await Promise.all(Array.from({ length: 100 }, () => cache.ask(SLOW)));
  assert.equal(cache.calls, 1);
  assert.equal(answers.filter(({ layer }) => layer === "miss").length, 1);
  assert.equal(answers.filter(({ layer }) => layer === "flight").length, 99);
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  assert.ok(answers.every(({ ending }) => ending === "complete"));
  assert.match(answers[0]?.text ?? "", /data: \[DONE\]\n\n$/);
  assert.equal(new Set(answers.map(({ headers }) => headers.get("x-request-id"))).size, 100);
  const follower = answers.find(({ layer }) => layer === "flight");
  assert.equal(follower?.cacheStatus, "weir; fwd=miss; collapsed; detail=flight");
  assert.equal((await cache.ask(SLOW)).layer, "exact");
});

Deno.test("streams and JSON share a flight, whoever comes first", async (t) => {
  const expected = await (async () => {
    await using cache = await serveSlow();
    return textOf(await cache.ask({ ...SLOW, stream: false }));
  })();
  for (const leads of [true, false]) {
    await t.step(leads ? "a stream leads" : "JSON leads", async () => {
      await using cache = await serveSlow();
      const asks = [leads, true, false, true, false].map((stream) => ({ ...SLOW, stream }));
      const answers = await askAfterFirst(cache, asks);
      assert.equal(cache.calls, 1);
      for (const answer of answers) {
        assert.equal(answer.ending, "complete");
        assert.equal(textOf(answer), expected);
      }
      assert.deepEqual(answers.map(({ layer }) => layer), [
        "miss",
        ...["flight", "flight", "flight", "flight"],
      ]);
    });
  }
});

Deno.test("usage goes to those on a flight who asked for it", async () => {
  await using cache = await serveSlow();
  const withUsage = { ...SLOW, body: { stream_options: { include_usage: true } } };
  const answers = await askAfterFirst(cache, [SLOW, withUsage, SLOW, withUsage]);
  assert.equal(cache.calls, 1);
  const usages = answers.map((answer) =>
    chunksOf(answer).filter(({ usage }) => usage !== undefined && usage !== null).length
  );
  assert.deepEqual(usages, [0, 1, 0, 1]);
  for (const answer of answers) assert.match(answer.text, /data: \[DONE\]\n\n$/);
  const last = answers[1] === undefined ? undefined : chunksOf(answers[1]).at(-1);
  assert.deepEqual(last?.choices, []);
  assert.equal(last?.usage.completion_tokens, 40);
});

const DEPARTURES = { "before headers": 0, "after the first token": 1, "mid-stream": 12 };

Deno.test("a leader that leaves takes nobody with it", async (t) => {
  const expected = await (async () => {
    await using cache = await serveSlow();
    return textOf(await cache.ask(SLOW));
  })();
  for (const [place, tokens] of Object.entries(DEPARTURES)) {
    for (const count of [1, 2, 50]) {
      await t.step(`${place}, ${count} follow`, async () => {
        const model = tokens === 0 ? "sim!first-token-ms=150,words=40" : "sim!token-ms=5,words=40";
        await using cache = await serveCache({
          models: { slow: { target: model } },
          cache: { semantic: { mode: "off" } },
        });
        const leader = await Leaver.send(cache, SLOW);
        await cache.simulator.arrived(1);
        const following = Array.from({ length: count }, () => cache.ask(SLOW));
        await untilAboard(cache, count + 1);
        await leader.read(tokens);
        leader.leave();
        await untilAboard(cache, count);
        for (const answer of await Promise.all(following)) {
          assert.equal(answer.ending, "complete");
          assert.equal(textOf(answer), expected);
          assert.match(answer.text, /data: \[DONE\]\n\n$/);
        }
        assert.equal(cache.calls, 1);
        assert.equal(cache.simulator.log[0]?.clientGoneAtMs, null);
        assert.equal((await cache.ask(SLOW)).layer, "exact");
      });
    }
  }
});

Deno.test("the last one out cancels the call at once, and nothing is stored", async (t) => {
  const targets = {
    "before headers": "sim!silence=60",
    "before the first token": "sim!slow=60",
    "mid-stream": "sim!stall=3:60",
  };
  for (const [place, target] of Object.entries(targets)) {
    await t.step(place, async () => {
      await using cache = await serveCache({
        models: { slow: { target } },
        cache: { semantic: { mode: "off" } },
      });
      const leavers: Leaver[] = [];
      for (let count = 0; count < 3; count++) leavers.push(await Leaver.send(cache, SLOW));
      await untilAboard(cache, 3);
      await cache.simulator.arrived(1);
      if (place === "mid-stream") { for (const leaver of leavers) await leaver.read(3); }
      leavers[0]?.leave();
      leavers[1]?.leave();
      await untilAboard(cache, 1);
      assert.equal(cache.simulator.log[0]?.clientGoneAtMs, null);
      leavers[2]?.leave();
      await cache.simulator.settled(1);
      const [entry] = cache.simulator.log;
      assert.ok(entry !== undefined && entry.clientGoneAtMs !== null, entry?.action);
      assert.equal(cache.calls, 1);
      const { json } = await cache.admin("GET", "/cache");
      assert.equal(json.store.entries, 0);
      assert.deepEqual(json.flights, { flights: 0, clients: 0 });
    });
  }
});

/** Faults in the middle of a stream. */
const BREAKS = ["cut=5", "rst=5", "stall=5:1", "malformed=5", "in-band-error=5", "clean-cut=5"];

Deno.test("a stream that breaks is seen to break by everybody, and not stored", async (t) => {
  for (const fault of BREAKS) {
    await t.step(fault, async () => {
      await using cache = await serveCache({
        models: { slow: { target: `sim!${fault},token-ms=20,words=40` } },
        cache: { semantic: { mode: "off" } },
      });
      const following = Array.from({ length: 4 }, () => cache.ask(SLOW));
      for (const answer of await Promise.all(following)) {
        assert.equal(answer.status, 200);
        assert.notEqual(answer.ending, "complete");
        assert.match(answer.text, /data: \{"error":/);
        assert.doesNotMatch(answer.text, /\[DONE\]/);
        assert.equal(chunksOf(answer).filter(({ error }) => error !== undefined).length, 1);
      }
      assert.equal(cache.calls, 1);
      assert.equal((await cache.admin("GET", "/cache")).json.store.entries, 0);
      assert.equal((await cache.ask(SLOW)).layer, "miss");
      assert.equal(cache.calls, 2);
    });
  }
});

Deno.test("a client that wants JSON of a stream that breaks asks for itself", async () => {
  // Only the stream breaks: asked without one, this backend answers.
  await using cache = await serveSlow({ torn: { target: "sim!clean-cut=5,token-ms=20,words=40" } });
  const torn = { ...SLOW, model: "torn" };
  const [stream, json] = await askAfterFirst(cache, [torn, { ...torn, stream: false }]);
  assert.notEqual(stream?.ending, "complete");
  assert.equal(json?.status, 200);
  assert.equal(JSON.parse(json?.text ?? "").choices[0].finish_reason, "stop");
  assert.equal(cache.calls, 2);
});

Deno.test("a failure before the first content is handed over once, then each goes alone", async (t) => {
  await t.step("the second attempt answers everybody who is left", async () => {
    await using cache = await serveCache({
      models: { slow: { target: "sim!status=503,times=1,token-ms=1,words=30" } },
      cache: { semantic: { mode: "off" } },
    });
    const answers = await Promise.all(Array.from({ length: 5 }, () => cache.ask(SLOW)));
    assert.equal(answers.filter(({ status }) => status === 503).length, 1);
    const well = answers.filter(({ status }) => status === 200);
    assert.equal(well.length, 4);
    assert.equal(new Set(well.map(({ text }) => text)).size, 1);
    assert.equal(cache.calls, 2);
    assert.equal(await cache.served.metric("weir_cache_handovers_total"), 1);
  });
  await t.step("after the second failure nobody shares any more", async () => {
    await using cache = await serveCache({
      models: { slow: { target: "sim!status=503,times=2,token-ms=1,words=30" } },
      cache: { semantic: { mode: "off" } },
      config: { balancing: { breaker: { consecutiveFailures: 100, minimumOutcomes: 100 } } },
    });
    const answers = await Promise.all(Array.from({ length: 6 }, () => cache.ask(SLOW)));
    assert.equal(answers.filter(({ status }) => status === 503).length, 2);
    assert.equal(answers.filter(({ status }) => status === 200).length, 4);
    assert.equal(cache.calls, 6);
  });
});

Deno.test("a request that is refused as wrong is refused once for everybody", async () => {
  await using cache = await serveCache({
    models: { slow: { target: "sim!status=400" } },
    cache: { semantic: { mode: "off" } },
  });
  const answers = await Promise.all(Array.from({ length: 5 }, () => cache.ask(SLOW)));
  assert.deepEqual(answers.map(({ status }) => status), [400, 400, 400, 400, 400]);
  assert.equal(cache.calls, 1);
});

/** Stands in every event: with it, few words are more than sockets hold. */
const LONG_NAME = "x".repeat(220);

/** Asks, and reads as slowly as somebody who does not read: not before `go`. */
async function askUnread(cache: CacheGateway, ask: Ask, go: Promise<unknown>): Promise<string> {
  const { hostname, port } = new URL(cache.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(requestBytes(requestOf(ask)));
  await cache.simulator.arrived(1);
  await go;
  const pieces: string[] = [];
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder("latin1");
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    pieces.push(decoder.decode(buffer.subarray(0, n)));
  }
  return pieces.join("");
}

async function fetchText(cache: CacheGateway, ask: Ask): Promise<string> {
  const { path, body } = requestOf(ask);
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(cache.url + path, init);
  assert.equal(answer.headers.get("x-weir-cache"), "flight");
  return await answer.text();
}

Deno.test("a slow reader holds nobody up, and gets everything", async () => {
  await using cache = await serveCache({
    models: { slow: { target: `${LONG_NAME}!first-token-ms=200,words=20000` } },
    cache: { semantic: { mode: "off" } },
    shared: { flightBytes: 64 * 1_048_576 },
  });
  const go = Promise.withResolvers<void>();
  const slow = askUnread(cache, SLOW, go.promise);
  await cache.simulator.arrived(1);
  const quick = await fetchText(cache, SLOW);
  assert.match(quick, /data: \[DONE\]\n\n$/);
  go.resolve();
  const text = await slow;
  assert.equal(text.match(/"content":/g)?.length, quick.match(/"content":/g)?.length);
  assert.match(text, /data: \[DONE\]/);
  assert.equal(cache.calls, 1);
});

Deno.test("a reader that is too far behind is cut off, and the others are not", async (t) => {
  for (const stream of [true, false]) {
    await t.step(stream ? "another one streams" : "the other one waits for the whole", async () => {
      await using cache = await serveCache({
        models: { slow: { target: `${LONG_NAME}!first-token-ms=200,words=20000` } },
        cache: { semantic: { mode: "off" } },
        shared: { flightBytes: 65_536, entryBytes: 1_048_576 },
      });
      const go = Promise.withResolvers<void>();
      const slow = askUnread(cache, SLOW, go.promise);
      await cache.simulator.arrived(1);
      const quick = await fetchText(cache, { ...SLOW, stream });
      assert.match(quick, stream ? /data: \[DONE\]\n\n$/ : /"finish_reason":"stop"/);
      assert.equal(cache.calls, 1);
      go.resolve();
      const text = await slow;
      assert.match(text, /"code":"stream_cut"/);
      assert.doesNotMatch(text, /\r\n0\r\n\r\n$/, "no proper end");
    });
  }
});

Deno.test("varied requests, and a route without the layer, share nothing", async () => {
  await using cache = await serveCache({
    models: {
      slow: { target: "sim!token-ms=5,words=20" },
      single: { target: "sim!token-ms=5,words=20", cache: { flight: false } },
    },
    cache: { semantic: { mode: "off" } },
  });
  const varied = { ...SLOW, body: { temperature: 1 } };
  const answers = await Promise.all([varied, varied, varied].map((ask) => cache.ask(ask)));
  assert.equal(cache.calls, 3);
  assert.ok(answers.every(({ layer }) => layer === "miss"));
  await Promise.all([1, 2].map(() => cache.ask({ ...SLOW, model: "single" })));
  assert.equal(cache.calls, 5);
});

Deno.test("followers beyond the limit go alone", async () => {
  await using simulator = await startCounting();
  await using cache = await serveCache({
    simulator,
    models: { slow: { target: "sim!token-ms=10,words=30" } },
    cache: { semantic: { mode: "off" } },
    shared: { followersMax: 2 },
  });
  const answers = await Promise.all(Array.from({ length: 5 }, () => cache.ask(SLOW)));
  assert.ok(answers.every(({ ending }) => ending === "complete"));
  assert.equal(answers.filter(({ layer }) => layer === "flight").length, 2);
  assert.equal(cache.calls, 3);
});
