/**
 * The `ai` package with `@ai-sdk/openai-compatible`, on a backend that speaks chat
 * completions and on one that speaks messages.
 */
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  embedMany,
  generateText,
  jsonSchema,
  stepCountIs,
  streamText,
  tool,
} from "ai";
import {
  alias,
  BROKEN_ANSWERS,
  BROKEN_STREAMS,
  type ClientGateway,
  PROTOCOLS,
  serveClients,
} from "../../support/client_gateway.ts";
import {
  PIXEL_BASE64,
  PIXEL_URL,
  PROMPT,
  WEATHER_PROMPT,
  WEATHER_SCHEMA,
} from "../../support/client_prompts.ts";

function providerOf(clients: ClientGateway, apiKey = "unused") {
  return createOpenAICompatible({
    name: "weir",
    baseURL: clients.openaiUrl,
    apiKey,
    includeUsage: true,
  });
}

Deno.test("ai: generateText and streamText agree with the backend", async (t) => {
  await using clients = await serveClients();
  const provider = providerOf(clients);
  const expected = await clients.textFor(PROMPT);
  for (const protocol of PROTOCOLS) {
    const request = {
      model: provider(alias(protocol, "ok")),
      prompt: PROMPT,
      maxRetries: 0,
    };
    await t.step(`generateText on ${protocol}`, async () => {
      const result = await generateText(request);
      assert.equal(result.text, expected);
      assert.equal(result.finishReason, "stop");
      assert.equal(result.usage.outputTokens, expected.split(/\s+/).length);
    });
    await t.step(`streamText on ${protocol}`, async () => {
      const result = streamText(request);
      const pieces = await Array.fromAsync(result.textStream);
      assert.equal(pieces.join(""), expected);
      assert.ok(pieces.length > 10, "the text came in pieces");
      assert.equal(await result.finishReason, "stop");
      assert.equal((await result.usage).outputTokens, expected.split(/\s+/).length);
    });
    await t.step(`an image on ${protocol}`, async () => {
      const image = { type: "file" as const, data: PIXEL_BASE64, mediaType: "image/png" };
      const text = { type: "text" as const, text: PROMPT };
      const { prompt: _, ...rest } = request;
      await generateText({ ...rest, messages: [{ role: "user", content: [text, image] }] });
      const sent = JSON.stringify(clients.sent.at(-1)?.["messages"]);
      assert.ok(sent.includes(protocol === "openai" ? PIXEL_URL : PIXEL_BASE64));
      assert.equal(sent.includes("image_url"), protocol === "openai");
    });
  }
});

Deno.test("ai: a tool is run and its result goes back", async (t) => {
  await using clients = await serveClients();
  const provider = providerOf(clients);
  const inputs: unknown[] = [];
  const getWeather = tool({
    description: "Tells the weather",
    inputSchema: jsonSchema<{ city: string; days: number }>(WEATHER_SCHEMA),
    execute: (input) => {
      inputs.push(input);
      return { degrees: 12 };
    },
  });
  for (const protocol of PROTOCOLS) {
    const request = {
      model: provider(alias(protocol, "ok")),
      prompt: WEATHER_PROMPT,
      tools: { get_weather: getWeather },
      stopWhen: stepCountIs(2),
      maxRetries: 0,
    };
    for (const how of ["generateText", "streamText"] as const) {
      await t.step(`${how} on ${protocol}`, async () => {
        inputs.length = 0;
        const result = how === "generateText" ? await generateText(request) : streamText(request);
        const text = await result.text;
        const steps = await result.steps;
        assert.deepEqual(inputs, [{ city: "Zürich", days: 1 }]);
        assert.equal(steps.length, 2);
        assert.equal(steps[0]?.finishReason, "tool-calls");
        assert.equal(steps[1]?.finishReason, "stop");
        assert.ok(text.length > 20);
      });
    }
  }
});

Deno.test("ai: every broken stream raises", async (t) => {
  await using clients = await serveClients();
  const provider = providerOf(clients);
  for (const protocol of PROTOCOLS) {
    for (const behaviour of BROKEN_STREAMS) {
      await t.step(`${behaviour} on ${protocol}`, async () => {
        const broken = () =>
          streamText({
            model: provider(alias(protocol, behaviour)),
            prompt: PROMPT,
            maxRetries: 0,
            onError: () => {}, // Would be printed.
          });
        let text = "";
        await assert.rejects(async () => {
          for await (const part of broken().fullStream) {
            if (part.type === "text-delta") text += part.text;
            assert.notEqual(part.type, "finish");
          }
        }, (error: unknown) => APICallError.isInstance(error));
        assert.notEqual(text, "");
        await assert.rejects(Array.fromAsync(broken().textStream), Error);
        await assert.rejects(Promise.resolve(broken().text), Error);
      });
    }
  }
});

Deno.test("ai: a damaged answer raises, and errors keep status and message", async (t) => {
  await using clients = await serveClients({ accessKey: "key-of-the-tests" });
  const provider = providerOf(clients, "key-of-the-tests");
  const ask = (model: string, from = provider) =>
    generateText({ model: from(model), prompt: PROMPT, maxRetries: 0 });

  const checks: [model: string, status: number, message: RegExp][] = [
    ["unheard-of", 404, /Cannot find model "unheard-of"/],
    ...PROTOCOLS.flatMap((protocol): [string, number, RegExp][] => [
      ...BROKEN_ANSWERS.map((behaviour): [string, number, RegExp] => [
        alias(protocol, behaviour),
        502,
        /Cannot answer from backend/,
      ]),
      [alias(protocol, "status_400"), 400, /Simulated status 400/],
      [alias(protocol, "rate_limited"), 429, /Rate limit reached/],
      [alias(protocol, "down"), 503, /overloaded/],
    ]),
  ];
  for (const [model, status, message] of checks) {
    await t.step(`${status} for ${model}`, async () => {
      await assert.rejects(ask(model), (error: unknown) => {
        assert.ok(APICallError.isInstance(error), String(error));
        assert.equal(error.statusCode, status);
        assert.match(error.message, message);
        return true;
      });
    });
  }
  await t.step("401 for an unknown key", async () => {
    const stranger = providerOf(clients, "key-of-another");
    await assert.rejects(ask(alias("openai", "ok"), stranger), (error: unknown) => {
      assert.ok(APICallError.isInstance(error));
      assert.equal(error.statusCode, 401);
      return true;
    });
  });
});

Deno.test("ai: embedMany", async () => {
  await using clients = await serveClients();
  const model = providerOf(clients).embeddingModel(alias("openai", "ok"));
  const { embeddings } = await embedMany({ model, values: ["a weir", "a river"], maxRetries: 0 });
  assert.equal(embeddings.length, 2);
  assert.equal(embeddings[0]?.length, 384);
});
