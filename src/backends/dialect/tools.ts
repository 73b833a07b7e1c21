/**
 * Tools: their definitions, who may be called, and what they are called with.
 *
 * @module
 */
import { shown } from "./content.ts";
import { isObject, type JsonObject, listOf, objectOf, textOf } from "./json_value.ts";
import { malformed, untranslatable } from "./refusal.ts";
import { isStrictSchema } from "./schema.ts";

/** The key under which arguments travel that are no JSON object, as Anthropic advises. */
const INVALID_KEY = "INVALID_JSON";

/**
 * A tool's input for the arguments of a call.
 *
 * Models write arguments that cannot be parsed, and limits cut them off. The
 * Messages API wants an object, so such text is wrapped, not lost.
 */
export function inputFromArguments(text: string): JsonObject {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { [INVALID_KEY]: text };
}

/** A call's arguments for a tool's input; the inverse of {@linkcode inputFromArguments}. */
export function argumentsFromInput(input: unknown): string {
  if (!isObject(input)) return "{}";
  const invalid = input[INVALID_KEY];
  if (typeof invalid === "string" && Object.keys(input).length === 1) return invalid;
  return JSON.stringify(input);
}

/** A call's identity in the letters the Messages API allows. */
export function toolUseId(id: unknown): string {
  return textOf(id).replace(/[^a-zA-Z0-9_-]/g, "_");
}

/** What a request says about tools; absent where it says nothing. */
export interface ToolFields {
  /** Definitions. */
  readonly tools?: readonly JsonObject[];
  /** Who must, may or must not be called. */
  readonly tool_choice?: unknown;
  /** Whether several calls may come at once (chat only). */
  readonly parallel_tool_calls?: boolean;
}

/**
 * The Messages API's tool fields for a chat request.
 *
 * @throws {GatewayError} If a tool is not a function.
 */
export function toolsFromChat(body: JsonObject): ToolFields {
  let tools = listOf(body["tools"]).map(toolFromFunction);
  if (tools.length === 0) return {};
  let choice = choiceFromChat(body["tool_choice"]);
  const allowed = objectOf(objectOf(body["tool_choice"])["allowed_tools"]);
  if (listOf(allowed["tools"]).length > 0) {
    const names = listOf(allowed["tools"]).map((tool) => objectOf(objectOf(tool)["function"]));
    tools = tools.filter((tool) => names.some((named) => named["name"] === tool["name"]));
    choice = { type: allowed["mode"] === "required" ? "any" : "auto" };
  }
  if (body["parallel_tool_calls"] === false && choice?.["type"] !== "none") {
    choice = { ...(choice ?? { type: "auto" }), disable_parallel_tool_use: true };
  }
  return choice === null ? { tools } : { tools, tool_choice: choice };
}

/**
 * The chat API's tool fields for a messages request.
 *
 * @throws {GatewayError} If a tool is one that Anthropic runs or defines itself.
 */
export function toolsFromMessages(body: JsonObject): ToolFields {
  const tools = listOf(body["tools"]).map(functionFromTool);
  if (tools.length === 0) return {};
  const choice = objectOf(body["tool_choice"]);
  const parallel = choice["disable_parallel_tool_use"] === true
    ? { parallel_tool_calls: false }
    : {};
  switch (choice["type"]) {
    case undefined:
      return { tools, ...parallel };
    case "auto":
    case "none":
      return { tools, tool_choice: choice["type"], ...parallel };
    case "any":
      return { tools, tool_choice: "required", ...parallel };
    case "tool": {
      const named = { type: "function", function: { name: textOf(choice["name"]) } };
      return { tools, tool_choice: named, ...parallel };
    }
    default:
      throw untranslatable("tool_choice", `a tool choice of type ${shown(choice["type"])}`);
  }
}

function toolFromFunction(tool: unknown, index: number): JsonObject {
  const param = `tools[${index}]`;
  if (!isObject(tool)) throw malformed(param, "a tool must be an object");
  if (tool["type"] !== "function") {
    throw untranslatable(param, `tools of type ${shown(tool["type"])}, only functions can be sent`);
  }
  const definition = objectOf(tool["function"]);
  const result: JsonObject = { name: textOf(definition["name"]) };
  if (typeof definition["description"] === "string") {
    result["description"] = definition["description"];
  }
  // A function without parameters may leave its schema out; the Messages API wants an object's.
  const schema = objectOf(definition["parameters"]);
  result["input_schema"] = "type" in schema
    ? schema
    : { type: "object", properties: {}, ...schema };
  if (definition["strict"] === true) result["strict"] = true;
  const cacheControl = tool["cache_control"] ?? definition["cache_control"];
  if (isObject(cacheControl)) result["cache_control"] = cacheControl;
  return result;
}

function choiceFromChat(choice: unknown): JsonObject | null {
  if (choice === undefined || choice === null) return null;
  if (choice === "auto" || choice === "none") return { type: choice };
  if (choice === "required") return { type: "any" };
  if (isObject(choice) && choice["type"] === "function") {
    return { type: "tool", name: textOf(objectOf(choice["function"])["name"]) };
  }
  if (isObject(choice) && choice["type"] === "allowed_tools") return { type: "auto" };
  throw untranslatable("tool_choice", `the tool choice ${shown(choice)}`);
}

function functionFromTool(tool: unknown, index: number): JsonObject {
  const param = `tools[${index}]`;
  if (!isObject(tool)) throw malformed(param, "a tool must be an object");
  const type = tool["type"] ?? "custom";
  if (type !== "custom") {
    throw untranslatable(param, `the tool ${shown(type)}, which only its own vendor provides`);
  }
  const definition: JsonObject = { name: textOf(tool["name"]) };
  if (typeof tool["description"] === "string") definition["description"] = tool["description"];
  const schema = objectOf(tool["input_schema"]);
  definition["parameters"] = schema;
  if (tool["strict"] === true && isStrictSchema(schema)) definition["strict"] = true;
  return { type: "function", function: definition };
}
