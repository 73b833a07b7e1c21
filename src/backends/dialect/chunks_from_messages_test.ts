import assert from "node:assert/strict";
import { ChunksFromMessages } from "./chunks_from_messages.ts";
import type { CallerEvent } from "../translate.ts";
import { isObject, type JsonObject, listOf, objectOf } from "./json_value.ts";

const START = {
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-x",
    content: [],
    stop_reason: null,
    usage: {
      input_tokens: 10,
      cache_read_input_tokens: 4,
      cache_creation_input_tokens: 2,
      output_tokens: 1,
    },
  },
};
const STOP = { type: "message_stop" };

function blockStart(index: number, block: JsonObject): JsonObject {
  return { type: "content_block_start", index, content_block: block };
}

function blockDelta(index: number, delta: JsonObject): JsonObject {
  return { type: "content_block_delta", index, delta };
}

function blockStop(index: number): JsonObject {
  return { type: "content_block_stop", index };
}

function messageDelta(reason: string, rest: JsonObject = {}): JsonObject {
  return {
    type: "message_delta",
    delta: { stop_reason: reason, stop_sequence: null, ...rest },
    usage: { output_tokens: 9, input_tokens: null },
  };
}

/** Feeds events one by one, then ends; shows each chunk as what it adds. */
function play(events: readonly JsonObject[], includeUsage = false): unknown[] {
  const stream = new ChunksFromMessages({ includeUsage, createdSeconds: 7, id: "chatcmpl-1" });
  const out = events.flatMap((data) => stream.push(String(data["type"]), data));
  out.push(...stream.end());
  assert.deepEqual(stream.end(), []);
  assert.deepEqual(stream.push("message_start", START), []);
  return out.map(added);
}

function added(event: CallerEvent): unknown {
  assert.equal(event.event, null);
  if (event.data === "[DONE]") return "[DONE]";
  const { id, object, created, model, choices, ...rest } = event.data;
  assert.deepEqual([id, object, created], ["chatcmpl-1", "chat.completion.chunk", 7]);
  const choice = objectOf(listOf(choices)[0]);
  if (listOf(choices).length === 0) return rest;
  assert.ok(typeof model === "string");
  const { delta, index, logprobs, finish_reason: finish, ...more } = choice;
  assert.deepEqual([index, logprobs], [0, null]);
  return finish === null ? delta : { delta, finish, ...more };
}

Deno.test("ChunksFromMessages streams text, usage only where asked for", () => {
  const events = [
    START,
    blockStart(0, { type: "text", text: "" }),
    { type: "ping" },
    blockDelta(0, { type: "text_delta", text: "Hel" }),
    blockDelta(0, { type: "text_delta", text: "lo" }),
    blockStop(0),
    messageDelta("end_turn"),
    STOP,
  ];
  const text = [
    { role: "assistant", content: "" },
    { content: "Hel" },
    { content: "lo" },
    { delta: {}, finish: "stop" },
  ];
  assert.deepEqual(play(events), [...text, "[DONE]"]);
  assert.deepEqual(play(events, true).slice(-2), [
    {
      usage: {
        prompt_tokens: 16,
        completion_tokens: 9,
        total_tokens: 25,
        prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 },
      },
    },
    "[DONE]",
  ]);
});

Deno.test("ChunksFromMessages names the model that answers in every chunk", () => {
  const stream = new ChunksFromMessages({ includeUsage: true, createdSeconds: 7, id: "i" });
  const events = [...stream.push("message_start", START), ...stream.end()];
  const models = events.map(({ data }) => isObject(data) ? data["model"] : data);
  assert.deepEqual(models, ["claude-x", "claude-x", "claude-x", "[DONE]"]);
  const usages = events.map(({ data }) => isObject(data) ? data["usage"] === null : false);
  assert.deepEqual(usages, [true, true, false, false]);
});

