import assert from "node:assert/strict";
import type { CallerEvent } from "../translate.ts";
import { EventsFromChat } from "./events_from_chat.ts";
import type { JsonObject } from "./json_value.ts";

function chunk(delta: JsonObject, finish: string | null = null, rest: JsonObject = {}): JsonObject {
  return {
    id: "chatcmpl-9",
    object: "chat.completion.chunk",
    created: 1,
    model: "llama",
    choices: [{ index: 0, delta, finish_reason: finish, ...rest }],
  };
}

function call(index: number, fields: { id?: string; name?: string; text?: string }): JsonObject {
  const { id, name, text } = fields;
  return {
    tool_calls: [{
      index,
      ...(id === undefined ? {} : { id, type: "function" }),
      function: {
        ...(name === undefined ? {} : { name }),
        ...(text === undefined ? {} : { arguments: text }),
      },
    }],
  };
}

/** Feeds chunks one by one, then ends; shows each event in one line. */
function play(chunks: readonly unknown[]): string[] {
  const stream = new EventsFromChat({ includeUsage: false, createdSeconds: 7, id: "msg_1" });
  const out = chunks.flatMap((data) => stream.push(null, data));
  out.push(...stream.end());
  assert.deepEqual(stream.end(), []);
  assert.deepEqual(stream.push(null, chunk({ content: "late" })), []);
  checkOrder(out);
  return out.map(line);
}

function line(event: CallerEvent): string {
  assert.ok(event.data !== "[DONE]");
  const { type, index, content_block: block, delta, usage, message } = event.data;
  assert.equal(type, event.event);
  const parts = [block, delta, usage, message].filter((part) => part !== undefined);
  const place = index === undefined ? "" : ` ${index}`;
  return `${String(type)}${place} ${parts.map((part) => JSON.stringify(part)).join(" ")}`.trim();
}

/** The protocol's own rule: blocks are numbered from 0, one open at a time. */
function checkOrder(events: readonly CallerEvent[]): void {
  let open: unknown = null;
  let next = 0;
  for (const { data } of events) {
    assert.ok(data !== "[DONE]");
    if (data["type"] === "content_block_start") {
      assert.equal(open, null);
      assert.equal(data["index"], next);
      open = next++;
    } else if (data["type"] === "content_block_delta") {
      assert.equal(data["index"], open);
    } else if (data["type"] === "content_block_stop") {
      assert.equal(data["index"], open);
      open = null;
    }
  }
  assert.equal(open, null);
}

const NO_USAGE =
  '{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}';
const STARTED =
  `message_start {"id":"msg_1","type":"message","role":"assistant","model":"llama","content":[],"stop_reason":null,"stop_sequence":null,"usage":${NO_USAGE}}`;

function ended(reason: string, sequence: string | null = null): string[] {
  const delta = JSON.stringify({ stop_reason: reason, stop_sequence: sequence });
  return [`message_delta ${delta} ${NO_USAGE}`, "message_stop"];
}

Deno.test("EventsFromChat streams text and takes usage from the last chunk", () => {
  const usage = {
    prompt_tokens: 20,
    completion_tokens: 5,
    total_tokens: 25,
    prompt_tokens_details: { cached_tokens: 8 },
    completion_tokens_details: { reasoning_tokens: 2 },
  };
  assert.deepEqual(
    play([
      { model: "", choices: [], prompt_filter_results: [] },
      chunk({ role: "assistant", content: "" }),
      chunk({ content: "Hel" }),
      chunk({ content: "lo" }),
      chunk({}, "stop"),
      { id: "chatcmpl-9", choices: [], usage },
      "[DONE]",
    ]),
    [
      STARTED,
      'content_block_start 0 {"type":"text","text":""}',
      'content_block_delta 0 {"type":"text_delta","text":"Hel"}',
      'content_block_delta 0 {"type":"text_delta","text":"lo"}',
      "content_block_stop 0",
      'message_delta {"stop_reason":"end_turn","stop_sequence":null} {"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":8,"output_tokens":5,"output_tokens_details":{"thinking_tokens":2}}',
      "message_stop",
    ],
  );
});

