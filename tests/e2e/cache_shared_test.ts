/**
 * Gateways over one store, restarts, and stores that break.
 */
import assert from "node:assert/strict";
import { openStore, type Store } from "deno-kv-compat";
import {
  type CacheGateway,
  type CountingSimulator,
  serveCache,
  startCounting,
  STATIC,
  textOf,
  until,
} from "../support/cache_gateway.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { FaultyStore } from "../support/kv_faults.ts";
import { spawnKvNode } from "../support/kv_node_process.ts";

const QUESTION = "How do I reset the password of my account?";
const REWORDED = "How do I reset my account's password?";
const RESPELT = "how do I  reset the password of my account";
const ONLY = { "cache-control": "only-if-cached" };

/** A gateway over a store. */
function serveOver(
  simulator: CountingSimulator,
  store: Store,
  cache: Record<string, unknown> = STATIC,
): Promise<CacheGateway> {
  // Reads may take long on a busy machine; what is tested is not how long.
  return serveCache({ simulator, cache, shared: { storeReadSeconds: 5 }, ports: { store } });
}

/** A folder for a store, gone with the test. */
async function temporaryFolder(): Promise<AsyncDisposable & { readonly address: string }> {
  const folder = await Deno.makeTempDir({ prefix: "weir-test-" });
  return {
    address: `file:${folder}/cache.sqlite`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Settles once everything is written to the store. */
async function written(cache: CacheGateway, entries: number): Promise<void> {
  const labels = { result: "written" };
  await until(
    async () => (await cache.served.metric("weir_cache_shared_writes_total", labels)) >= entries,
    `${entries} entries to be written`,
  );
}

async function entriesOf(cache: CacheGateway): Promise<number> {
  return (await cache.admin("GET", "/cache")).json.store.entries;
}

Deno.test("what one gateway stores the other serves, in every layer", async () => {
  await using folder = await temporaryFolder();
  await using simulator = await startCounting();
  await using one = await serveOver(simulator, await openStore(folder.address));
  await using other = await serveOver(simulator, await openStore(folder.address));
  const text = textOf(await one.ask({ prompt: QUESTION }));
  await written(one, 1);
  const exact = await other.ask({ prompt: QUESTION, headers: ONLY });
  assert.equal(exact.layer, "exact");
  assert.equal(textOf(exact), text);
  const canonical = await other.ask({ prompt: RESPELT, headers: ONLY });
  assert.equal(canonical.layer, "canonical");
  await other.indexed(1);
  const semantic = await other.ask({ prompt: REWORDED, headers: ONLY });
  assert.equal(semantic.layer, "semantic");
  assert.equal(textOf(semantic), text);
  assert.equal(simulator.log.length, 1);
});

Deno.test("the feed brings answers to a gateway that never asked for them", async () => {
  await using folder = await temporaryFolder();
  await using simulator = await startCounting();
  await using one = await serveOver(simulator, await openStore(folder.address));
  await using other = await serveOver(simulator, await openStore(folder.address));
  await one.ask({ prompt: QUESTION });
  await other.indexed(1);
  const semantic = await other.ask({ prompt: REWORDED, headers: ONLY });
  assert.equal(semantic.layer, "semantic");
});

Deno.test("an invalidation by one gateway is heard by the other", async (t) => {
  for (const strict of [false, true]) {
    await t.step(strict ? "at the very next request where strict" : "soon", async () => {
      await using folder = await temporaryFolder();
      await using simulator = await startCounting();
      const rules = { ...STATIC, strict };
      await using one = await serveOver(simulator, await openStore(folder.address), rules);
      await using other = await serveOver(simulator, await openStore(folder.address), rules);
      await one.ask({ prompt: QUESTION });
      await written(one, 1);
      assert.equal((await other.ask({ prompt: QUESTION, headers: ONLY })).layer, "exact");
      await one.admin("POST", "/cache/invalidate", { model: "m" });
      if (strict) {
        await until(
          async () => (await other.ask({ prompt: QUESTION, headers: ONLY })).status === 504,
          "the invalidation to be written",
        );
      } else {
        const heard = { by: "elsewhere" };
        await until(
          async () => (await other.served.metric("weir_cache_invalidations_total", heard)) > 0,
          "the other to hear of it",
        );
      }
      for (const prompt of [QUESTION, RESPELT, REWORDED]) {
        assert.equal((await other.ask({ prompt, headers: ONLY })).status, 504, prompt);
        assert.equal((await one.ask({ prompt, headers: ONLY })).status, 504, prompt);
      }
    });
  }
});

Deno.test("an answer reported as wrong to one gateway is gone from the other", async () => {
  await using folder = await temporaryFolder();
  await using simulator = await startCounting();
  await using one = await serveOver(simulator, await openStore(folder.address));
  await using other = await serveOver(simulator, await openStore(folder.address));
  await one.ask({ prompt: QUESTION });
  await written(one, 1);
  const { id } = await other.ask({ prompt: QUESTION, headers: ONLY });
  assert.equal((await other.ask({ path: `/cache/${id}/wrong` })).status, 200);
  assert.equal((await other.ask({ prompt: QUESTION, headers: ONLY })).status, 504);
  await until(
    async () => (await one.ask({ prompt: QUESTION, headers: ONLY })).status === 504,
    "the first gateway to hear of it",
  );
});

Deno.test("gateways share a node of their own kind, and miss nothing while it is away", async () => {
  await using node = await spawnKvNode({ token: "a-token-of-the-node" });
  const open = () => openStore(node.weirUrl("cache"), { token: "a-token-of-the-node" });
  await using simulator = await startCounting();
  await using one = await serveOver(simulator, await open());
  await using other = await serveOver(simulator, await open());
  const text = textOf(await one.ask({ prompt: QUESTION }));
  await written(one, 1);
  const exact = await other.ask({ prompt: QUESTION, headers: ONLY });
  assert.equal(exact.layer, "exact");
  assert.equal(textOf(exact), text);

  node.kill("SIGKILL");
  await node.ended;
  // What is here serves, and what is not is asked for: nobody notices but operators.
  assert.equal((await other.ask({ prompt: QUESTION, headers: ONLY })).layer, "exact");
  assert.equal((await one.ask({ prompt: "What is the capital of France?" })).status, 200);
  await node.restart();
  await until(
    async () =>
      (await one.ask({ prompt: "A new one" })).status === 200 &&
      (await one.served.metric("weir_cache_shared_up")) === 1,
    "the store to be up again",
  );
  await one.admin("POST", "/cache/invalidate", { model: "m" });
  await until(
    async () => (await other.ask({ prompt: QUESTION, headers: ONLY })).status === 504,
    "the other to hear of it through the node",
  );
});

Deno.test("after a restart exact answers serve at once and similar ones when ready", async () => {
  await using folder = await temporaryFolder();
  await using simulator = await startCounting();
  {
    await using before = await serveOver(simulator, await openStore(folder.address));
    await before.ask({ prompt: QUESTION });
    await before.ask({ prompt: "What is the capital of France?" });
    await before.admin("POST", "/cache/invalidate", { tag: "nothing" });
  }
  await using after = await serveOver(simulator, await openStore(folder.address));
  assert.equal((await after.ask({ prompt: QUESTION, headers: ONLY })).layer, "exact");
  await after.served.gateway.cacheReady;
  assert.equal(await entriesOf(after), 2);
  await after.indexed(2);
  const similar = await after.ask({ prompt: REWORDED, headers: ONLY });
  assert.equal(similar.layer, "semantic");
  assert.equal(simulator.log.length, 2);
  assert.ok(after.served.log.some(({ event }) => event === "cache.restarted"));
});

Deno.test("what was invalidated stays so over a restart", async () => {
  await using folder = await temporaryFolder();
  await using simulator = await startCounting();
  {
    await using before = await serveOver(simulator, await openStore(folder.address));
    await before.ask({ prompt: QUESTION });
    await written(before, 1);
    await before.admin("POST", "/cache/invalidate", { all: true });
  }
  await using after = await serveOver(simulator, await openStore(folder.address));
  for (const prompt of [QUESTION, RESPELT, REWORDED]) {
    assert.equal((await after.ask({ prompt, headers: ONLY })).status, 504, prompt);
  }
});

Deno.test("a store that breaks is lived without", async (t) => {
  for (const health of ["failing", "hanging", "split"] as const) {
    await t.step(health, async () => {
      await using simulator = await startCounting();
      const store = new FaultyStore(await openStore("memory:"), systemClock);
      await using cache = await serveCache({
        simulator,
        cache: STATIC,
        shared: { storeReadSeconds: 0.05 },
        ports: { store },
      });
      await cache.ask({ prompt: QUESTION });
      store.health = health;
      assert.equal((await cache.ask({ prompt: QUESTION })).layer, "exact");
      assert.equal((await cache.ask({ prompt: "What is the capital of France?" })).status, 200);
      assert.equal((await cache.ask({ prompt: "What is the capital of France?" })).layer, "exact");
      await cache.admin("POST", "/cache/invalidate", { all: true });
      assert.equal((await cache.ask({ prompt: QUESTION, headers: ONLY })).status, 504);
      assert.equal((await cache.ask({ prompt: QUESTION, stream: true })).status, 200);
      store.health = "well";
    });
  }
});
