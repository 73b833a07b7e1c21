/**
 * Reads bodies of `/v1/responses`.
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
  required,
  requiredString,
  wrongField,
  wrongType,
} from "./fields.ts";
import { contentText, readToolChoice, roleOf } from "./openai.ts";
import type { TextRequest, Tool, Turn } from "./request.ts";

/**
 * Reads a responses request.
 *
 * @throws {Refusal} With status 400, naming the field.
 */
export function readResponse(body: JsonObject): TextRequest {
  const model = requiredString(body, "model");
  const input = required(body, "input");
  const instructions = contentText(body["instructions"], "instructions");
  const spoken = inputTurns(input);
  const tools = optionalList(body, "tools").flatMap(functionTools);
  const reasoning = optionalObject(body, "reasoning");
  optionalNumber(body, "temperature", { min: 0, max: 2 });
  return {
    surface: "responses",
    model,
    stream: optionalBoolean(body, "stream"),
    includeUsage: true,
    turns: instructions === "" ? spoken : [{ role: "system", text: instructions }, ...spoken],
    lastRole: Array.isArray(input) ? roleOf(input.at(-1)) : "user",
    tokensMax: optionalNumber(body, "max_output_tokens", { min: 1, max: 10_000_000, whole: true }),
    stops: [],
    tools,
    toolChoice: readToolChoice(body, tools),
    reasoning: reasoning !== null && reasoning["effort"] !== "none",
  };
}

function inputTurns(input: unknown): readonly Turn[] {
  if (typeof input === "string") return [{ role: "user", text: input }];
  if (!Array.isArray(input)) throw wrongType("input", "a string or a list", input);
  if (input.length === 0) throw wrongField("input", "it is empty", "empty_array");
  return input.map((item: unknown, i) => inputTurn(item, `input[${i}]`));
}

function inputTurn(item: unknown, path: string): Turn {
  if (!isObject(item)) throw wrongType(path, "an object", item);
  switch (item["type"] ?? "message") {
    case "message": {
      const role = roleOf(item);
      if (role === null) throw wrongField(`${path}.role`, "it is required but missing");
      const text = contentText(item["content"], `${path}.content`);
      return { role: role === "developer" ? "system" : role, text };
    }
    case "function_call":
      return { role: "assistant", text: `[call ${String(item["name"])}]` };
    case "function_call_output":
      return { role: "tool", text: contentText(item["output"], `${path}.output`) };
    default:
      return { role: "assistant", text: `[${String(item["type"])}]` };
  }
}

/** Hosted tools (web search and the like) are accepted and never called. */
function functionTools(tool: unknown, i: number): readonly Tool[] {
  if (!isObject(tool)) throw wrongType(`tools[${i}]`, "an object", tool);
  if (tool["type"] !== "function") return [];
  const name = tool["name"];
  if (typeof name !== "string") {
    throw wrongField(`tools[${i}].name`, "it is required but missing");
  }
  return [{ name, parameters: tool["parameters"] }];
}
