import assert from "node:assert/strict";
import { Progress, readAnswer, readEvent, type Reading, type WireForm } from "./reading.ts";

/** The reading of an event, reduced to what it says beyond "nothing". */
function say(form: WireForm, value: unknown, event: string | null = null): Partial<Reading> {
  const data = typeof value === "string" ? value : JSON.stringify(value);
  const { json: _, ...reading } = readEvent(form, event, data);
  return Object.fromEntries(
    Object.entries(reading).filter(([, member]) => member !== null && member !== false),
  );
}

/** A chat chunk with one choice. */
function chat(delta: unknown, finish_reason: string | null = null, more: object = {}): object {
  return { choices: [{ index: 0, delta, finish_reason }], ...more };
}

/** How far a stream is after each of its events: `.` not yet, `f` finished, `c` complete. */
function course(form: WireForm, events: readonly unknown[], choices?: number): string {
  const progress = new Progress(choices === undefined ? {} : { choices });
  return events.map((value) => {
    const data = typeof value === "string" ? value : JSON.stringify(value);
    progress.push(readEvent(form, null, data));
    return progress.finished ? "f" : progress.complete ? "c" : ".";
  }).join("");
}

const NO_DETAILS = { cachedTokens: null, reasoningTokens: null };

Deno.test("readEvent() takes any part of an answer for content, in chat", () => {
  const call = (part: object) => ({ tool_calls: [{ index: 0, ...part }] });
  const content = [
    { content: " " },
    { reasoning_content: "hm" },
    { reasoning: "hm" },
    { refusal: "no" },
    { content: [{ type: "text", text: "a" }] },
    { audio: { data: "UklG" } },
    { audio: { transcript: "hello" } },
    call({ id: "call_1", function: { name: "", arguments: "" } }),
    call({ function: { name: "find" } }),
    call({ function: { arguments: "{" } }),
    { function_call: { arguments: "{" } },
  ];
  for (const delta of content) {
    assert.deepEqual(say("chat", chat(delta)), { content: true }, JSON.stringify(delta));
  }
  const nothing = [
    {},
    null,
    { role: "assistant" },
    { role: "assistant", content: "", refusal: null, tool_calls: [] },
    { content: null, reasoning_content: "", function_call: null },
    { audio: { id: "audio_1" } },
    call({ type: "function", function: { name: "", arguments: "" } }),
  ];
  for (const delta of nothing) {
    assert.deepEqual(say("chat", chat(delta)), {}, JSON.stringify(delta));
  }
});

Deno.test("readEvent() tells finish, usage and model in chat and completions", () => {
  const usage = {
    prompt_tokens: 9,
    completion_tokens: 4,
    prompt_tokens_details: { cached_tokens: 8 },
    completion_tokens_details: { reasoning_tokens: 3 },
  };
  const counted = { promptTokens: 9, answerTokens: 4, cachedTokens: 8, reasoningTokens: 3 };
  assert.deepEqual(say("chat", chat({}, "stop", { model: "m" })), { finish: "stop", model: "m" });
  assert.deepEqual(say("chat", { choices: [], usage }), { usage: counted, usageOnly: true });
  assert.deepEqual(say("chat", chat({ content: "a" }, null, { usage })), {
    content: true,
    usage: counted,
  });
  assert.deepEqual(say("chat", { choices: [], prompt_filter_results: [], usage: null }), {});
  assert.deepEqual(
    say("completions", { choices: [{ index: 0, text: "a", finish_reason: "length" }] }),
    {
      content: true,
      finish: "length",
    },
  );
  assert.deepEqual(say("completions", { choices: [{ index: 0, text: "" }] }), {});
});

Deno.test("readEvent() tells what events of a message bring", () => {
  const delta = (part: object) => ({ type: "content_block_delta", index: 0, delta: part });
  const start = (block: object) => ({
    type: "content_block_start",
    index: 0,
    content_block: block,
  });
  for (
    const event of [
      delta({ type: "text_delta", text: "a" }),
      delta({ type: "thinking_delta", thinking: "a" }),
      delta({ type: "input_json_delta", partial_json: "{" }),
      delta({ type: "signature_delta", signature: "x" }),
      start({ type: "tool_use", id: "1", name: "find", input: {} }),
      start({ type: "redacted_thinking", data: "x" }),
    ]
  ) assert.deepEqual(say("messages", event), { content: true }, JSON.stringify(event));
  for (
    const event of [
      { type: "ping" },
      delta({ type: "text_delta", text: "" }),
      delta({ type: "input_json_delta", partial_json: "" }),
      start({ type: "text", text: "" }),
      start({ type: "thinking", thinking: "", signature: "" }),
      { type: "content_block_stop", index: 0 },
    ]
  ) assert.deepEqual(say("messages", event), {}, JSON.stringify(event));

  const usage = { input_tokens: 2, cache_read_input_tokens: 30, cache_creation_input_tokens: 5 };
  assert.deepEqual(say("messages", { type: "message_start", message: { model: "m", usage } }), {
    model: "m",
    usage: { promptTokens: 37, answerTokens: null, cachedTokens: 30, reasoningTokens: null },
  });
  const last = {
    type: "message_delta",
    delta: { stop_reason: "tool_use" },
    usage: { output_tokens: 7 },
  };
  assert.deepEqual(say("messages", last), {
    finish: "tool_use",
    usage: { ...NO_DETAILS, promptTokens: null, answerTokens: 7 },
  });
  assert.deepEqual(say("messages", { type: "message_stop" }), { terminal: true });
});

