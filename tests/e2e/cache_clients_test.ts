/**
 * Stock clients cannot tell a hit from a live answer but by the headers: stored from
 * a stream and from JSON, asked as a stream and as JSON, in every API.
 */
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { type CacheGateway, EXACT_ONLY, serveCache } from "../support/cache_gateway.ts";

const PROMPT = "What is a weir good for?";
const QUESTION = { role: "user" as const, content: PROMPT };
const USAGE = { stream_options: { include_usage: true } };

/** What a client makes of an answer; ids and times differ, all else does not. */
interface Seen {
  readonly text: string;
  readonly finish: unknown;
  readonly usage: unknown;
  readonly model: string;
}

interface Asks {
  readonly stream: (cache: CacheGateway) => Promise<Seen>;
  readonly json: (cache: CacheGateway) => Promise<Seen>;
}

/** Stores the answer one way and asks for it the other, in all four directions. */
async function compare(
  t: Deno.TestContext,
  asks: Asks,
  protocol: "openai" | "anthropic" = "openai",
): Promise<void> {
  for (const asked of ["stream", "json"] as const) {
    for (const stored of ["stream", "json"] as const) {
      await t.step(`stored from ${stored}, asked as ${asked}`, async () => {
        await using live = await serveCache({
          protocol,
          models: { m: { cache: { enabled: false } } },
        });
        await using cache = await serveCache({ protocol, cache: EXACT_ONLY });
        const expected = await asks[asked](live);
        assert.ok(expected.text.length > 0 && expected.usage !== undefined);
        await asks[stored](cache);
        assert.deepEqual(await asks[asked](cache), expected);
        assert.equal(cache.calls, 1);
        const hits = await cache.served.metric("weir_cache_requests_total", { result: "exact" });
        assert.equal(hits, 1);
      });
    }
  }
}

function openai(cache: CacheGateway): OpenAI {
  return new OpenAI({ baseURL: `${cache.url}/v1`, apiKey: "unused", maxRetries: 0 });
}

Deno.test("openai chat completions", async (t) => {
  const request = { model: "m", messages: [QUESTION] };
  const seen = ({ choices, usage, model }: OpenAI.ChatCompletion): Seen => ({
    text: choices[0]?.message.content ?? "",
    finish: choices[0]?.finish_reason,
    usage,
    model,
  });
  await compare(t, {
    stream: async (cache) =>
      seen(
        await openai(cache).chat.completions.stream({ ...request, ...USAGE }).finalChatCompletion(),
      ),
    json: async (cache) => seen(await openai(cache).chat.completions.create(request)),
  });
});

Deno.test("openai chat chunks of a hit: usage only if asked for", async () => {
  await using cache = await serveCache({ cache: EXACT_ONLY });
  const chunks = async (more: typeof USAGE | object) => {
    const request = { model: "m", messages: [QUESTION], stream: true as const, ...more };
    return (await Array.fromAsync(await openai(cache).chat.completions.create(request)))
      .map(({ choices, usage }) => ({ delta: choices[0]?.delta, usage: usage ?? null }));
  };
  const live = await chunks({});
  assert.ok(live.length > 5 && live.every(({ usage }) => usage === null));
  const withUsage = await chunks(USAGE);
  assert.equal(withUsage.filter(({ usage }) => usage !== null).length, 1);
  assert.notEqual(withUsage.at(-1)?.usage, null);
  const without = await chunks({});
  assert.ok(without.every(({ usage }) => usage === null));
  assert.deepEqual(
    without.map(({ delta }) => delta?.content ?? ""),
    live.map(({ delta }) => delta?.content ?? ""),
  );
  assert.equal(cache.calls, 1);
});

Deno.test("openai completions", async (t) => {
  const request = { model: "m", prompt: PROMPT };
  await compare(t, {
    stream: async (cache) => {
      const stream = await openai(cache).completions.create({ ...request, ...USAGE, stream: true });
      const chunks = await Array.fromAsync(stream);
      return {
        text: chunks.map(({ choices }) => choices[0]?.text ?? "").join(""),
        finish: chunks.at(-2)?.choices[0]?.finish_reason,
        usage: chunks.at(-1)?.usage,
        model: chunks[0]?.model ?? "",
      };
    },
    json: async (cache) => {
      const { choices, usage, model } = await openai(cache).completions.create(request);
      return { text: choices[0]?.text ?? "", finish: choices[0]?.finish_reason, usage, model };
    },
  });
});

Deno.test("openai responses", async (t) => {
  const request = { model: "m", input: PROMPT, store: false };
  const seen = ({ output_text, status, usage, model }: OpenAI.Responses.Response): Seen => ({
    text: output_text,
    finish: status,
    usage,
    model,
  });
  await compare(t, {
    stream: async (cache) => seen(await openai(cache).responses.stream(request).finalResponse()),
    json: async (cache) => seen(await openai(cache).responses.create(request)),
  });
});

/** The Messages API, by a backend that speaks it and by one that is translated. */
Deno.test("anthropic messages", async (t) => {
  const request = { model: "m", max_tokens: 2_000, messages: [QUESTION] };
  const messages = (cache: CacheGateway) =>
    new Anthropic({ baseURL: cache.url, apiKey: "unused", maxRetries: 0 }).messages;
  const seen = ({ content, stop_reason, usage, model }: Anthropic.Message): Seen => {
    const [block] = content;
    return { text: block?.type === "text" ? block.text : "", finish: stop_reason, usage, model };
  };
  for (const protocol of ["anthropic", "openai"] as const) {
    await t.step(`backend speaks ${protocol}`, (t) =>
      compare(t, {
        stream: async (cache) => seen(await messages(cache).stream(request).finalMessage()),
        json: async (cache) => seen(await messages(cache).create(request)),
      }, protocol));
  }
});

Deno.test("ai", async (t) => {
  const model = (cache: CacheGateway) =>
    createOpenAICompatible({
      name: "weir",
      baseURL: `${cache.url}/v1`,
      apiKey: "unused",
      includeUsage: true,
    })("m");
  await compare(t, {
    stream: async (cache) => {
      const result = streamText({ model: model(cache), prompt: PROMPT, maxRetries: 0 });
      return {
        text: await result.text,
        finish: await result.finishReason,
        usage: await result.usage,
        model: (await result.response).modelId,
      };
    },
    json: async (cache) => {
      const result = await generateText({ model: model(cache), prompt: PROMPT, maxRetries: 0 });
      const { text, finishReason, usage, response } = result;
      return { text, finish: finishReason, usage, model: response.modelId };
    },
  });
});

Deno.test("a stored answer has an id of its own and the headers of a hit", async () => {
  await using cache = await serveCache({ cache: EXACT_ONLY });
  const ask = () =>
    openai(cache).chat.completions.create({ model: "m", messages: [QUESTION] }).withResponse();
  const live = await ask();
  const hit = await ask();
  assert.notEqual(hit.data.id, live.data.id);
  assert.equal(hit.response.headers.get("x-weir-cache"), "exact");
  assert.match(hit.response.headers.get("cache-status") ?? "", /^weir; hit; /);
  assert.notEqual(hit.request_id, live.request_id);
});
