/**
 * Reads bodies of `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`.
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
import type { EmbeddingsRequest, TextRequest, Tool, ToolChoice, Turn } from "./request.ts";

const TOKENS = { min: 1, max: 10_000_000, whole: true };
const CHAT_ROLES = ["system", "developer", "user", "assistant", "tool", "function"];
const EMBEDDING_DIMENSIONS = 384;

/**
 * Reads a chat completion request.
 *
 * @throws {Refusal} With status 400, naming the field.
 */
export function readChat(body: JsonObject): TextRequest {
  const model = requiredString(body, "model");
  const messages = required(body, "messages");
  if (!Array.isArray(messages)) throw wrongType("messages", "a list", messages);
  if (messages.length === 0) throw wrongField("messages", "it is empty", "empty_array");
  const turns = messages.map((message: unknown, i) => chatTurn(message, `messages[${i}]`));
  const tools = optionalList(body, "tools").map((tool, i) => functionTool(tool, `tools[${i}]`));
  const tokensMax = optionalNumber(body, "max_completion_tokens", TOKENS) ??
    optionalNumber(body, "max_tokens", TOKENS);
  const effort = body["reasoning_effort"];
  return {
    surface: "chat",
    model,
    ...streamFields(body),
    turns,
    lastRole: roleOf(messages.at(-1)),
    tokensMax,
    stops: optionalStrings(body, "stop"),
    tools,
    toolChoice: readToolChoice(body, tools),
    reasoning: typeof effort === "string" && effort !== "none",
  };
}

/**
 * Reads a request of the older text completion API.
 *
 * @throws {Refusal} With status 400, naming the field.
 */
export function readCompletion(body: JsonObject): TextRequest {
  const model = requiredString(body, "model");
  required(body, "prompt");
  const prompts = optionalStrings(body, "prompt");
  if (prompts.length !== 1) {
    throw wrongField("prompt", `one prompt is answered at a time but ${prompts.length} were given`);
  }
  return {
    surface: "completions",
    model,
    ...streamFields(body),
    turns: prompts.map((text) => ({ role: "user", text })),
    lastRole: "user",
    tokensMax: optionalNumber(body, "max_tokens", TOKENS),
    stops: optionalStrings(body, "stop"),
    tools: [],
    toolChoice: "none",
    reasoning: false,
  };
}

/**
 * Reads an embeddings request; lists of token numbers count as texts of their own.
 *
 * @throws {Refusal} With status 400, naming the field.
 */
export function readEmbeddings(body: JsonObject): EmbeddingsRequest {
  const model = requiredString(body, "model");
  const input = required(body, "input");
  const encoding = body["encoding_format"] ?? "float";
  if (encoding !== "float" && encoding !== "base64") {
    throw wrongField("encoding_format", 'allowed are "float" and "base64"');
  }
  const bounds = { min: 1, max: 8_192, whole: true };
  const dimensions = optionalNumber(body, "dimensions", bounds) ?? EMBEDDING_DIMENSIONS;
  return { surface: "embeddings", model, inputs: embeddingInputs(input), dimensions, encoding };
}

/**
 * The plain text of a message's content: a string, or a list of parts.
 *
 * Parts that are no text are named in brackets, whatever API spelt them.
 */
export function contentText(content: unknown, path: string): string {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw wrongType(path, "a string or a list of parts", content);
  return content.map((part: unknown, i) => partText(part, `${path}[${i}]`)).join("\n");
}

/** The tool choice of the OpenAI APIs: a word, or an object that names a function. */
export function readToolChoice(body: JsonObject, tools: readonly Tool[]): ToolChoice {
  const choice = body["tool_choice"] ?? "auto";
  if (choice === "auto" || choice === "none") return choice;
  if (tools.length === 0) throw wrongField("tool_choice", 'it is only allowed with "tools"');
  if (choice === "required") return "any";
  const inner = isObject(choice) && isObject(choice["function"]) ? choice["function"] : choice;
  const name = isObject(inner) ? inner["name"] : undefined;
  if (typeof name !== "string") {
    throw wrongField("tool_choice", 'allowed are "auto", "none", "required" or a function');
  }
  if (!tools.some((tool) => tool.name === name)) {
    throw wrongField("tool_choice", `"tools" holds no function "${name}"`);
  }
  return { name };
}

