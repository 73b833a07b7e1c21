import assert from "node:assert/strict";
import { GatewayError } from "../../errors.ts";
import { messagesRequest } from "./chat_to_messages.ts";
import type { JsonObject } from "./json_value.ts";

const MODEL = "claude-sonnet-4-20250514";
const ASK = [{ role: "user", content: "Hi" }];

/** Checks fields of the translated request; those given as `undefined` must be absent. */
function check(body: JsonObject, expected: JsonObject, model = MODEL): void {
  const before = structuredClone(body);
  const result = messagesRequest(body, model);
  for (const [field, value] of Object.entries(expected)) {
    assert.deepEqual(result[field], value, field);
  }
  assert.deepEqual(body, before, "the request itself must stay as it was");
}

function refused(body: JsonObject, code: string, param: string): void {
  assert.throws(() => messagesRequest({ messages: ASK, ...body }, MODEL), (error) => {
    assert.ok(error instanceof GatewayError);
    assert.equal(error.code, code);
    assert.equal(error.param, param);
    assert.match(error.message, /^Cannot translate .+[^.]$/);
    return true;
  });
}

Deno.test("messagesRequest() makes the smallest request", () => {
  assert.deepEqual(messagesRequest({ model: "alias", messages: ASK }, MODEL), {
    model: MODEL,
    messages: [{ role: "user", content: "Hi" }],
    max_tokens: 4_096,
  });
});

Deno.test("messagesRequest() collects system and developer messages", () => {
  check({
    messages: [
      { role: "system", content: "One" },
      { role: "user", content: "Hi" },
      { role: "developer", content: [{ type: "text", text: "Two" }] },
    ],
  }, {
    system: [{ type: "text", text: "One" }, { type: "text", text: "Two" }],
    messages: [{ role: "user", content: "Hi" }],
  });
  check({ messages: [{ role: "system", content: "One" }, ...ASK] }, { system: "One" });
  const cache = { type: "ephemeral" };
  check({
    messages: [
      { role: "system", content: [{ type: "text", text: "One", cache_control: cache }] },
      ...ASK,
    ],
  }, { system: [{ type: "text", text: "One", cache_control: cache }] });
});

Deno.test("messagesRequest() merges the results of parallel calls into one turn", () => {
  check({
    messages: [
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: "",
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "w", arguments: '{"at":"A"}' } },
          { id: "functions.w:2", type: "function", function: { name: "w", arguments: "" } },
        ],
      },
      { role: "tool", tool_call_id: "call_1", content: "sun" },
      { role: "user", content: "Well?" },
      { role: "tool", tool_call_id: "functions.w:2", content: [{ type: "text", text: "rain" }] },
      { role: "assistant", content: "Sun, then rain." },
      { role: "user", content: "Thanks" },
    ],
  }, {
    messages: [
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: [
          { type: "tool_use", id: "call_1", name: "w", input: { at: "A" } },
          { type: "tool_use", id: "functions_w_2", name: "w", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "call_1", content: "sun" },
          { type: "tool_result", tool_use_id: "functions_w_2", content: "rain" },
          { type: "text", text: "Well?" },
        ],
      },
      { role: "assistant", content: "Sun, then rain." },
      { role: "user", content: "Thanks" },
    ],
  });
});

Deno.test("messagesRequest() keeps arguments that are no JSON object", () => {
  const call = (text: string) => ({ id: "c", function: { name: "f", arguments: text } });
  check({
    messages: [...ASK, { role: "assistant", tool_calls: [call('{"a'), call("[1]")] }, {
      role: "tool",
      tool_call_id: "c",
      content: "",
    }],
  }, {
    messages: [
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: [
          { type: "tool_use", id: "c", name: "f", input: { INVALID_JSON: '{"a' } },
          { type: "tool_use", id: "c", name: "f", input: { INVALID_JSON: "[1]" } },
        ],
      },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "c" }] },
    ],
  });
});

Deno.test("messagesRequest() leaves empty answers out and a prefill in", () => {
  check({
    messages: [...ASK, { role: "assistant", content: null }, { role: "user", content: "Still?" }, {
      role: "assistant",
      content: "The answer is",
    }],
  }, {
    messages: [
      { role: "user", content: [{ type: "text", text: "Hi" }, { type: "text", text: "Still?" }] },
      { role: "assistant", content: "The answer is" },
    ],
  });
});

