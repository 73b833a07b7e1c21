import assert from "node:assert/strict";
import type { Surface } from "../backends/surface.ts";
import { GatewayError } from "../errors.ts";
import { type Inbound, readInbound } from "./inbound.ts";

function read(surface: Surface, body: unknown): Inbound {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return readInbound(surface, text, { jsonDepth: 16 });
}

/** What is refused, as `code param`. */
function refusal(surface: Surface, body: unknown): string {
  try {
    read(surface, body);
  } catch (error) {
    if (error instanceof GatewayError) return `${error.code} ${error.param ?? "-"}`;
    throw error;
  }
  return "accepted";
}

const USER = { role: "user", content: "hi" };

Deno.test("readInbound() names the field that is wrong", () => {
  const cases: ReadonlyArray<readonly [Surface, unknown, string]> = [
    ["chat", "", "invalid_json -"],
    ["chat", "{", "invalid_json -"],
    ["chat", '{"model": "a", }', "invalid_json -"],
    ["chat", "[]", "invalid_request -"],
    ["chat", "null", "invalid_request -"],
    ["chat", { messages: [USER] }, "invalid_request model"],
    ["chat", { model: 7, messages: [USER] }, "invalid_request model"],
    ["chat", { model: "", messages: [USER] }, "invalid_request model"],
    ["chat", { model: "a" }, "invalid_request messages"],
    ["chat", { model: "a", messages: "hi" }, "invalid_request messages"],
    ["chat", { model: "a", messages: [] }, "invalid_request messages"],
    ["chat", { model: "a", messages: [USER, 7] }, "invalid_request messages[1]"],
    ["chat", { model: "a", messages: [{ content: "x" }] }, "invalid_request messages[0].role"],
    [
      "chat",
      { model: "a", messages: [{ role: "user", content: 7 }] },
      "invalid_request messages[0].content",
    ],
    [
      "chat",
      { model: "a", messages: [{ role: "user", content: [7] }] },
      "invalid_request messages[0].content[0]",
    ],
    ["chat", { model: "a", messages: [USER], stream: "yes" }, "invalid_request stream"],
    ["chat", { model: "a", messages: [USER], max_tokens: 1.5 }, "invalid_request max_tokens"],
    ["chat", { model: "a", messages: [USER], n: 0 }, "invalid_request n"],
    ["chat", { model: "a", messages: [USER], tools: {} }, "invalid_request tools"],
    ["chat", { model: "a", messages: [USER], stream_options: 1 }, "invalid_request stream_options"],
    ["messages", { model: "a", messages: [USER] }, "invalid_request max_tokens"],
    [
      "messages",
      { model: "a", messages: [USER], max_tokens: 5, system: 1 },
      "invalid_request system",
    ],
    ["completions", { model: "a" }, "invalid_request prompt"],
    ["embeddings", { model: "a", input: { a: 1 } }, "invalid_request input"],
    ["responses", { model: "a", input: 7 }, "invalid_request input"],
  ];
  for (const [surface, body, expected] of cases) {
    assert.equal(refusal(surface, body), expected, JSON.stringify(body));
  }
});

Deno.test("readInbound() refuses nesting before it parses", () => {
  const deep = `{"model":"a","messages":[{"role":"user","content":"x"}],"x":${"[".repeat(500)}`;
  assert.equal(refusal("chat", deep + "]".repeat(500) + "}"), "nesting_too_deep -");
  assert.equal(refusal("chat", deep), "nesting_too_deep -", "unclosed, still no stack overflow");
});

Deno.test("readInbound() never quotes the body in its error", () => {
  assert.throws(() => read("chat", '{"api_key": "sk-secret" oops'), (error) => {
    return error instanceof GatewayError && !error.message.includes("secret");
  });
});

Deno.test("readInbound() reads what routing needs", () => {
  const plain = read("chat", { model: "a", messages: [USER], stream: true, max_tokens: 9 });
  assert.deepEqual(plain.demand, {
    promptTokens: 1,
    answerTokensMax: 9,
    streaming: true,
    tools: false,
    vision: false,
    jsonSchema: false,
  });
  const rich = read("chat", {
    model: "a",
    messages: [
      { role: "system", content: "x".repeat(400) },
      {
        role: "user",
        content: [
          { type: "text", text: "y".repeat(400) },
          { type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(9_000)}` } },
        ],
      },
      { role: "assistant", content: "The" },
    ],
    tools: [{ type: "function", function: { name: "f" } }],
    response_format: { type: "json_schema", json_schema: {} },
    stream_options: { include_usage: true },
    prompt_cache_key: "k",
    unknown: { kept: true },
  });
  assert.equal(rich.demand.promptTokens, 201, "an image's bytes are no prompt text");
  assert.ok(rich.demand.tools && rich.demand.vision && rich.demand.jsonSchema);
  assert.ok(rich.wantsUsage && rich.prefilled);
  assert.equal(rich.cacheKey, "k");
  assert.equal(rich.promptHead.length, 803);
});

Deno.test("readInbound() accepts every documented form of a prompt", () => {
  assert.equal(read("completions", { model: "a", prompt: ["ab", "cd"] }).demand.promptTokens, 1);
  assert.equal(read("completions", { model: "a", prompt: [1, 2, 3] }).demand.promptTokens, 3);
  assert.equal(read("embeddings", { model: "a", input: [[1, 2], [3]] }).demand.promptTokens, 3);
  assert.equal(read("responses", { model: "a", input: "abcd" }).demand.promptTokens, 1);
  const input = [{ role: "user", content: [{ type: "input_image", image_url: "data:x" }] }];
  assert.equal(read("responses", { model: "a", input }).demand.vision, true);
  const system = [{ type: "text", text: "abcd" }];
  const body = { model: "a", max_tokens: 5, system, messages: [USER] };
  assert.equal(read("messages", body).demand.promptTokens, 2);
});
