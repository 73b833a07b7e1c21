import assert from "node:assert/strict";
import { GatewayError } from "../../errors.ts";
import type { JsonObject } from "./json_value.ts";
import { chatRequest } from "./messages_to_chat.ts";

const MODEL = "llama-3.1-8b";
const ASK = [{ role: "user", content: "Hi" }];

/** Checks fields of the translated request; those given as `undefined` must be absent. */
function check(body: JsonObject, expected: JsonObject, model = MODEL): void {
  const before = structuredClone(body);
  const result = chatRequest({ messages: ASK, ...body }, model);
  for (const [field, value] of Object.entries(expected)) {
    assert.deepEqual(result[field], value, field);
  }
  assert.deepEqual(body, before, "the request itself must stay as it was");
}

function refused(body: JsonObject, code: string, param: string): void {
  assert.throws(() => chatRequest({ messages: ASK, ...body }, MODEL), (error) => {
    assert.ok(error instanceof GatewayError);
    assert.equal(error.code, code);
    assert.equal(error.param, param);
    return true;
  });
}

Deno.test("chatRequest() makes the smallest request", () => {
  assert.deepEqual(chatRequest({ model: "alias", max_tokens: 9, messages: ASK }, MODEL), {
    model: MODEL,
    messages: [{ role: "user", content: "Hi" }],
    max_tokens: 9,
  });
});

Deno.test("chatRequest() puts the system prompt first, strings and blocks alike", () => {
  check({ system: "Be brief" }, {
    messages: [{ role: "system", content: "Be brief" }, ...ASK],
    system: undefined,
  });
  const cache = { type: "ephemeral" };
  check({
    system: [{ type: "text", text: "A", cache_control: cache }, { type: "text", text: "B" }],
    messages: [...ASK, { role: "system", content: "C" }],
  }, {
    messages: [
      { role: "system", content: "A\n\nB" },
      { role: "user", content: "Hi" },
      { role: "system", content: "C" },
    ],
  });
});

Deno.test("chatRequest() splits a turn of results into messages", () => {
  check({
    messages: [
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "" },
          { type: "text", text: "Let me " },
          { type: "text", text: "see" },
          { type: "tool_use", id: "t1", name: "w", input: { at: "A" } },
          { type: "tool_use", id: "t2", name: "w", input: {} },
          { type: "tool_use", id: "t3", name: "w", input: { INVALID_JSON: '{"a' } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "t1", content: "sun" },
          {
            type: "tool_result",
            tool_use_id: "t2",
            is_error: true,
            content: [
              { type: "text", text: "no" },
              { type: "text", text: "station" },
              { type: "image", source: { type: "url", url: "https://h/map.png" } },
            ],
          },
          { type: "tool_result", tool_use_id: "t3" },
          { type: "text", text: "Well?" },
        ],
      },
    ],
  }, {
    messages: [
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: "Let me see",
        reasoning_content: "hm",
        tool_calls: [
          { id: "t1", type: "function", function: { name: "w", arguments: '{"at":"A"}' } },
          { id: "t2", type: "function", function: { name: "w", arguments: "{}" } },
          { id: "t3", type: "function", function: { name: "w", arguments: '{"a' } },
        ],
      },
      { role: "tool", tool_call_id: "t1", content: "sun" },
      { role: "tool", tool_call_id: "t2", content: "Error: no\nstation" },
      { role: "tool", tool_call_id: "t3", content: "" },
      {
        role: "user",
        content: [
          { type: "image_url", image_url: { url: "https://h/map.png" } },
          { type: "text", text: "Well?" },
        ],
      },
    ],
  });
});

Deno.test("chatRequest() leaves out thinking that another vendor signed", () => {
  check({
    messages: [...ASK, {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "s" },
        { type: "redacted_thinking", data: "d" },
        { type: "tool_use", id: "t", name: "w", input: {} },
      ],
    }],
  }, {
    messages: [
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "t", type: "function", function: { name: "w", arguments: "{}" } }],
      },
    ],
  });
});

