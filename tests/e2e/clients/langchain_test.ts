/**
 * LangChain's `ChatOpenAI`, on a backend that speaks chat completions and on one that
 * speaks messages.
 */
import assert from "node:assert/strict";
import { HumanMessage, ToolMessage, type UsageMetadata } from "@langchain/core/messages";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import {
  alias,
  type Behaviour,
  BROKEN_ANSWERS,
  BROKEN_STREAMS,
  type ClientGateway,
  type ClientProtocol,
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
  type: "function" as const,
  function: { name: "get_weather", description: "Tells the weather", parameters: WEATHER_SCHEMA },
};

function chatModel(
  clients: ClientGateway,
  model: string,
  apiKey = "unused",
): ChatOpenAI {
  return new ChatOpenAI({
    model,
    apiKey,
    maxRetries: 0,
    configuration: { baseURL: clients.openaiUrl },
  });
}

function modelOn(clients: ClientGateway, protocol: ClientProtocol, behaviour: Behaviour) {
  return chatModel(clients, alias(protocol, behaviour));
}

Deno.test("langchain: invoke and stream agree with the backend", async (t) => {
  await using clients = await serveClients();
  const expected = await clients.textFor(PROMPT);
  for (const protocol of PROTOCOLS) {
    const model = modelOn(clients, protocol, "ok");
    await t.step(`invoke on ${protocol}`, async () => {
      const message = await model.invoke(PROMPT);
      assert.equal(message.text, expected);
      assert.equal(outputTokens(message), expected.split(/\s+/).length);
    });
    await t.step(`stream on ${protocol}`, async () => {
      const chunks = await Array.fromAsync(await model.stream(PROMPT));
      assert.equal(chunks.map((chunk) => chunk.text).join(""), expected);
      assert.ok(chunks.length > 10, "the text came in pieces");
      const counts = chunks.map(outputTokens).filter((count) => count !== null);
      assert.deepEqual(counts, [expected.split(/\s+/).length]);
    });
    await t.step(`an image on ${protocol}`, async () => {
      const content = [
        { type: "text" as const, text: PROMPT },
        { type: "image_url" as const, image_url: { url: PIXEL_URL } },
      ];
      const message = await model.invoke([new HumanMessage({ content })]);
      assert.notEqual(message.text, expected, "the image was seen");
      const sent = JSON.stringify(clients.sent.at(-1)?.["messages"]);
      assert.ok(sent.includes(PIXEL_BASE64));
      assert.equal(sent.includes("image_url"), protocol === "openai");
    });
  }
});

Deno.test("langchain: bindTools, whole and streamed, with the result sent back", async (t) => {
  await using clients = await serveClients();
  for (const protocol of PROTOCOLS) {
    const model = modelOn(clients, protocol, "ok").bindTools([WEATHER_TOOL]);
    await t.step(`invoke on ${protocol}`, async () => {
      const first = await model.invoke(WEATHER_PROMPT);
      const call = first.tool_calls?.[0];
      assert.equal(call?.name, "get_weather");
      assert.deepEqual(call?.args, { city: "Zürich", days: 1 });
      const result = new ToolMessage({ tool_call_id: call?.id ?? "", content: "12 degrees" });
      const second = await model.invoke([new HumanMessage(WEATHER_PROMPT), first, result]);
      assert.ok(second.text.length > 20);
      assert.equal(second.tool_calls?.length, 0);
    });
    await t.step(`stream on ${protocol}`, async () => {
      const [first, ...rest] = await Array.fromAsync(await model.stream(WEATHER_PROMPT));
      assert.ok(first);
      const whole = rest.reduce((sum, chunk) => sum.concat(chunk), first);
      assert.deepEqual(whole.tool_calls?.map((call) => call.args), [{ city: "Zürich", days: 1 }]);
    });
  }
});

Deno.test("langchain: every broken stream and every damaged answer raises", async (t) => {
  await using clients = await serveClients();
  for (const protocol of PROTOCOLS) {
    for (const behaviour of BROKEN_STREAMS) {
      await t.step(`stream, ${behaviour} on ${protocol}`, async () => {
        let text = "";
        await assert.rejects(async () => {
          const stream = await modelOn(clients, protocol, behaviour).stream(PROMPT);
          for await (const chunk of stream) text += chunk.text;
        }, Error);
        assert.notEqual(text, "");
      });
    }
    for (const behaviour of BROKEN_ANSWERS) {
      await t.step(`invoke, ${behaviour} on ${protocol}`, async () => {
        const answer = modelOn(clients, protocol, behaviour).invoke(PROMPT);
        await assert.rejects(answer, { status: 502 });
      });
    }
  }
});

Deno.test("langchain: errors keep status, code and message", async (t) => {
  await using clients = await serveClients({ accessKey: "key-of-the-tests" });
  const checks: [model: string, expected: { status: number; message: RegExp }][] = [
    ["unheard-of", { status: 404, message: /Cannot find model "unheard-of"/ }],
    ...PROTOCOLS.flatMap((protocol): typeof checks => [
      [alias(protocol, "status_400"), { status: 400, message: /Simulated status 400/ }],
      [alias(protocol, "rate_limited"), { status: 429, message: /Rate limit reached/ }],
      [alias(protocol, "down"), { status: 503, message: /overloaded/ }],
    ]),
  ];
  for (const [name, expected] of checks) {
    await t.step(`${expected.status} for ${name}`, async () => {
      const model = chatModel(clients, name, "key-of-the-tests");
      await assert.rejects(model.invoke(PROMPT), expected);
      await assert.rejects(model.stream(PROMPT).then(Array.fromAsync), { status: expected.status });
    });
  }
  await t.step("401 for an unknown key", async () => {
    const model = chatModel(clients, alias("openai", "ok"), "key-of-another");
    await assert.rejects(model.invoke(PROMPT), { status: 401 });
  });
});

Deno.test("langchain: embeddings", async () => {
  await using clients = await serveClients();
  const embeddings = new OpenAIEmbeddings({
    model: alias("openai", "ok"),
    apiKey: "unused",
    maxRetries: 0,
    configuration: { baseURL: clients.openaiUrl },
  });
  const vectors = await embeddings.embedDocuments(["a weir", "a river"]);
  assert.deepEqual(vectors.map((vector) => vector.length), [384, 384]);
});

function outputTokens(
  message: { readonly usage_metadata?: UsageMetadata | undefined },
): number | null {
  return message.usage_metadata?.output_tokens ?? null;
}
