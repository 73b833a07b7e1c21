import assert from "node:assert/strict";
import fc from "fast-check";
import { formatEvent, type StreamTranslator, translation } from "./translate.ts";

type Json = Record<string, unknown>;

const TO_MESSAGES = translation("chat", "messages");
const TO_CHAT = translation("messages", "chat");
const OPTIONS = { includeUsage: true, createdSeconds: 7, id: "id_1" };

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const id = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
const input = fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), fc.jsonValue(), { maxKeys: 3 });

/** An assistant's answer in the Messages API: text, then calls, as both APIs can say it. */
const blocks = fc.tuple(
  fc.option(words.map((text): Json => ({ type: "text", text })), { nil: undefined }),
  fc.array(fc.record({ type: fc.constant("tool_use"), id, name: id, input }), { maxLength: 3 }),
).map(([text, calls]): Json[] => text === undefined ? calls : [text, ...calls])
  .filter((content) => content.length > 0);

const usage = fc.record({
  input_tokens: fc.nat(10_000),
  cache_creation_input_tokens: fc.nat(10_000),
  cache_read_input_tokens: fc.nat(10_000),
  output_tokens: fc.nat(10_000),
});

/** JSON as it comes over the wire: -0 and absent values do not survive it. */
function wire<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

/** A turn of the user: text, an image, or results of the calls before. */
function conversation(answers: readonly Json[][]): Json[] {
  return answers.flatMap((content, at) => {
    const results = content.filter((block) => block["type"] === "tool_use").map((block) => ({
      type: "tool_result",
      tool_use_id: block["id"],
      content: `result ${at}`,
    }));
    const image = { type: "image", source: { type: "url", url: "https://h/i.png" } };
    const next = [...results, { type: "text", text: `go on ${at}` }, image];
    return [{ role: "assistant", content }, { role: "user", content: next }];
  });
}

Deno.test("translation() exists between chat and messages only", () => {
  assert.throws(() => translation("chat", "chat"), RangeError);
  assert.throws(() => translation("responses", "messages"), RangeError);
});

Deno.test("a conversation survives the way to chat and back", () => {
  fc.assert(
    fc.property(fc.array(blocks, { minLength: 1, maxLength: 3 }), words, (answers, system) => {
      const body = wire({
        model: "m",
        max_tokens: 9,
        system,
        stream: true,
        temperature: 0.5,
        stop_sequences: ["a"],
        tools: [{ name: "t", description: "d", input_schema: { type: "object", properties: {} } }],
        tool_choice: { type: "any", disable_parallel_tool_use: true },
        messages: [{ role: "user", content: "Hi" }, ...conversation(answers)],
      });
      const there = TO_CHAT.request(body, "m");
      const back = TO_MESSAGES.request(wire(there), "m");
      assert.deepEqual(wire(plain(back)), wire(plain(body)));
    }),
    { numRuns: 200 },
  );
});

/** A string and a single text block mean the same. */
function plain(body: Json): Json {
  const messages = (body["messages"] as Json[]).map((message) => {
    const content = message["content"];
    const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
    return { ...message, content: blocks };
  });
  return { ...body, messages };
}

Deno.test("an answer survives the way to chat and back", () => {
  fc.assert(
    fc.property(blocks, usage, (content, counts) => {
      const calls = content.some((block) => block["type"] === "tool_use");
      const message = wire({
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "m",
        content,
        stop_reason: calls ? "tool_use" : "end_turn",
        stop_sequence: null,
        usage: counts,
      });
      const back = TO_CHAT.answer(wire(TO_MESSAGES.answer(message, 7)));
      assert.deepEqual(wire(back), message);
    }),
    { numRuns: 200 },
  );
});

/** The events of a stream of the Messages API, text and input cut into pieces of `size`. */
function eventsOf(content: readonly Json[], counts: Json, size: number): [string, Json][] {
  const events: Json[] = [{
    type: "message_start",
    message: { id: "msg_1", model: "m", content: [], usage: counts },
  }];
  content.forEach((block, index) => {
    const isText = block["type"] === "text";
    const empty = isText ? { ...block, text: "" } : { ...block, input: {} };
    events.push({ type: "content_block_start", index, content_block: empty });
    const whole = isText ? String(block["text"]) : JSON.stringify(block["input"]);
    for (let at = 0; at < whole.length; at += size) {
      const piece = whole.slice(at, at + size);
      const delta = isText
        ? { type: "text_delta", text: piece }
        : { type: "input_json_delta", partial_json: piece };
      events.push({ type: "content_block_delta", index, delta });
    }
    events.push({ type: "content_block_stop", index });
  });
  const calls = content.some((block) => block["type"] === "tool_use");
  const delta = { stop_reason: calls ? "tool_use" : "end_turn", stop_sequence: null };
  events.push({ type: "message_delta", delta, usage: counts }, { type: "message_stop" });
  return events.map((data) => [String(data["type"]), data]);
}