Deno.test("messagesRequest() carries images and PDF files", () => {
  check({
    messages: [{
      role: "user",
      content: [
        { type: "text", text: "Look" },
        { type: "text", text: "" },
        { type: "image_url", image_url: { url: "data:image/jpg;base64,AAAA", detail: "low" } },
        { type: "image_url", image_url: "https://h/a.png" },
        {
          type: "file",
          file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" },
        },
      ],
    }],
  }, {
    messages: [{
      role: "user",
      content: [
        { type: "text", text: "Look" },
        { type: "image", source: { type: "base64", media_type: "image/jpeg", data: "AAAA" } },
        { type: "image", source: { type: "url", url: "https://h/a.png" } },
        {
          type: "document",
          source: { type: "base64", media_type: "application/pdf", data: "BBBB" },
          title: "a.pdf",
        },
      ],
    }],
  });
});

Deno.test("messagesRequest() sends signed thinking back and drops the unsigned", () => {
  check({
    messages: [
      ...ASK,
      {
        role: "assistant",
        content: "Yes",
        reasoning_content: "hm",
        thinking_blocks: [
          { index: 0, type: "thinking", thinking: "hm", signature: "s" },
          { index: 1, type: "redacted_thinking", data: "d" },
          { index: 2, type: "thinking", thinking: "unsigned", signature: "" },
        ],
      },
      { role: "user", content: "Sure?" },
      { role: "assistant", content: "Yes", reasoning_content: "unsigned" },
    ],
  }, {
    messages: [
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "redacted_thinking", data: "d" },
          { type: "text", text: "Yes" },
        ],
      },
      { role: "user", content: "Sure?" },
      { role: "assistant", content: "Yes" },
    ],
  });
});

Deno.test("messagesRequest() translates tools and who may be called", () => {
  const weather = {
    type: "function",
    function: {
      name: "w",
      description: "d",
      strict: true,
      parameters: { type: "object", properties: { at: { type: "string" } } },
    },
  };
  const bare = { type: "function", function: { name: "b" } };
  const tools = [weather, bare];
  const translated = [
    {
      name: "w",
      description: "d",
      input_schema: { type: "object", properties: { at: { type: "string" } } },
      strict: true,
    },
    { name: "b", input_schema: { type: "object", properties: {} } },
  ];
  const named = { type: "function", function: { name: "w" } };
  const allowed = (mode: string) => ({
    type: "allowed_tools",
    allowed_tools: { mode, tools: [named] },
  });
  const cases: [JsonObject, unknown, unknown][] = [
    [{}, translated, undefined],
    [{ tool_choice: "auto" }, translated, { type: "auto" }],
    [{ tool_choice: "none", parallel_tool_calls: false }, translated, { type: "none" }],
    [{ tool_choice: "required" }, translated, { type: "any" }],
    [{ tool_choice: named }, translated, { type: "tool", name: "w" }],
    [{ parallel_tool_calls: true }, translated, undefined],
    [{ parallel_tool_calls: false }, translated, {
      type: "auto",
      disable_parallel_tool_use: true,
    }],
    [{ tool_choice: "required", parallel_tool_calls: false }, translated, {
      type: "any",
      disable_parallel_tool_use: true,
    }],
    [{ tool_choice: allowed("auto") }, [translated[0]], { type: "auto" }],
    [{ tool_choice: allowed("required") }, [translated[0]], { type: "any" }],
  ];
  for (const [fields, expectedTools, choice] of cases) {
    check({ messages: ASK, tools, ...fields }, { tools: expectedTools, tool_choice: choice });
  }
  check({ messages: ASK, tools: [], tool_choice: "auto", parallel_tool_calls: false }, {
    tools: undefined,
    tool_choice: undefined,
    parallel_tool_calls: undefined,
  });
});

