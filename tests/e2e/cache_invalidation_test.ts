/**
 * Taking answers out: by operators over the admin API, and by clients who say that
 * one was wrong.
 */
import assert from "node:assert/strict";
import { type Ask, type CacheGateway, serveCache, STATIC } from "../support/cache_gateway.ts";

const QUESTION = "How do I reset the password of my account?";
const REWORDED = "How do I reset my account's password?";
const RESPELT = "how do I  reset the password of my account";
const SYSTEM = "Answer like a pirate";

/** A request of tenant anna, with a tag and a system prompt. */
function askAs(prompt: string, more: Ask = {}): Ask {
  return {
    prompt,
    body: { messages: [{ role: "system", content: SYSTEM }, { role: "user", content: prompt }] },
    headers: { authorization: "Bearer key-anna", "weir-cache-tags": "faq, help" },
    ...more,
  };
}

function serve(): Promise<CacheGateway> {
  return serveCache({ tenants: ["anna", "bert"], models: { m: {}, other: {} }, cache: STATIC });
}

/** By name: what is sent, and whether it reaches the answer. */
const INVALIDATIONS: ReadonlyArray<readonly [Record<string, unknown>, boolean]> = [
  [{ all: true }, true],
  [{ model: "m" }, true],
  [{ model: "other" }, false],
  [{ route: "m" }, true],
  [{ tenant: "anna" }, true],
  [{ tenant: "bert" }, false],
  [{ prefix: SYSTEM }, true],
  [{ prefix: "Answer like a sailor" }, false],
  [{ tag: "faq", tenant: "anna" }, true],
  [{ tag: "help", tenant: "anna" }, true],
  [{ tag: "faq", tenant: "bert" }, false],
  [{ tag: "faq" }, false],
  [{ tag: "none", tenant: "anna" }, false],
];

Deno.test("an invalidation takes effect at the next request, in every layer", async (t) => {
  for (const [selector, reaches] of INVALIDATIONS) {
    await t.step(JSON.stringify(selector), async () => {
      await using cache = await serve();
      await cache.ask(askAs(QUESTION));
      await cache.indexed(1);
      const { status, json } = await cache.admin("POST", "/cache/invalidate", selector);
      assert.deepEqual([status, json], [200, { invalidated: true }]);
      const only = {
        headers: {
          authorization: "Bearer key-anna",
          "cache-control": "only-if-cached",
        },
      };
      for (const prompt of [QUESTION, RESPELT, REWORDED]) {
        const answer = await cache.ask(askAs(prompt, only));
        assert.equal(answer.status, reaches ? 504 : 200, prompt);
      }
      const { entries } = (await cache.admin("GET", "/cache/entries")).json;
      if (!reaches) assert.equal(entries.length, 1);
      assert.equal((await cache.ask(askAs(QUESTION))).layer, reaches ? "miss" : "exact");
      assert.equal((await cache.ask(askAs(QUESTION))).layer, "exact", "a new answer is stored");
    });
  }
});

Deno.test("one answer is taken out by its id, by two ways", async (t) => {
  const ways = {
    DELETE: (cache: CacheGateway, id: string) => cache.admin("DELETE", `/cache/entries/${id}`),
    POST: (cache: CacheGateway, id: string) => cache.admin("POST", "/cache/invalidate", { id }),
  };
  for (const [name, way] of Object.entries(ways)) {
    await t.step(name, async () => {
      await using cache = await serve();
      await cache.ask(askAs(QUESTION));
      await cache.ask(askAs("What is the capital of France?"));
      const { id = "" } = await cache.ask(askAs(QUESTION));
      assert.equal((await way(cache, id)).status, 200);
      assert.equal((await cache.ask(askAs(REWORDED))).layer, "miss");
      assert.equal((await cache.ask(askAs(QUESTION))).layer !== "exact", true);
      assert.equal((await cache.ask(askAs("What is the capital of France?"))).layer, "exact");
      assert.equal((await way(cache, id)).status, 404);
      assert.equal((await way(cache, "not-an-id")).status, 404);
    });
  }
});

Deno.test("an invalidation that is not understood is refused", async (t) => {
  await using cache = await serve();
  await cache.ask(askAs(QUESTION));
  for (const body of [{}, { all: false }, { model: "" }, { all: true, model: "m" }, [], "all"]) {
    await t.step(JSON.stringify(body), async () => {
      const { status, json } = await cache.admin("POST", "/cache/invalidate", body);
      assert.equal(status, 400);
      assert.match(json.error.message, /^Cannot invalidate: /);
    });
  }
  assert.equal((await cache.ask(askAs(QUESTION))).layer, "exact");
});