Deno.test("chatRequest() carries images, documents, search results and a prefill", () => {
  const png = { type: "base64", media_type: "image/png", data: "AAAA" };
  const pdf = { type: "base64", media_type: "application/pdf", data: "BBBB" };
  check({
    messages: [
      {
        role: "user",
        content: [
          { type: "image", source: png },
          { type: "document", source: pdf, title: "a.pdf" },
          { type: "document", source: { type: "text", data: "notes" }, title: "Notes" },
          {
            type: "search_result",
            source: "https://h/",
            title: "T",
            content: [{ type: "text", text: "found" }],
          },
        ],
      },
      { role: "assistant", content: "{" },
    ],
  }, {
    messages: [
      {
        role: "user",
        content: [
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
          {
            type: "file",
            file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" },
          },
          { type: "text", text: "Notes\n\nnotes" },
          { type: "text", text: "T\n\nhttps://h/\nfound" },
        ],
      },
      { role: "assistant", content: "{" },
    ],
  });
});

Deno.test("chatRequest() translates tools and who may be called", () => {
  const tools = [{
    name: "w",
    description: "d",
    input_schema: { type: "object", properties: {} },
    cache_control: { type: "ephemeral" },
  }];
  const translated = [{
    type: "function",
    function: { name: "w", description: "d", parameters: { type: "object", properties: {} } },
  }];
  const named = { type: "function", function: { name: "w" } };
  const cases: [JsonObject | undefined, unknown, unknown][] = [
    [undefined, undefined, undefined],
    [{ type: "auto" }, "auto", undefined],
    [{ type: "auto", disable_parallel_tool_use: true }, "auto", false],
    [{ type: "any" }, "required", undefined],
    [{ type: "tool", name: "w" }, named, undefined],
    [{ type: "none" }, "none", undefined],
  ];
  for (const [choice, expected, parallel] of cases) {
    check(choice === undefined ? { tools } : { tools, tool_choice: choice }, {
      tools: translated,
      tool_choice: expected,
      parallel_tool_calls: parallel,
    });
  }
});

Deno.test("chatRequest() calls a schema strict only where OpenAI would", () => {
  const strict = {
    type: "object",
    properties: { a: { type: "array", items: { type: "string" } } },
    required: ["a"],
    additionalProperties: false,
  };
  const loose = { ...strict, required: [] };
  const nested = { ...strict, properties: { a: loose } };
  for (const [schema, expected] of [[strict, true], [loose, false], [nested, false]] as const) {
    check({
      output_config: { format: { type: "json_schema", schema } },
      tools: [{ name: "t", input_schema: schema, strict: true }],
    }, {
      output_config: undefined,
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema, strict: expected },
      },
      tools: [{
        type: "function",
        function: { name: "t", parameters: schema, ...(expected ? { strict: true } : {}) },
      }],
    });
  }
});

Deno.test("chatRequest() translates limits, stops, user, tier and stream", () => {
  check({
    max_tokens: 50,
    stop_sequences: ["a"],
    temperature: 0.4,
    top_p: 0.9,
    top_k: 3,
    metadata: { user_id: "u" },
    service_tier: "standard_only",
    stream: true,
  }, {
    max_tokens: 50,
    stop: ["a"],
    stop_sequences: undefined,
    temperature: 0.4,
    top_p: 0.9,
    top_k: 3,
    user: "u",
    metadata: undefined,
    service_tier: "default",
    stream: true,
    stream_options: { include_usage: true },
  });
  check({ metadata: { user_id: "u".repeat(65) }, stream: false, service_tier: "auto" }, {
    user: undefined,
    stream: false,
    stream_options: undefined,
    service_tier: undefined,
  });
});

