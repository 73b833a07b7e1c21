/**
 * Answers in the words of several servers, for the tests of what is recorded.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AnswerRecord, CachedSurface, JsonObject } from "../types.ts";
import { type Recorded, StreamRecorder } from "./recorder.ts";

/** A limit that nothing here reaches. */
export const LIMIT = { bytesMax: 100_000 };
/** An event's name, and its data: text, or what is written as JSON. */
export type Event = readonly [name: string | null, data: unknown];

/** Counts of an OpenAI-like server. */
export const USAGE = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
/** What chat chunks begin with. */
export const HEAD = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m" };

/** Plays events into a recorder; data that is no string is written as JSON. */
export function play(surface: CachedSurface, events: readonly Event[], options = LIMIT): Recorded {
  const recorder = new StreamRecorder(surface, options);
  for (const [name, data] of events) {
    recorder.push(name, typeof data === "string" ? data : JSON.stringify(data));
  }
  return recorder.finish();
}

/** The record, where there has to be one. */
export function recordOf(recorded: Recorded): AnswerRecord {
  assert.ok("record" in recorded, JSON.stringify(recorded));
  return recorded.record;
}

/** Events of a chat stream with these choices, one a chunk. */
export function chat(...choices: readonly JsonObject[]): Event[] {
  return choices.map((choice) => [null, { ...HEAD, choices: [{ index: 0, ...choice }] }]);
}

/** A choice that brings text. */
export function content(text: string, more: JsonObject = {}): JsonObject {
  return { delta: { content: text }, finish_reason: null, ...more };
}

/** A choice that ends well. */
export const STOP = { delta: {}, finish_reason: "stop" };

/** Events of a message stream with these in place of its one block. */
export function message(
  blocks: readonly JsonObject[],
  delta: JsonObject = { stop_reason: "end_turn", stop_sequence: null },
): Event[] {
  const start = {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 5, cache_read_input_tokens: 3, output_tokens: 1 },
  };
  const events: JsonObject[] = [
    { type: "message_start", message: start },
    { type: "ping" },
    ...blocks,
    { type: "message_delta", delta, usage: { output_tokens: 12 } },
    { type: "message_stop" },
  ];
  return events.map((event) => [String(event.type), event]);
}

/** The events of a text block in these pieces. */
export function textBlock(...pieces: readonly string[]): JsonObject[] {
  return [
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    ...pieces.map((text) => ({
      type: "content_block_delta",
      index: 0,
      delta: { type: "text_delta", text },
    })),
    { type: "content_block_stop", index: 0 },
  ];
}

/** A response with one message of one text. */
export function response(text: string, more: JsonObject = {}): JsonObject {
  const part = { type: "output_text", text, annotations: [], logprobs: [] };
  return {
    id: "resp_1",
    object: "response",
    created_at: 1,
    status: "completed",
    error: null,
    incomplete_details: null,
    model: "m",
    output: [{
      id: "msg_1",
      type: "message",
      status: "completed",
      role: "assistant",
      content: [part],
    }],
    usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
    ...more,
  };
}

/** The events of a response in these pieces, up to its end. */
export function responseStream(pieces: readonly string[], end: JsonObject): Event[] {
  const item = {
    id: "msg_1",
    type: "message",
    status: "in_progress",
    role: "assistant",
    content: [],
  };
  const events: JsonObject[] = [
    { type: "response.created", response: { status: "in_progress", output: [] } },
    { type: "response.output_item.added", output_index: 0, item },
    {
      type: "response.content_part.added",
      part: { type: "output_text", text: "", annotations: [] },
    },
    ...pieces.map((delta) => ({ type: "response.output_text.delta", delta, logprobs: [] })),
    { type: "response.output_text.done", text: pieces.join("") },
    { type: `response.${String(end.status)}`, response: end },
  ];
  return events.map((event) => [String(event.type), event]);
}
