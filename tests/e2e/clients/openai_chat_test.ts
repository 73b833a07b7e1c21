/**
 * The `openai` client's chat completions, on a backend that speaks them and on one
 * that speaks messages.
 */
import assert from "node:assert/strict";
import OpenAI from "openai";
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

const WEATHER_TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather",
    parameters: WEATHER_SCHEMA,
  },
} as const;

function clientOf(clients: ClientGateway): OpenAI {
  return new OpenAI({
    baseURL: clients.openaiUrl,
    apiKey: "unused",
    maxRetries: 0,
  });
}

Deno.test("openai chat: answers, streams and helpers agree with the backend", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const expected = await clients.textFor(PROMPT);
  const messages = [{ role: "user", content: PROMPT }] as const;
  for (const protocol of PROTOCOLS) {
    const model = alias(protocol, "ok");
    await t.step(`create on ${protocol}`, async () => {
      const answer = await client.chat.completions.create({
        model,
        messages: [...messages],
      });
      assert.equal(answer.object, "chat.completion");
      assert.equal(answer.choices[0]?.message.content, expected);
      assert.equal(answer.choices[0]?.finish_reason, "stop");
      const ageSeconds = Date.now() / 1_000 - answer.created;
      assert.ok(Math.abs(ageSeconds) < 600, `created ${ageSeconds} s ago`);
      checkUsage(answer.usage ?? null, expected);
    });
    await t.step(`stream on ${protocol}`, async () => {
      const stream = await client.chat.completions.create({
        model,
        messages: [...messages],
        stream: true,
      });
      let text = "";
      const finishes: string[] = [];
      for await (const chunk of stream) {
        assert.equal(chunk.object, "chat.completion.chunk");
        assert.equal(
          chunk.choices.length,
          1,
          "no usage chunk unless it was asked for",
        );
        text += chunk.choices[0]?.delta.content ?? "";
        const finish = chunk.choices[0]?.finish_reason ?? null;
        if (finish !== null) finishes.push(finish);
      }
      assert.equal(text, expected);
      assert.deepEqual(finishes, ["stop"]);
    });
    await t.step(`stream with usage on ${protocol}`, async () => {
      const stream = await client.chat.completions.create({
        model,
        messages: [...messages],
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks = await Array.fromAsync(stream);
      assert.deepEqual(chunks.at(-1)?.choices, []);
      checkUsage(chunks.at(-1)?.usage ?? null, expected);
      assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
    });
    await t.step(`stream helper on ${protocol}`, async () => {
      const runner = client.chat.completions.stream({
        model,
        messages: [...messages],
      });
      const pieces: string[] = [];
      runner.on("content", (delta) => pieces.push(delta));
      const final = await runner.finalChatCompletion();
      assert.equal(final.choices[0]?.message.content, expected);
      assert.equal(pieces.join(""), expected);
      assert.ok(pieces.length > 10, "the text came in pieces");
    });
  }
});

Deno.test("openai chat: tools are called, and their results go back", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const messages = [{ role: "user", content: WEATHER_PROMPT }] as const;
  for (const protocol of PROTOCOLS) {
    const request = {
      model: alias(protocol, "ok"),
      messages: [...messages],
      tools: [WEATHER_TOOL],
    };
    await t.step(`create and answer on ${protocol}`, async () => {
      const first = await client.chat.completions.create(request);
      const message = first.choices[0]?.message;
      assert.ok(message);
      assert.equal(first.choices[0]?.finish_reason, "tool_calls");
      const call = message.tool_calls?.[0];
      assert.equal(call?.type, "function");
      assert.equal(call.function.name, "get_weather");
      assert.deepEqual(JSON.parse(call.function.arguments), {
        city: "Zürich",
        days: 1,
      });
      const result = {
        role: "tool",
        tool_call_id: call.id,
        content: "12 degrees",
      } as const;
      const second = await client.chat.completions.create({
        ...request,
        messages: [...messages, message, result],
      });
      assert.equal(second.choices[0]?.finish_reason, "stop");
      assert.ok((second.choices[0]?.message.content ?? "").length > 20);
    });
    await t.step(`two calls in a stream on ${protocol}`, async () => {
      const runner = client.chat.completions.stream({
        ...request,
        model: alias(protocol, "two_calls"),
      });
      const final = await runner.finalChatCompletion();
      const calls = final.choices[0]?.message.tool_calls ?? [];
      assert.equal(final.choices[0]?.finish_reason, "tool_calls");
      assert.equal(new Set(calls.map((call) => call.id)).size, 2);
      for (const call of calls) {
        assert.equal(call.type, "function");
        assert.equal(call.function.name, "get_weather");
        assert.deepEqual(JSON.parse(call.function.arguments), {
          city: "Zürich",
          days: 1,
        });
      }
    });
    await t.step(`a forced tool on ${protocol}`, async () => {
      const answer = await client.chat.completions.create({
        ...request,
        messages: [{ role: "user", content: PROMPT }],
        tool_choice: { type: "function", function: { name: "get_weather" } },
      });
      assert.equal(answer.choices[0]?.message.tool_calls?.length, 1);
    });
  }
});