Deno.test("an answer under way when the invalidation comes is not stored", async (t) => {
  for (const stream of [true, false]) {
    await t.step(stream ? "stream" : "JSON", async () => {
      await using cache = await serveCache({
        models: { m: { target: "sim!token-ms=10,words=20" } },
        cache: STATIC,
      });
      const asked = cache.ask({ prompt: QUESTION, stream });
      await cache.simulator.arrived(1);
      await cache.admin("POST", "/cache/invalidate", { model: "m" });
      assert.equal((await asked).ending, "complete");
      assert.equal((await cache.admin("GET", "/cache")).json.store.entries, 0);
      assert.equal(
        await cache.served.metric("weir_cache_stores_total", { result: "invalidated" }),
        1,
      );
      assert.equal((await cache.ask({ prompt: QUESTION, stream })).layer, "miss");
    });
  }
});

Deno.test("a request after an invalidation joins no flight from before it", async () => {
  await using cache = await serveCache({
    models: { m: { target: "sim!token-ms=10,words=20" } },
    cache: STATIC,
  });
  const before = cache.ask({ prompt: QUESTION, stream: true });
  await cache.simulator.arrived(1);
  await cache.admin("POST", "/cache/invalidate", { all: true });
  const after = await cache.ask({ prompt: QUESTION, stream: true });
  assert.equal(after.layer, "miss");
  await before;
  assert.equal(cache.calls, 2);
});

Deno.test("a client may report its own answers as wrong, and nobody else's", async () => {
  await using cache = await serve();
  await cache.ask(askAs(QUESTION));
  await cache.indexed(1);
  const { id = "" } = await cache.ask(askAs(REWORDED));
  const report = (key: string, name: string, more: Record<string, string> = {}) =>
    cache.ask({
      path: `/cache/${name}/wrong`,
      headers: { authorization: `Bearer key-${key}`, ...more },
    });
  const foreign = await report("bert", id);
  assert.equal(foreign.status, 404);
  assert.equal(JSON.parse(foreign.text).error.code, "entry_not_found");
  assert.equal((await report("nobody", id)).status, 401);
  assert.equal((await cache.ask(askAs(QUESTION))).layer, "exact", "it is still there");
  assert.equal((await report("anna", id)).status, 200);
  const wrong = await cache.served.metric("weir_cache_observations_total", { result: "wrong" });
  assert.equal(wrong, 1);
  for (const prompt of [REWORDED, QUESTION, RESPELT]) {
    const only = { authorization: "Bearer key-anna", "cache-control": "only-if-cached" };
    assert.equal((await cache.ask(askAs(prompt, { headers: only }))).status, 504, prompt);
  }
  assert.equal((await report("anna", id)).status, 404, "it is gone");
  const anthropic = await report("anna", "0", { "anthropic-version": "2023-06-01" });
  assert.equal(anthropic.status, 404);
  assert.equal(JSON.parse(anthropic.text).type, "error");
});

Deno.test("operators list and inspect entries; texts are shown where asked for", async () => {
  await using cache = await serve();
  await cache.ask(askAs(QUESTION));
  await cache.ask({
    model: "other",
    prompt: "What is the capital of France?",
    headers: { authorization: "Bearer key-bert" },
  });
  const { json: all } = await cache.admin("GET", "/cache/entries");
  assert.equal(all.entries.length, 2);
  const { json: some } = await cache.admin("GET", "/cache/entries?route=m&limit=1");
  assert.equal(some.entries.length, 1);
  const [entry] = some.entries;
  assert.equal(entry.tenant, "anna");
  assert.equal(entry.surface, "chat");
  assert.ok(entry.tags.includes("tag:anna/faq") && entry.sizeBytes > 0);
  assert.ok(!JSON.stringify(all).includes("password"), "no texts");
  const tag = encodeURIComponent("tag:anna/help");
  assert.equal((await cache.admin("GET", `/cache/entries?tag=${tag}`)).json.entries.length, 1);
  const { json: plain } = await cache.admin("GET", `/cache/entries/${entry.id}`);
  assert.equal(plain.question, undefined);
  const { json: full } = await cache.admin("GET", `/cache/entries/${entry.id}?content=true`);
  assert.equal(full.question, QUESTION);
  assert.ok(full.answer.length > 0 && full.characters === full.answer.length);
  assert.equal((await cache.admin("GET", "/cache/entries/zzzz")).status, 404);
});
