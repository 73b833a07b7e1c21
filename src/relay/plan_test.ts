import assert from "node:assert/strict";
import type { Protocol, Surface } from "../backends/surface.ts";
import { GatewayError } from "../errors.ts";
import { targetOf } from "../../tests/support/dispatch_script.ts";
import { readInbound } from "./inbound.ts";
import { type BackendRoute, type Plan, planAttempt } from "./plan.ts";

const TARGET = targetOf("b", { key: "b/up", model: "up" });

function routeTo(protocol: Protocol, includeUsage = true): BackendRoute {
  return {
    name: "b",
    protocol,
    endpoint: { protocol, baseUrl: "http://127.0.0.1:1/v1" },
    headers: [["authorization", "Bearer k"]],
    includeUsage,
  };
}

function plan(surface: Surface, text: string, route: BackendRoute): Plan {
  const inbound = readInbound(surface, text, { jsonDepth: 16 });
  return planAttempt(inbound, TARGET, route, {
    headers: [["authorization", "Bearer theirs"], ["x-request-id", "r"]],
  });
}

function bodyOf({ request }: Plan): string {
  return new TextDecoder().decode(request.body ?? new Uint8Array());
}

const USER = '"messages":[{"role":"user","content":"hi"}]';

Deno.test("planAttempt() changes the model's name and not one byte more", () => {
  const text = `{ "seed": 9007199254740993, ${USER}, "model":"chat", "x": 1.0e2 }`;
  const { request, form, translation, dropUsage } = plan("chat", text, routeTo("openai"));
  assert.equal(
    new TextDecoder().decode(request.body ?? new Uint8Array()),
    text.replace('"chat"', '"up"'),
  );
  assert.equal(request.url, "http://127.0.0.1:1/v1/chat/completions");
  assert.deepEqual([form, translation, dropUsage], ["chat", null, false]);
});

Deno.test("planAttempt() lets the credential win over what the client sent", () => {
  const { request } = plan("chat", `{"model":"chat",${USER}}`, routeTo("openai"));
  const sent = request.headers.filter(([name]) => name === "authorization");
  assert.deepEqual(sent, [["authorization", "Bearer k"]]);
  assert.ok(request.headers.some(([name, value]) => name === "x-request-id" && value === "r"));
});

Deno.test("planAttempt() asks for usage on streams unless the client or the backend settles it", () => {
  const stream = `{"model":"chat","stream":true,${USER}}`;
  const asked = plan("chat", stream, routeTo("openai"));
  assert.match(bodyOf(asked), /"stream_options":\{"include_usage":true\}/);
  assert.equal(asked.dropUsage, true);

  const own = stream.replace("{", '{"stream_options":{"include_usage":true,"x":1},');
  const kept = plan("chat", own, routeTo("openai"));
  assert.equal(kept.dropUsage, false);
  assert.match(bodyOf(kept), /"x":1/);

  const off = plan("chat", stream, routeTo("openai", false));
  assert.doesNotMatch(bodyOf(off), /stream_options/);
});

Deno.test("planAttempt() translates where the backend speaks another API", () => {
  const { form, translation, request } = plan(
    "chat",
    `{"model":"chat",${USER}}`,
    routeTo("anthropic"),
  );
  assert.equal(form, "messages");
  assert.ok(translation);
  assert.match(request.url, /\/v1\/messages$/);
});

Deno.test("planAttempt() refuses an API that the backend lacks", () => {
  assert.throws(
    () => plan("embeddings", '{"model":"chat","input":"x"}', routeTo("anthropic")),
    (error) => error instanceof GatewayError && error.code === "unsupported_translation",
  );
});
