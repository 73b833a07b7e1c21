/**
 * Records that are replayed, written and read give the same record again.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { answerTo } from "../../simulate/answers/answer.ts";
import { CHAT_FORMAT } from "../../simulate/formats/chat.ts";
import { COMPLETIONS_FORMAT } from "../../simulate/formats/completions.ts";
import { MESSAGES_FORMAT } from "../../simulate/formats/messages.ts";
import { RESPONSES_FORMAT } from "../../simulate/formats/responses.ts";
import type { Exchange, WireFormat } from "../../simulate/formats/wire.ts";
import type { TextRequest } from "../../simulate/requests/request.ts";
import { Progress, readAnswer, readEvent } from "../../stream/reading.ts";
import { EventScanner } from "../../stream/sse.ts";
import type { AnswerRecord, CachedSurface, JsonObject } from "../types.ts";
import { decodeRecord, encodeRecord } from "./record_codec.ts";
import { recordAnswer, type Recorded, StreamRecorder } from "./recorder.ts";
import { replayAnswer, replayEvents } from "./replay.ts";
import { REASONING_FIELDS, STORED_FINISHES } from "./surface_facts.ts";
import { appendPiece } from "./text_pieces.ts";

const LIMIT = { bytesMax: 1_000_000 };
const OPTIONS = { id: "0123456789abcdef", createdSeconds: 1_800_000_000, includeUsage: true };
const SURFACES: readonly CachedSurface[] = ["chat", "completions", "messages", "responses"];

/** The events in what is sent, as a client's parser finds them. */
function eventsOf(sent: Iterable<string>): (readonly [event: string | null, data: string])[] {
  const events: (readonly [string | null, string])[] = [];
  const scanner = new EventScanner({ eventBytesMax: 1_000_000 });
  for (const text of sent) {
    scanner.push(new TextEncoder().encode(text), ({ event, data }) => {
      if (data !== null) events.push([event, data]);
    });
  }
  assert.equal(scanner.pendingBytes, 0, "every event has its blank line");
  return events;
}

function recordStream(surface: CachedSurface, sent: Iterable<string>): AnswerRecord {
  const recorder = new StreamRecorder(surface, LIMIT);
  for (const [event, data] of eventsOf(sent)) recorder.push(event, data);
  return recordOf(recorder.finish());
}

function recordWhole(surface: CachedSurface, json: JsonObject): AnswerRecord {
  return recordOf(recordAnswer(surface, JSON.parse(JSON.stringify(json)), LIMIT));
}

function recordOf(recorded: Recorded): AnswerRecord {
  assert.ok("record" in recorded, JSON.stringify(recorded));
  return recorded.record;
}

/** What comes back from a stream: a text that had come whole is one piece. */
function streamed(record: AnswerRecord): AnswerRecord {
  return record.pieces.length > 0 ? record : { ...record, pieces: [record.text.length] };
}

/** An object as `JSON.parse` makes it. */
function plain<T>(members: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record<T>(members, { noNullPrototype: true });
}

function arbitraryRecord(surface: CachedSurface): fc.Arbitrary<AnswerRecord> {
  const piece = fc.string({ minLength: 1, unit: "binary" });
  const counts = surface === "chat" || surface === "completions"
    ? fc.option(plain({ prompt_tokens: fc.nat(), completion_tokens: fc.nat() }))
    : plain({
      input_tokens: fc.nat(),
      output_tokens: fc.nat(),
      output_tokens_details: fc.constantFrom(null, { reasoning_tokens: 0 }),
      service_tier: fc.constant("standard"),
    });
  const reasoning = plain({
    field: fc.constantFrom(...REASONING_FIELDS),
    text: fc.string({ minLength: 1 }),
  });
  const extra: fc.Arbitrary<JsonObject> = surface === "messages"
    ? fc.constant({})
    : surface === "responses"
    ? fc.record({
      temperature: fc.nat(2),
      text: fc.constant({ format: { type: "json_object" } }),
      store: fc.boolean(),
    }, { requiredKeys: [], noNullPrototype: true })
    : plain({ system_fingerprint: fc.string({ minLength: 1 }) });
  return fc.record({
    finish: fc.constantFrom(...STORED_FINISHES[surface]),
    model: fc.string({ minLength: 1 }),
    usage: counts,
    extra,
    reasoning: surface === "chat" ? fc.option(reasoning) : fc.constant(null),
    stopSequence: surface === "messages" ? fc.option(fc.string()) : fc.constant(null),
    parts: fc.array(piece, { minLength: 1, maxLength: 8 }),
    isWhole: fc.boolean(),
  }).map(({ parts, isWhole, ...rest }) => {
    const pieces: number[] = [];
    let text = "";
    for (const part of parts) {
      appendPiece(pieces, text, part);
      text += part;
    }
    return { surface, text, pieces: isWhole ? [] : pieces, ...rest };
  });
}

