/**
 * What is never recorded, and the reason that is given.
 */
import assert from "node:assert/strict";
import type { CachedSurface, JsonObject, StoreRefusal } from "../types.ts";
import { recordAnswer } from "./recorder.ts";
import {
  chat,
  content,
  type Event,
  HEAD,
  LIMIT,
  message,
  play,
  response,
  responseStream,
  STOP,
  textBlock,
} from "./wire_events_fixture.ts";

/** One refusal: its reason, and streams that have it. */
const REFUSED: ReadonlyArray<readonly [StoreRefusal, CachedSurface, string, readonly Event[]]> = [
  ["incomplete", "chat", "no finish reason", [...chat(content("Hi")), [null, "[DONE]"]]],
  ["incomplete", "chat", "nothing at all", []],
  ["incomplete", "chat", "a reason nobody knows", chat(content("Hi"), { finish_reason: "abort" })],
  ["truncated", "chat", "length", chat(content("Hi"), { delta: {}, finish_reason: "length" })],
  ["filtered", "chat", "content_filter", chat({ delta: {}, finish_reason: "content_filter" })],
  ["filtered", "chat", "refusal", chat({ delta: { refusal: "No" } }, STOP)],
  ["tool_call", "chat", "tool_calls", chat({ delta: { tool_calls: [{ index: 0 }] } }, STOP)],
  ["tool_call", "chat", "function_call", chat({ delta: { function_call: { name: "f" } } }, STOP)],
  ["choices", "chat", "a second index", chat(content("Hi"), content("Ho", { index: 1 }), STOP)],
  ["choices", "chat", "two in a chunk", [[null, { ...HEAD, choices: [STOP, STOP] }]]],
  ["media", "chat", "audio", chat({ delta: { audio: { id: "a" } } }, STOP)],
  ["media", "chat", "annotations", chat(content("Hi"), { delta: { annotations: [{}] } }, STOP)],
  [
    "media",
    "chat",
    "log probabilities",
    chat(content("Hi", { logprobs: { content: [{}] } }), STOP),
  ],
  ["media", "chat", "token ids", chat(content("Hi", { token_ids: [7] }), STOP)],
  ["media", "chat", "unknown in a delta", chat({ delta: { content: "Hi", hologram: "x" } }, STOP)],
  ["media", "chat", "content in parts", chat({ delta: { content: [{ type: "text" }] } }, STOP)],
  ["media", "chat", "citations", [...chat(content("Hi"), STOP), [null, { citations: ["u"] }]]],
  [
    "media",
    "chat",
    "moderation",
    [...chat(content("Hi"), STOP), [null, {
      ...HEAD,
      choices: [],
      moderation: { input: { type: "error" }, output: { type: "error" } },
    }]],
  ],
  ["empty", "chat", "no text", chat({ delta: { content: "" } }, STOP)],
  ["empty", "chat", "reasoning only", chat({ delta: { reasoning: "Hm" } }, STOP)],
  ["unreadable", "chat", "half of JSON", [...chat(content("Hi")), [null, '{"cho'], ...chat(STOP)]],
  ["unreadable", "chat", "choices that are none", [[null, { choices: 3 }], ...chat(STOP)]],
  ["error", "chat", "an error", [...chat(content("Hi")), [null, { error: { message: "x" } }]]],
  ["error", "chat", "its name", [["error", { message: "x" }], ...chat(content("Hi"), STOP)]],
  ["error", "chat", "in a choice", chat(content("Hi"), { error: { code: 502 }, ...STOP })],
  ["truncated", "messages", "max_tokens", message(textBlock("Hi"), { stop_reason: "max_tokens" })],
  ["truncated", "messages", "pause_turn", message(textBlock("Hi"), { stop_reason: "pause_turn" })],
  ["filtered", "messages", "refusal", message(textBlock("No"), { stop_reason: "refusal" })],
  [
    "tool_call",
    "messages",
    "a tool",
    message([{
      type: "content_block_start",
      content_block: { type: "tool_use", name: "f" },
    }]),
  ],
  [
    "tool_call",
    "messages",
    "a hosted tool",
    message([{
      type: "content_block_start",
      content_block: { type: "server_tool_use", name: "web_search" },
    }]),
  ],
  [
    "media",
    "messages",
    "thinking",
    message([{
      type: "content_block_start",
      content_block: { type: "thinking", thinking: "" },
    }, ...textBlock("Hi")]),
  ],
  [
    "media",
    "messages",
    "citations",
    message([...textBlock("Hi"), {
      type: "content_block_delta",
      delta: { type: "citations_delta", citation: {} },
    }]),
  ],
  ["media", "messages", "two blocks", message([...textBlock("Hi"), ...textBlock("Ho")])],
  ["empty", "messages", "no text", message(textBlock(""))],
  ["incomplete", "messages", "cut", message(textBlock("Hi")).slice(0, -1)],
  ["error", "messages", "an error", [
    ...message(textBlock("Hi")).slice(0, 4),
    ["error", { type: "error", error: { type: "overloaded_error" } }],
  ]],
  [
    "truncated",
    "responses",
    "incomplete",
    responseStream(
      ["Hi"],
      response("Hi", {
        status: "incomplete",
        incomplete_details: { reason: "max_output_tokens" },
      }),
    ),
  ],
  [
    "filtered",
    "responses",
    "content filter",
    responseStream(
      ["Hi"],
      response("Hi", {
        status: "incomplete",
        incomplete_details: { reason: "content_filter" },
      }),
    ),
  ],
  ["error", "responses", "failed", responseStream(["Hi"], response("Hi", { status: "failed" }))],
  [
    "error",
    "responses",
    "an error beside its text",
    responseStream(
      ["Hi"],
      response("Hi", {
        error: { code: "server_error" },
      }),
    ),
  ],
  ["media", "responses", "log probabilities", [["", {
    type: "response.output_text.delta",
    delta: "Hi",
    logprobs: [{ token: "Hi", logprob: 0 }],
  }]]],
  ["tool_call", "responses", "a call", [["", {
    type: "response.output_item.added",
    item: { type: "function_call", name: "f" },
  }]]],
  [
    "tool_call",
    "responses",
    "a search",
    responseStream(
      ["Hi"],
      response("Hi", {
        output: [{ type: "web_search_call", status: "completed" }],
      }),
    ),
  ],
  ["tool_call", "responses", "a search under way", [["", {
    type: "response.web_search_call.searching",
  }]]],
  ["media", "responses", "reasoning", [["", {
    type: "response.output_item.added",
    item: { type: "reasoning", summary: [] },
  }]]],
  ["media", "responses", "an image", [["", {
    type: "response.image_generation_call.partial_image",
  }]]],
  ["media", "responses", "annotations", [["", {
    type: "response.output_text.annotation.added",
  }]]],
  ["filtered", "responses", "refusal", [["", { type: "response.refusal.delta", delta: "No" }]]],
  ["incomplete", "responses", "cut", responseStream(["Hi"], response("Hi")).slice(0, -1)],
];