Deno.test("messagesRequest() translates limits, stops, user and tier", () => {
  check({
    messages: ASK,
    max_tokens: 9,
    max_completion_tokens: 10,
    stop: "END",
    user: "u",
    service_tier: "default",
    stream: true,
    stream_options: { include_usage: true },
    top_k: 5,
  }, {
    max_tokens: 10,
    max_completion_tokens: undefined,
    stop_sequences: ["END"],
    stop: undefined,
    metadata: { user_id: "u" },
    user: undefined,
    service_tier: "standard_only",
    stream: true,
    stream_options: undefined,
    top_k: 5,
  });
  check({ messages: ASK, max_tokens: 7, stop: ["a", "b"], safety_identifier: "s", user: "u" }, {
    max_tokens: 7,
    stop_sequences: ["a", "b"],
    metadata: { user_id: "s" },
    safety_identifier: undefined,
  });
  check({ messages: ASK, stop: [], service_tier: "flex" }, {
    stop_sequences: undefined,
    service_tier: undefined,
  });
});

Deno.test("messagesRequest() keeps sampling within what the model accepts", () => {
  const sampling = { messages: ASK, temperature: 1.5, top_p: 0.9, top_k: 3 };
  check(sampling, { temperature: 1, top_p: 0.9, top_k: 3 });
  check(sampling, { temperature: 1, top_p: undefined, top_k: 3 }, "claude-sonnet-4-5");
  check({ messages: ASK, top_p: 0.9 }, { temperature: undefined, top_p: 0.9 }, "claude-opus-4-6");
  const none = { temperature: undefined, top_p: undefined, top_k: undefined };
  check(sampling, none, "claude-opus-4-7");
  check(sampling, none, "anthropic.claude-sonnet-5-v1");
  check({ messages: ASK, temperature: null }, { temperature: undefined });
});

Deno.test("messagesRequest() turns an effort into a budget or an effort", () => {
  const high = { messages: ASK, reasoning_effort: "high", temperature: 0.2, top_p: 0.5, top_k: 2 };
  check(high, {
    thinking: { type: "enabled", budget_tokens: 16_384 },
    max_tokens: 20_480,
    reasoning_effort: undefined,
    temperature: undefined,
    top_p: undefined,
    top_k: undefined,
  });
  check({ ...high, max_tokens: 10_000 }, {
    thinking: { type: "enabled", budget_tokens: 8_000 },
    max_tokens: 10_000,
  });
  check({ ...high, max_tokens: 1_200 }, { thinking: undefined, temperature: 0.2 });
  check(high, {
    thinking: { type: "adaptive" },
    output_config: { effort: "high" },
    max_tokens: 20_480,
  }, "claude-opus-4-6");
  check({ messages: ASK, reasoning_effort: "minimal", max_tokens: 50 }, {
    thinking: { type: "adaptive" },
    output_config: { effort: "low" },
    max_tokens: 50,
  }, "claude-opus-5");
  check({ messages: ASK, reasoning_effort: "none" }, { thinking: undefined, max_tokens: 4_096 });
});

Deno.test("messagesRequest() does not think where the rest forbids it", () => {
  const tools = [{ type: "function", function: { name: "f" } }];
  const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
  const result = { role: "tool", tool_call_id: "c", content: "r" };
  const low = { reasoning_effort: "low" };
  const nothing = { thinking: undefined, max_tokens: 4_096 };
  check({ messages: ASK, tools, tool_choice: "required", ...low }, nothing);
  check({ messages: [...ASK, { role: "assistant", content: "A" }], ...low }, nothing);
  const looped = [...ASK, { role: "assistant", tool_calls: [call] }, result];
  check({ messages: looped, tools, ...low }, nothing);
  check({ messages: looped, tools, ...low }, { thinking: { type: "adaptive" } }, "claude-opus-5");
  const thought = { type: "thinking", thinking: "t", signature: "s" };
  check({
    messages: [
      ...ASK,
      { role: "assistant", tool_calls: [call], thinking_blocks: [thought] },
      result,
    ],
    tools,
    ...low,
  }, { thinking: { type: "enabled", budget_tokens: 2_048 } });
});

