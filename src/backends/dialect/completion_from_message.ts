/**
 * An answer of the Messages API as a chat completion.
 *
 * Thinking becomes `reasoning_content`. Where it is signed or encrypted it
 * stands in `thinking_blocks` as well, the field that other gateways use: a
 * caller that sends the message back whole lets the model go on from its own
 * thoughts.
 *
 * @module
 */
import { chatUsage, finishReason } from "./finish.ts";
import { isObject, type JsonObject, objectOf, textOf } from "./json_value.ts";
import { unreadable } from "./refusal.ts";
import { argumentsFromInput } from "./tools.ts";

/**
 * Translates a whole answer.
 *
 * @param json The backend's answer.
 * @param createdSeconds When it was made, in seconds since the Unix epoch: the
 * Messages API does not say.
 * @throws {GatewayError} `answer_unreadable` if it is not a message.
 */
export function completionFromMessage(json: unknown, createdSeconds: number): JsonObject {
  if (!isObject(json) || !Array.isArray(json["content"])) {
    throw unreadable("it is not a message with content");
  }
  const stopSequence = json["stop_sequence"];
  const choice: JsonObject = {
    index: 0,
    message: chatMessage(json),
    logprobs: null,
    finish_reason: finishReason(json["stop_reason"]),
  };
  // Where vLLM tells which sequence it met; the chat API itself has no place for it.
  if (typeof stopSequence === "string") choice["stop_reason"] = stopSequence;
  return {
    id: textOf(json["id"]),
    object: "chat.completion",
    created: createdSeconds,
    model: textOf(json["model"]),
    choices: [choice],
    usage: chatUsage(json["usage"]),
  };
}

/** The thinking of an answer that has to be sent back to be of use. */
export function keptThinking(block: JsonObject, index: number): JsonObject | null {
  if (block["type"] === "redacted_thinking") {
    return { index, type: "redacted_thinking", data: textOf(block["data"]) };
  }
  const signature = textOf(block["signature"]);
  if (block["type"] !== "thinking" || signature === "") return null;
  return { index, type: "thinking", thinking: textOf(block["thinking"]), signature };
}

function chatMessage(json: JsonObject): JsonObject {
  const calls: JsonObject[] = [];
  const kept: JsonObject[] = [];
  let text = "";
  let reasoning = "";
  for (const block of json["content"] as readonly unknown[]) {
    if (!isObject(block)) continue;
    if (block["type"] === "text") text += textOf(block["text"]);
    if (block["type"] === "thinking") reasoning += textOf(block["thinking"]);
    if (block["type"] === "tool_use") calls.push(toolCall(block));
    const thinking = keptThinking(block, kept.length);
    if (thinking !== null) kept.push(thinking);
  }
  const explanation = objectOf(json["stop_details"])["explanation"];
  const refused = json["stop_reason"] === "refusal" && typeof explanation === "string";
  const message: JsonObject = {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    refusal: refused ? explanation : null,
  };
  if (reasoning !== "") message["reasoning_content"] = reasoning;
  if (kept.length > 0) message["thinking_blocks"] = kept;
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
