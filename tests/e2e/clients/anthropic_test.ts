/**
 * The `@anthropic-ai/sdk` client, on a backend that speaks messages and on one that
 * speaks chat completions.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import {
  alias,
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

const LIMIT = { max_tokens: 2_000 };
const WEATHER_TOOL = {
  name: "get_weather",
  description: "Tells the weather",
  input_schema: WEATHER_SCHEMA,
};

function clientOf(clients: ClientGateway): Anthropic {
  return new Anthropic({ baseURL: clients.url, apiKey: "unused", maxRetries: 0 });
}

Deno.test("anthropic: answers, streams and helpers agree with the backend", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const expected = await clients.textFor(PROMPT);
  for (const protocol of PROTOCOLS) {
    const request = {
      ...LIMIT,
      model: alias(protocol, "ok"),
      messages: [{ role: "user" as const, content: PROMPT }],
    };
    await t.step(`create on ${protocol}`, async () => {
      const message = await client.messages.create(request);
      assert.equal(message.type, "message");
      assert.equal(message.role, "assistant");
      assert.equal(textOf(message), expected);
      assert.equal(message.stop_reason, "end_turn");
      checkUsage(message.usage, expected);
    });
    await t.step(`raw stream on ${protocol}`, async () => {
      const stream = await client.messages.create({ ...request, stream: true });
      const types: string[] = [];
      let text = "";
      for await (const event of stream) {
        if (event.type !== types.at(-1)) types.push(event.type);
        if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
          text += event.delta.text;
        }
      }
      assert.equal(text, expected);
      assert.deepEqual(types, [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
      ]);
    });
    await t.step(`stream helper on ${protocol}`, async () => {
      const stream = client.messages.stream(request);
      const pieces: string[] = [];
      stream.on("text", (piece) => pieces.push(piece));
      const message = await stream.finalMessage();
      assert.equal(textOf(message), expected);
      assert.equal(pieces.join(""), expected);
      assert.ok(pieces.length > 10, "the text came in pieces");
      assert.equal(message.stop_reason, "end_turn");
      checkUsage(message.usage, expected);
    });
    await t.step(`limit and stop sequence on ${protocol}`, async () => {
      const short = await client.messages.create({ ...request, max_tokens: 5 });
      assert.equal(short.stop_reason, "max_tokens");
      assert.ok(expected.startsWith(textOf(short)) && textOf(short) !== "");
      const stopped = await client.messages.create({ ...request, stop_sequences: ["."] });
      assert.equal(textOf(stopped), expected.split(".")[0]);
    });
    await t.step(`system prompt on ${protocol}`, async () => {
      const plain = await client.messages.create({ ...request, system: "Be brief." });
      const block = { type: "text" as const, text: "Be brief." };
      const blocks = await client.messages.create({ ...request, system: [block] });
      assert.equal(textOf(plain), textOf(blocks));
      assert.notEqual(textOf(plain), expected, "the system prompt was seen");
    });
  }
});

Deno.test("anthropic: tools are called, and their results go back", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  for (const protocol of PROTOCOLS) {
    const question = { role: "user" as const, content: WEATHER_PROMPT };
    const request = {
      ...LIMIT,
      model: alias(protocol, "ok"),
      messages: [question],
      tools: [WEATHER_TOOL],
    };
    await t.step(`create and answer on ${protocol}`, async () => {
      const first = await client.messages.create(request);
      assert.equal(first.stop_reason, "tool_use");
      const call = first.content.find((block) => block.type === "tool_use");
      assert.ok(call);
      assert.equal(call.name, "get_weather");
      assert.deepEqual(call.input, { city: "Zürich", days: 1 });
      const result = {
        type: "tool_result" as const,
        tool_use_id: call.id,
        content: [{ type: "text" as const, text: "12 degrees" }],
      };
      const second = await client.messages.create({
        ...request,
        messages: [
          question,
          { role: "assistant", content: first.content },
          { role: "user", content: [result] },
        ],
      });
      assert.equal(second.stop_reason, "end_turn");
      assert.ok(textOf(second).length > 20);
    });
    await t.step(`two calls in a stream on ${protocol}`, async () => {
      const stream = client.messages.stream({ ...request, model: alias(protocol, "two_calls") });
      const message = await stream.finalMessage();
      const calls = message.content.filter((block) => block.type === "tool_use");
      assert.equal(message.stop_reason, "tool_use");
      assert.equal(new Set(calls.map((call) => call.id)).size, 2);
      for (const call of calls) assert.deepEqual(call.input, { city: "Zürich", days: 1 });
    });
    await t.step(`a forced tool on ${protocol}`, async () => {
      const message = await client.messages.create({
        ...request,
        messages: [{ role: "user", content: PROMPT }],
        tool_choice: { type: "tool", name: "get_weather" },
      });
      assert.equal(message.content.filter((block) => block.type === "tool_use").length, 1);
    });
  }
});

Deno.test("anthropic: images arrive at the backend", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const source = { type: "base64" as const, media_type: "image/png" as const, data: PIXEL_BASE64 };
  const content = [
    { type: "text" as const, text: PROMPT },
    { type: "image" as const, source },
  ];
  const texts: string[] = [];
  for (const protocol of PROTOCOLS) {
    await t.step(`on ${protocol}`, async () => {
      const request = {
        ...LIMIT,
        model: alias(protocol, "ok"),
        messages: [{ role: "user" as const, content }],
      };
      const text = textOf(await client.messages.create(request));
      assert.equal(textOf(await client.messages.stream(request).finalMessage()), text);
      texts.push(text);
      const expected = protocol === "anthropic"
        ? content
        : [content[0], { type: "image_url", image_url: { url: PIXEL_URL } }];
      assert.deepEqual(clients.sent.at(-1)?.["messages"], [{ role: "user", content: expected }]);
    });
  }
  assert.equal(texts[0], texts[1]);
  assert.notEqual(texts[0], await clients.textFor(PROMPT), "the image was seen");
});

Deno.test("anthropic: thinking comes before the text", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const expected = await clients.textFor(PROMPT);
  for (const protocol of PROTOCOLS) {
    const request = {
      ...LIMIT,
      model: alias(protocol, "thinking"),
      messages: [{ role: "user" as const, content: PROMPT }],
      thinking: { type: "enabled" as const, budget_tokens: 1_024 },
    };
    for (const how of ["create", "stream"] as const) {
      await t.step(`${how} on ${protocol}`, async () => {
        const message = how === "create"
          ? await client.messages.create(request)
          : await client.messages.stream(request).finalMessage();
        assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
        const [thinking] = message.content;
        assert.ok(thinking?.type === "thinking" && thinking.thinking.split(" ").length === 6);
        assert.equal(textOf(message), expected);
      });
    }
  }
});

Deno.test("anthropic: models are listed and retrieved in this API's shape", async () => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const models = await Array.fromAsync(client.models.list());
  const ids = models.map((model) => model.id);
  for (const protocol of PROTOCOLS) assert.ok(ids.includes(alias(protocol, "ok")));
  assert.ok(
    models.every((model) => model.type === "model" && !isNaN(Date.parse(model.created_at))),
  );
  assert.equal((await client.models.retrieve(alias("openai", "ok"))).type, "model");
  await assert.rejects(client.models.retrieve("unheard-of"), Anthropic.NotFoundError);
});

function textOf(message: Anthropic.Message): string {
  return message.content.map((block) => block.type === "text" ? block.text : "").join("");
}

function checkUsage(usage: Anthropic.Usage, text: string): void {
  assert.equal(usage.output_tokens, text.split(/\s+/).length);
  assert.equal(usage.input_tokens, PROMPT.split(" ").length + 4);
}