Deno.test("openai chat: images and JSON schemas arrive at the backend", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const content = [
    { type: "text", text: PROMPT },
    { type: "image_url", image_url: { url: PIXEL_URL } },
  ] as const;
  const answers: string[] = [];
  for (const protocol of PROTOCOLS) {
    const request = {
      model: alias(protocol, "ok"),
      messages: [{ role: "user" as const, content: [...content] }],
    };
    await t.step(`an image on ${protocol}`, async () => {
      const answer = await client.chat.completions.create(request);
      const stream = client.chat.completions.stream(request);
      const text = answer.choices[0]?.message.content ?? "";
      assert.equal(
        (await stream.finalChatCompletion()).choices[0]?.message.content,
        text,
      );
      answers.push(text);
      const expected = protocol === "openai" ? [...content] : [
        { type: "text", text: PROMPT },
        {
          type: "image",
          source: {
            type: "base64",
            media_type: "image/png",
            data: PIXEL_BASE64,
          },
        },
      ];
      assert.deepEqual(clients.sent.at(-1)?.["messages"], [{
        role: "user",
        content: expected,
      }]);
    });
    await t.step(`a JSON schema on ${protocol}`, async () => {
      const schema = { ...WEATHER_SCHEMA, additionalProperties: false };
      const format = {
        type: "json_schema",
        json_schema: { name: "weather", strict: true, schema },
      } as const;
      await client.chat.completions.create({
        ...request,
        response_format: format,
      });
      const sent = clients.sent.at(-1) ?? {};
      if (protocol === "openai") {
        assert.deepEqual(sent["response_format"], format);
      } else {
        assert.deepEqual(sent["output_config"], {
          format: { type: "json_schema", schema },
        });
        assert.ok(!("response_format" in sent));
      }
    });
  }
  assert.equal(answers[0], answers[1]);
  assert.notEqual(
    answers[0],
    await clients.textFor(PROMPT),
    "the image was seen",
  );
});

Deno.test("openai chat: system prompts, limits and stops mean the same everywhere", async (t) => {
  await using clients = await serveClients();
  const client = clientOf(clients);
  const expected = await clients.textFor(PROMPT);
  for (const protocol of PROTOCOLS) {
    const model = alias(protocol, "ok");
    await t.step(`max_completion_tokens on ${protocol}`, async () => {
      const answer = await client.chat.completions.create({
        model,
        messages: [{ role: "user", content: PROMPT }],
        max_completion_tokens: 5,
      });
      assert.equal(answer.choices[0]?.finish_reason, "length");
      assert.ok(expected.startsWith(answer.choices[0]?.message.content ?? "-"));
      assert.equal(answer.usage?.completion_tokens, 5);
    });
    await t.step(`system and developer prompts on ${protocol}`, async () => {
      const ask = async (role: "system" | "developer") => {
        const answer = await client.chat.completions.create({
          model,
          messages: [{ role, content: "Be brief." }, {
            role: "user",
            content: PROMPT,
          }],
        });
        return answer.choices[0]?.message.content;
      };
      const brief = await ask("system");
      assert.equal(await ask("developer"), brief);
      assert.notEqual(brief, expected, "the system prompt was seen");
    });
    await t.step(`stop on ${protocol}`, async () => {
      const answer = await client.chat.completions.create({
        model,
        messages: [{ role: "user", content: PROMPT }],
        stop: ["."],
      });
      assert.equal(answer.choices[0]?.finish_reason, "stop");
      assert.equal(answer.choices[0]?.message.content, expected.split(".")[0]);
    });
  }
});

function checkUsage(
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
  } | null,
  text: string,
): void {
  assert.ok(usage);
  assert.equal(usage.completion_tokens, text.split(/\s+/).length);
  assert.equal(usage.prompt_tokens, PROMPT.split(" ").length + 4);
  assert.equal(
    usage.total_tokens,
    usage.prompt_tokens + usage.completion_tokens,
  );
}
