/**
 * What clients ask of the cache with headers, and what answers for want of a backend.
 */
import assert from "node:assert/strict";
import { type CacheGateway, serveCache, STATIC, textOf } from "../support/cache_gateway.ts";

const QUESTION = "How do I reset the password of my account?";
const REWORDED = "How do I reset my account's password?";
const RESPELT = "how do I  reset the password of my account";

const HOUR_MS = 3_600_000;

function withHeaders(cache: CacheGateway, headers: Record<string, string>, prompt = QUESTION) {
  return cache.ask({ prompt, headers });
}

Deno.test("no-cache asks the backend and stores its answer in place of the old one", async () => {
  await using cache = await serveCache({ models: { m: { target: "sim!random" } } });
  const old = await cache.ask({ prompt: QUESTION });
  const fresh = await withHeaders(cache, { "cache-control": "no-cache" });
  assert.equal(fresh.cacheStatus, "weir; fwd=request");
  assert.equal(cache.calls, 2);
  assert.notEqual(textOf(fresh), textOf(old));
  const hit = await cache.ask({ prompt: QUESTION });
  assert.equal(hit.layer, "exact");
  assert.equal(textOf(hit), textOf(fresh));
  assert.equal((await cache.admin("GET", "/cache")).json.store.entries, 1);
});

Deno.test("no-store is answered from the cache but leaves nothing in it", async () => {
  await using cache = await serveCache();
  assert.equal((await withHeaders(cache, { "cache-control": "no-store" })).layer, "miss");
  assert.equal((await cache.admin("GET", "/cache")).json.store.entries, 0);
  await cache.ask({ prompt: QUESTION });
  assert.equal((await withHeaders(cache, { "cache-control": "no-store" })).layer, "exact");
});

Deno.test("only-if-cached is a hit or a 504 in the shape of each API", async (t) => {
  await using cache = await serveCache();
  const paths = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];
  for (const path of paths) {
    for (const body of [{}, { n: 2 }]) {
      await t.step(`${path} ${JSON.stringify(body)}`, async () => {
        const headers = { "cache-control": "only-if-cached" };
        const answer = await cache.ask({ path, headers, body });
        assert.equal(answer.status, 504);
        const json = JSON.parse(answer.text);
        assert.equal(json.error.code, "not_cached");
        assert.match(json.error.message, /^Cannot answer from the cache: /);
        if (path === "/v1/messages") assert.equal(json.type, "error");
        else assert.equal(json.type, undefined);
      });
    }
  }
  assert.equal(cache.calls, 0);
  await cache.ask({});
  assert.equal(
    (await cache.ask({ headers: { "cache-control": "only-if-cached" } })).layer,
    "exact",
  );
});

Deno.test("only-if-cached is answered by similarity too", async () => {
  await using cache = await serveCache({ cache: STATIC });
  await cache.ask({ prompt: QUESTION });
  await cache.indexed(1);
  const hit = await withHeaders(cache, { "cache-control": "only-if-cached" }, REWORDED);
  assert.equal(hit.layer, "semantic");
});

Deno.test("max-age takes nothing older, in any layer", async () => {
  await using cache = await serveCache({ cache: STATIC });
  await cache.ask({ prompt: QUESTION });
  await cache.indexed(1);
  cache.clock.aheadMs += 30_000;
  const older = { "cache-control": "max-age=60" };
  assert.equal((await withHeaders(cache, older)).layer, "exact");
  assert.equal((await withHeaders(cache, older, RESPELT)).layer, "canonical");
  assert.equal((await withHeaders(cache, older, REWORDED)).layer, "semantic");
  const younger = { "cache-control": "max-age=29, only-if-cached" };
  for (const prompt of [QUESTION, RESPELT, REWORDED]) {
    assert.equal((await withHeaders(cache, younger, prompt)).status, 504, prompt);
  }
  assert.equal((await withHeaders(cache, { "cache-control": "max-age=29" })).layer, "miss");
});

Deno.test("an answer expires after its time, or the client's, within the maximum", async (t) => {
  const cases = [
    [{}, 3_600, HOUR_MS],
    [{ "weir-cache-ttl": "60" }, 60, 60_000],
    [{ "weir-cache-ttl": "999999" }, 86_400, 24 * HOUR_MS],
  ] as const;
  for (const [headers, seconds, lifeMs] of cases) {
    await t.step(JSON.stringify(headers), async () => {
      await using cache = await serveCache({ cache: STATIC });
      await withHeaders(cache, headers);
      await cache.indexed(1);
      const hit = await withHeaders(cache, headers);
      const ttl = Number(/ttl=(\d+)/.exec(hit.cacheStatus ?? "")?.[1]);
      assert.ok(ttl >= seconds * 0.9 - 1 && ttl <= seconds * 1.1, String(ttl));
      cache.clock.aheadMs += lifeMs * 0.85;
      assert.equal((await withHeaders(cache, headers)).layer, "exact");
      cache.clock.aheadMs += lifeMs * 0.26;
      const only = { ...headers, "cache-control": "only-if-cached" };
      for (const prompt of [REWORDED, RESPELT, QUESTION]) {
        assert.equal((await withHeaders(cache, only, prompt)).status, 504, prompt);
      }
      assert.equal((await withHeaders(cache, headers)).layer, "miss");
      assert.equal(cache.calls, 2);
    });
  }
});

