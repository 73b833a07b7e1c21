/**
 * A chat completion as an answer of the Messages API.
 *
 * @module
 */
import { joinedText } from "./content.ts";
import { matchedStop, messagesUsage, stopFrom } from "./finish.ts";
import { isObject, type JsonObject, listOf, objectOf, textOf } from "./json_value.ts";
import { unreadable } from "./refusal.ts";
import { inputFromArguments } from "./tools.ts";

/**
 * Translates a whole answer.
 *
 * @param json The backend's answer; of several choices the first counts.
 * @throws {GatewayError} `answer_unreadable` if it is not a chat completion.
 */
export function messageFromCompletion(json: unknown): JsonObject {
  const choice = isObject(json) ? listOf(json["choices"])[0] : undefined;
  if (!isObject(json) || !isObject(choice) || !isObject(choice["message"])) {
    throw unreadable("it is not a chat completion with a choice");
  }
  const message = choice["message"];
  const calls = listOf(message["tool_calls"]).filter(isObject);
  const refusal = textOf(message["refusal"]);
  const text = joinedText(message["content"], "");
  const content: JsonObject[] = thinkingBlocks(message);
  if (text !== "") content.push({ type: "text", text });
  if (refusal !== "") content.push({ type: "text", text: refusal });
  content.push(...calls.map((call, at) => toolUse(call, `${textOf(json["id"])}_${at}`)));

  const stop = stopFrom(refusal === "" ? choice["finish_reason"] : "content_filter", {
    callsTools: calls.length > 0,
    sequence: matchedStop(choice),
  });
  return {
    id: textOf(json["id"]),
    type: "message",
    role: "assistant",
    model: textOf(json["model"]),
    content,
    stop_reason: stop.reason,
    stop_sequence: stop.sequence,
    usage: messagesUsage(json["usage"]),
  };
}

/** The reasoning in a message or a delta: two names are in use. */
export function reasoningText(message: JsonObject): string {
  return textOf(message["reasoning_content"]) || textOf(message["reasoning"]) ||
    listOf(message["content"]).filter(isObject).filter((part) => part["type"] === "thinking")
      .map((part) => joinedText(part["thinking"], "")).join("");
}

function thinkingBlocks(message: JsonObject): JsonObject[] {
  // Another gateway's signed blocks are worth more than their bare text.
  const signed = listOf(message["thinking_blocks"]).filter(isObject).flatMap(
    (block): JsonObject[] => {
      if (block["type"] === "redacted_thinking") {
        return [{ type: "redacted_thinking", data: textOf(block["data"]) }];
      }
      return block["type"] === "thinking" ? [thinkingBlock(block["thinking"], block)] : [];
    },
  );
  if (signed.length > 0) return signed;
  const reasoning = reasoningText(message);
  return reasoning === "" ? [] : [thinkingBlock(reasoning, {})];
}

function thinkingBlock(thinking: unknown, from: JsonObject): JsonObject {
  return {
    type: "thinking",
    thinking: textOf(thinking),
    signature: textOf(from["signature"]),
  };
}

function toolUse(call: JsonObject, fallbackId: string): JsonObject {
  const called = objectOf(call["function"]);
  return {
    type: "tool_use",
    id: textOf(call["id"]) || fallbackId,
    name: textOf(called["name"]),
    input: inputFromArguments(textOf(called["arguments"])),
  };
}
