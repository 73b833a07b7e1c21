/**
 * Reads chat completions and the older completions.
 *
 * Servers add fields of their own. At the top these are figures about the answer,
 * but for a few that are part of it; inside a choice and its message, what is
 * unknown and holds something is taken for a part of the answer.
 *
 * @module
 */
import type { JsonObject, StoreRefusal } from "../../types.ts";
import { carriesData, isObject, isText } from "../fields.ts";
import type { AnswerDraft } from "./draft.ts";

/** Where a choice holds its content. */
type Body = "delta" | "message" | "text";

const REFUSAL_BY_FINISH: ReadonlyMap<string, StoreRefusal> = new Map([
  ["length", "truncated"],
  ["max_tokens", "truncated"],
  ["model_length", "truncated"],
  ["content_filter", "filtered"],
  ["safety", "filtered"],
  ["recitation", "filtered"],
  ["sensitive", "filtered"],
  ["refusal", "filtered"],
  ["tool_calls", "tool_call"],
  ["tool_use", "tool_call"],
  ["function_call", "tool_call"],
  ["error", "error"],
]);

/** Reads a chunk of a stream. */
export function readChoicesChunk(json: JsonObject, draft: AnswerDraft): void {
  readTop(json, draft);
  const { choices } = json;
  // Chunks for usage and for filter results have no choice, or none at all.
  if (choices === undefined || choices === null) return;
  if (!Array.isArray(choices)) return draft.refuse("unreadable");
  readChoices(choices, draft.surface === "chat" ? "delta" : "text", draft);
}

/** Reads a whole answer. */
export function readChoicesAnswer(json: JsonObject, draft: AnswerDraft): void {
  readTop(json, draft);
  const { choices } = json;
  if (!Array.isArray(choices)) return draft.refuse("unreadable");
  readChoices(choices, draft.surface === "chat" ? "message" : "text", draft);
}

function readTop(json: JsonObject, draft: AnswerDraft): void {
  for (const name in json) {
    const value = json[name];
    if (value === null) continue;
    switch (name) {
      case "model":
        if (isText(value)) draft.model = value;
        break;
      case "usage":
        if (isObject(value)) draft.usage = value;
        break;
      case "service_tier":
      case "system_fingerprint":
        draft.keep(name, value);
        break;
      case "citations":
      case "images":
      case "audio":
      case "moderation": // Verdicts on this request and this answer, where they were asked for.
      case "prompt_logprobs":
      case "prompt_token_ids":
      case "related_questions":
      case "search_results":
      case "web_search":
        if (carriesData(value)) draft.refuse("media");
        break;
    }
  }
}

function readChoices(choices: readonly unknown[], body: Body, draft: AnswerDraft): void {
  if (choices.length > 1) return draft.refuse("choices");
  for (const choice of choices) {
    if (isObject(choice)) readChoice(choice, body, draft);
    else draft.refuse("unreadable");
  }
}

function readChoice(choice: JsonObject, body: Body, draft: AnswerDraft): void {
  for (const name in choice) {
    const value = choice[name];
    if (value === null) continue;
    switch (name) {
      case "index":
        if (value !== 0) draft.refuse("choices");
        break;
      case body:
        readBody(value, draft);
        break;
      case "finish_reason":
        readFinish(value, draft);
        break;
      case "error":
        if (carriesData(value)) draft.refuse("error");
        break;
      case "content_filter_results":
        if (saysFiltered(value)) draft.refuse("filtered");
        break;
      case "content_filter_offsets":
      case "matched_stop":
      case "native_finish_reason":
      case "seed":
      case "stop_reason":
        break; // Figures about the answer, of several servers.
      default:
        if (carriesData(value)) draft.refuse("media");
    }
  }
}

function readBody(value: unknown, draft: AnswerDraft): void {
  if (typeof value === "string" && draft.surface === "completions") draft.appendText(value);
  else if (isObject(value) && draft.surface === "chat") readMessage(value, draft);
  else draft.refuse("unreadable");
}

/** A whole message, or what a chunk adds to it. */
function readMessage(message: JsonObject, draft: AnswerDraft): void {
  for (const name in message) {
    const value = message[name];
    if (value === null) continue;
    switch (name) {
      case "role":
        if (value !== "assistant" && value !== "") draft.refuse("media");
        break;
      case "content":
        if (typeof value === "string") draft.appendText(value);
        else if (carriesData(value)) draft.refuse("media");
        break;
      case "reasoning":
      case "reasoning_content":
        if (typeof value !== "string" && carriesData(value)) draft.refuse("media");
        break;
      case "refusal":
        if (carriesData(value)) draft.refuse("filtered");
        break;
      case "tool_calls":
      case "function_call":
        if (carriesData(value)) draft.refuse("tool_call");
        break;
      default:
        if (carriesData(value)) draft.refuse("media");
    }
  }
  readReasoning(message, draft);
}

/** Both names at once are kept only where both say the same. */
function readReasoning(message: JsonObject, draft: AnswerDraft): void {
  const { reasoning, reasoning_content: content } = message;
  if (!isText(reasoning)) {
    if (isText(content)) draft.appendReasoning("reasoning_content", content);
  } else if (!isText(content)) {
    draft.appendReasoning("reasoning", reasoning);
  } else if (reasoning === content) {
    draft.appendReasoning("reasoning reasoning_content", reasoning);
  } else {
    draft.refuse("media");
  }
}

function readFinish(value: unknown, draft: AnswerDraft): void {
  if (value === "stop") {
    draft.finish = value;
    draft.ended = true;
  } else if (isText(value)) {
    draft.refuse(REFUSAL_BY_FINISH.get(value) ?? "incomplete");
  } else if (carriesData(value)) {
    draft.refuse("unreadable");
  }
}

/** Azure's verdicts by category: `{"violence": {"filtered": true, …}, …}`. */
function saysFiltered(results: unknown): boolean {
  return isObject(results) &&
    Object.values(results).some((verdict) => isObject(verdict) && verdict.filtered === true);
}
