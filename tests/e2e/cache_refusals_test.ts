/**
 * What is never stored, and what never answers anybody else.
 */
import assert from "node:assert/strict";
import {
  type Ask,
  type CacheGateway,
  serveCache,
  STATIC,
  textOf,
} from "../support/cache_gateway.ts";

/** Asks twice; both times the backend must be asked, and nothing be kept. */
async function assertNeverStored(cache: CacheGateway, ask: Ask, layer = "miss"): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const before = cache.calls;
    const answer = await cache.ask(ask);
    assert.ok(answer.status !== 200 || answer.layer === layer, answer.layer);
    // A backend that lacks the model, or asks for patience, is not asked again at once.
    const isLeftAlone = answer.status === 503 || answer.status === 429 || answer.status === 404;
    assert.ok(cache.calls > before || (isLeftAlone && round > 0), `round ${round} was answered`);
  }
  const { json } = await cache.admin("GET", "/cache");
  assert.equal(json.store.entries, 0, JSON.stringify(json.store));
}

const FAULTS = [
  "status=400",
  "status=404",
  "status=429",
  "status=500",
  "status=503",
  "unauthorized",
  "overloaded",
  "context-length",
  "content-filter",
  "reset",
  "html",
  "bad-json",
  "truncated-body",
  "cut=3",
  "rst=3",
  "malformed=3",
  "in-band-error=3",
  "cut-bytes=300",
  "rst-bytes=300",
];

/** These are healthy where no stream is asked for. */
const STREAM_FAULTS = ["clean-cut=3", "no-finish"];

const OPEN_BREAKER = {
  balancing: { breaker: { consecutiveFailures: 1_000, minimumOutcomes: 1_000 } },
};

Deno.test("no answer of a backend that fails is stored", async (t) => {
  const cases = [
    ...FAULTS.flatMap((fault) => [true, false].map((stream) => [fault, stream] as const)),
    ...STREAM_FAULTS.map((fault) => [fault, true] as const),
  ];
  for (const [fault, stream] of cases) {
    await t.step(`${fault}, ${stream ? "stream" : "JSON"}`, async () => {
      await using cache = await serveCache({
        models: { m: { target: `sim!${fault},words=12` } },
        cache: { semantic: { mode: "off" } },
        config: OPEN_BREAKER,
      });
      await assertNeverStored(cache, { stream });
    });
  }
});

const TOOL = {
  type: "function",
  function: { name: "get_weather", parameters: { type: "object" } },
};

/** By name: what is asked, and what becomes of it. */
const REFUSED: Readonly<Record<string, { readonly ask: Ask; readonly layer?: string }>> = {
  "cut off at its length": { ask: { body: { max_tokens: 4 } } },
  "tool call": { ask: { body: { tools: [TOOL], tool_choice: "required" } } },
  "no-store of the client": { ask: { headers: { "cache-control": "no-store" } } },
  "log probabilities": { ask: { body: { logprobs: true } }, layer: "bypass" },
  "kept by the backend": { ask: { body: { store: true } }, layer: "bypass" },
  "hosted tool": { ask: { body: { web_search_options: { a: 1 } } }, layer: "bypass" },
  "last message is not the user's": {
    ask: {
      body: {
        messages: [{ role: "user", content: "Go on" }, { role: "assistant", content: "I will" }],
      },
    },
    layer: "bypass",
  },
};

Deno.test("answers to what no cache may answer are not stored", async (t) => {
  for (const [name, { ask, layer }] of Object.entries(REFUSED)) {
    for (const stream of [true, false]) {
      await t.step(`${name}, ${stream ? "stream" : "JSON"}`, async () => {
        await using cache = await serveCache({ cache: { semantic: { mode: "off" } } });
        await assertNeverStored(cache, { ...ask, stream }, layer);
      });
    }
  }
});

Deno.test("more than one choice passes the cache by", async () => {
  await using cache = await serveCache();
  const answer = await cache.ask({ body: { n: 2 } });
  assert.equal(answer.status, 400, "the simulator gives one answer a request");
  assert.equal(await cache.served.metric("weir_cache_bypasses_total", { reason: "choices" }), 1);
});

Deno.test("a backend that says no-store is obeyed, streamed or not", async (t) => {
  for (const stream of [true, false]) {
    await t.step(stream ? "stream" : "JSON", async () => {
      let calls = 0;
      const chunk = (delta: object, finish: string | null) =>
        `data: ${
          JSON.stringify({
            id: "c",
            object: "chat.completion.chunk",
            created: 1,
            model: "private",
            choices: [{ index: 0, delta, finish_reason: finish }],
          })
        }\n\n`;
      const whole = JSON.stringify({
        id: "c",
        object: "chat.completion",
        created: 1,
        model: "private",
        choices: [{
          index: 0,
          message: { role: "assistant", content: "A secret" },
          finish_reason: "stop",
        }],
      });
      await using backend = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen: () => {} },
        async (request) => {
          await request.arrayBuffer();
          calls++;
          const body = stream
            ? chunk({ role: "assistant", content: "A secret" }, null) + chunk({}, "stop") +
              "data: [DONE]\n\n"
            : whole;
          const type = stream ? "text/event-stream" : "application/json";
          const headers = { "content-type": type, "cache-control": "private, No-Store" };
          return new Response(body, { headers });
        },
      );
      const baseUrl = `http://127.0.0.1:${backend.addr.port}/v1`;
      await using cache = await serveCache({
        backends: [{ name: "private", protocol: "openai", baseUrl }],
        models: { m: { more: { targets: [{ backend: "private", model: "private" }] } } },
        cache: { semantic: { mode: "off" } },
      });
      for (let round = 1; round <= 2; round++) {
        const answer = await cache.ask({ stream });
        assert.equal(answer.layer, "miss", answer.text);
        assert.equal(textOf(answer), "A secret");
        assert.equal(calls, round);
      }
      const refused = { result: "no_store" };
      assert.equal(await cache.served.metric("weir_cache_stores_total", refused), 2);
    });
  }
});

