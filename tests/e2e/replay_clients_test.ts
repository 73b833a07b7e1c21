/**
 * Stock clients read replays as they read live answers: recorded from a stream and
 * from JSON, asked for as a stream and as JSON.
 */
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import {
  type AnswerSource,
  RECORDINGS,
  type ReplayServer,
  serveReplays,
} from "../support/replay_server.ts";
import { PROMPT, WEATHER_PROMPT, WEATHER_SCHEMA } from "../support/client_prompts.ts";

const MODEL = "gpt-4o-mini";
const QUESTION = { role: "user" as const, content: PROMPT };
const WITH_USAGE = { stream_options: { include_usage: true } };

/** What a client makes of an answer; ids differ, all else is the same for all sources. */
interface Seen {
  readonly id: string;
  readonly text: string;
  readonly finish: unknown;
  readonly usage: unknown;
  readonly model: string;
  readonly more?: unknown;
}

/** One way of one client to ask. */
type Ask = (baseUrl: string) => Promise<Seen>;

/**
 * Asks live both ways, which records both, then for each replay of the four
 * directions, and compares it with the live answer of its form.
 */
async function compare(t: Deno.TestContext, asStream: Ask, asJson: Ask): Promise<void> {
  await using server = await serveReplays();
  const asks = { stream: asStream, json: asJson };
  for (const [form, ask] of Object.entries(asks)) {
    const { id, ...live } = await ask(server.url("live"));
    assert.ok(live.text !== "" && live.usage !== undefined && live.usage !== null);
    await asks[form === "stream" ? "json" : "stream"](server.url("live"));
    for (const recording of RECORDINGS) {
      await t.step(`${recording} as ${form}`, async () => {
        const { id: newId, ...replayed } = await ask(server.url(recording));
        assert.deepEqual(replayed, live);
        assert.notEqual(newId, id, "a replay has an id of its own");
        assert.equal(newId.split(/[-_]/)[0], id.split(/[-_]/)[0]);
      });
    }
  }
}

function openai(url: string): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
}

Deno.test("openai chat completions read replays like live answers", async (t) => {
  const seen = (answer: OpenAI.ChatCompletion): Seen => {
    const [choice] = answer.choices;
    assert.ok(choice?.message.role === "assistant" && answer.created > 0);
    return {
      id: answer.id,
      text: choice.message.content ?? "",
      finish: choice.finish_reason,
      usage: answer.usage,
      model: answer.model,
      more: answer.system_fingerprint,
    };
  };
  const request = { model: MODEL, messages: [QUESTION] };
  await compare(
    t,
    async (url) => {
      const stream = openai(url).chat.completions.stream({ ...request, ...WITH_USAGE });
      return seen(await stream.finalChatCompletion());
    },
    async (url) => seen(await openai(url).chat.completions.create(request)),
  );
});

Deno.test("openai chat chunks of a replay are those of the live answer", async () => {
  await using server = await serveReplays();
  const chunksFrom = async (source: AnswerSource, more: typeof WITH_USAGE | object) => {
    const stream = await openai(server.url(source)).chat.completions.create({
      model: MODEL,
      messages: [QUESTION],
      stream: true,
      ...more,
    });
    return (await Array.fromAsync(stream)).map(({ choices, usage }) => ({
      content: choices[0]?.delta.content,
      finish: choices[0]?.finish_reason,
      usage,
    }));
  };
  const live = await chunksFrom("live", WITH_USAGE);
  assert.ok(live.length > 10);
  assert.deepEqual(await chunksFrom("from-stream", WITH_USAGE), live, "boundaries and all");
  const silent = await chunksFrom("from-stream", {});
  assert.deepEqual(silent, live.slice(0, -1).map((chunk) => ({ ...chunk, usage: undefined })));
});

Deno.test("openai completions read replays like live answers", async (t) => {
  const request = { model: MODEL, prompt: PROMPT };
  await compare(
    t,
    async (url) => {
      const chunks = await Array.fromAsync(
        await openai(url).completions.create({ ...request, ...WITH_USAGE, stream: true }),
      );
      return {
        id: chunks[0]?.id ?? "",
        text: chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""),
        finish: chunks.at(-2)?.choices[0]?.finish_reason,
        usage: chunks.at(-1)?.usage,
        model: chunks[0]?.model ?? "",
      };
    },
    async (url) => {
      const answer = await openai(url).completions.create(request);
      const [choice] = answer.choices;
      return {
        id: answer.id,
        text: choice?.text ?? "",
        finish: choice?.finish_reason,
        usage: answer.usage,
        model: answer.model,
      };
    },
  );
});