Deno.test("weir-cache-threshold raises the line and never lowers it", async () => {
  await using cache = await serveCache({
    models: {
      m: { cache: { semantic: { mode: "static", threshold: 0.5 } } },
      strict: { cache: { semantic: { mode: "static", threshold: 1 } } },
    },
  });
  await cache.ask({ prompt: QUESTION });
  await cache.ask({ model: "strict", prompt: QUESTION });
  await cache.indexed(2);
  const only = { "cache-control": "only-if-cached" };
  assert.equal((await withHeaders(cache, only, REWORDED)).layer, "semantic");
  const raised = { ...only, "weir-cache-threshold": "0.999" };
  assert.equal((await withHeaders(cache, raised, REWORDED)).status, 504);
  const lowered = { ...only, "weir-cache-threshold": "0.1" };
  const answer = await cache.ask({ model: "strict", prompt: REWORDED, headers: lowered });
  assert.equal(answer.status, 504);
});

Deno.test("weir-cache-mode says how far the cache may go", async () => {
  await using cache = await serveCache({ cache: STATIC });
  await cache.ask({ prompt: QUESTION });
  await cache.indexed(1);
  const off = await withHeaders(cache, { "weir-cache-mode": "off" });
  assert.equal(off.layer, "bypass");
  assert.equal(off.cacheStatus, "weir; fwd=bypass; detail=off");
  assert.equal(cache.calls, 2);
  assert.equal((await withHeaders(cache, { "weir-cache-mode": "exact" })).layer, "exact");
  assert.equal(
    (await withHeaders(cache, { "weir-cache-mode": "semantic" }, REWORDED)).layer,
    "semantic",
  );
  assert.equal((await withHeaders(cache, { "weir-cache-mode": "exact" }, REWORDED)).layer, "miss");
});

Deno.test("a header that makes no sense is refused by name", async (t) => {
  const bad = {
    "weir-cache-mode": "sometimes",
    "weir-cache-ttl": "soon",
    "weir-cache-threshold": "1.5",
    "weir-cache-namespace": "x".repeat(129),
    "weir-cache-tags": "y".repeat(129),
  };
  await using cache = await serveCache();
  for (const [name, value] of Object.entries(bad)) {
    await t.step(name, async () => {
      const answer = await withHeaders(cache, { [name]: value });
      assert.equal(answer.status, 400);
      const { error } = JSON.parse(answer.text);
      assert.equal(error.param, name);
      assert.equal(error.code, "invalid_request");
      const anthropic = await cache.ask({ path: "/v1/messages", headers: { [name]: value } });
      assert.equal(anthropic.status, 400);
      assert.equal(JSON.parse(anthropic.text).error.param, name);
    });
  }
  assert.equal(cache.calls, 0);
  assert.equal(
    (await withHeaders(cache, { "cache-control": "max-age=x, nonsense" })).layer,
    "miss",
  );
});

const EXPIRED_MS = 1.2 * HOUR_MS;

/** A gateway with an answer that has expired, and a backend that has failed since. */
async function serveExpired(fault: string, more: Record<string, unknown> = {}) {
  const cache = await serveCache({
    cache: { ...STATIC, ...more },
    config: { balancing: { breaker: { consecutiveFailures: 1_000, minimumOutcomes: 1_000 } } },
  });
  await cache.ask({ prompt: QUESTION });
  await cache.indexed(1);
  cache.clock.aheadMs += EXPIRED_MS;
  await cache.simulator.setFault(fault);
  return cache;
}

Deno.test("a stale answer serves, marked, when no backend can answer", async (t) => {
  for (const fault of ["status=503", "status=429", "reset", "cut=0"]) {
    for (const stream of [true, false]) {
      await t.step(`${fault}, ${stream ? "stream" : "JSON"}`, async () => {
        await using cache = await serveExpired(fault);
        const stale = await cache.ask({ prompt: QUESTION, stream });
        assert.equal(stale.status, 200, stale.text);
        assert.equal(stale.ending, "complete");
        assert.equal(stale.layer, "stale");
        assert.match(stale.cacheStatus ?? "", /^weir; hit; ttl=-\d+; detail=stale-exact$/);
        assert.ok(Number(stale.headers.get("age")) >= EXPIRED_MS / 1_000);
        assert.ok(cache.calls >= 2, "the backend was asked first");
        const respelt = await cache.ask({ prompt: RESPELT, stream });
        assert.match(respelt.cacheStatus ?? "", /detail=stale-canonical$/);
      });
    }
  }
});

Deno.test("similarity never serves what is stale", async () => {
  await using cache = await serveExpired("status=503");
  assert.equal((await cache.ask({ prompt: REWORDED })).status, 503);
});

Deno.test("a request that is wrong is told so, and not answered from the past", async () => {
  await using cache = await serveExpired("status=400");
  assert.equal((await cache.ask({ prompt: QUESTION })).status, 400);
});

Deno.test("a stale answer serves no longer than it may, nor one that was invalidated", async (t) => {
  await t.step("too old", async () => {
    await using cache = await serveExpired("status=503", { staleIfErrorSeconds: 7_200 });
    assert.equal((await cache.ask({ prompt: QUESTION })).layer, "stale");
    cache.clock.aheadMs += 2.1 * HOUR_MS;
    assert.equal((await cache.ask({ prompt: QUESTION })).status, 503);
  });
  await t.step("invalidated", async () => {
    await using cache = await serveExpired("status=503");
    await cache.admin("POST", "/cache/invalidate", { model: "m" });
    assert.equal((await cache.ask({ prompt: QUESTION })).status, 503);
  });
  await t.step("older than the client allows", async () => {
    await using cache = await serveExpired("status=503");
    assert.equal((await withHeaders(cache, { "cache-control": "max-age=60" })).status, 503);
  });
});

Deno.test("a backend that is back gives the answer and is stored", async () => {
  await using cache = await serveExpired("status=503");
  assert.equal((await cache.ask({ prompt: QUESTION })).layer, "stale");
  await cache.simulator.setFault(null);
  assert.equal((await cache.ask({ prompt: QUESTION })).layer, "miss");
  assert.equal((await cache.ask({ prompt: QUESTION })).layer, "exact");
});
