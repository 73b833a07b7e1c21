/**
 * A client that goes away takes its request at the backend with it.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import {
  alias,
  type ClientGateway,
  PROTOCOLS,
  serveClients,
} from "../../support/client_gateway.ts";
import { PROMPT } from "../../support/client_prompts.ts";

const MESSAGES = [{ role: "user" as const, content: PROMPT }];

Deno.test("abort: a stream that is left ends at the backend", async (t) => {
  await using clients = await serveClients();
  const openai = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: clients.url, apiKey: "unused", maxRetries: 0 });
  for (const protocol of PROTOCOLS) {
    const model = alias(protocol, "slow");
    await t.step(`openai, AbortController on ${protocol}`, async () => {
      const controller = new AbortController();
      const stream = await openai.chat.completions.create(
        { model, messages: MESSAGES, stream: true },
        { signal: controller.signal },
      );
      let chunks = 0;
      for await (const _ of stream) {
        if (++chunks === 3) controller.abort();
      }
      assert.ok(chunks >= 3 && chunks < 50, `${chunks} chunks`);
      await leftBackend(clients);
    });
    await t.step(`openai, leaving the loop on ${protocol}`, async () => {
      const request = { model, messages: MESSAGES, stream: true } as const;
      for await (const _ of await openai.chat.completions.create(request)) break;
      await leftBackend(clients);
    });
    await t.step(`openai, aborting the helper on ${protocol}`, async () => {
      const runner = openai.chat.completions.stream({ model, messages: MESSAGES });
      runner.once("content", () => runner.abort());
      await assert.rejects(runner.finalChatCompletion(), OpenAI.APIUserAbortError);
      await leftBackend(clients);
    });
    await t.step(`anthropic, aborting the helper on ${protocol}`, async () => {
      const stream = anthropic.messages.stream({ model, max_tokens: 2_000, messages: MESSAGES });
      stream.once("text", () => stream.abort());
      await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
      await leftBackend(clients);
    });
  }
});

Deno.test("abort: a request that waits for a whole answer ends at the backend", async (t) => {
  await using clients = await serveClients();
  const client = new OpenAI({ baseURL: clients.openaiUrl, apiKey: "unused", maxRetries: 0 });
  for (const protocol of PROTOCOLS) {
    await t.step(`on ${protocol}`, async () => {
      const controller = new AbortController();
      const answer = client.chat.completions.create(
        { model: alias(protocol, "slow"), messages: MESSAGES },
        { signal: controller.signal },
      );
      const raised = assert.rejects(answer, OpenAI.APIUserAbortError);
      await clients.busy();
      controller.abort();
      await raised;
      await leftBackend(clients);
    });
  }
});

/** The last request at the backend was broken off, not answered to its end. */
async function leftBackend(clients: ClientGateway): Promise<void> {
  await clients.idle();
  const last = (await clients.log()).at(-1);
  assert.equal(typeof last?.clientGoneAtMs, "number", "the backend answered to the end");
}
