/**
 * The `@anthropic-ai/sdk` client raises whenever an answer is not whole, and reads
 * every error as its own class with status, type and message.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import {
  alias,
  BROKEN_ANSWERS,
  BROKEN_STREAMS,
  PROTOCOLS,
  serveClients,
} from "../../support/client_gateway.ts";
import { PROMPT } from "../../support/client_prompts.ts";
import { serveGateway } from "../../support/gateway_fixture.ts";

const REQUEST = { max_tokens: 2_000, messages: [{ role: "user" as const, content: PROMPT }] };

Deno.test("anthropic: every broken stream raises after what had come", async (t) => {
  await using clients = await serveClients();
  const client = new Anthropic({ baseURL: clients.url, apiKey: "unused", maxRetries: 0 });
  const whole = await clients.textFor(PROMPT);
  for (const protocol of PROTOCOLS) {
    for (const behaviour of BROKEN_STREAMS) {
      const request = { ...REQUEST, model: alias(protocol, behaviour) };
      await t.step(`${behaviour} on ${protocol}`, async () => {
        let text = "";
        await assert.rejects(async () => {
          const stream = await client.messages.create({ ...request, stream: true });
          for await (const event of stream) {
            if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
              text += event.delta.text;
            }
            assert.notEqual(event.type, "message_stop");
          }
        }, isApiError);
        assert.ok(text !== "" && whole.startsWith(text), text);
        if (behaviour !== "no_finish") assert.ok(text.length < whole.length);
      });
      await t.step(`helper, ${behaviour} on ${protocol}`, async () => {
        await assert.rejects(client.messages.stream(request).finalMessage(), isApiError);
      });
    }
  }
});

Deno.test("anthropic: a damaged answer raises, streamed or not", async (t) => {
  await using clients = await serveClients();
  const client = new Anthropic({ baseURL: clients.url, apiKey: "unused", maxRetries: 0 });
  for (const protocol of PROTOCOLS) {
    for (const behaviour of BROKEN_ANSWERS) {
      await t.step(`create, ${behaviour} on ${protocol}`, async () => {
        const request = { ...REQUEST, model: alias(protocol, behaviour) };
        await assert.rejects(client.messages.create(request), Anthropic.InternalServerError);
      });
    }
    await t.step(`a stream that never begins on ${protocol}`, async () => {
      const request = { ...REQUEST, model: alias(protocol, "no_tokens") };
      await assert.rejects(
        client.messages.create({ ...request, stream: true }),
        Anthropic.InternalServerError,
      );
      await assert.rejects(
        client.messages.stream(request).finalMessage(),
        Anthropic.InternalServerError,
      );
    });
  }
});

Deno.test("anthropic: an answer that cannot be translated raises", async () => {
  await using odd = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json({ id: "odd", choices: [{ index: 0, finish_reason: "stop" }] }),
  );
  await using gateway = serveGateway({
    backends: [{ name: "odd", protocol: "openai", baseUrl: `http://127.0.0.1:${odd.addr.port}` }],
    models: [{ name: "odd", targets: [{ backend: "odd", model: "odd" }] }],
  });
  const client = new Anthropic({ baseURL: gateway.url, apiKey: "unused", maxRetries: 0 });
  await assert.rejects(
    client.messages.create({ ...REQUEST, model: "odd" }),
    Anthropic.InternalServerError,
  );
});

Deno.test("anthropic: errors arrive as the client's own classes", async (t) => {
  await using clients = await serveClients({ accessKey: "key-of-the-tests" });
  const options = { baseURL: clients.url, maxRetries: 0 };
  const client = new Anthropic({ ...options, apiKey: "key-of-the-tests" });
  const ask = (model: string, stream: boolean) =>
    client.messages.create({ ...REQUEST, model, stream });

  await t.step("an unknown key", async () => {
    const stranger = new Anthropic({ ...options, apiKey: "key-of-another" });
    const request = { ...REQUEST, model: alias("openai", "ok") };
    await assert.rejects(stranger.messages.create(request), (error: unknown) => {
      assert.ok(error instanceof Anthropic.AuthenticationError);
      assert.equal(error.type, "authentication_error");
      return true;
    });
    assert.equal(clients.sent.length, 0, "no backend was asked");
  });
  await t.step("the key as a bearer token", async () => {
    const bearer = new Anthropic({ ...options, apiKey: null, authToken: "key-of-the-tests" });
    const request = { ...REQUEST, model: alias("openai", "ok") };
    assert.equal((await bearer.messages.create(request)).stop_reason, "end_turn");
  });
  for (const stream of [false, true]) {
    const how = stream ? "streamed" : "whole";
    await t.step(`an unknown model, ${how}`, async () => {
      await assert.rejects(ask("unheard-of", stream), (error: unknown) => {
        assert.ok(error instanceof Anthropic.NotFoundError);
        assert.equal(error.type, "not_found_error");
        assert.match(error.message, /Cannot find model \\?"unheard-of/);
        return true;
      });
    });
    for (const protocol of PROTOCOLS) {
      await t.step(`400 of the ${protocol} backend, ${how}`, async () => {
        await assert.rejects(ask(alias(protocol, "status_400"), stream), (error: unknown) => {
          assert.ok(error instanceof Anthropic.BadRequestError);
          assert.equal(error.type, "invalid_request_error");
          assert.match(error.message, /Simulated status 400/);
          return true;
        });
      });
      await t.step(`429 of the ${protocol} backend, ${how}`, async () => {
        await assert.rejects(ask(alias(protocol, "rate_limited"), stream), (error: unknown) => {
          assert.ok(error instanceof Anthropic.RateLimitError);
          assert.equal(error.type, "rate_limit_error");
          const seconds = Number(error.headers.get("retry-after"));
          assert.ok(seconds >= 5 && seconds <= 7, `retry-after ${seconds}`);
          return true;
        });
      });
      await t.step(`503 of the ${protocol} backend, ${how}`, async () => {
        await assert.rejects(ask(alias(protocol, "down"), stream), (error: unknown) => {
          assert.ok(error instanceof Anthropic.InternalServerError);
          assert.equal(error.status, 503);
          return true;
        });
      });
    }
  }
  await t.step("a request that the gateway refuses", async () => {
    const request = { ...REQUEST, model: alias("openai", "ok"), messages: [] };
    await assert.rejects(client.messages.create(request), (error: unknown) => {
      assert.ok(error instanceof Anthropic.BadRequestError);
      assert.match(error.message, /messages/);
      return true;
    });
  });
});

function isApiError(error: unknown): boolean {
  assert.ok(error instanceof Anthropic.APIError, String(error));
  assert.notEqual(error.message, "");
  return true;
}
