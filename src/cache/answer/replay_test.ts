/**
 * The shape of replays that no client's tolerance should hide.
 */
import assert from "node:assert/strict";
import type { AnswerRecord } from "../types.ts";
import { replayAnswer, replayEvents } from "./replay.ts";

const OPTIONS = { id: "abc", createdSeconds: 1_800_000_000, includeUsage: false };

const RECORD: AnswerRecord = {
  surface: "chat",
  text: "Hi 😀 you",
  pieces: [2, 2, 5],
  reasoning: null,
  finish: "stop",
  stopSequence: null,
  model: "m",
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  extra: { system_fingerprint: "fp" },
};

/** The data of events, parsed. */
function parsed(events: readonly string[]) {
  return events.map((event) => {
    const data = /^data: (.*)$/m.exec(event)?.[1] ?? "";
    return data === "[DONE]" ? data : JSON.parse(data);
  });
}

Deno.test("replayEvents() writes chat: role first, pieces, finish, end mark", () => {
  const events = replayEvents(RECORD, OPTIONS);
  const chunks = parsed(events);
  assert.deepEqual(chunks[0], {
    system_fingerprint: "fp",
    id: "chatcmpl-abc",
    object: "chat.completion.chunk",
    created: 1_800_000_000,
    model: "m",
    choices: [{
      index: 0,
      delta: { role: "assistant", content: "", refusal: null },
      logprobs: null,
      finish_reason: null,
    }],
  });
  const deltas = chunks.slice(1, -1).map((chunk) => chunk.choices[0]);
  assert.deepEqual(
    deltas.map(({ delta }) => delta),
    // The second recorded boundary is inside the emoji, and moves behind it.
    [{ content: "Hi" }, { content: " 😀" }, { content: " you" }, {}],
  );
  assert.deepEqual(deltas.map((choice) => choice.finish_reason), [null, null, null, "stop"]);
  assert.equal(chunks.at(-1), "[DONE]");
  assert.ok(events.every((event) => /^data: .*\n\n$/.test(event)));
});

Deno.test("replayEvents() writes usage in its own chunk, and null elsewhere, if asked for", () => {
  const usages = (record: AnswerRecord, includeUsage: boolean) =>
    parsed(replayEvents(record, { ...OPTIONS, includeUsage })).slice(0, -1)
      .map((chunk) => chunk.usage);
  for (const surface of ["chat", "completions"] as const) {
    const record = { ...RECORD, surface, pieces: [] };
    const without = usages(record, false);
    assert.ok(without.every((usage) => usage === undefined));
    const withUsage = usages(record, true);
    assert.equal(withUsage.length, without.length + 1);
    assert.deepEqual(withUsage.at(-1), RECORD.usage);
    assert.ok(withUsage.slice(0, -1).every((usage) => usage === null));
    assert.equal(usages({ ...record, usage: null }, true).length, without.length);
  }
});

Deno.test("replayEvents() sends a text that came whole as one piece", () => {
  const chunks = parsed(replayEvents({ ...RECORD, pieces: [] }, OPTIONS));
  assert.equal(chunks.length, 4);
  assert.equal(chunks[1].choices[0].delta.content, RECORD.text);
});

Deno.test("replayEvents() numbers responses from 0 and names every event by its type", () => {
  const record = { ...RECORD, surface: "responses" as const, finish: "completed", extra: {} };
  const events = replayEvents(record, OPTIONS);
  const bodies = parsed(events);
  assert.deepEqual(bodies.map((body) => body.sequence_number), [...events.keys()]);
  for (const [index, event] of events.entries()) {
    assert.ok(event.startsWith(`event: ${bodies[index].type}\ndata: `));
  }
  const types = bodies.map((body) => body.type.replace("response.", ""));
  assert.deepEqual(types, [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.delta",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "completed",
  ]);
  assert.equal(bodies.at(-1).response.id, "resp_abc");
  assert.equal(bodies[4].item_id, "msg_abc");
});

Deno.test("replayAnswer() writes what the APIs require", () => {
  assert.deepEqual(replayAnswer(RECORD, OPTIONS), {
    system_fingerprint: "fp",
    id: "chatcmpl-abc",
    object: "chat.completion",
    created: 1_800_000_000,
    model: "m",
    choices: [{
      index: 0,
      message: { role: "assistant", content: RECORD.text, refusal: null, annotations: [] },
      logprobs: null,
      finish_reason: "stop",
    }],
    usage: RECORD.usage,
  });
  const message = { ...RECORD, surface: "messages" as const, finish: "stop_sequence", extra: {} };
  const usage = { input_tokens: 1, output_tokens: 2 };
  assert.deepEqual(replayAnswer({ ...message, stopSequence: "END", usage }, OPTIONS), {
    id: "msg_abc",
    type: "message",
    role: "assistant",
    model: "m",
    content: [{ type: "text", text: RECORD.text, citations: null }],
    container: null,
    diagnostics: null,
    stop_reason: "stop_sequence",
    stop_sequence: "END",
    stop_details: null,
    usage,
  });
});

Deno.test("replays of responses without usage leave it out once they are complete", () => {
  const record = { ...RECORD, surface: "responses" as const, finish: "completed", usage: null };
  assert.ok(!Object.hasOwn(replayAnswer(record, OPTIONS), "usage"));
  const bodies = parsed(replayEvents(record, OPTIONS));
  assert.equal(bodies[0].response.usage, null);
  assert.equal(bodies[1].response.usage, null);
  assert.ok(!Object.hasOwn(bodies.at(-1).response, "usage"));
});

Deno.test("replayEvents() gives the details of a message's output only at its end", () => {
  const usage = {
    input_tokens: 1,
    output_tokens: 9,
    output_tokens_details: { thinking_tokens: 0 },
  };
  const record = { ...RECORD, surface: "messages" as const, finish: "end_turn", usage };
  const bodies = parsed(replayEvents(record, OPTIONS));
  assert.deepEqual(bodies[0].message.usage, {
    input_tokens: 1,
    output_tokens: 1,
    output_tokens_details: null,
  });
  assert.deepEqual(bodies.at(-2).usage, usage);
});

Deno.test("replayAnswer() lets no kept field stand for one of its own", () => {
  const extra = { id: "chatcmpl-of-somebody-else", created: 1, choices: [] };
  const answer = replayAnswer({ ...RECORD, extra }, OPTIONS);
  assert.deepEqual(answer, replayAnswer({ ...RECORD, extra: {} }, OPTIONS));
});
