/**
 * A conversation of the Messages API as chat messages.
 *
 * A turn of the user that holds results becomes one `tool` message a result and
 * a `user` message for the rest. Images and documents inside a result move into
 * that message, since tool messages are text. Thinking that another vendor
 * signed is of no use to this backend and left out; unsigned thinking is what a
 * chat backend said itself, and goes back to it as `reasoning_content`.
 *
 * @module
 */
import { joinedText, partFromBlock, shown } from "./content.ts";
import { isObject, type JsonObject, listOf, textOf } from "./json_value.ts";
import { malformed, untranslatable } from "./refusal.ts";
import { argumentsFromInput } from "./tools.ts";

/**
 * Rewrites a conversation.
 *
 * @param body The messages request: its `system` and `messages`.
 * @throws {GatewayError} If a message is malformed or holds what cannot be sent.
 */
export function chatFromConversation(body: JsonObject): JsonObject[] {
  const messages = body["messages"];
  if (!Array.isArray(messages)) throw malformed("messages", "messages must be an array");
  const system = joinedText(body["system"], "\n\n");
  const result: JsonObject[] = system === "" ? [] : [{ role: "system", content: system }];
  messages.forEach((message: unknown, index) => {
    const param = `messages[${index}]`;
    if (!isObject(message)) throw malformed(param, "a message must be an object");
    const blocks = blocksOf(message["content"], `${param}.content`);
    switch (message["role"]) {
      case "user":
        result.push(...userMessages(blocks, `${param}.content`));
        break;
      case "assistant":
        result.push(assistantMessage(blocks, `${param}.content`));
        break;
      case "system":
        result.push({ role: "system", content: joinedText(blocks, "\n\n") });
        break;
      default:
        throw malformed(`${param}.role`, `the role ${shown(message["role"])} is unknown`);
    }
  });
  return result;
}

function blocksOf(content: unknown, param: string): readonly JsonObject[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) throw malformed(param, "content must be a string or an array");
  return content.map((block: unknown, at) => {
    if (!isObject(block)) throw malformed(`${param}[${at}]`, "a content block must be an object");
    return block;
  });
}

function userMessages(blocks: readonly JsonObject[], param: string): JsonObject[] {
  const results: JsonObject[] = [];
  const attached: JsonObject[] = [];
  const parts: JsonObject[] = [];
  blocks.forEach((block, at) => {
    const where = `${param}[${at}]`;
    if (block["type"] !== "tool_result") {
      const part = partFromBlock(block, where);
      if (part !== null) parts.push(part);
      return;
    }
    results.push(toolMessage(block));
    attached.push(...attachments(block, where));
  });
  const content = [...attached, ...parts];
  if (content.length === 0) return results.length > 0 ? results : [{ role: "user", content: "" }];
  return [...results, { role: "user", content: plainest(content) }];
}

function plainest(parts: readonly JsonObject[]): unknown {
  const only = parts[0];
  return parts.length === 1 && only?.["type"] === "text" ? only["text"] : parts;
}

function toolMessage(block: JsonObject): JsonObject {
  const text = joinedText(block["content"], "\n");
  // The chat API has no mark for a failed call; the model has to read it.
  const failed = block["is_error"] === true && !/^\W*error/i.test(text);
  return {
    role: "tool",
    tool_call_id: textOf(block["tool_use_id"]),
    content: failed ? `Error: ${text}` : text,
  };
}

function attachments(block: JsonObject, param: string): JsonObject[] {
  return listOf(block["content"]).flatMap((inner, at) => {
    if (isObject(inner) && inner["type"] === "text") return [];
    const part = partFromBlock(inner, `${param}.content[${at}]`);
    return part === null ? [] : [part];
  });
}

function assistantMessage(blocks: readonly JsonObject[], param: string): JsonObject {
  const calls: JsonObject[] = [];
  let reasoning = "";
  let text = "";
  blocks.forEach((block, at) => {
    switch (block["type"]) {
      case "text":
        text += textOf(block["text"]);
        break;
      case "thinking":
        if (textOf(block["signature"]) === "") reasoning += textOf(block["thinking"]);
        break;
      case "redacted_thinking":
        break;
      case "tool_use":
        calls.push(toolCall(block));
        break;
      default:
        throw untranslatable(
          `${param}[${at}]`,
          `content of type ${shown(block["type"])} has no counterpart`,
        );
    }
  });
  const message: JsonObject = { role: "assistant", content: text };
  if (text === "" && calls.length > 0) message["content"] = null;
  if (reasoning !== "") message["reasoning_content"] = reasoning;
  if (calls.length > 0) message["tool_calls"] = calls;
  return message;
}

function toolCall(block: JsonObject): JsonObject {
  return {
    id: textOf(block["id"]),
    type: "function",
    function: { name: textOf(block["name"]), arguments: argumentsFromInput(block["input"]) },
  };
}
