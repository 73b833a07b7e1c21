import assert from "node:assert/strict";
import { Transcript } from "./continuation.ts";
import { readEvent, type WireForm } from "./reading.ts";
import type { JsonObject } from "./wire.ts";

/** A transcript of the events. */
function sent(form: WireForm, ...events: readonly JsonObject[]): Transcript {
  const transcript = new Transcript(form);
  for (const event of events) transcript.record(readEvent(form, null, JSON.stringify(event)));
  return transcript;
}

function chat(delta: JsonObject, more: JsonObject = {}): JsonObject {
  return { id: "a", choices: [{ index: 0, delta, finish_reason: null, ...more }] };
}

const START = { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } };

function text(value: string): JsonObject {
  return { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: value } };
}

Deno.test("Transcript.canPrefill holds for unfinished text of one choice alone", () => {
  const call = { tool_calls: [{ index: 0, id: "1", function: { name: "f", arguments: "" } }] };
  const cases: readonly (readonly [Transcript, boolean])[] = [
    [sent("chat", chat({ role: "assistant", content: "" }), chat({ content: "The fox" })), true],
    [sent("chat", chat({ content: "The " })), false],
    [sent("chat", chat({ role: "assistant" })), false],
    [sent("chat", chat({ content: "a", reasoning_content: "hm" })), false],
    [sent("chat", chat({ content: "a" }), chat(call)), false],
    [sent("chat", chat({ content: "a" }), chat({}, { finish_reason: "stop" })), false],
    [sent("chat", chat({ content: "a" }), chat({ content: "b" }, { index: 1 })), false],
    [sent("completions", { choices: [{ index: 0, text: "The fox" }] }), true],
    [sent("messages", START, text("The fox")), true],
    [sent("messages", START, text("The\n")), false],
    [sent("messages", START), false],
    [sent("messages", START, text("a"), { type: "message_delta", delta: {} }), false],
    [sent("responses", { type: "response.output_text.delta", delta: "a" }), false],
  ];
  assert.deepEqual(
    cases.map(([transcript]) => transcript.canPrefill),
    cases.map(([, expected]) => expected),
  );
});

Deno.test("Transcript.prefillRequest() adds the text to the request, in every shape", () => {
  const user = { role: "user", content: "Go" };
  const assistant = (content: unknown) => ({ role: "assistant", content });
  const parts = [{ type: "text", text: "Well, " }];
  const cases: readonly (readonly [body: JsonObject, messages: unknown])[] = [
    [{ messages: [user] }, [user, assistant("The fox")]],
    [{ messages: [user, assistant("Well, ")] }, [user, assistant("Well, The fox")]],
    [{ messages: [user, assistant(parts)] }, [
      user,
      assistant([{ type: "text", text: "Well, The fox" }]),
    ]],
  ];
  for (const form of ["chat", "messages"] as const) {
    const transcript = form === "chat"
      ? sent(form, chat({ content: "The fox" }))
      : sent(form, START, text("The "), text("fox"));
    for (const [body, messages] of cases) {
      const before = structuredClone(body);
      assert.deepEqual(transcript.prefillRequest({ model: "m", ...body }), {
        model: "m",
        messages,
      });
      assert.deepEqual(body, before);
    }
  }
  const legacy = sent("completions", { choices: [{ index: 0, text: "fox" }] });
  assert.deepEqual(legacy.prefillRequest({ prompt: "The " }), { prompt: "The fox" });
});

Deno.test("Transcript.prefillRequest() is null where the request leaves no place for it", () => {
  const messages = [{ role: "user", content: "Go" }];
  const transcript = sent("chat", chat({ content: "fox" }));
  for (
    const body of [
      {},
      { messages, n: 2 },
      { messages, thinking: { type: "enabled", budget_tokens: 1_024 } },
      { messages: [{ role: "assistant", content: null, tool_calls: [] }] },
      { messages: [{ role: "assistant", content: [{ type: "refusal", refusal: "no" }] }] },
    ]
  ) assert.equal(transcript.prefillRequest(body), null, JSON.stringify(body));

  const legacy = sent("completions", { choices: [{ index: 0, text: "fox" }] });
  assert.equal(legacy.prefillRequest({ prompt: ["a", "b"] }), null);
  assert.equal(legacy.prefillRequest({ prompt: "a", echo: true }), null);
});

Deno.test("Transcript refuses what it cannot carry on", () => {
  const responses = sent("responses", { type: "response.output_text.delta", delta: "a" });
  assert.equal(responses.canContinue, false);
  assert.throws(() => responses.begin("restart"), TypeError);
  const tool = sent("chat", chat({ content: "The " }));
  assert.equal(tool.canContinue, true);
  assert.throws(() => tool.begin("prefill"), TypeError);
  assert.throws(() => tool.prefillRequest({ messages: [] }), TypeError);
});

Deno.test("Transcript.splice() hands out held text with the finish reason", () => {
  const transcript = sent("chat", chat({ content: "The quick fox" }));
  transcript.begin("prefill");
  const [held, end] = [chat({ content: "The quick" }), chat({}, { finish_reason: "stop" })].map(
    (json) => transcript.splice(readEvent("chat", null, JSON.stringify(json))),
  );
  assert.deepEqual(held, { mismatch: false, events: [] });
  assert.ok(end && !end.mismatch);
  assert.deepEqual(end.events.map(({ choices }) => choices), [
    [{ index: 0, delta: { content: "The quick" }, finish_reason: "stop" }],
  ]);

  const message = sent("messages", START, text("The quick fox"));
  message.begin("prefill");
  const stop = { type: "content_block_stop", index: 0 };
  const events = [START, text("The quick"), stop].flatMap((json) => {
    const result = message.splice(readEvent("messages", null, JSON.stringify(json)));
    return result.mismatch ? [] : result.events;
  });
  assert.deepEqual(events, [text("The quick"), stop]);
});

Deno.test("Transcript.splice() takes a short text for no repetition", () => {
  const transcript = sent("chat", chat({ content: "ha" }));
  transcript.begin("prefill");
  const next = chat({ content: "ha" });
  const result = transcript.splice(readEvent("chat", null, JSON.stringify(next)));
  assert.deepEqual(result, { mismatch: false, events: [{ created: undefined, ...next }] });
});

Deno.test("Transcript.splice() hands out held text before [DONE], and misses what never came", () => {
  const done = readEvent("chat", null, "[DONE]");
  const next = chat({ content: "The quick" });
  const prefilled = sent("chat", chat({ content: "The quick fox" }));
  prefilled.begin("prefill");
  const held = prefilled.splice(readEvent("chat", null, JSON.stringify(next)));
  assert.deepEqual(held, { mismatch: false, events: [] });
  const end = prefilled.splice(done);
  assert.ok(!end.mismatch);
  assert.deepEqual(end.events.map(({ choices }) => choices), [
    [{ index: 0, delta: { content: "The quick" }, finish_reason: null }],
  ]);

  const restarted = sent("chat", chat({ content: "The quick fox" }));
  restarted.begin("restart");
  restarted.splice(readEvent("chat", null, JSON.stringify(next)));
  assert.deepEqual(restarted.splice(done), { mismatch: true, at: 9, expected: 13, got: 9 });
});