Deno.test("openai responses read replays like live answers", async (t) => {
  const seen = (response: OpenAI.Responses.Response): Seen => {
    const { id, output_text: text, status: finish, usage, model } = response;
    const { output, tools, parallel_tool_calls, temperature, top_p, tool_choice } = response;
    assert.ok(response.created_at > 0 && response.error === null);
    const content = output.map((item) => item.type === "message" ? item.content : item);
    const more = { content, tools, parallel_tool_calls, temperature, top_p, tool_choice };
    return { id, text, finish, usage, model, more };
  };
  const request = { model: MODEL, input: PROMPT };
  await compare(
    t,
    async (url) => seen(await openai(url).responses.stream(request).finalResponse()),
    async (url) => seen(await openai(url).responses.create(request)),
  );
});

Deno.test("anthropic messages read replays like live answers", async (t) => {
  const seen = (message: Anthropic.Message): Seen => {
    const { id, content, stop_reason: finish, stop_sequence: more, usage, model } = message;
    const [block, ...others] = content;
    assert.ok(block?.type === "text" && others.length === 0 && message.role === "assistant");
    return { id, text: block.text, finish, usage, model, more };
  };
  const anthropic = (url: string) =>
    new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 }).messages;
  const request = { model: "claude-simulated", max_tokens: 2_000, messages: [QUESTION] };
  for (const more of [{}, { stop_sequences: ["."] }]) {
    await t.step(JSON.stringify(more), (t) =>
      compare(
        t,
        async (url) => seen(await anthropic(url).stream({ ...request, ...more }).finalMessage()),
        async (url) => seen(await anthropic(url).create({ ...request, ...more })),
      ));
  }
});

Deno.test("ai reads replays like live answers, with reasoning and without", async (t) => {
  const modelAt = (url: string, name: string) =>
    createOpenAICompatible({
      name: "weir",
      baseURL: `${url}/v1`,
      apiKey: "unused",
      includeUsage: true,
    })(name);
  for (const name of [MODEL, `${MODEL}!reasoning=6`]) {
    const request = (url: string) => ({ model: modelAt(url, name), prompt: PROMPT, maxRetries: 0 });
    await t.step(name, (t) =>
      compare(
        t,
        async (url) => {
          const result = streamText(request(url));
          const { id, modelId } = await result.response;
          return {
            id,
            text: await result.text,
            finish: await result.finishReason,
            usage: await result.usage,
            model: modelId,
            more: await result.reasoningText,
          };
        },
        async (url) => {
          const result = await generateText(request(url));
          return {
            id: result.response.id,
            text: result.text,
            finish: result.finishReason,
            usage: result.usage,
            model: result.response.modelId,
            more: result.reasoningText,
          };
        },
      ));
  }
});

Deno.test("answers that were cut off or call tools are not there to be replayed", async () => {
  await using server = await serveReplays();
  const live = openai(server.url("live")).chat.completions;
  const tool = {
    type: "function" as const,
    function: { name: "get_weather", parameters: WEATHER_SCHEMA },
  };
  const refused = {
    truncated: { model: MODEL, messages: [QUESTION], max_tokens: 5 },
    tool_call: {
      model: MODEL,
      messages: [{ role: "user" as const, content: WEATHER_PROMPT }],
      tools: [tool],
    },
  };
  for (const [reason, request] of Object.entries(refused)) {
    await live.create(request);
    await Array.fromAsync(await live.create({ ...request, stream: true }));
    for (const recording of RECORDINGS) await assertRefused(server, recording, reason);
  }
});

async function assertRefused(
  server: ReplayServer,
  recording: (typeof RECORDINGS)[number],
  reason: string,
): Promise<void> {
  assert.deepEqual(server.outcomes.get(`chat ${recording}`), { refused: reason });
  const client = openai(server.url(recording));
  await assert.rejects(
    client.chat.completions.create({ model: MODEL, messages: [QUESTION] }),
    OpenAI.InternalServerError,
  );
}