Deno.test("readEvent() tells what events of a response bring", () => {
  const cases: readonly (readonly [event: object, expected: Partial<Reading>])[] = [
    [{ type: "response.output_text.delta", delta: "a" }, { content: true }],
    [{ type: "response.output_text.delta", delta: "" }, {}],
    [{ type: "response.reasoning_summary_text.delta", delta: "a" }, { content: true }],
    [{ type: "response.function_call_arguments.delta", delta: "{" }, { content: true }],
    [{ type: "response.output_text.done", text: "a" }, {}],
    [{ type: "response.output_item.added", item: { type: "message", content: [] } }, {}],
    [{ type: "response.output_item.added", item: { type: "function_call", name: "f" } }, {
      content: true,
    }],
    [{ type: "response.created", response: { model: "m", status: "in_progress", usage: null } }, {
      model: "m",
    }],
    [{
      type: "response.completed",
      response: { status: "completed", usage: { input_tokens: 1, output_tokens: 2 } },
    }, {
      terminal: true,
      finish: "completed",
      usage: { ...NO_DETAILS, promptTokens: 1, answerTokens: 2 },
    }],
    [{ type: "response.incomplete", response: {} }, { terminal: true, finish: "incomplete" }],
    [{
      type: "response.failed",
      response: { status: "failed", error: { code: "server_error", message: "Broke" } },
    }, {
      error: { status: 500, code: "server_error", type: null, message: "Broke" },
    }],
  ];
  for (const [event, expected] of cases) {
    assert.deepEqual(say("responses", event), expected, JSON.stringify(event));
  }
});

Deno.test("readEvent() finds in-band errors in all their shapes", () => {
  const cases: readonly (readonly [WireForm, string | null, object, Partial<Reading["error"]>])[] =
    [
      ["chat", null, { error: { message: "Busy", type: "server_error", code: null } }, {
        status: 500,
        type: "server_error",
        message: "Busy",
      }],
      ["chat", null, { error: { message: "Down", code: 503 } }, { status: 503, code: "503" }],
      ["chat", null, { error: "overloaded" }, { status: null, message: "overloaded" }],
      ["chat", null, chat({ content: "" }, "error", { error: { code: "429", message: "Slow" } }), {
        status: 429,
      }],
      ["chat", null, { object: "error", message: "Too long", code: 400 }, { status: 400 }],
      ["chat", "error", { message: "Gone" }, { status: null, message: "Gone" }],
      ["completions", null, { error: { code: "context_length_exceeded", message: "x" } }, {
        status: 400,
      }],
      ["messages", "error", {
        type: "error",
        error: { type: "overloaded_error", message: "Overloaded" },
      }, {
        status: 529,
        type: "overloaded_error",
        message: "Overloaded",
      }],
      ["responses", "error", {
        type: "error",
        code: "rate_limit_exceeded",
        message: "x",
        param: null,
      }, {
        status: 429,
        code: "rate_limit_exceeded",
        type: null,
      }],
    ];
  for (const [form, event, data, expected] of cases) {
    const { error, content, terminal } = readEvent(form, event, JSON.stringify(data));
    assert.ok(error, JSON.stringify(data));
    assert.deepEqual({ ...error, ...expected }, error, JSON.stringify(data));
    assert.deepEqual([content, terminal], [false, false]);
  }
  assert.deepEqual(say("chat", chat({ content: "a" }, null, { error: null })), { content: true });
});

Deno.test("readEvent() marks what is no JSON object as malformed, and nothing else", () => {
  for (
    const data of ["", " ", "{", '{"a":1', "[DONE", "null", "1", '"x"', "[]", "{}{}", "<html>"]
  ) {
    const reading = readEvent("chat", null, data);
    assert.deepEqual([reading.malformed, reading.json], [true, null], data);
  }
  for (const data of ["{}", ' {"unknown":[1]} ', '{"choices":"none"}', '{"choices":[null,3]}']) {
    assert.deepEqual(say("chat", data), {}, data);
  }
  assert.deepEqual(say("chat", "[DONE]"), { terminal: true });
  assert.deepEqual(say("messages", "[DONE]"), {});
});

