/**
 * A chat conversation as the Messages API wants it.
 *
 * There, turns alternate; the results of all calls of one turn stand together at
 * the beginning of the next; the system prompt stands apart; empty text is
 * refused. So neighbours of one side become one turn, results go first, system
 * and developer messages are collected wherever they stand, and an assistant's
 * message without content is left out.
 *
 * @module
 */
import { blockFromPart, shown, textBlock } from "./content.ts";
import { isObject, type JsonObject, listOf, objectOf, textOf } from "./json_value.ts";
import { malformed, untranslatable } from "./refusal.ts";
import { inputFromArguments, toolUseId } from "./tools.ts";

/** A conversation of the Messages API. */
export interface Conversation {
  /** Blocks of the system prompt. */
  readonly system: readonly JsonObject[];
  /** Turns, the user's and the assistant's. */
  readonly messages: readonly JsonObject[];
}

interface Turn {
  readonly role: "user" | "assistant";
  readonly blocks: JsonObject[];
}

/**
 * Rewrites a conversation.
 *
 * @param messages The chat request's `messages`.
 * @throws {GatewayError} If a message is malformed or holds what cannot be sent.
 */
export function conversationFromChat(messages: unknown): Conversation {
  if (!Array.isArray(messages)) throw malformed("messages", "messages must be an array");
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  messages.forEach((message: unknown, index) => {
    const param = `messages[${index}]`;
    if (!isObject(message)) throw malformed(param, "a message must be an object");
    switch (message["role"]) {
      case "system":
      case "developer":
        system.push(...contentBlocks(message["content"], param));
        break;
      case "user":
        append(turns, "user", contentBlocks(message["content"], param));
        break;
      case "assistant":
        append(turns, "assistant", assistantBlocks(message, param));
        break;
      case "tool":
        append(turns, "user", [toolResult(message, param)]);
        break;
      case "function":
        throw untranslatable(`${param}.role`, "function messages, which tool messages replaced");
      default:
        throw malformed(`${param}.role`, `the role ${shown(message["role"])} is unknown`);
    }
  });
  return { system, messages: turns.map(messageFromTurn) };
}

/**
 * The content of a turn or of the system prompt: plain where nothing but one text is said.
 */
export function plainest(blocks: readonly JsonObject[]): string | readonly JsonObject[] {
  const only = blocks[0];
  if (only === undefined) return "";
  if (blocks.length > 1 || only["type"] !== "text" || "cache_control" in only) return blocks;
  return textOf(only["text"]);
}

function append(turns: Turn[], role: Turn["role"], blocks: readonly JsonObject[]): void {
  if (role === "assistant" && blocks.length === 0) return;
  const last = turns.at(-1);
  if (last?.role !== role) {
    turns.push({ role, blocks: [...blocks] });
    return;
  }
  const results = blocks.filter(isResult);
  const end = last.blocks.findIndex((block) => !isResult(block));
  last.blocks.splice(end < 0 ? last.blocks.length : end, 0, ...results);
  last.blocks.push(...blocks.filter((block) => !isResult(block)));
}

function isResult(block: JsonObject): boolean {
  return block["type"] === "tool_result";
}

function messageFromTurn(turn: Turn): JsonObject {
  return { role: turn.role, content: plainest(turn.blocks) };
}

function contentBlocks(content: unknown, param: string): JsonObject[] {
  if (content === null || content === undefined) return [];
  if (typeof content === "string") return present([textBlock(content, undefined)]);
  if (!Array.isArray(content)) {
    throw malformed(`${param}.content`, "content must be a string or an array");
  }
  return present(content.map((part, at) => blockFromPart(part, `${param}.content[${at}]`)));
}

function present(blocks: readonly (JsonObject | null)[]): JsonObject[] {
  return blocks.filter((block) => block !== null);
}

/** Thinking comes first, as the Messages API demands, then text, then calls. */
function assistantBlocks(message: JsonObject, param: string): JsonObject[] {
  const text = contentBlocks(message["content"], param);
  const refusal = textBlock(message["refusal"], undefined);
  if (isObject(message["function_call"])) {
    throw untranslatable(`${param}.function_call`, "function calls, which tool calls replaced");
  }
  const calls = listOf(message["tool_calls"]).map((call, at) =>
    toolUse(call, `${param}.tool_calls[${at}]`)
  );
  return [...thinkingBlocks(message), ...text, ...present([refusal]), ...calls];
}

/**
 * The thinking that an answer of ours carried and the caller sent back.
 *
 * Only what is signed or encrypted is accepted; a bare `reasoning_content` is not.
 */
function thinkingBlocks(message: JsonObject): JsonObject[] {
  return listOf(message["thinking_blocks"]).filter(isObject).flatMap((block): JsonObject[] => {
    if (block["type"] === "redacted_thinking" && textOf(block["data"]) !== "") {
      return [{ type: "redacted_thinking", data: block["data"] }];
    }
    const signature = textOf(block["signature"]);
    if (block["type"] !== "thinking" || signature === "") return [];
    return [{ type: "thinking", thinking: textOf(block["thinking"]), signature }];
  });
}

function toolUse(call: unknown, param: string): JsonObject {
  if (!isObject(call)) throw malformed(param, "a tool call must be an object");
  if (call["type"] !== undefined && call["type"] !== "function") {
    throw untranslatable(param, `tool calls of type ${shown(call["type"])}`);
  }
  const called = objectOf(call["function"]);
  return {
    type: "tool_use",
    id: toolUseId(call["id"]),
    name: textOf(called["name"]),
    input: inputFromArguments(textOf(called["arguments"])),
  };
}

function toolResult(message: JsonObject, param: string): JsonObject {
  const result: JsonObject = {
    type: "tool_result",
    tool_use_id: toolUseId(message["tool_call_id"]),
  };
  const blocks = contentBlocks(message["content"], param);
  // A tool may have nothing to say; the Messages API lets the content be absent, not empty.
  if (blocks.length > 0) result["content"] = plainest(blocks);
  return result;
}
