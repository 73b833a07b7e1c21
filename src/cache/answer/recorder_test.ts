/**
 * What is recorded, in the words of many servers, and what damage does.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readEvent } from "../../stream/reading.ts";
import type { CachedSurface, JsonObject } from "../types.ts";
import { recordAnswer, StreamRecorder } from "./recorder.ts";
import {
  chat,
  content,
  type Event,
  HEAD,
  LIMIT,
  message,
  play,
  recordOf,
  response,
  responseStream,
  STOP,
  textBlock,
  USAGE,
} from "./wire_events_fixture.ts";

Deno.test("StreamRecorder keeps what vLLM says, and nothing of its empty fields", () => {
  const empty = { logprobs: null, token_ids: null, stop_reason: null };
  const recorded = play("chat", [
    [null, {
      ...HEAD,
      choices: [{
        index: 0,
        delta: { role: "assistant", content: "", reasoning_content: null },
        finish_reason: null,
        ...empty,
      }],
      prompt_token_ids: null,
      usage: null,
    }],
    ...chat({ delta: { reasoning_content: "Hm" }, finish_reason: null, ...empty }),
    ...chat({ delta: { reasoning_content: "m." }, finish_reason: null, ...empty }),
    ...chat(content("Hello", empty), content(" you", { ...empty, stop_reason: 128009 })),
    ...chat({ delta: { content: "" }, finish_reason: "stop", ...empty }),
    [null, { ...HEAD, choices: [], usage: USAGE }],
    [null, "[DONE]"],
  ]);
  assert.deepEqual(recordOf(recorded), {
    surface: "chat",
    text: "Hello you",
    pieces: [5, 4],
    reasoning: { field: "reasoning_content", text: "Hmm." },
    finish: "stop",
    stopSequence: null,
    model: "m",
    usage: USAGE,
    extra: {},
  });
});

Deno.test("StreamRecorder takes reasoning under both of vLLM's names if they agree", () => {
  const both = (reasoning: string, reasoning_content: string) =>
    play("chat", chat({ delta: { reasoning, reasoning_content } }, content("x"), STOP));
  assert.deepEqual(recordOf(both("a", "a")).reasoning, {
    field: "reasoning reasoning_content",
    text: "a",
  });
  assert.deepEqual(both("a", "b"), { refused: "media" });
});

Deno.test("StreamRecorder keeps what llama.cpp says, with usage and timings in its last chunk", () => {
  const timings = { prompt_n: 9, predicted_ms: 12.5 };
  const recorded = play("chat", [
    ...chat({ finish_reason: null, delta: { role: "assistant", content: null } }),
    ...chat(content("Hi")),
    [null, {
      ...HEAD,
      choices: [{ finish_reason: "stop", index: 0, delta: {} }],
      system_fingerprint: "b4711-abcdef",
      usage: USAGE,
      timings,
    }],
    [null, "[DONE]"],
  ]);
  const record = recordOf(recorded);
  assert.equal(record.text, "Hi");
  assert.deepEqual(record.usage, USAGE);
  assert.deepEqual(record.extra, { system_fingerprint: "b4711-abcdef" });
});

Deno.test("StreamRecorder keeps what Ollama says, whose chunks repeat the role", () => {
  const piece = (text: string, finish: string | null = null) => ({
    delta: { role: "assistant", content: text },
    finish_reason: finish,
  });
  const record = recordOf(play("chat", [
    ...chat(piece("Grüße"), piece(" 😀"), piece("", "stop")),
    [null, "[DONE]"],
  ]));
  assert.equal(record.text, "Grüße 😀");
  assert.deepEqual(record.pieces, [5, 3]);
  assert.equal(record.usage, null);
});

Deno.test("StreamRecorder passes over filter verdicts of Azure that filter nothing", () => {
  const verdict = (filtered: boolean) => ({
    content_filter_results: { violence: { filtered, severity: "low" } },
  });
  const first: Event = [null, { choices: [], id: "", model: "", prompt_filter_results: [{}] }];
  const stream = (filtered: boolean) => [first, ...chat(content("Hi", verdict(filtered)), STOP)];
  assert.equal(recordOf(play("chat", stream(false))).model, "m");
  assert.deepEqual(play("chat", stream(true)), { refused: "filtered" });
});

Deno.test("StreamRecorder reads completions", () => {
  const chunk = (choice: JsonObject): Event => [null, {
    id: "cmpl-1",
    object: "text_completion",
    model: "m",
    system_fingerprint: "fp",
    choices: [{ index: 0, logprobs: null, ...choice }],
  }];
  const record = recordOf(play("completions", [
    chunk({ text: "One", finish_reason: null }),
    chunk({ text: " two", finish_reason: "stop", stop_reason: null, prompt_logprobs: null }),
    [null, "[DONE]"],
  ]));
  assert.equal(record.text, "One two");
  assert.deepEqual(record.extra, { system_fingerprint: "fp" });
  assert.deepEqual(
    play("completions", [chunk({ text: "One", finish_reason: "length" })]),
    { refused: "truncated" },
  );
});

Deno.test("StreamRecorder reads messages, and puts their two counts together", () => {
  const stop = { stop_reason: "stop_sequence", stop_sequence: "END" };
  const record = recordOf(play("messages", message(textBlock("Hello", " you"), stop)));
  assert.equal(record.text, "Hello you");
  assert.deepEqual(record.pieces, [5, 4]);
  assert.equal(record.finish, "stop_sequence");
  assert.equal(record.stopSequence, "END");
  assert.equal(record.model, "claude");
  assert.deepEqual(record.usage, {
    input_tokens: 5,
    cache_read_input_tokens: 3,
    output_tokens: 12,
  });
});

Deno.test("StreamRecorder reads responses, and keeps what they say of the request", () => {
  const end = response("Hello you", { temperature: 0.2, tools: [], metadata: { who: "me" } });
  const record = recordOf(play("responses", responseStream(["Hello", " you"], end)));
  assert.equal(record.text, "Hello you");
  assert.deepEqual(record.pieces, [5, 4]);
  assert.equal(record.finish, "completed");
  assert.deepEqual(record.extra, { temperature: 0.2 }, "no default, and nobody's metadata");
});

Deno.test("StreamRecorder reads responses that end without their output, or had no pieces", () => {
  const bare = play("responses", responseStream(["Hi"], response("", { output: [] })));
  assert.equal(recordOf(bare).text, "Hi");
  const atOnce = play("responses", responseStream([], response("Hi")));
  assert.deepEqual(recordOf(atOnce).pieces, [2]);
  const torn = play("responses", responseStream(["Ho"], response("Hi")));
  assert.deepEqual(torn, { refused: "unreadable" });
});

Deno.test("StreamRecorder joins the halves of a character that came in two events", () => {
  const record = recordOf(play("chat", chat(content("a\ud83d"), content("\ude00"), STOP)));
  assert.equal(record.text, "a😀");
  assert.deepEqual(record.pieces, [3]);
});

Deno.test("StreamRecorder and recordAnswer() refuse what is over the limit as too_large", () => {
  const piece = "x".repeat(1_000);
  const stream = chat(...Array.from({ length: 20 }, () => content(piece)), STOP);
  assert.deepEqual(play("chat", stream, { bytesMax: 10_000 }), { refused: "too_large" });
  assert.equal(recordOf(play("chat", stream, { bytesMax: 25_000 })).text.length, 20_000);
  const whole = { choices: [{ message: { content: piece }, finish_reason: "stop" }] };
  assert.deepEqual(recordAnswer("chat", whole, { bytesMax: 1_200 }), { refused: "too_large" });
  assert.ok("record" in recordAnswer("chat", whole, { bytesMax: 2_000 }));
  const usage = { note: piece };
  assert.deepEqual(
    recordAnswer("chat", { ...whole, usage }, { bytesMax: 2_000 }),
    { refused: "too_large" },
    "usage counts",
  );
});

Deno.test("StreamRecorder.push() tells chunks that bring nothing but usage", () => {
  const usageOnly = JSON.stringify({ ...HEAD, choices: [], usage: USAGE });
  const chunks: readonly unknown[] = [
    { ...HEAD, choices: [], usage: USAGE },
    { ...HEAD, choices: [], usage: null },
    { ...HEAD, choices: [], usage: {} },
    { ...HEAD, choices: [], usage: USAGE, error: { message: "x" } },
    { ...HEAD, choices: [{ index: 0, ...STOP }], usage: USAGE },
    { ...HEAD, choices: [], prompt_filter_results: [{}] },
    { usage: USAGE },
    { ...HEAD, choices: [{ index: 0, delta: { content: usageOnly } }], usage: USAGE },
  ];
  for (const hadRefusal of [false, true]) {
    for (const surface of ["chat", "completions"] as const) {
      const recorder = new StreamRecorder(surface, LIMIT);
      if (hadRefusal) recorder.push(null, "no JSON");
      for (const chunk of chunks) {
        for (const data of [JSON.stringify(chunk), JSON.stringify(chunk, null, 2)]) {
          assert.equal(recorder.push(null, data), readEvent(surface, null, data).usageOnly, data);
        }
      }
      assert.equal(recorder.push(null, usageOnly), true);
      recorder.push(null, "[DONE]");
      assert.equal(recorder.push(null, usageOnly), true, "also behind the end mark");
    }
    assert.equal(new StreamRecorder("messages", LIMIT).push(null, usageOnly), false);
  }
});

const COMPLETE: ReadonlyArray<readonly [CachedSurface, readonly Event[]]> = [
  ["chat", [
    ...chat({ delta: { role: "assistant", content: "" } }, content("Hello"), content(" you"), STOP),
    [null, { ...HEAD, choices: [], usage: USAGE }],
    [null, "[DONE]"],
  ]],
  ["messages", message(textBlock("Hello", " you"))],
  ["responses", responseStream(["Hello", " you"], response("Hello you"))],
];

Deno.test("StreamRecorder stores no stream that was cut before its end", () => {
  for (const [surface, events] of COMPLETE) {
    const end = events.findLastIndex(([name, data]) =>
      surface === "chat"
        ? JSON.stringify(data).includes('"stop"')
        : name === "message_stop" || name === "response.completed"
    );
    for (let length = 0; length <= events.length; length++) {
      assert.equal("record" in play(surface, events.slice(0, length)), length > end, surface);
    }
  }
});

Deno.test("StreamRecorder survives any damage, and never stores what was not sent", () => {
  const place = fc.record({ event: fc.nat(20), at: fc.nat(2_000), text: fc.string() });
  fc.assert(
    fc.property(
      fc.constantFrom(...COMPLETE),
      fc.array(place, { minLength: 1, maxLength: 4 }),
      ([surface, events], places) => {
        const texts = events.map(([name, data]) =>
          [name, typeof data === "string" ? data : JSON.stringify(data)] as const
        );
        for (const { event, at, text } of places) {
          const index = event % texts.length;
          const [name, data] = texts[index] ?? [null, ""];
          const cut = at % (data.length + 1);
          texts[index] = [name, data.slice(0, cut) + text + data.slice(cut + text.length)];
        }
        const recorded = play(surface, texts);
        if ("refused" in recorded) return;
        const { pieces, text } = recorded.record;
        assert.equal(pieces.reduce((sum, length) => sum + length, 0), text.length);
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("StreamRecorder and recordAnswer() survive any JSON", () => {
  const surfaces = ["chat", "completions", "messages", "responses"] as const;
  const names = ["choices", "delta", "message", "content", "type", "output", "usage", "status"];
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      fc.constantFrom<unknown>(null, 0, 1, "", "text", "stop", "completed", true),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie("tree"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(
      fc.constantFrom(...surfaces),
      fc.dictionary(fc.constantFrom(...names), tree),
      (surface, json) => {
        recordAnswer(surface, json, LIMIT);
        play(surface, [[null, json], [null, { ...json, type: "response.completed" }]]);
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("StreamRecorder and recordAnswer() survive JSON that nests too deep", () => {
  const deep = '{"a":'.repeat(20_000) + "1" + "}".repeat(20_000);
  const parsed: JsonObject = JSON.parse(deep);
  // A name that is a number takes the engine from its loop to one that recurs.
  const whole = response("Hi", { tools: { 0: 1, parsed } });
  assert.deepEqual(recordAnswer("responses", whole, LIMIT), { refused: "unreadable" });
  const usage = {
    choices: [{ message: { content: "Hi" }, finish_reason: "stop" }],
    usage: { 0: 1, parsed },
  };
  assert.deepEqual(recordAnswer("chat", usage, LIMIT), { refused: "unreadable" });
  const delta = `{"choices":[{"index":0,"delta":{"content":"Hi","x":${deep}}}]}`;
  assert.deepEqual(play("chat", [[null, delta]]), { refused: "media" });
});
