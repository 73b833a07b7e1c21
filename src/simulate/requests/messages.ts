/**
 * Reads bodies of Anthropic's `/v1/messages`.
 *
 * @module
 */

import {
  isObject,
  type JsonObject,
  optionalBoolean,
  optionalList,
  optionalNumber,
  optionalObject,
  optionalStrings,
  required,
  requiredString,
  wrongField,
  wrongType,
} from "./fields.ts";
import { contentText, roleOf } from "./openai.ts";
import type { TextRequest, Tool, ToolChoice, Turn } from "./request.ts";

/**
 * Reads a messages request.
 *
 * @throws {Refusal} With status 400, naming the field.
 */
export function readMessages(body: JsonObject): TextRequest {
  const model = requiredString(body, "model");
  required(body, "max_tokens");
  const tokensMax = optionalNumber(body, "max_tokens", { min: 1, max: 10_000_000, whole: true });
  const messages = required(body, "messages");
  if (!Array.isArray(messages)) throw wrongType("messages", "a list", messages);
  if (messages.length === 0) throw wrongField("messages", "at least one message is required");
  const system = contentText(body["system"], "system");
  const spoken = messages.flatMap((message: unknown, i) => turnsOf(message, `messages[${i}]`));
  if (roleOf(messages[0]) !== "user") {
    throw wrongField("messages[0].role", 'the first message must use the "user" role');
  }
  const tools = optionalList(body, "tools").map((tool, i) => namedTool(tool, `tools[${i}]`));
  optionalNumber(body, "temperature", { min: 0, max: 1 });
  return {
    surface: "messages",
    model,
    stream: optionalBoolean(body, "stream"),
    includeUsage: true,
    turns: system === "" ? spoken : [{ role: "system", text: system }, ...spoken],
    lastRole: roleOf(messages.at(-1)),
    tokensMax,
    stops: optionalStrings(body, "stop_sequences"),
    tools,
    toolChoice: toolChoice(body, tools),
    reasoning: optionalObject(body, "thinking")?.["type"] === "enabled",
  };
}

/** One message; tool results in it become turns of their own, as chat completions have them. */
function turnsOf(message: unknown, path: string): readonly Turn[] {
  if (!isObject(message)) throw wrongType(path, "an object", message);
  const role = roleOf(message);
  if (role !== "user" && role !== "assistant") {
    throw wrongField(`${path}.role`, 'allowed are "user" and "assistant"');
  }
  const content = required(message, "content");
  if (!Array.isArray(content)) return [{ role, text: contentText(content, `${path}.content`) }];

  const turns: Turn[] = [];
  const texts: string[] = [];
  content.forEach((block: unknown, i) => {
    const type = isObject(block) ? block["type"] : null;
    if (isObject(block) && type === "tool_result") {
      const result = contentText(block["content"], `${path}.content[${i}].content`);
      turns.push({ role: "tool", text: result });
    } else if (isObject(block) && type === "tool_use") {
      texts.push(`[call ${String(block["name"])}]`);
    } else if (type !== "thinking" && type !== "redacted_thinking") {
      texts.push(contentText([block], `${path}.content`));
    }
  });
  if (texts.length > 0 || turns.length === 0) turns.push({ role, text: texts.join("\n") });
  return turns;
}

function namedTool(tool: unknown, path: string): Tool {
  const name = isObject(tool) ? tool["name"] : null;
  if (!isObject(tool) || typeof name !== "string") {
    throw wrongField(`${path}.name`, "it is required but missing");
  }
  return { name, parameters: tool["input_schema"] };
}

function toolChoice(body: JsonObject, tools: readonly Tool[]): ToolChoice {
  const choice = optionalObject(body, "tool_choice");
  if (choice === null) return "auto";
  if (choice["type"] === "auto" || choice["type"] === "none") return choice["type"];
  if (tools.length === 0) throw wrongField("tool_choice", 'it is only allowed with "tools"');
  if (choice["type"] === "any") return "any";
  const name = choice["name"];
  if (choice["type"] !== "tool" || typeof name !== "string") {
    throw wrongField("tool_choice.type", 'allowed are "auto", "any", "tool" and "none"');
  }
  if (!tools.some((tool) => tool.name === name)) {
    throw wrongField("tool_choice.name", `"tools" holds no tool "${name}"`);
  }
  return { name };
}
