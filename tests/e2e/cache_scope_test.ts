/**
 * The hard partition: near-identical requests that may never share an answer.
 */
import assert from "node:assert/strict";
import { type Ask, serveCache, STATIC } from "../support/cache_gateway.ts";

const QUESTION = "How do I reset the password of my account?";
const REWORDED = "How do I reset my account's password?";
const TOOL = { type: "function", function: { name: "lookup", parameters: { type: "object" } } };
const OTHER_TOOL = { type: "function", function: { name: "seek", parameters: { type: "object" } } };

function chat(
  ...messages: readonly (readonly [string, string])[]
): Readonly<Record<string, unknown>> {
  return { messages: messages.map(([role, content]) => ({ role, content })) };
}

/** Pairs of requests with one question, in scopes of their own. */
const APART: Readonly<Record<string, readonly [Ask, Ask]>> = {
  "model alias": [{ model: "m" }, { model: "other" }],
  "tenant": [
    { headers: { authorization: "Bearer key-anna" } },
    { headers: { authorization: "Bearer key-bert" } },
  ],
  "namespace": [{}, { headers: { "weir-cache-namespace": "two" } }],
  "system prompt": [
    { body: chat(["system", "Be brief"], ["user", QUESTION]) },
    { body: chat(["system", "Be thorough"], ["user", QUESTION]) },
  ],
  "a system prompt or none": [{}, { body: chat(["system", "Be brief"], ["user", QUESTION]) }],
  "history": [
    { body: chat(["user", "Hi"], ["assistant", "Hello"], ["user", QUESTION]) },
    { body: chat(["user", "Hi"], ["assistant", "Good day"], ["user", QUESTION]) },
  ],
  "tools": [{ body: { tools: [TOOL] } }, { body: { tools: [OTHER_TOOL] } }],
  "response format": [{}, { body: { response_format: { type: "json_object" } } }],
  "top_p": [{ body: { top_p: 0.5 } }, { body: { top_p: 0.6 } }],
  "temperature": [{ body: { temperature: 0 } }, { body: { temperature: 0.1 } }],
  "max_tokens": [{ body: { max_tokens: 900 } }, { body: { max_tokens: 901 } }],
  "a field nobody knows": [{}, { body: { brand_new_parameter: 1 } }],
  "a header that is passed on": [
    { headers: { "x-sim-fault": "words=20" } },
    { headers: { "x-sim-fault": "words=21" } },
  ],
  "API": [{ path: "/v1/completions" }, { path: "/v1/responses" }],
};

/** The same with another last message. */
function reworded(ask: Ask): Ask {
  const messages = ask.body?.["messages"] as { role: string; content: string }[] | undefined;
  if (messages === undefined) return { ...ask, prompt: REWORDED };
  const last = { role: "user", content: REWORDED };
  return { ...ask, body: { ...ask.body, messages: [...messages.slice(0, -1), last] } };
}

Deno.test("nothing is served across a scope, by no layer", async (t) => {
  for (const [name, [one, other]] of Object.entries(APART)) {
    await t.step(name, async () => {
      await using cache = await serveCache({
        models: { m: {}, other: {} },
        tenants: name === "tenant" ? ["anna", "bert"] : [],
        cache: STATIC,
      });
      const first = { prompt: QUESTION, ...one };
      const second = { prompt: QUESTION, ...other };
      assert.equal((await cache.ask(first)).layer, "miss");
      await cache.indexed(1);
      assert.equal((await cache.ask(first)).layer, "exact");
      assert.equal((await cache.ask(reworded(first))).layer, "semantic", "its own scope is found");
      assert.equal((await cache.ask(reworded(second))).layer, "miss");
      assert.equal((await cache.ask(second)).layer === "exact", false);
      assert.equal((await cache.ask(first)).layer, "exact");
    });
  }
});

Deno.test("concurrent requests of two tenants share no call", async () => {
  await using cache = await serveCache({
    models: { m: { target: "sim!token-ms=5,words=20" } },
    tenants: ["anna", "bert"],
    cache: STATIC,
  });
  const ask = (tenant: string) =>
    cache.ask({ stream: true, headers: { authorization: `Bearer key-${tenant}` } });
  await Promise.all([ask("anna"), ask("bert"), ask("anna"), ask("bert")]);
  assert.equal(cache.calls, 2);
});

Deno.test("a namespace never leads into another tenant's, whatever it is called", async () => {
  await using cache = await serveCache({ tenants: ["anna", "bert"], cache: STATIC });
  const ask = (key: string, namespace: string) =>
    cache.ask({
      headers: { authorization: `Bearer key-${key}`, "weir-cache-namespace": namespace },
    });
  await ask("anna", "shared");
  assert.equal((await ask("bert", "shared")).layer, "miss");
  assert.equal((await ask("bert", "anna")).layer, "miss");
  assert.equal((await ask("anna", "shared")).layer, "exact");
});

Deno.test("what does not bear on the answer is no part of the scope", async () => {
  await using cache = await serveCache({ cache: STATIC });
  await cache.ask({
    body: { user: "one", metadata: { a: "1" } },
    headers: { traceparent: "00-1" },
  });
  const again = await cache.ask({
    stream: true,
    body: { user: "two", stream_options: { include_usage: true } },
    headers: { traceparent: "00-2", "x-request-id": "mine" },
  });
  assert.equal(again.layer, "exact");
  assert.equal(again.headers.get("x-request-id"), "mine");
});