/** A message's `role` if it has one. */
export function roleOf(message: unknown): string | null {
  const role = isObject(message) ? message["role"] : null;
  return typeof role === "string" ? role : null;
}

function streamFields(body: JsonObject): { stream: boolean; includeUsage: boolean } {
  const stream = optionalBoolean(body, "stream");
  const options = optionalObject(body, "stream_options");
  if (options !== null && !stream) {
    throw wrongField("stream_options", 'it is only allowed with "stream": true');
  }
  optionalNumber(body, "temperature", { min: 0, max: 2 });
  optionalNumber(body, "top_p", { min: 0, max: 1 });
  const count = optionalNumber(body, "n", { min: 1, max: 128, whole: true });
  if (count !== null && count > 1) {
    throw wrongField("n", `one answer is given at a time but ${count} were asked for`);
  }
  return { stream, includeUsage: options?.["include_usage"] === true };
}

function chatTurn(message: unknown, path: string): Turn {
  if (!isObject(message)) throw wrongType(path, "an object", message);
  const role = message["role"];
  if (typeof role !== "string" || !CHAT_ROLES.includes(role)) {
    throw wrongField(`${path}.role`, `allowed are ${CHAT_ROLES.join(", ")}`);
  }
  const calls = optionalList(message, "tool_calls");
  if (message["content"] === undefined && calls.length === 0 && role !== "assistant") {
    throw wrongField(
      `${path}.content`,
      "it is required but missing",
      "missing_required_parameter",
    );
  }
  if (role === "tool" && typeof message["tool_call_id"] !== "string") {
    throw wrongField(
      `${path}.tool_call_id`,
      "it is required but missing",
      "missing_required_parameter",
    );
  }
  const text = contentText(message["content"], `${path}.content`);
  const names = calls.map((call) => {
    const target = isObject(call) ? call["function"] : null;
    return `[call ${isObject(target) ? String(target["name"]) : "?"}]`;
  });
  const spoken = [text, ...names].filter((item) => item !== "").join("\n");
  return { role: normalRole(role), text: spoken };
}

function normalRole(role: string): string {
  if (role === "developer") return "system";
  return role === "function" ? "tool" : role;
}

function partText(part: unknown, path: string): string {
  if (typeof part === "string") return part;
  if (!isObject(part)) throw wrongType(path, "an object", part);
  const type = part["type"];
  if (typeof type !== "string") throw wrongField(`${path}.type`, "it is required but missing");
  if (/^(?:input_|output_)?text$/.test(type)) {
    const text = part["text"];
    if (typeof text !== "string") throw wrongType(`${path}.text`, "a string", text);
    return text;
  }
  return `[${/^(?:input_)?image/.test(type) ? "image" : type}]`;
}

function functionTool(tool: unknown, path: string): Tool {
  const target = isObject(tool) ? tool["function"] : null;
  const name = isObject(target) ? target["name"] : null;
  if (!isObject(target) || typeof name !== "string") {
    throw wrongField(`${path}.function.name`, "it is required but missing");
  }
  return { name, parameters: target["parameters"] };
}

function embeddingInputs(input: unknown): readonly string[] {
  if (typeof input === "string") return [input];
  if (!Array.isArray(input)) throw wrongType("input", "a string or a list", input);
  if (input.length === 0) throw wrongField("input", "it is empty", "empty_array");
  if (input.every((item) => typeof item === "number")) return [input.join(" ")];
  return input.map((item: unknown, i) => {
    if (typeof item === "string") return item;
    if (Array.isArray(item)) return item.join(" ");
    throw wrongType(`input[${i}]`, "a string", item);
  });
}