Deno.test("EventsFromChat turns reasoning of either name into thinking", () => {
  for (const field of ["reasoning_content", "reasoning"]) {
    assert.deepEqual(
      play([
        chunk({ role: "assistant", content: null, [field]: "hm" }),
        chunk({ [field]: "m" }),
        chunk({ content: "Yes", [field]: null }, "stop"),
      ]),
      [
        STARTED,
        'content_block_start 0 {"type":"thinking","thinking":"","signature":""}',
        'content_block_delta 0 {"type":"thinking_delta","thinking":"hm"}',
        'content_block_delta 0 {"type":"thinking_delta","thinking":"m"}',
        "content_block_stop 0",
        'content_block_start 1 {"type":"text","text":""}',
        'content_block_delta 1 {"type":"text_delta","text":"Yes"}',
        "content_block_stop 1",
        ...ended("end_turn"),
      ],
    );
  }
});

Deno.test("EventsFromChat keeps a signature that comes while its thinking is open", () => {
  const out = play([
    chunk({ reasoning_content: "hm" }),
    chunk({ thinking_blocks: [{ type: "thinking", thinking: "", signature: "sig" }] }),
    chunk({ content: "Yes" }, "stop"),
  ]);
  assert.equal(out[3], 'content_block_delta 0 {"type":"signature_delta","signature":"sig"}');
});

Deno.test("EventsFromChat streams tool calls one after the other", () => {
  assert.deepEqual(
    play([
      chunk({ role: "assistant", content: "Look" }),
      chunk(call(0, { id: "c0", name: "a", text: "" })),
      chunk(call(0, { text: '{"x":' })),
      chunk(call(0, { text: "1}" })),
      chunk(call(1, { id: "c1", name: "b", text: '{"y":2}' })),
      chunk({}, "tool_calls"),
      "[DONE]",
    ]),
    [
      STARTED,
      'content_block_start 0 {"type":"text","text":""}',
      'content_block_delta 0 {"type":"text_delta","text":"Look"}',
      "content_block_stop 0",
      'content_block_start 1 {"type":"tool_use","id":"c0","name":"a","input":{}}',
      'content_block_delta 1 {"type":"input_json_delta","partial_json":"{\\"x\\":"}',
      'content_block_delta 1 {"type":"input_json_delta","partial_json":"1}"}',
      "content_block_stop 1",
      'content_block_start 2 {"type":"tool_use","id":"c1","name":"b","input":{}}',
      'content_block_delta 2 {"type":"input_json_delta","partial_json":"{\\"y\\":2}"}',
      "content_block_stop 2",
      ...ended("tool_use"),
    ],
  );
});

Deno.test("EventsFromChat untangles calls and text that come mixed", () => {
  assert.deepEqual(
    play([
      chunk(call(0, { id: "c0", name: "a", text: '{"x"' })),
      chunk(call(1, { id: "c1", name: "b", text: '{"y"' })),
      chunk({ content: "so" }),
      chunk(call(0, { text: ":1}" })),
      chunk(call(1, { text: ":2}" })),
      chunk({ content: " on" }),
      chunk({}, "tool_calls"),
    ]),
    [
      STARTED,
      'content_block_start 0 {"type":"tool_use","id":"c0","name":"a","input":{}}',
      'content_block_delta 0 {"type":"input_json_delta","partial_json":"{\\"x\\""}',
      'content_block_delta 0 {"type":"input_json_delta","partial_json":":1}"}',
      "content_block_stop 0",
      'content_block_start 1 {"type":"tool_use","id":"c1","name":"b","input":{}}',
      'content_block_delta 1 {"type":"input_json_delta","partial_json":"{\\"y\\":2}"}',
      "content_block_stop 1",
      'content_block_start 2 {"type":"text","text":""}',
      'content_block_delta 2 {"type":"text_delta","text":"so on"}',
      "content_block_stop 2",
      ...ended("tool_use"),
    ],
  );
});

