/**
 * What the metrics page and the log say of the cache, and what they keep to themselves.
 */
import assert from "node:assert/strict";
import { type CacheGateway, serveCache, STATIC } from "../support/cache_gateway.ts";

const QUESTION = "How do I reset the zanzibar password of my account?";
const REWORDED = "How do I reset my account's zanzibar password?";
const RESPELT = "how do I  reset the zanzibar password of my account";

Deno.test("metrics count what happened, and neither they nor the log hold users' words", async () => {
  await using cache = await serveCache({
    models: {
      m: {
        target: "sim!token-ms=2,words=30",
        more: {
          prices: { inputPerMillion: 500_000, outputPerMillion: 1_000_000 },
        },
      },
    },
    tenants: ["quagga"],
    cache: STATIC,
    config: { log: { level: "debug" } },
  });
  const headers = {
    authorization: "Bearer key-quagga",
    "weir-cache-tags": "okapi",
    "weir-cache-namespace": "axolotl",
  };
  const ask = (prompt: string, more: Record<string, string> = {}) =>
    cache.ask({ prompt, stream: true, headers: { ...headers, ...more } });
  await Promise.all([ask(QUESTION), ask(QUESTION), ask(QUESTION)]);
  await cache.indexed(1);
  await ask(QUESTION);
  await ask(RESPELT);
  const semantic = await ask(REWORDED);
  assert.equal(semantic.layer, "semantic");
  await ask(QUESTION, { "weir-cache-mode": "off" });
  await ask("Tell me about the zanzibar trade winds", { "cache-control": "no-store" });
  const report = await cache.ask({ path: `/cache/${semantic.id}/wrong`, headers });
  assert.equal(report.status, 200);

  const metric = cache.served.metric.bind(cache.served);
  const results = {
    miss: 2,
    flight: 2,
    exact: 1,
    canonical: 1,
    semantic: 1,
    bypass: 1,
    stale: 0,
  };
  for (const [result, count] of Object.entries(results)) {
    assert.equal(await metric("weir_cache_requests_total", { model: "m", result }), count, result);
  }
  assert.equal(await metric("weir_cache_bypasses_total", { reason: "off" }), 1);
  assert.equal(await metric("weir_cache_followers_total"), 2);
  assert.equal(await metric("weir_cache_stores_total", { result: "stored" }), 1);
  assert.equal(await metric("weir_cache_stores_total", { result: "no_store" }), 1);
  assert.equal(await metric("weir_cache_lookups_total", { layer: "semantic", outcome: "hit" }), 1);
  assert.equal(await metric("weir_cache_lookups_total", { layer: "exact", outcome: "hit" }), 1);
  assert.equal(await metric("weir_cache_hit_age_seconds_count"), 3);
  assert.equal(await metric("weir_cache_similarity_count", { result: "served" }), 1);
  assert.equal(await metric("weir_cache_saved_tokens_total", { type: "output" }), 90);
  const input = await metric("weir_cache_saved_tokens_total", { type: "input" });
  assert.ok(input > 0);
  assert.equal(await metric("weir_cache_saved_cost_total"), input / 2 + 90);
  assert.equal(await metric("weir_cache_observations_total", { result: "wrong" }), 1);
  assert.equal(await metric("weir_cache_evictions_total", { reason: "removed" }), 1);
  assert.equal(await metric("weir_cache_invalidations_total", { by: "here" }), 1);
  assert.equal(await metric("weir_cache_entries"), 0);
  assert.equal(await metric("weir_cache_bytes"), 0);
  assert.equal(await metric("weir_cache_flights"), 0);

  await assertDiscreet(cache);
});

/** Neither prompts nor names that clients gave stand anywhere. */
async function assertDiscreet(cache: CacheGateway): Promise<void> {
  const page = await cache.served.metrics();
  const log = JSON.stringify(cache.served.log);
  for (const word of ["zanzibar", "okapi", "axolotl"]) {
    assert.ok(!page.includes(word), `metrics hold ${word}`);
    assert.ok(!log.includes(word), `the log holds ${word}`);
  }
  assert.ok(!page.includes("quagga"), "metrics hold a tenant");
}

Deno.test("requests are counted once each, hits and followers among them", async () => {
  await using cache = await serveCache({
    models: { m: { target: "sim!token-ms=2,words=20" } },
    cache: STATIC,
  });
  await Promise.all(Array.from({ length: 5 }, () => cache.ask({ stream: true })));
  await cache.ask({});
  await cache.ask({ stream: true });
  const requests = cache.served.log.filter(({ event }) => event === "request.finished");
  assert.equal(requests.length, 7);
  assert.equal(new Set(requests.map((line) => line["request.id"])).size, 7);
  assert.equal(cache.served.gateway.running, 0);
});
