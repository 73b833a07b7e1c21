import assert from "node:assert/strict";
import { GatewayError } from "../../errors.ts";
import { completionFromMessage } from "./completion_from_message.ts";
import type { JsonObject } from "./json_value.ts";
import { messageFromCompletion } from "./message_from_completion.ts";

function message(content: JsonObject[], rest: JsonObject = {}): JsonObject {
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-x",
    content,
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 3, output_tokens: 4 },
    ...rest,
  };
}

function completion(answer: JsonObject, finish: string, rest: JsonObject = {}): JsonObject {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 7,
    model: "llama",
    choices: [{ index: 0, message: { role: "assistant", ...answer }, finish_reason: finish }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    ...rest,
  };
}

function unreadable(run: () => unknown): void {
  assert.throws(
    run,
    (error) => error instanceof GatewayError && error.code === "answer_unreadable",
  );
}

Deno.test("completionFromMessage() carries text, thinking, calls and usage", () => {
  const answer = message([
    { type: "thinking", thinking: "hm", signature: "s" },
    { type: "text", text: "Hel", citations: null },
    { type: "text", text: "lo" },
    { type: "tool_use", id: "t", name: "w", input: { at: "A" } },
    { type: "server_tool_use", id: "s", name: "web_search", input: {} },
  ], {
    stop_reason: "tool_use",
    usage: {
      input_tokens: 3,
      cache_read_input_tokens: 20,
      cache_creation_input_tokens: null,
      output_tokens: 4,
      output_tokens_details: { thinking_tokens: 2 },
    },
  });
  assert.deepEqual(completionFromMessage(answer, 7), {
    id: "msg_1",
    object: "chat.completion",
    created: 7,
    model: "claude-x",
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: "Hello",
        refusal: null,
        reasoning_content: "hm",
        thinking_blocks: [{ index: 0, type: "thinking", thinking: "hm", signature: "s" }],
        tool_calls: [{
          id: "t",
          type: "function",
          function: { name: "w", arguments: '{"at":"A"}' },
        }],
      },
      logprobs: null,
      finish_reason: "tool_calls",
    }],
    usage: {
      prompt_tokens: 23,
      completion_tokens: 4,
      total_tokens: 27,
      prompt_tokens_details: { cached_tokens: 20, cache_write_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 2 },
    },
  });
});

Deno.test("completionFromMessage() has null content only beside calls", () => {
  const contentOf = (answer: JsonObject) => {
    const [choice] = completionFromMessage(answer, 0)["choices"] as { message: JsonObject }[];
    return choice?.message["content"];
  };
  assert.equal(contentOf(message([])), "");
  assert.equal(contentOf(message([{ type: "tool_use", id: "t", name: "w", input: {} }])), null);
});

Deno.test("completionFromMessage() tells a refusal and a stop sequence", () => {
  const refused = message([], {
    stop_reason: "refusal",
    stop_details: { type: "refusal", category: "cyber", explanation: "No" },
  });
  const [refusal] = completionFromMessage(refused, 0)["choices"] as JsonObject[];
  assert.equal(refusal?.["finish_reason"], "content_filter");
  assert.deepEqual(refusal?.["message"], { role: "assistant", content: "", refusal: "No" });
  const stopped = message([], { stop_reason: "stop_sequence", stop_sequence: "END" });
  const [stop] = completionFromMessage(stopped, 0)["choices"] as JsonObject[];
  assert.equal(stop?.["finish_reason"], "stop");
  assert.equal(stop?.["stop_reason"], "END");
});

Deno.test("messageFromCompletion() carries text, reasoning, calls and usage", () => {
  const answer = completion(
    {
      content: "Hello",
      reasoning_content: "hm",
      tool_calls: [
        { id: "c", type: "function", function: { name: "w", arguments: '{"at":"A"}' } },
        { type: "function", function: { name: "w", arguments: "" } },
      ],
    },
    "stop",
    {
      usage: {
        prompt_tokens: 10,
        completion_tokens: 5,
        prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 1 },
      },
    },
  );
  assert.deepEqual(messageFromCompletion(answer), {
    id: "chatcmpl-1",
    type: "message",
    role: "assistant",
    model: "llama",
    content: [
      { type: "thinking", thinking: "hm", signature: "" },
      { type: "text", text: "Hello" },
      { type: "tool_use", id: "c", name: "w", input: { at: "A" } },
      { type: "tool_use", id: "chatcmpl-1_1", name: "w", input: {} },
    ],
    stop_reason: "tool_use",
    stop_sequence: null,
    usage: {
      input_tokens: 5,
      cache_creation_input_tokens: 1,
      cache_read_input_tokens: 4,
      output_tokens: 5,
    },
  });
});

Deno.test("messageFromCompletion() reads content in parts, refusals and cut arguments", () => {
  const contentOf = (answer: JsonObject) => messageFromCompletion(answer)["content"];
  assert.deepEqual(
    contentOf(completion({
      content: [
        { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
        { type: "text", text: "Yes" },
      ],
    }, "stop")),
    [{ type: "thinking", thinking: "hm", signature: "" }, { type: "text", text: "Yes" }],
  );
  const refused = messageFromCompletion(completion({ content: null, refusal: "No" }, "stop"));
  assert.deepEqual(refused["content"], [{ type: "text", text: "No" }]);
  assert.equal(refused["stop_reason"], "refusal");
  const cut = { id: "c", function: { name: "w", arguments: '{"at":"' } };
  const long = messageFromCompletion(completion({ content: null, tool_calls: [cut] }, "length"));
  assert.deepEqual(long["content"], [
    { type: "tool_use", id: "c", name: "w", input: { INVALID_JSON: '{"at":"' } },
  ]);
  assert.equal(long["stop_reason"], "max_tokens");
});

Deno.test("messageFromCompletion() prefers another gateway's signed thinking", () => {
  const answer = completion({
    content: "Yes",
    reasoning_content: "hm",
    thinking_blocks: [
      { type: "thinking", thinking: "hm", signature: "s" },
      { type: "redacted_thinking", data: "d" },
      { type: "new" },
    ],
  }, "stop");
  assert.deepEqual(messageFromCompletion(answer)["content"], [
    { type: "thinking", thinking: "hm", signature: "s" },
    { type: "redacted_thinking", data: "d" },
    { type: "text", text: "Yes" },
  ]);
});

Deno.test("an answer that is none is unreadable", () => {
  for (const json of [null, "text", [], {}, { content: "text" }]) {
    unreadable(() => completionFromMessage(json, 0));
  }
  for (const json of [null, "text", [], {}, { choices: [] }, { choices: [{}] }]) {
    unreadable(() => messageFromCompletion(json));
  }
});
