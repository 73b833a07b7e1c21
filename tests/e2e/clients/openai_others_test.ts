/**
 * The `openai` client's other APIs: completions, responses, embeddings and models.
 */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { alias, PROTOCOLS, serveClients } from "../../support/client_gateway.ts";
import { PROMPT, WEATHER_PROMPT, WEATHER_SCHEMA } from "../../support/client_prompts.ts";

const MODEL = alias("openai", "ok");

Deno.test("openai completions: create and stream", async (t) => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const expected = await clients.textFor(PROMPT);
  await t.step("create", async () => {
    const answer = await client.completions.create({ model: MODEL, prompt: PROMPT });
    assert.equal(answer.object, "text_completion");
    assert.equal(answer.choices[0]?.text, expected);
    assert.equal(answer.choices[0]?.finish_reason, "stop");
  });
  await t.step("stream", async () => {
    const stream = await client.completions.create({ model: MODEL, prompt: PROMPT, stream: true });
    const chunks = await Array.fromAsync(stream);
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), expected);
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, "stop");
  });
});

Deno.test("openai responses: create, stream and tools", async (t) => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const expected = await clients.textFor(PROMPT);
  const tool = {
    type: "function",
    name: "get_weather",
    parameters: WEATHER_SCHEMA,
    strict: false,
  } as const;
  await t.step("create", async () => {
    const response = await client.responses.create({ model: MODEL, input: PROMPT });
    assert.equal(response.status, "completed");
    assert.equal(response.output_text, expected);
    assert.equal(response.usage?.output_tokens, expected.split(/\s+/).length);
  });
  await t.step("stream", async () => {
    const stream = await client.responses.create({ model: MODEL, input: PROMPT, stream: true });
    let text = "";
    let last = "";
    let final = "";
    for await (const event of stream) {
      last = event.type;
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.completed") {
        const item = event.response.output[0];
        const part = item?.type === "message" ? item.content[0] : undefined;
        final = part?.type === "output_text" ? part.text : "";
      }
    }
    assert.equal(text, expected);
    assert.equal(final, expected);
    assert.equal(last, "response.completed");
  });
  await t.step("stream helper", async () => {
    const stream = client.responses.stream({ model: MODEL, input: PROMPT });
    const final = await stream.finalResponse();
    assert.equal(final.output_text, expected);
  });
  await t.step("a tool call, created and streamed", async () => {
    const request = { model: MODEL, input: WEATHER_PROMPT, tools: [tool] };
    const created = await client.responses.create(request);
    const streamed = await client.responses.stream(request).finalResponse();
    for (const response of [created, streamed]) {
      const [call] = response.output;
      assert.ok(call?.type === "function_call");
      assert.equal(call.name, "get_weather");
      assert.deepEqual(JSON.parse(call.arguments), { city: "Zürich", days: 1 });
    }
  });
});

Deno.test("openai embeddings: floats, with and without base64 on the wire", async () => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const input = ["a weir", "a river"];
  const usual = await client.embeddings.create({ model: MODEL, input, dimensions: 64 });
  const plain = await client.embeddings.create({
    model: MODEL,
    input,
    dimensions: 64,
    encoding_format: "float",
  });
  // The client asks for base64 by itself and decodes it.
  assert.equal(clients.sent[0]?.["encoding_format"], "base64");
  assert.equal(usual.data.length, 2);
  for (const [index, { embedding }] of usual.data.entries()) {
    assert.equal(embedding.length, 64);
    assert.deepEqual(
      [...embedding].map(Math.fround),
      plain.data[index]?.embedding.map(Math.fround),
    );
  }
  assert.equal(usual.usage.prompt_tokens, 4);
});

Deno.test("openai models: list and retrieve", async () => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const models = await Array.fromAsync(client.models.list());
  const ids = models.map((model) => model.id);
  for (const protocol of PROTOCOLS) assert.ok(ids.includes(alias(protocol, "ok")));
  assert.ok(models.every((model) => model.object === "model" && model.created > 0));
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
  await assert.rejects(client.models.retrieve("unheard-of"), OpenAI.NotFoundError);
});

Deno.test("openai: an API that a backend lacks is refused by name", async () => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const model = alias("anthropic", "ok");
  const calls = {
    completions: () => client.completions.create({ model, prompt: PROMPT }),
    responses: () => client.responses.create({ model, input: PROMPT }),
    embeddings: () => client.embeddings.create({ model, input: PROMPT }),
  };
  for (const [surface, call] of Object.entries(calls)) {
    await assert.rejects(call, (error: unknown) => {
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.equal(error.code, "unsupported_translation");
      assert.match(error.message, new RegExp(`Cannot answer ${surface} for model ${model}`));
      return true;
    });
  }
  assert.equal(clients.sent.length, 0, "no backend was asked");
});
