/**
 * The `openai` client raises whenever an answer is not whole, and reads every error
 * as its own class with status, code and message.
 */
import assert from "node:assert/strict";
import OpenAI from "openai";
import {
  alias,
  BROKEN_ANSWERS,
  BROKEN_STREAMS,
  PROTOCOLS,
  serveClients,
} from "../../support/client_gateway.ts";
import { PROMPT } from "../../support/client_prompts.ts";

const MESSAGES = [{ role: "user" as const, content: PROMPT }];

Deno.test("openai: every broken stream raises after what had come", async (t) => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const whole = await clients.textFor(PROMPT);
  for (const protocol of PROTOCOLS) {
    for (const behaviour of BROKEN_STREAMS) {
      const model = alias(protocol, behaviour);
      await t.step(`chat, ${behaviour} on ${protocol}`, async () => {
        let text = "";
        await assert.rejects(async () => {
          const stream = await client.chat.completions.create({
            model,
            messages: MESSAGES,
            stream: true,
          });
          for await (const chunk of stream) {
            text += chunk.choices[0]?.delta.content ?? "";
            assert.equal(chunk.choices[0]?.finish_reason ?? null, null);
          }
        }, isStreamError);
        assert.ok(text !== "" && whole.startsWith(text), text);
        if (behaviour !== "no_finish") assert.ok(text.length < whole.length);
      });
      await t.step(`chat helper, ${behaviour} on ${protocol}`, async () => {
        const runner = client.chat.completions.stream({ model, messages: MESSAGES });
        await assert.rejects(runner.finalChatCompletion(), isStreamError);
      });
    }
  }
  for (const behaviour of BROKEN_STREAMS) {
    const model = alias("openai", behaviour);
    await t.step(`completions, ${behaviour}`, async () => {
      await assert.rejects(async () => {
        const stream = await client.completions.create({ model, prompt: PROMPT, stream: true });
        await Array.fromAsync(stream);
      }, isStreamError);
    });
    await t.step(`responses, ${behaviour}`, async () => {
      const seen: string[] = [];
      await assert.rejects(async () => {
        const stream = await client.responses.create({ model, input: PROMPT, stream: true });
        for await (const event of stream) seen.push(event.type);
      }, isStreamError);
      assert.ok(seen.includes("response.output_text.delta"));
      assert.ok(!seen.includes("response.completed"));
      await assert.rejects(
        client.responses.stream({ model, input: PROMPT }).finalResponse(),
        isStreamError,
      );
    });
  }
});

Deno.test("openai: a damaged answer raises, streamed or not", async (t) => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  for (const protocol of PROTOCOLS) {
    for (const behaviour of BROKEN_ANSWERS) {
      await t.step(`create, ${behaviour} on ${protocol}`, async () => {
        const request = { model: alias(protocol, behaviour), messages: MESSAGES };
        await assert.rejects(client.chat.completions.create(request), isServerError);
      });
    }
    await t.step(`a stream that never begins on ${protocol}`, async () => {
      const request = {
        model: alias(protocol, "no_tokens"),
        messages: MESSAGES,
        stream: true as const,
      };
      await assert.rejects(client.chat.completions.create(request), isServerError);
    });
  }
  await t.step("completions, responses and embeddings", async () => {
    const model = alias("openai", "truncated");
    await assert.rejects(client.completions.create({ model, prompt: PROMPT }), isServerError);
    await assert.rejects(client.responses.create({ model, input: PROMPT }), isServerError);
    await assert.rejects(client.embeddings.create({ model, input: PROMPT }), isServerError);
  });
});

Deno.test("openai: errors of the gateway arrive as the client's own classes", async (t) => {
  await using clients = await serveClients({ accessKey: "key-of-the-tests" });
  const options = { baseURL: clients.openaiUrl, maxRetries: 0 };
  const client = new OpenAI({ ...options, apiKey: "key-of-the-tests" });
  const ask = (model: string, stream: boolean) =>
    client.chat.completions.create({ model, messages: MESSAGES, stream });

  await t.step("an unknown key and none", async () => {
    const stranger = new OpenAI({ ...options, apiKey: "key-of-another" });
    await assert.rejects(stranger.models.list(), (error: unknown) => {
      assert.ok(error instanceof OpenAI.AuthenticationError);
      assert.equal(error.code, "invalid_api_key");
      return true;
    });
    const model = alias("openai", "ok");
    const request = { model, messages: MESSAGES };
    await assert.rejects(stranger.chat.completions.create(request), OpenAI.AuthenticationError);
    assert.equal(clients.sent.length, 0, "no backend was asked");
  });
  for (const stream of [false, true]) {
    const how = stream ? "streamed" : "whole";
    await t.step(`an unknown model, ${how}`, async () => {
      await assert.rejects(ask("unheard-of", stream), (error: unknown) => {
        assert.ok(error instanceof OpenAI.NotFoundError);
        assert.equal(error.code, "model_not_found");
        assert.equal(error.param, "model");
        assert.match(error.message, /Cannot find model "unheard-of"/);
        assert.ok(error.requestID);
        return true;
      });
    });
  }
  await t.step("a request that the gateway refuses", async () => {
    const request = { model: alias("openai", "ok"), messages: [] };
    await assert.rejects(client.chat.completions.create(request), (error: unknown) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "messages");
      return true;
    });
  });
});

Deno.test("openai: errors of backends arrive as the client's own classes", async (t) => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const ask = (model: string, stream: boolean) =>
    client.chat.completions.create({ model, messages: MESSAGES, stream });
  for (const stream of [false, true]) {
    const how = stream ? "streamed" : "whole";
    for (const protocol of PROTOCOLS) {
      await t.step(`400 of the ${protocol} backend, ${how}`, async () => {
        await assert.rejects(ask(alias(protocol, "status_400"), stream), (error: unknown) => {
          assert.ok(error instanceof OpenAI.BadRequestError);
          assert.equal(error.type, "invalid_request_error");
          assert.match(error.message, /Simulated status 400/);
          return true;
        });
        await assert.rejects(ask(alias(protocol, "context"), stream), (error: unknown) => {
          assert.ok(error instanceof OpenAI.BadRequestError);
          assert.match(error.message, /maximum context length/);
          // Anthropic's errors have no code.
          if (protocol === "openai") {
            assert.equal(error.code, "context_length_exceeded");
            assert.equal(error.param, "messages");
          }
          return true;
        });
      });
      await t.step(`429 of the ${protocol} backend, ${how}`, async () => {
        await assert.rejects(ask(alias(protocol, "rate_limited"), stream), (error: unknown) => {
          assert.ok(error instanceof OpenAI.RateLimitError);
          const seconds = Number(error.headers.get("retry-after"));
          assert.ok(seconds >= 5 && seconds <= 7, `retry-after ${seconds}`);
          assert.match(error.message, /Rate limit reached|asked to be left alone/);
          return true;
        });
      });
      await t.step(`503 of the ${protocol} backend, ${how}`, async () => {
        await assert.rejects(ask(alias(protocol, "down"), stream), (error: unknown) => {
          assert.ok(error instanceof OpenAI.InternalServerError);
          assert.equal(error.status, 503);
          assert.match(error.message, /overloaded/i);
          return true;
        });
      });
    }
  }
});

function isStreamError(error: unknown): boolean {
  assert.ok(error instanceof OpenAI.APIError, String(error));
  assert.notEqual(error.message, "");
  return true;
}

function isServerError(error: unknown): boolean {
  assert.ok(error instanceof OpenAI.InternalServerError, String(error));
  assert.match(error.message, /backend|simulated|failed/i);
  return true;
}
