/**
 * Each layer of the cache on its own, and what its hits say of themselves.
 */
import assert from "node:assert/strict";
import {
  type CacheAnswer,
  type CacheGateway,
  EXACT_ONLY,
  serveCache,
  STATIC,
  textOf,
} from "../support/cache_gateway.ts";

const QUESTION = "How do I reset the password of my account?";
/** The same after folding. */
const RESPELT = "how do I  reset the password of my account";
/** The same to the built-in embedder, but for folding. */
const REWORDED = "How do I reset my account's password?";

/** RFC 9211: a list of one cache's name with parameters, as RFC 8941 writes them. */
const CACHE_STATUS = /^weir(; [a-z][a-z-]*(=(-?\d+|[a-zA-Z*][\w:/*.-]*|"[^"\\]*"))?)*$/;

function assertStatus(answer: CacheAnswer, layer: string, status: RegExp): void {
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.layer, layer);
  assert.match(answer.cacheStatus ?? "", CACHE_STATUS);
  assert.match(answer.cacheStatus ?? "", status);
}

Deno.test("a miss says so, and the same request is then an exact hit with age and id", async () => {
  await using cache = await serveCache({ cache: STATIC });
  const miss = await cache.ask({ prompt: QUESTION });
  assertStatus(miss, "miss", /^weir; fwd=miss/);
  for (const name of ["age", "weir-cache-id", "weir-cache-similarity"]) {
    assert.equal(miss.headers.get(name), undefined, name);
  }
  cache.clock.aheadMs += 65_000;
  const hit = await cache.ask({ prompt: QUESTION });
  assertStatus(hit, "exact", /^weir; hit; ttl=\d+; detail=exact$/);
  const ttl = Number(/ttl=(\d+)/.exec(hit.cacheStatus ?? "")?.[1]);
  assert.ok(ttl >= 3_240 - 66 && ttl <= 3_960 - 65, `an hour ± 10 % less its age: ${ttl}`);
  assert.ok(["65", "66"].includes(hit.headers.get("age") ?? ""), hit.headers.get("age"));
  assert.match(hit.id ?? "", /^[0-9a-z]{1,11}$/);
  assert.equal(hit.headers.get("weir-cache-similarity"), undefined);
  assert.equal(textOf(hit), textOf(miss));
  assert.equal(cache.calls, 1);
});

Deno.test("a respelt request is a canonical hit on the same entry", async () => {
  await using cache = await serveCache({ cache: { semantic: { mode: "off" } } });
  const miss = await cache.ask({ prompt: QUESTION });
  const exact = await cache.ask({ prompt: QUESTION });
  const hit = await cache.ask({ prompt: RESPELT });
  assertStatus(hit, "canonical", /^weir; hit; ttl=\d+; detail=canonical$/);
  assert.equal(hit.id, exact.id);
  assert.equal(textOf(hit), textOf(miss));
  assert.equal(cache.calls, 1);
});

Deno.test("a reworded request is a semantic hit with its similarity", async () => {
  await using cache = await serveCache({ cache: STATIC });
  const miss = await cache.ask({ prompt: QUESTION });
  await cache.indexed(1);
  const hit = await cache.ask({ prompt: REWORDED });
  assertStatus(hit, "semantic", /^weir; hit; ttl=\d+; detail=semantic$/);
  const similarity = Number(hit.headers.get("weir-cache-similarity"));
  assert.ok(similarity >= 0.8 && similarity <= 1, String(similarity));
  assert.equal(textOf(hit), textOf(miss));
  assert.equal(cache.calls, 1);
  const other = await cache.ask({ prompt: "Which river is the longest in Europe?" });
  assertStatus(other, "miss", /fwd=miss/);
  assert.equal(cache.calls, 2);
});

Deno.test("a request that differs by a number is no semantic hit, however near", async () => {
  await using cache = await serveCache({ cache: STATIC });
  await cache.ask({ prompt: "Convert 15 miles into kilometres for me, step by step" });
  await cache.indexed(1);
  const other = await cache.ask({
    prompt: "Convert 16 miles into kilometres for me, step by step",
  });
  assertStatus(other, "miss", /fwd=miss/);
  assert.equal(await cache.served.metric("weir_cache_lookups_total", { outcome: "guard" }), 1);
});

/** What the three questions get, by the layers that are on. */
const SWITCHES: ReadonlyArray<readonly [Record<string, unknown>, string, string, string]> = [
  [{ exact: false, canonical: false, semantic: { mode: "off" } }, "miss", "miss", "miss"],
  [EXACT_ONLY, "exact", "miss", "miss"],
  [{ exact: false, flight: false, semantic: { mode: "off" } }, "canonical", "canonical", "miss"],
  [
    { exact: false, canonical: false, flight: false, ...STATIC },
    "semantic",
    "semantic",
    "semantic",
  ],
  [{ canonical: false, ...STATIC }, "exact", "semantic", "semantic"],
  [{ semantic: { mode: "observe" } }, "exact", "canonical", "miss"],
  [
    { exact: false, canonical: false, flight: false, semantic: { mode: "off" } },
    "bypass",
    "bypass",
    "bypass",
  ],
];

Deno.test("layers can be switched off one by one", async (t) => {
  for (const [settings, ...expected] of SWITCHES) {
    await t.step(JSON.stringify(settings), async () => {
      await using cache = await serveCache({ cache: settings });
      await cache.ask({ prompt: QUESTION });
      if (JSON.stringify(settings).includes("static")) await cache.indexed(1);
      const layers: (string | undefined)[] = [];
      for (const prompt of [QUESTION, RESPELT, REWORDED]) {
        layers.push((await cache.ask({ prompt })).layer);
      }
      assert.deepEqual(layers, expected);
    });
  }
});

Deno.test("a model without a cache says nothing of one", async () => {
  await using cache = await serveCache({ models: { m: {}, plain: { cache: { enabled: false } } } });
  for (let round = 0; round < 2; round++) {
    const answer = await cache.ask({ model: "plain" });
    assert.equal(answer.cacheStatus, undefined);
  }
  assert.equal(cache.calls, 2);
});

Deno.test("observe serves nothing by similarity and remembers what it would have served", async () => {
  await using cache = await serveCache();
  await cache.ask({ prompt: QUESTION });
  await cache.indexed(1);
  assertStatus(await cache.ask({ prompt: REWORDED }), "miss", /fwd=miss/);
  const { json } = await cache.admin("GET", "/cache/near-misses?threshold=0.7");
  assert.equal(json.nearMisses.length, 1);
  const [miss] = json.nearMisses;
  assert.equal(miss.verdict, "observe");
  assert.equal(miss.asked, null, "texts only if asked for");
  assert.deepEqual(json.whatIf, { logged: 1, served: 1, guardRefused: 0 });
  const higher = await cache.admin("GET", "/cache/near-misses?threshold=1");
  assert.equal(higher.json.whatIf.served, 0);
});

/** Wordings that differ in small words alone. */
function* wordings(): Generator<string> {
  const subject = "what a weir does to the water level of the river above it and below it";
  for (const start of ["Explain", "Please explain", "Could you explain", "Do explain"]) {
    for (const whom of ["", " to me", " to us", " for me"]) {
      for (const end of ["", " please", " in short", ", if you can", " then", " thanks"]) {
        yield `${start}${whom} ${subject}${end}`;
      }
    }
  }
}

Deno.test("verified opens only after enough clean observations, and then serves", async () => {
  const errorBound = 0.1;
  // Less than this not even the plain Wilson bound of 95 % lets pass.
  const cleanLeast = Math.ceil(2.71 * (1 - errorBound) / errorBound);
  await using cache = await serveCache({
    // Its healthy answer is the same whatever it is asked.
    models: { m: { target: "fb-ok" } },
    shared: { judge: { type: "equal" }, embedder: { deadlineSeconds: 10 } },
    cache: { canonical: false, semantic: { mode: "verified", errorBound } },
  });
  let served = 0;
  let before = 0;
  for (const prompt of wordings()) {
    const { layer } = await cache.ask({ prompt });
    if (layer === "semantic") {
      served++;
      assert.ok(before >= cleanLeast, `served after ${before} observations`);
    } else {
      assert.equal(layer, "miss");
    }
    before = await cache.served.metric("weir_cache_observations_total", { result: "right" });
    if (served === 3) break;
  }
  assert.ok(served > 0, `never opened, with ${before} observations`);
  assert.equal(await cache.served.metric("weir_cache_observations_total", { result: "wrong" }), 0);
  const { json } = await cache.admin("GET", "/cache/verified");
  assert.ok(
    json.standings.some((pool: { observations: number; servesFrom: number | null }) =>
      pool.observations >= cleanLeast && pool.servesFrom !== null
    ),
    JSON.stringify(json),
  );
});

Deno.test("verified never opens where similar questions have different answers", async () => {
  await using cache = await serveCache({
    shared: { judge: { type: "equal" }, embedder: { deadlineSeconds: 10 } },
    cache: { canonical: false, semantic: { mode: "verified", errorBound: 0.3 } },
  });
  for (const prompt of wordings()) {
    assert.equal((await cache.ask({ prompt })).layer, "miss");
  }
  const wrong = await cache.served.metric("weir_cache_observations_total", { result: "wrong" });
  assert.ok(wrong >= 20, `only ${wrong} comparisons`);
});

Deno.test("x-weir-cache and the log of requests name the layer", async () => {
  await using cache: CacheGateway = await serveCache({ cache: STATIC });
  await cache.ask({ prompt: QUESTION });
  await cache.ask({ prompt: QUESTION });
  const finished = cache.served.log.filter(({ event }) => event === "request.finished");
  assert.equal(finished.length, 2);
  assert.equal(finished[1]?.["weir.cache"], "exact");
});
