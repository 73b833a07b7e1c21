/**
 * Reads Anthropic's messages.
 *
 * Thinking is refused with everything else that is no text: its blocks are signed
 * for the conversation they were made in.
 *
 * @module
 */
import type { JsonObject, StoreRefusal } from "../../types.ts";
import { carriesData, isObject, isText } from "../fields.ts";
import { STORED_FINISHES } from "../surface_facts.ts";
import type { AnswerDraft } from "./draft.ts";

const REFUSAL_BY_STOP: ReadonlyMap<string, StoreRefusal> = new Map([
  ["max_tokens", "truncated"],
  ["model_context_window_exceeded", "truncated"],
  ["pause_turn", "truncated"],
  ["compaction", "truncated"],
  ["tool_use", "tool_call"],
  ["refusal", "filtered"],
]);

/** Reads an event of a stream. */
export function readMessagesEvent(json: JsonObject, draft: AnswerDraft): void {
  switch (json.type) {
    case "ping":
    case "content_block_stop":
      return;
    case "message_start":
      if (!isObject(json.message)) return draft.refuse("unreadable");
      if (carriesData(json.message.content)) return draft.refuse("media");
      return readTop(json.message, draft);
    case "content_block_start":
      return isObject(json.content_block)
        ? draft.appendText(readBlock(json.content_block, draft))
        : draft.refuse("unreadable");
    case "content_block_delta":
      return isObject(json.delta) ? readDelta(json.delta, draft) : draft.refuse("unreadable");
    case "message_delta":
      if (isObject(json.delta)) readTop(json.delta, draft);
      return mergeUsage(json.usage, draft);
    case "message_stop":
      draft.ended = true;
      return;
    default:
      // Newer kinds of events may be part of the answer.
      draft.refuse(isText(json.type) ? "media" : "unreadable");
  }
}

/** Reads a whole answer. */
export function readMessagesAnswer(json: JsonObject, draft: AnswerDraft): void {
  readTop(json, draft);
  if (!Array.isArray(json.content)) return draft.refuse("unreadable");
  for (const block of json.content) {
    if (isObject(block)) draft.appendText(readBlock(block, draft));
    else draft.refuse("unreadable");
  }
  draft.ended = true;
}

/** What a message says besides its content, at its start or at its end. */
function readTop(message: JsonObject, draft: AnswerDraft): void {
  if (isText(message.model)) draft.model = message.model;
  if (isText(message.stop_reason)) readStop(message.stop_reason, draft);
  if (typeof message.stop_sequence === "string") draft.stopSequence = message.stop_sequence;
  if (carriesData(message.container)) draft.refuse("tool_call");
  mergeUsage(message.usage, draft);
}

function readStop(reason: string, draft: AnswerDraft): void {
  if (STORED_FINISHES.messages.includes(reason)) draft.finish = reason;
  else draft.refuse(REFUSAL_BY_STOP.get(reason) ?? "incomplete");
}

/** Counts at the end are totals that stand for those at the start; some are left out. */
function mergeUsage(usage: unknown, draft: AnswerDraft): void {
  if (!isObject(usage)) return;
  const merged: Record<string, unknown> = { ...draft.usage };
  for (const [name, value] of Object.entries(usage)) {
    if (value !== null || !Object.hasOwn(merged, name)) merged[name] = value;
  }
  draft.usage = merged;
  const { server_tool_use: calls } = merged;
  if (
    isObject(calls) && Object.values(calls).some((count) => typeof count === "number" && count > 0)
  ) {
    draft.refuse("tool_call");
  }
}

/** The text of a block; a second one would be lost in a record. */
function readBlock(block: JsonObject, draft: AnswerDraft): string {
  const { type, text, ...rest } = block;
  if (type !== "text") {
    draft.refuse(refusalOfBlock(type));
    return "";
  }
  if (++draft.parts > 1 || Object.values(rest).some((value) => carriesData(value))) {
    draft.refuse("media");
  }
  if (typeof text === "string") return text;
  draft.refuse("unreadable");
  return "";
}

function refusalOfBlock(type: unknown): StoreRefusal {
  if (!isText(type)) return "unreadable";
  return type.endsWith("tool_use") || type.endsWith("tool_result") ? "tool_call" : "media";
}

function readDelta(delta: JsonObject, draft: AnswerDraft): void {
  switch (delta.type) {
    case "text_delta":
      if (typeof delta.text !== "string" || draft.parts === 0) return draft.refuse("unreadable");
      return draft.appendText(delta.text);
    case "input_json_delta":
      return draft.refuse("tool_call");
    default:
      return draft.refuse(isText(delta.type) ? "media" : "unreadable");
  }
}
