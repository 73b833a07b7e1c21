import assert from "node:assert/strict";
import { type CacheSources, createCacheMetrics } from "./cache_metrics.ts";
import { KnownNames } from "./labels.ts";
import { Registry } from "./prometheus.ts";

const QUIET: CacheSources = {
  store: () => ({ entries: 3, bytes: 2_048, bytesMax: 4_096 }),
  vectors: () => null,
  embedder: () => null,
  flights: () => ({ flights: 1, clients: 7 }),
  shared: () => null,
  verified: () => [{ model: "chat", populations: 2, serving: 1 }],
};

function declared(sources: CacheSources = QUIET) {
  const registry = new Registry();
  const metrics = createCacheMetrics(registry, new KnownNames(() => ["chat"]), sources);
  return { metrics, page: () => registry.metrics() };
}

Deno.test("createCacheMetrics() shows what is read at scrape time as it is then", async () => {
  let entries = 0;
  const { page } = declared({ ...QUIET, store: () => ({ entries, bytes: 0, bytesMax: 9 }) });
  entries = 5;
  const text = await page();
  assert.match(text, /^weir_cache_entries 5$/m);
  assert.match(text, /^weir_cache_bytes_max 9$/m);
  assert.match(text, /^weir_cache_flight_clients 7$/m);
  assert.match(text, /^weir_cache_verified_serving\{model="chat"\} 1$/m);
});

Deno.test("createCacheMetrics() counts what was answered, looked up and saved", async () => {
  const { metrics, page } = declared();
  metrics.answered("chat", "semantic");
  metrics.lookedUp("chat", "semantic", "guard");
  metrics.saved("chat", { inputTokens: 10, outputTokens: 20, cost: 0.5 });
  metrics.similarity("served", 0.93);
  metrics.left("evicted", 4);
  const text = await page();
  assert.match(text, /^weir_cache_requests_total\{model="chat",result="semantic"\} 1$/m);
  assert.match(
    text,
    /^weir_cache_lookups_total\{model="chat",layer="semantic",outcome="guard"\} 1$/m,
  );
  assert.match(text, /^weir_cache_saved_tokens_total\{model="chat",type="output"\} 20$/m);
  assert.match(text, /^weir_cache_saved_cost_total\{model="chat"\} 0\.5$/m);
  assert.match(text, /^weir_cache_similarity_bucket\{le="0\.95",result="served"\} 1$/m);
  assert.match(text, /^weir_cache_evictions_total\{reason="evicted"\} 4$/m);
});

Deno.test("createCacheMetrics() takes no label from outside its lists", async () => {
  const { metrics, page } = declared();
  metrics.answered("a model nobody configured", "miss");
  metrics.vectorsRefused("a reason nobody declared");
  metrics.sharedRead("an outcome nobody declared", 0.001);
  const text = await page();
  assert.match(text, /^weir_cache_requests_total\{model="_OTHER",result="miss"\} 1$/m);
  assert.match(text, /^weir_cache_vectors_refused_total\{reason="other"\} 1$/m);
  assert.match(text, /^weir_cache_shared_reads_total\{outcome="failed"\} 1$/m);
  assert.ok(!text.includes("nobody"));
});

Deno.test("createCacheMetrics() says nothing of parts that there are not", async () => {
  const text = await declared().page();
  for (const name of ["weir_cache_shared_up", "weir_cache_vectors", "weir_embedder_queue"]) {
    assert.ok(!new RegExp(`^${name}(\\{| )`, "m").test(text), name);
  }
});

Deno.test("createCacheMetrics() shows the index, the embedder and the shared store where there are", async () => {
  const { page } = declared({
    ...QUIET,
    vectors: () => ({
      live: 11,
      tombstones: 2,
      capacity: 64,
      scopes: 1,
      graphs: 1,
      rebuilds: 0,
      rebuilding: true,
      journal: 9,
      lastRebuildSeconds: null,
      native: true,
      bytes: 4_000,
    }),
    embedder: () => ({ queued: 6, breaker: 2 }),
    shared: () => ({ up: false, queued: 8, lagSeconds: 1.5 }),
  });
  const text = await page();
  assert.match(text, /^weir_cache_vectors 11$/m);
  assert.match(text, /^weir_cache_index_native 1$/m);
  assert.match(text, /^weir_cache_index_journal 9$/m);
  assert.match(text, /^weir_embedder_queue 6$/m);
  assert.match(text, /^weir_embedder_breaker_state 2$/m);
  assert.match(text, /^weir_cache_shared_up 0$/m);
  assert.match(text, /^weir_cache_shared_write_lag_seconds 1\.5$/m);
});