Deno.test("EventsFromChat copes with calls that have no index, no id or each other's index", () => {
  const bare = (fields: JsonObject) => chunk({ tool_calls: [fields] });
  const starts = (chunks: unknown[]) =>
    play(chunks).filter((text) => /_start \d|input_json/.test(text));
  const expected = (first: string, second: string) => [
    `content_block_start 0 {"type":"tool_use","id":"${first}","name":"a","input":{}}`,
    'content_block_delta 0 {"type":"input_json_delta","partial_json":"{}"}',
    `content_block_start 1 {"type":"tool_use","id":"${second}","name":"b","input":{}}`,
    'content_block_delta 1 {"type":"input_json_delta","partial_json":"{}"}',
  ];
  assert.deepEqual(
    starts([
      bare({ id: "p", function: { name: "a", arguments: "{}" } }),
      bare({ id: "q", function: { name: "b", arguments: "{}" } }),
    ]),
    expected("p", "q"),
  );
  assert.deepEqual(
    starts([
      chunk(call(0, { id: "p", name: "a", text: "{}" })),
      chunk(call(0, { id: "q", name: "b", text: "{}" })),
    ]),
    expected("p", "q"),
  );
  assert.deepEqual(
    starts([
      chunk(call(0, { name: "a", text: "{}" })),
      chunk(call(1, { name: "b", text: "{}" })),
    ]),
    expected("msg_1_0", "msg_1_1"),
  );
});

Deno.test("EventsFromChat tells why the answer ended", () => {
  const text = chunk({ content: "x" });
  const tool = chunk(call(0, { id: "c", name: "a", text: "{}" }));
  const cases: [unknown[], string, string | null][] = [
    [[text, chunk({}, "stop")], "end_turn", null],
    [[text, chunk({}, "length")], "max_tokens", null],
    [[text, chunk({}, "content_filter")], "refusal", null],
    [[tool, chunk({}, "tool_calls")], "tool_use", null],
    [[tool, chunk({}, "stop")], "tool_use", null],
    [[text, chunk({}, "tool_calls")], "end_turn", null],
    [[text, chunk({}, "stop", { stop_reason: "END" })], "stop_sequence", "END"],
    [[text, chunk({}, "stop", { stop_reason: 128_009 })], "end_turn", null],
    [[text, chunk({}, "stop", { matched_stop: "END" })], "stop_sequence", "END"],
    [[chunk({ refusal: "No" }), chunk({}, "stop")], "refusal", null],
    [[text, chunk({}, "eos")], "end_turn", null],
  ];
  for (const [chunks, reason, sequence] of cases) {
    assert.deepEqual(play(chunks).slice(-2), ended(reason, sequence));
  }
});

Deno.test("EventsFromChat ends an answer without content as a message", () => {
  assert.deepEqual(play([chunk({ role: "assistant", content: "" }), chunk({}, "stop")]), [
    STARTED,
    ...ended("end_turn"),
  ]);
});

Deno.test("EventsFromChat passes over errors and what it does not know", () => {
  const stream = new EventsFromChat({ includeUsage: false, createdSeconds: 7, id: "i" });
  const silent = [
    "[DONE]",
    null,
    7,
    { error: { message: "m" } },
    { choices: "none" },
    { choices: [null] },
    { choices: [{ index: 1, delta: { content: "second choice" } }] },
  ];
  for (const data of silent) assert.deepEqual(stream.push(null, data), []);
  assert.equal(stream.push(null, { choices: [{ delta: null }] }).length, 1);
  assert.deepEqual(stream.push(null, chunk({ tool_calls: [null, 7], audio: {} })), []);
});