Deno.test("messagesRequest() passes the target's own fields on and drops the caller's", () => {
  const thinking = { type: "enabled", budget_tokens: 2_000 };
  check({
    messages: ASK,
    thinking,
    reasoning_effort: "high",
    temperature: 0.3,
    container: "c",
    brand_new: 1,
    seed: 7,
    presence_penalty: 0.5,
    logit_bias: {},
    metadata: { a: "b" },
    verbosity: "low",
    prediction: { type: "content" },
    n: 1,
    logprobs: false,
    functions: [],
    audio: null,
    modalities: ["text"],
  }, {
    thinking,
    temperature: undefined,
    container: "c",
    brand_new: 1,
    seed: undefined,
    presence_penalty: undefined,
    logit_bias: undefined,
    metadata: undefined,
    verbosity: undefined,
    prediction: undefined,
    n: undefined,
    logprobs: undefined,
    functions: undefined,
    audio: undefined,
    modalities: undefined,
  });
});

Deno.test("messagesRequest() carries a schema for the answer", () => {
  const schema = { type: "object", properties: {}, additionalProperties: false };
  const format = { type: "json_schema", json_schema: { name: "n", strict: true, schema } };
  check({ messages: ASK, response_format: format }, {
    output_config: { format: { type: "json_schema", schema } },
    response_format: undefined,
  });
  check({ messages: ASK, response_format: format, reasoning_effort: "low" }, {
    output_config: { effort: "low", format: { type: "json_schema", schema } },
  }, "claude-opus-5");
  check({ messages: ASK, response_format: { type: "text" } }, { output_config: undefined });
});

Deno.test("messagesRequest() refuses by name what cannot be carried over", () => {
  const untranslatable = "unsupported_translation";
  refused({ n: 2 }, untranslatable, "n");
  refused({ logprobs: true }, untranslatable, "logprobs");
  refused({ top_logprobs: 3 }, untranslatable, "top_logprobs");
  refused({ audio: { voice: "a" } }, untranslatable, "audio");
  refused({ modalities: ["text", "audio"] }, untranslatable, "modalities");
  refused({ functions: [{}] }, untranslatable, "functions");
  refused({ function_call: "auto" }, untranslatable, "function_call");
  refused({ web_search_options: {} }, untranslatable, "web_search_options");
  refused({ response_format: { type: "json_object" } }, untranslatable, "response_format");
  refused({ tools: [{ type: "custom", custom: {} }] }, untranslatable, "tools[0]");
  refused(
    { tools: [{ type: "function", function: {} }], tool_choice: { type: "custom" } },
    untranslatable,
    "tool_choice",
  );
  const user = (part: unknown) => ({ messages: [{ role: "user", content: [part] }] });
  refused(user({ type: "input_audio" }), untranslatable, "messages[0].content[0]");
  refused(user({ type: "file", file: { file_id: "f" } }), untranslatable, "messages[0].content[0]");
  refused(
    user({ type: "file", file: { file_data: "data:text/csv;base64,AA" } }),
    untranslatable,
    "messages[0].content[0]",
  );
  refused({ messages: [{ role: "function" }] }, untranslatable, "messages[0].role");
});

Deno.test("messagesRequest() refuses by name what is malformed", () => {
  const wrong = "invalid_request";
  refused({ messages: "Hi" }, wrong, "messages");
  refused({ messages: [] }, wrong, "messages");
  refused({ messages: [{ role: "system", content: "only" }] }, wrong, "messages");
  refused({ messages: ["Hi"] }, wrong, "messages[0]");
  refused({ messages: [{ role: "robot", content: "Hi" }] }, wrong, "messages[0].role");
  refused({ messages: [{ role: "user", content: 7 }] }, wrong, "messages[0].content");
  refused({ messages: [{ role: "user", content: [7] }] }, wrong, "messages[0].content[0]");
  refused(
    {
      messages: [{
        role: "user",
        content: [{ type: "image_url", image_url: { url: "ftp://h/a.png" } }],
      }],
    },
    wrong,
    "messages[0].content[0]",
  );
  refused({ tools: ["f"] }, wrong, "tools[0]");
  refused(
    { messages: [{ role: "assistant", tool_calls: ["c"] }] },
    wrong,
    "messages[0].tool_calls[0]",
  );
  refused(
    { response_format: { type: "json_schema", json_schema: {} } },
    wrong,
    "response_format.json_schema.schema",
  );
});