Deno.test("Progress is complete when the protocol says so", () => {
  const word = chat({ content: "a" });
  const other = { choices: [{ index: 1, delta: { content: "b" } }] };
  const end = chat({}, "stop");
  const otherEnd = { choices: [{ index: 1, delta: {}, finish_reason: "stop" }] };
  assert.equal(course("chat", [word, word, end, { choices: [] }, "[DONE]"]), "..fff");
  assert.equal(course("chat", [word, other, end, end, otherEnd]), "....f");
  assert.equal(course("chat", [word, "[DONE]"]), ".c");
  assert.equal(course("chat", [word, end, other, otherEnd]), ".f.f");
  assert.equal(course("chat", [word, end, other, otherEnd], 2), "...f");

  const stop = { type: "message_delta", delta: { stop_reason: "end_turn" } };
  const messageStop = { type: "message_stop" };
  assert.equal(
    course("messages", [{ type: "message_start", message: {} }, stop, messageStop]),
    "..f",
  );
  const done = { type: "response.output_text.done", text: "a" };
  const completed = { type: "response.completed", response: { status: "completed" } };
  assert.equal(course("responses", [done, "[DONE]", completed]), "..f");
});

Deno.test("Progress adds up what a stream says of itself", () => {
  const progress = new Progress();
  const events = [
    {
      type: "message_start",
      message: { model: "m", usage: { input_tokens: 9, output_tokens: 1 } },
    },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "a" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "b" } },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 7 } },
  ];
  for (const event of events) progress.push(readEvent("messages", null, JSON.stringify(event)));
  assert.deepEqual(
    [progress.contentEvents, progress.model, progress.finish, progress.ended],
    [2, "m", "end_turn", false],
  );
  assert.deepEqual(progress.usage, { ...NO_DETAILS, promptTokens: 9, answerTokens: 7 });
});

Deno.test("readAnswer() reads whole answers of every form", () => {
  const usage = { prompt_tokens: 1, completion_tokens: 2 };
  const counted = { ...NO_DETAILS, promptTokens: 1, answerTokens: 2 };
  const choice = { index: 0, message: { content: "a" }, finish_reason: "stop" };
  const cases: readonly (readonly [WireForm, object, finish: string | null])[] = [
    ["chat", { model: "m", choices: [choice], usage }, "stop"],
    [
      "completions",
      { model: "m", choices: [{ text: "a", finish_reason: "length" }], usage },
      "length",
    ],
    ["messages", {
      model: "m",
      content: [],
      stop_reason: "end_turn",
      usage: { input_tokens: 1, output_tokens: 2 },
    }, "end_turn"],
    ["responses", {
      model: "m",
      output: [],
      error: null,
      status: "incomplete",
      usage: { input_tokens: 1, output_tokens: 2 },
    }, "incomplete"],
  ];
  for (const [form, json, finish] of cases) {
    const expected = {
      complete: true,
      finish,
      usage: counted,
      model: "m",
      error: null,
      problem: null,
    };
    assert.deepEqual(readAnswer(form, JSON.stringify(json)), { ...expected, json }, form);
  }
  const embeddings = readAnswer("embeddings", '{"data":[],"usage":{"prompt_tokens":4}}');
  assert.deepEqual([embeddings.complete, embeddings.usage?.promptTokens], [true, 4]);
});

Deno.test("readAnswer() says what is wrong with an answer", () => {
  const cases: readonly (readonly [WireForm, string, problem: string])[] = [
    ["chat", '{"choices":[{"finish_reason":"sto', "it is no JSON object"],
    ["chat", "<html>", "it is no JSON object"],
    ["chat", "[]", "it is no JSON object"],
    ["chat", "{}", "it has no choices"],
    ["chat", '{"choices":[]}', "it has no choices"],
    [
      "chat",
      '{"choices":[{"finish_reason":"stop"},{"finish_reason":null}]}',
      "choice 1 has no finish reason",
    ],
    ["messages", '{"content":[],"stop_reason":null}', "it has no stop reason"],
    ["messages", '{"stop_reason":"end_turn"}', "it has no content"],
    ["responses", '{"status":"completed"}', "it has no output"],
    ["responses", '{"output":[]}', "it has no status"],
    ["embeddings", '{"embedding":[]}', "it has no data"],
  ];
  for (const [form, text, problem] of cases) {
    const reading = readAnswer(form, text);
    assert.deepEqual([reading.complete, reading.problem], [false, problem], text);
  }
});

Deno.test("readAnswer() finds errors in answers that came with status 200", () => {
  const cases:
    readonly (readonly [WireForm, object, status: number | null, code: string | null])[] = [
      ["chat", { error: { message: "x", type: "rate_limit_error" } }, 429, null],
      ["messages", { type: "error", error: { type: "api_error", message: "x" } }, 500, null],
      [
        "responses",
        { status: "failed", output: [], error: { code: "server_error", message: "x" } },
        500,
        "server_error",
      ],
      ["responses", { status: "cancelled", output: [], error: null }, null, "cancelled"],
    ];
  for (const [form, json, status, code] of cases) {
    const { complete, error, problem } = readAnswer(form, JSON.stringify(json));
    assert.deepEqual([complete, error?.status, error?.code, problem], [false, status, code, null]);
  }
});
