/**
 * Events of Anthropic's messages API.
 *
 * @module
 */
import { isObject, isText, type JsonObject, type ReadingDraft } from "./wire.ts";
import { usageFrom } from "./usage.ts";

/** Notes what an event of a message stream means. */
export function readMessageEvent(json: JsonObject, draft: ReadingDraft): void {
  switch (json.type) {
    case "content_block_delta":
      draft.content = isObject(json.delta) && deltaHasContent(json.delta);
      return;
    case "content_block_start":
      draft.content = isObject(json.content_block) && blockHasContent(json.content_block);
      return;
    case "message_start":
      if (!isObject(json.message)) return;
      if (isText(json.message.model)) draft.model = json.message.model;
      draft.usage = usageFrom(json.message.usage);
      return;
    case "message_delta":
      if (isObject(json.delta) && isText(json.delta.stop_reason)) {
        draft.finish = json.delta.stop_reason;
      }
      draft.usage = usageFrom(json.usage);
      return;
    case "message_stop":
      draft.terminal = true;
      return;
  }
}

/** A delta has one member beside its type; signatures and citations count, too. */
function deltaHasContent(delta: JsonObject): boolean {
  return isText(delta.text) || isText(delta.partial_json) || isText(delta.thinking) ||
    isText(delta.signature) || isObject(delta.citation);
}

/** Text and thinking start empty; every other kind of block says something by starting. */
function blockHasContent(block: JsonObject): boolean {
  if (block.type === "text") return isText(block.text);
  if (block.type === "thinking") return isText(block.thinking);
  return true;
}
