/**
 * Similarity by a backend's embeddings: served, and done without while it is slow
 * or down.
 */
import assert from "node:assert/strict";
import { type CacheGateway, serveCache, until } from "../support/cache_gateway.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../support/embedding_server.ts";

const QUESTION = "How do I reset the password of my account?";
const REWORDED = "How do I reset my account password?";
const ONLY = { "cache-control": "only-if-cached" };

function serveWith(embeddings: EmbeddingServer, deadlineSeconds: number): Promise<CacheGateway> {
  return serveCache({
    backends: [{ name: "vectors", protocol: "openai", baseUrl: embeddings.baseUrl }],
    cache: { semantic: { mode: "static", threshold: 0.7 } },
    shared: {
      embedder: {
        type: "backend",
        backend: "vectors",
        model: "words",
        dimensions: embeddings.dims,
        deadlineSeconds,
      },
    },
  });
}

function lookups(cache: CacheGateway, outcome: string): Promise<number> {
  return cache.served.metric("weir_cache_lookups_total", { layer: "semantic", outcome });
}

Deno.test("a backend's vectors find what is similar, from the threshold on", async () => {
  await using embeddings = startEmbeddingServer();
  await using cache = await serveWith(embeddings, 10);
  await cache.ask({ prompt: QUESTION });
  await cache.indexed(1);
  const hit = await cache.ask({ prompt: REWORDED });
  assert.equal(hit.layer, "semantic");
  const similarity = Number(hit.headers.get("weir-cache-similarity"));
  assert.ok(similarity >= 0.7 && similarity < 1, String(similarity));
  assert.equal((await cache.ask({ prompt: "Which river is longest?", headers: ONLY })).status, 504);
  assert.equal(embeddings.requests.length, 3, "no text is embedded twice");
  assert.equal(embeddings.requests[0]?.body.model, "words");
});

Deno.test("a slow embedder delays nobody beyond its deadline, and is made up for", async () => {
  await using embeddings = startEmbeddingServer();
  await using cache = await serveWith(embeddings, 0.05);
  embeddings.fault = "hold";
  const miss = await cache.ask({ prompt: QUESTION });
  assert.equal(miss.layer, "miss");
  assert.equal(await lookups(cache, "late"), 1);
  embeddings.fault = "none";
  embeddings.release();
  await cache.indexed(1);
  await until(
    async () => (await cache.ask({ prompt: REWORDED, headers: ONLY })).layer === "semantic",
    "the stored answer to be found",
  );
});

Deno.test("without its embedder the cache goes on in the layers that need none", async () => {
  await using embeddings = startEmbeddingServer();
  await using cache = await serveWith(embeddings, 10);
  embeddings.fault = "500";
  assert.equal((await cache.ask({ prompt: QUESTION })).layer, "miss");
  assert.equal((await cache.ask({ prompt: QUESTION })).layer, "exact");
  assert.equal((await cache.ask({ prompt: QUESTION.toLowerCase() })).layer, "canonical");
  const other = await cache.ask({ prompt: REWORDED });
  assert.deepEqual([other.status, other.layer], [200, "miss"]);
  assert.equal(await lookups(cache, "failed"), 2);
  assert.ok(await cache.served.metric("weir_embedder_failures_total") >= 2);
});

Deno.test("vectors that make no sense are refused, and requests are answered", async (t) => {
  const faults = ["wrong_dims", "null_values", "zero_vector", "garbage", "cut_body"] as const;
  for (const fault of faults) {
    await t.step(fault, async () => {
      await using embeddings = startEmbeddingServer();
      await using cache = await serveWith(embeddings, 10);
      embeddings.fault = fault;
      for (const prompt of [QUESTION, REWORDED]) {
        const answer = await cache.ask({ prompt });
        assert.deepEqual([answer.status, answer.layer], [200, "miss"]);
      }
      assert.equal((await cache.admin("GET", "/cache")).json.index.live, 0);
    });
  }
});