for (const [reason, surface, what, events] of REFUSED) {
  Deno.test(`StreamRecorder refuses ${surface} with ${what} as ${reason}`, () => {
    assert.deepEqual(play(surface, events), { refused: reason });
  });
}

Deno.test("recordAnswer() refuses whole answers for the same reasons", () => {
  const choice = (message: JsonObject, finish = "stop", more: JsonObject = {}) => ({
    object: "chat.completion",
    model: "m",
    choices: [{
      index: 0,
      message: { role: "assistant", ...message },
      finish_reason: finish,
      ...more,
    }],
  });
  const block = { type: "text", text: "Hi" };
  const anthropic = (content: unknown, more: JsonObject = {}) => ({
    type: "message",
    content,
    stop_reason: "end_turn",
    ...more,
  });
  const cases: ReadonlyArray<readonly [StoreRefusal, CachedSurface, JsonObject]> = [
    ["truncated", "chat", choice({ content: "Hi" }, "length")],
    ["tool_call", "chat", choice({ content: null, tool_calls: [{ id: "c" }] }, "tool_calls")],
    ["tool_call", "chat", choice({ content: "Hi", tool_calls: [{ id: "c" }] })],
    ["filtered", "chat", choice({ content: null, refusal: "No" })],
    ["media", "chat", choice({ content: "Hi", annotations: [{ type: "url_citation" }] })],
    ["media", "chat", choice({ content: null, audio: { data: "…" } })],
    ["media", "chat", choice({ content: "Hi" }, "stop", { logprobs: { content: [{}] } })],
    ["empty", "chat", choice({ content: "" })],
    ["unreadable", "chat", { model: "m" }],
    ["incomplete", "chat", { choices: [] }],
    ["choices", "chat", { choices: [choice({}), choice({})] }],
    ["error", "chat", { error: { message: "x" }, ...choice({ content: "Hi" }) }],
    ["error", "chat", { object: "error", message: "x" }],
    ["media", "messages", anthropic([{ type: "thinking", thinking: "Hm", signature: "s" }, block])],
    ["media", "messages", anthropic([{ ...block, citations: [{}] }])],
    ["media", "messages", anthropic([block, block])],
    ["tool_call", "messages", anthropic([block], { usage: { server_tool_use: { searches: 1 } } })],
    ["tool_call", "messages", anthropic([{ type: "mcp_tool_use" }])],
    ["incomplete", "messages", anthropic([block], { stop_reason: null })],
    ["unreadable", "messages", anthropic("Hi")],
    ["error", "responses", response("Hi", { status: "failed", error: { code: "x" } })],
    ["incomplete", "responses", response("Hi", { status: "queued", output: [] })],
    ["media", "responses", response("Hi", { output: [{ type: "reasoning", summary: [] }] })],
    ["media", "responses", response("Hi", { moderation: { output: { type: "error" } } })],
    ["tool_call", "responses", response("Hi", { output: [{ type: "mcp_list_tools" }] })],
    ["unreadable", "responses", response("Hi", { output: "Hi" })],
    ["empty", "responses", response("")],
  ];
  for (const [reason, surface, json] of cases) {
    assert.deepEqual(recordAnswer(surface, json, LIMIT), { refused: reason }, JSON.stringify(json));
  }
});