Deno.test("an answer of another model in a higher tier is not stored, of the same it is", async (t) => {
  for (const [model, stored] of [["other", false], ["sim", true]] as const) {
    await t.step(`${model} ${stored ? "is" : "is not"}`, async () => {
      await using down = await serveDown();
      await using cache = await serveCache({
        backends: [{ name: "down", protocol: "openai", baseUrl: down.url }],
        cache: { semantic: { mode: "off" } },
        models: {
          m: {
            more: {
              targets: [{ backend: "down", model: "sim" }, { backend: "sim", model, tier: 1 }],
              retries: { attemptsMax: 3 },
            },
          },
        },
      });
      assert.equal((await cache.ask({})).status, 200);
      const again = await cache.ask({});
      assert.equal(again.layer, stored ? "exact" : "miss");
      assert.equal(cache.calls, stored ? 1 : 2);
    });
  }
});

/** A backend that is down. */
function serveDown(): AsyncDisposable & { readonly url: string } {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ error: { message: "down" } }, { status: 503 }),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("a stream that was carried on elsewhere is not stored", async () => {
  await using cache = await serveCache({
    backends: [],
    cache: { semantic: { mode: "off" } },
    models: {
      m: {
        more: {
          continuation: "verified",
          retries: { attemptsMax: 3 },
          targets: [
            { backend: "sim", model: "sim!cut=8,words=30,times=2", weight: 1 },
            { backend: "sim", model: "sim!words=30", tier: 1 },
          ],
        },
      },
    },
  });
  for (let round = 1; round <= 2; round++) {
    const answer = await cache.ask({ stream: true });
    assert.equal(answer.ending, "complete", answer.text);
    assert.match(answer.text, /data: \[DONE\]\n\n$/);
    assert.equal(answer.layer, "miss");
  }
  const { json } = await cache.admin("GET", "/cache");
  assert.equal(json.store.entries, 0);
  assert.equal(await cache.served.metric("weir_cache_stores_total", { result: "spliced" }), 2);
});

const QUESTION = "How do I reset the password of my account?";
const REWORDED = "How do I reset my account's password?";
const RESPELT = "how do I  reset the password of my account";

Deno.test("a temperature above the limit, or a seed, is answered by the very same alone", async (t) => {
  for (const body of [{ temperature: 0.9 }, { seed: 7 }]) {
    await t.step(JSON.stringify(body), async () => {
      await using cache = await serveCache({ cache: STATIC });
      assert.equal((await cache.ask({ prompt: QUESTION, body })).layer, "miss");
      assert.equal((await cache.ask({ prompt: QUESTION, body })).layer, "exact");
      assert.equal((await cache.ask({ prompt: RESPELT, body })).layer, "miss");
      assert.equal((await cache.ask({ prompt: REWORDED, body })).layer, "miss");
      const { json } = await cache.admin("GET", "/cache");
      assert.equal(json.index.live, 0);
    });
  }
  await t.step("deterministicOnly wants temperature 0", async () => {
    await using cache = await serveCache({ cache: { ...STATIC, deterministicOnly: true } });
    assert.equal((await cache.ask({})).layer, "bypass");
    assert.equal((await cache.ask({ body: { temperature: 0 } })).layer, "miss");
    assert.equal((await cache.ask({ body: { temperature: 0 } })).layer, "exact");
  });
});

Deno.test("a question about the present lives a minute, and is not answered by similarity", async () => {
  await using cache = await serveCache({ cache: STATIC });
  const prompt = "What are the latest opening hours of the library today?";
  await cache.ask({ prompt });
  const hit = await cache.ask({ prompt });
  assert.equal(hit.layer, "exact");
  const ttl = Number(/ttl=(\d+)/.exec(hit.cacheStatus ?? "")?.[1]);
  assert.ok(ttl >= 53 && ttl <= 66, String(ttl));
  assert.equal(
    (await cache.ask({ prompt: "What are the library's latest opening hours today?" })).layer,
    "miss",
  );
  assert.equal((await cache.admin("GET", "/cache")).json.index.live, 0);
  cache.clock.aheadMs += 67_000;
  assert.equal((await cache.ask({ prompt })).layer, "miss");
});
