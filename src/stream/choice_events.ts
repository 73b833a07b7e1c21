/**
 * Chunks of chat completions and of legacy completions.
 *
 * @module
 */
import { isObject, isText, type JsonObject, type ReadingDraft } from "./wire.ts";
import { usageFrom } from "./usage.ts";

/** Notes what a `chat.completion.chunk` or `text_completion` chunk means. */
export function readChoiceChunk(json: JsonObject, draft: ReadingDraft): void {
  if (isText(json.model)) draft.model = json.model;
  // Most chunks say `"usage": null` or leave it out.
  if (json.usage) draft.usage = usageFrom(json.usage);
  const { choices } = json;
  if (!Array.isArray(choices)) return;
  if (choices.length === 0) {
    draft.usageOnly = draft.usage !== null;
    return;
  }
  for (const choice of choices) {
    if (!isObject(choice)) continue;
    if (isText(choice.finish_reason)) draft.finish = choice.finish_reason;
    if (isText(choice.text) || (isObject(choice.delta) && deltaHasContent(choice.delta))) {
      draft.content = true;
    }
  }
}

function deltaHasContent(delta: JsonObject): boolean {
  if (hasContent(delta.content)) return true;
  return hasContent(delta.reasoning_content) || hasContent(delta.reasoning) ||
    hasContent(delta.refusal) || hasToolCall(delta.tool_calls) ||
    hasFunction(delta.function_call) ||
    hasAudio(delta.audio);
}

/** A string with something in it, or (some backends) a list of parts. */
function hasContent(value: unknown): boolean {
  return typeof value === "string" ? value !== "" : Array.isArray(value) && value.length > 0;
}

function hasToolCall(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  for (const call of value) {
    if (!isObject(call)) continue;
    if (isText(call.id) || hasFunction(call.function) || hasFunction(call.custom)) return true;
  }
  return false;
}

function hasFunction(value: unknown): boolean {
  return isObject(value) && (isText(value.name) || isText(value.arguments) || isText(value.input));
}

function hasAudio(value: unknown): boolean {
  return isObject(value) && (isText(value.data) || isText(value.transcript));
}