/** Puts a stream of the Messages API together again. */
function assembled(events: readonly Json[]): Json {
  const content: Json[] = [];
  const buffers: string[] = [];
  const result: Json = {};
  for (const event of events) {
    const delta = (event["delta"] ?? {}) as Json;
    const index = Number(event["index"]);
    switch (event["type"]) {
      case "content_block_start":
        content.push({ ...(event["content_block"] as Json) });
        buffers.push("");
        break;
      case "content_block_delta":
        buffers[index] = `${buffers[index] ?? ""}${delta["text"] ?? delta["partial_json"] ?? ""}`;
        break;
      case "message_delta":
        Object.assign(result, { stop_reason: delta["stop_reason"], usage: event["usage"] });
        break;
    }
  }
  content.forEach((block, index) => {
    if (block["type"] === "text") block["text"] = buffers[index];
    else block["input"] = JSON.parse(buffers[index] ?? "");
  });
  return { ...result, content };
}

function run(stream: StreamTranslator, events: readonly [string | null, unknown][]): unknown[] {
  const out = events.flatMap(([event, data]) => stream.push(event, data));
  out.push(...stream.end());
  return out.map((event) => wire(event.data));
}

Deno.test("a stream survives the way to chat and back, however it is cut", () => {
  fc.assert(
    fc.property(blocks, usage, fc.integer({ min: 1, max: 9 }), (content, counts, size) => {
      const answer = wire(content);
      const chunks = run(TO_MESSAGES.stream(OPTIONS), eventsOf(answer, counts, size));
      const back = run(TO_CHAT.stream(OPTIONS), chunks.map((data) => [null, data]));
      const calls = answer.some((block) => block["type"] === "tool_use");
      assert.deepEqual(assembled(back as Json[]), {
        content: answer,
        stop_reason: calls ? "tool_use" : "end_turn",
        usage: wire(counts),
      });
    }),
    { numRuns: 200 },
  );
});

Deno.test("no request and no stream makes the translation throw anything but its own errors", () => {
  const anything = fc.jsonValue({ maxDepth: 4 });
  const role = fc.constantFrom("system", "user", "assistant", "tool", "x");
  const type = fc.constantFrom("text", "image_url", "image", "tool_use", "tool_result", "thinking");
  const part = fc.record({ type, text: anything, source: anything, content: anything });
  const message = fc.record({
    role,
    content: fc.oneof(anything, fc.array(part)),
    tool_calls: anything,
  });
  const body = fc.record({
    messages: fc.oneof(anything, fc.array(message)),
    tools: anything,
    tool_choice: anything,
    stop: anything,
    system: anything,
    thinking: anything,
    response_format: anything,
    output_config: anything,
    metadata: anything,
  });
  fc.assert(
    fc.property(body, anything, (request, event) => {
      for (const way of [TO_MESSAGES, TO_CHAT]) {
        try {
          way.request(request, "m");
        } catch (error) {
          assert.equal((error as Error).name, "GatewayError");
        }
        const stream = way.stream(OPTIONS);
        stream.push(null, event);
        stream.push("message_start", { choices: [{ delta: event }], message: event });
        stream.end();
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("a field named __proto__ is not passed on", () => {
  for (const way of [TO_MESSAGES, TO_CHAT]) {
    const body = JSON.parse('{"messages":[{"role":"user","content":"Hi"}],"__proto__":{"a":1}}');
    assert.equal(way.request(body, "m")["a"], undefined);
  }
});

Deno.test("formatEvent() writes one event as SSE", () => {
  assert.equal(formatEvent({ event: null, data: "[DONE]" }), "data: [DONE]\n\n");
  assert.equal(formatEvent({ event: null, data: { a: "x\ny" } }), 'data: {"a":"x\\ny"}\n\n');
  assert.equal(
    formatEvent({ event: "message_stop", data: { type: "message_stop" } }),
    'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  );
});