Deno.test("chatRequest() spares OpenAI's models what they refuse", () => {
  const body = { max_tokens: 5, temperature: 0.4, top_p: 0.9, top_k: 3 };
  check(body, { max_tokens: 5, temperature: 0.4, top_p: 0.9, top_k: undefined }, "gpt-4o-mini");
  for (const model of ["gpt-5.6-sol", "o3", "o4-mini", "openai/gpt-5"]) {
    check(body, {
      max_tokens: undefined,
      max_completion_tokens: 5,
      temperature: undefined,
      top_p: undefined,
      top_k: undefined,
    }, model);
  }
  for (const model of ["gpt-35-turbo", "gpt-oss-120b", "olmo-3"]) {
    check(body, { max_tokens: 5, temperature: 0.4 }, model);
  }
});

Deno.test("chatRequest() turns thinking into an effort", () => {
  const enabled = (tokens: number) => ({ thinking: { type: "enabled", budget_tokens: tokens } });
  const adaptive = (effort: string) => ({
    thinking: { type: "adaptive" },
    output_config: { effort },
  });
  const cases: [JsonObject, string, unknown][] = [
    [enabled(1_024), MODEL, "low"],
    [enabled(8_192), MODEL, "medium"],
    [enabled(16_384), MODEL, "high"],
    [enabled(16_384), "gpt-4o", undefined],
    [adaptive("max"), MODEL, "high"],
    [adaptive("max"), "gpt-5.6", "max"],
    [adaptive("medium"), "gpt-oss-20b", "medium"],
    [{ thinking: { type: "adaptive" } }, MODEL, undefined],
    [{ thinking: { type: "disabled" }, output_config: { effort: "high" } }, MODEL, undefined],
    [{}, "gpt-5", undefined],
  ];
  for (const [body, model, effort] of cases) {
    check(body, { reasoning_effort: effort, thinking: undefined }, model);
  }
});

Deno.test("chatRequest() passes unknown fields on and drops the caller's own", () => {
  check({
    min_p: 0.1,
    seed: 7,
    betas: ["x"],
    cache_control: { type: "ephemeral" },
    context_management: {},
    inference_geo: "eu",
    speed: "fast",
    mcp_servers: [],
    container: null,
  }, {
    min_p: 0.1,
    seed: 7,
    betas: undefined,
    cache_control: undefined,
    context_management: undefined,
    inference_geo: undefined,
    speed: undefined,
    mcp_servers: undefined,
    container: undefined,
  });
});

Deno.test("chatRequest() refuses by name what cannot be carried over", () => {
  const untranslatable = "unsupported_translation";
  const wrong = "invalid_request";
  refused({ mcp_servers: [{}] }, untranslatable, "mcp_servers");
  refused({ container: "c" }, untranslatable, "container");
  refused({ tools: [{ type: "web_search_20250305" }] }, untranslatable, "tools[0]");
  refused(
    { tools: [{ name: "t" }], tool_choice: { type: "new" } },
    untranslatable,
    "tool_choice",
  );
  refused({ output_config: { format: { type: "xml" } } }, untranslatable, "output_config.format");
  const user = (block: unknown) => ({ messages: [{ role: "user", content: [block] }] });
  const at = "messages[0].content[0]";
  refused(user({ type: "container_upload" }), untranslatable, at);
  refused(user({ type: "image", source: { type: "file", file_id: "f" } }), untranslatable, at);
  refused(user({ type: "document", source: { type: "url", url: "u" } }), untranslatable, at);
  refused(
    user({ type: "tool_result", content: [{ type: "tool_reference" }] }),
    untranslatable,
    `${at}.content[0]`,
  );
  refused(
    { messages: [{ role: "assistant", content: [{ type: "server_tool_use" }] }] },
    untranslatable,
    at,
  );
  refused({ messages: 7 }, wrong, "messages");
  refused({ messages: [7] }, wrong, "messages[0]");
  refused(user(7), wrong, at);
  refused({ messages: [{ role: "user" }] }, wrong, "messages[0].content");
  refused({ messages: [{ role: "robot", content: "" }] }, wrong, "messages[0].role");
  refused({ tools: [7] }, wrong, "tools[0]");
});