for (const surface of SURFACES) {
  Deno.test(`replayEvents() gives ${surface} that are recorded as the same`, () => {
    fc.assert(fc.property(arbitraryRecord(surface), (record) => {
      const sent = replayEvents(record, OPTIONS);
      assert.deepEqual(recordStream(surface, sent), streamed(record));
    }));
  });

  Deno.test(`replayAnswer() gives ${surface} that are recorded as the same, in one piece`, () => {
    fc.assert(fc.property(arbitraryRecord(surface), (record) => {
      const whole = replayAnswer(record, OPTIONS);
      assert.deepEqual(recordWhole(surface, whole), { ...record, pieces: [] });
    }));
  });

  Deno.test(`replays of ${surface} are complete to the relay's own reader`, () => {
    fc.assert(fc.property(arbitraryRecord(surface), (record) => {
      const progress = new Progress();
      for (const [event, data] of eventsOf(replayEvents(record, OPTIONS))) {
        const reading = readEvent(surface, event, data);
        assert.ok(!reading.malformed && reading.error === null, data);
        progress.push(reading);
      }
      assert.ok(progress.finished && progress.ended);
      assert.equal(progress.finish, record.finish);
      const whole = readAnswer(surface, JSON.stringify(replayAnswer(record, OPTIONS)));
      assert.equal(whole.problem, null);
      assert.equal(whole.error, null);
      assert.equal(whole.finish, record.finish);
      assert.deepEqual(progress.usage, whole.usage);
    }));
  });

  Deno.test(`encodeRecord() writes ${surface} that decodeRecord() reads`, () => {
    fc.assert(fc.property(arbitraryRecord(surface), (record) => {
      assert.deepEqual(decodeRecord(encodeRecord(record)), record);
    }));
  });
}

const FORMATS: Readonly<Record<CachedSurface, WireFormat>> = {
  chat: CHAT_FORMAT,
  completions: COMPLETIONS_FORMAT,
  messages: MESSAGES_FORMAT,
  responses: RESPONSES_FORMAT,
};

/** What a simulated backend says to a prompt. */
function simulated(
  surface: CachedSurface,
  options: { readonly reasoningWords?: number } = {},
): Exchange {
  const request: TextRequest = {
    surface,
    model: "simulated",
    stream: true,
    includeUsage: true,
    turns: [{ role: "user", text: "What is a weir good for?" }],
    lastRole: "user",
    tokensMax: null,
    stops: [],
    tools: [],
    toolChoice: "auto",
    reasoning: false,
  };
  const answer = answerTo(request, { variation: 0, ...options });
  return { request, answer, id: "abc", createdSeconds: 1_700_000_000 };
}

for (const surface of SURFACES) {
  Deno.test(`a simulated backend's ${surface} are recorded alike from stream and JSON`, () => {
    const exchange = simulated(surface);
    const sent = Array.from(FORMATS[surface].events(exchange), ({ text }) => text);
    const live = recordStream(surface, sent);
    const whole = recordWhole(surface, JSON.parse(FORMATS[surface].whole(exchange)));
    const { tokens } = exchange.answer;
    assert.equal(live.text, tokens.join(""));
    assert.deepEqual(live.pieces, tokens.map((token) => token.length));
    assert.deepEqual({ ...live, pieces: [] }, whole);
    for (const record of [live, whole]) {
      assert.deepEqual(recordWhole(surface, replayAnswer(record, OPTIONS)), whole);
      assert.deepEqual(recordStream(surface, replayEvents(record, OPTIONS)), streamed(record));
    }
  });

  Deno.test(`a replay of ${surface} has the events and fields of the live answer`, () => {
    const exchange = simulated(surface);
    const sent = Array.from(FORMATS[surface].events(exchange), ({ text }) => text);
    const replayed = replayEvents(recordStream(surface, sent), OPTIONS);
    const seen = eventsOf(replayed).filter(([, data]) => data !== "[DONE]");
    const expected = eventsOf(sent).filter(([name, data]) => data !== "[DONE]" && name !== "ping");
    assert.deepEqual(seen.map(([name]) => name), expected.map(([name]) => name));
    for (const [index, [, data]] of expected.entries()) {
      assertShape(JSON.parse(seen[index]?.[1] ?? "null"), JSON.parse(data), `event ${index}`);
    }
    const whole = JSON.parse(FORMATS[surface].whole(exchange));
    assertShape(replayAnswer(recordWhole(surface, whole), OPTIONS), whole, "answer");
  });
}

/** Every member of `expected` is there, and of its type; ids and times may differ. */
function assertShape(actual: unknown, expected: unknown, path: string): void {
  if (typeof expected !== "object" || expected === null) {
    assert.equal(typeof actual, typeof expected, path);
    const isNew = /\.(id|item_id|created|created_at)$/.test(path);
    if (!isNew) assert.equal(actual, expected, path);
    return;
  }
  assert.ok(typeof actual === "object" && actual !== null, path);
  assert.equal(Array.isArray(actual), Array.isArray(expected), path);
  for (const [name, value] of Object.entries(expected)) {
    assert.ok(Object.hasOwn(actual, name), `${path}.${name} is missing`);
    assertShape((actual as JsonObject)[name], value, `${path}.${name}`);
  }
}

Deno.test("reasoning is replayed in chat, and keeps the other surfaces from being stored", () => {
  for (const surface of SURFACES) {
    const exchange = simulated(surface, { reasoningWords: 5 });
    const { events, whole } = FORMATS[surface];
    const recorder = new StreamRecorder(surface, LIMIT);
    const sent = Array.from(events(exchange), ({ text }) => text);
    for (const [event, data] of eventsOf(sent)) recorder.push(event, data);
    const json = JSON.parse(whole(exchange));
    const both = [recorder.finish(), recordAnswer(surface, json, LIMIT)];
    for (const recorded of both) {
      if (surface === "completions") continue; // It has no place for reasoning.
      if (surface !== "chat") assert.deepEqual(recorded, { refused: "media" });
      else {
        const text = exchange.answer.thoughts.join("");
        assert.deepEqual(recordOf(recorded).reasoning, { field: "reasoning_content", text });
      }
    }
  }
});