Deno.test("ChunksFromMessages numbers interleaved tool calls and keeps their arguments", () => {
  const events = [
    START,
    blockStart(0, { type: "text", text: "I look" }),
    blockStop(0),
    blockStart(1, { type: "tool_use", id: "t1", name: "a", input: {} }),
    blockDelta(1, { type: "input_json_delta", partial_json: "" }),
    blockDelta(1, { type: "input_json_delta", partial_json: '{"x":' }),
    blockDelta(1, { type: "input_json_delta", partial_json: "1}" }),
    blockStop(1),
    blockStart(2, { type: "text", text: "" }),
    blockDelta(2, { type: "text_delta", text: "and" }),
    blockStop(2),
    blockStart(3, { type: "tool_use", id: "t2", name: "b", input: {} }),
    blockStop(3),
    blockStart(4, { type: "tool_use", id: "t3", name: "c", input: { y: 2 } }),
    blockStop(4),
    messageDelta("tool_use"),
    STOP,
  ];
  const call = (index: number, id: string, name: string) => ({
    tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }],
  });
  const more = (index: number, text: string) => ({
    tool_calls: [{ index, function: { arguments: text } }],
  });
  assert.deepEqual(play(events), [
    { role: "assistant", content: "" },
    { content: "I look" },
    call(0, "t1", "a"),
    more(0, '{"x":'),
    more(0, "1}"),
    { content: "and" },
    call(1, "t2", "b"),
    more(1, "{}"),
    call(2, "t3", "c"),
    more(2, '{"y":2}'),
    { delta: {}, finish: "tool_calls" },
    "[DONE]",
  ]);
});

Deno.test("ChunksFromMessages streams thinking and hands signed thinking over once", () => {
  const events = [
    START,
    blockStart(0, { type: "thinking", thinking: "", signature: "" }),
    blockDelta(0, { type: "thinking_delta", thinking: "Let " }),
    blockDelta(0, { type: "thinking_delta", thinking: "me" }),
    blockDelta(0, { type: "signature_delta", signature: "sig" }),
    blockStop(0),
    blockStart(1, { type: "redacted_thinking", data: "enc" }),
    blockStop(1),
    blockStart(2, { type: "text", text: "" }),
    blockDelta(2, { type: "text_delta", text: "Yes" }),
    blockStop(2),
    messageDelta("end_turn"),
    STOP,
  ];
  assert.deepEqual(play(events), [
    { role: "assistant", content: "" },
    { reasoning_content: "Let " },
    { reasoning_content: "me" },
    { content: "Yes" },
    {
      thinking_blocks: [
        { index: 0, type: "thinking", thinking: "Let me", signature: "sig" },
        { index: 1, type: "redacted_thinking", data: "enc" },
      ],
    },
    { delta: {}, finish: "stop" },
    "[DONE]",
  ]);
});

Deno.test("ChunksFromMessages tells why the answer ended", () => {
  const cases: [string, JsonObject, JsonObject][] = [
    ["end_turn", {}, { finish: "stop" }],
    ["pause_turn", {}, { finish: "stop" }],
    ["max_tokens", {}, { finish: "length" }],
    ["model_context_window_exceeded", {}, { finish: "length" }],
    ["tool_use", {}, { finish: "tool_calls" }],
    ["refusal", {}, { finish: "content_filter" }],
    ["stop_sequence", { stop_sequence: "END" }, { finish: "stop", stop_reason: "END" }],
    ["something_new", {}, { finish: "stop" }],
  ];
  for (const [reason, rest, expected] of cases) {
    const out = play([START, messageDelta(reason, rest), STOP]);
    assert.deepEqual(out.at(-2), { delta: {}, ...expected }, reason);
  }
});

Deno.test("ChunksFromMessages finishes once, whatever is repeated or missing", () => {
  const twice = play([START, messageDelta("max_tokens"), messageDelta("end_turn"), STOP]);
  assert.deepEqual(twice.slice(1), [{ delta: {}, finish: "length" }, "[DONE]"]);
  const owed = play([START, blockStart(0, { type: "tool_use", id: "t", name: "n", input: {} })]);
  assert.deepEqual(owed.slice(-2), [{ delta: {}, finish: "tool_calls" }, "[DONE]"]);
});

Deno.test("ChunksFromMessages passes over errors and what it does not know", () => {
  const stream = new ChunksFromMessages({ includeUsage: false, createdSeconds: 7, id: "i" });
  const silent: [string | null, unknown][] = [
    ["ping", { type: "ping" }],
    ["error", { type: "error", error: { type: "overloaded_error", message: "m" } }],
    ["new_event", { type: "new_event" }],
    [null, "[DONE]"],
    [null, null],
    ["content_block_start", blockStart(0, { type: "server_tool_use", id: "s", input: {} })],
    ["content_block_delta", blockDelta(0, { type: "input_json_delta", partial_json: "{" })],
    ["content_block_delta", blockDelta(0, { type: "citations_delta", citation: {} })],
    ["content_block_delta", { type: "content_block_delta" }],
    ["content_block_stop", blockStop(0)],
    ["message_delta", { type: "message_delta" }],
  ];
  for (const [event, data] of silent) assert.deepEqual(stream.push(event, data), []);
  // A server that names its events only in the event line is understood as well.
  const [chunk] = stream.push("message_start", { message: { model: "m" } });
  assert.ok(chunk !== undefined);
});
