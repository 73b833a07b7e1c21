/**
 * A messages request as a chat completions request.
 *
 * | field | becomes |
 * |---|---|
 * | `system` | a first message of role `system` |
 * | `max_tokens` | the same; `max_completion_tokens` for OpenAI's reasoning models |
 * | `stop_sequences` | `stop` |
 * | `temperature`, `top_p` | the same; not for OpenAI's reasoning models, which refuse them |
 * | `top_k` | the same; not for OpenAI's models, which refuse it |
 * | `stream` | `stream` with `stream_options.include_usage` |
 * | `tools`, `tool_choice` | `tools`, `tool_choice`, `parallel_tool_calls` |
 * | `thinking`, `output_config.effort` | `reasoning_effort` |
 * | `output_config.format` | `response_format` |
 * | `metadata.user_id` | `user`, unless it is longer than the 64 characters OpenAI takes |
 * | `service_tier` | `standard_only` is `default` |
 *
 * Refused, because the answer would not be what was asked for: `mcp_servers`,
 * `container`, tools that Anthropic defines or runs. Dropped: {@linkcode DROPPED}.
 * Any other field is passed on as it is; servers of the chat API have many of
 * their own.
 *
 * @module
 */
import { shown } from "./content.ts";
import { isObject, type JsonObject, listOf, objectOf, textOf } from "./json_value.ts";
import { untranslatable } from "./refusal.ts";
import { isStrictSchema } from "./schema.ts";
import { effortFromThinking, isOpenaiModel, isReasoningModel } from "./thinking.ts";
import { toolsFromMessages } from "./tools.ts";
import { chatFromConversation } from "./turns_from_messages.ts";

/** Fields of the Messages API that are left out. */
export const DROPPED: readonly string[] = [
  "betas",
  "cache_control",
  "context_management",
  "diagnostics",
  "inference_geo",
  "speed",
];

/** Fields of the Messages API that are translated or refused one by one. */
const HANDLED: readonly string[] = [
  "container",
  "max_tokens",
  "mcp_servers",
  "messages",
  "metadata",
  "model",
  "output_config",
  "service_tier",
  "stop_sequences",
  "stream_options",
  "system",
  "temperature",
  "thinking",
  "tool_choice",
  "tools",
  "top_k",
  "top_p",
];

/** `__proto__`, which JSON may hold, would be no field but the copy's prototype. */
const NOT_PASSED: ReadonlySet<string> = new Set([...DROPPED, ...HANDLED, "__proto__"]);

/** Longest `user` that OpenAI accepts, in characters; agents send identities of twice that. */
const USER_LENGTH_MAX = 64;

/**
 * Translates a request.
 *
 * @param body The caller's request.
 * @param model The backend's model.
 * @throws {GatewayError} `unsupported_translation` or `invalid_request`, naming the field.
 */
export function chatRequest(body: JsonObject, model: string): JsonObject {
  if (listOf(body["mcp_servers"]).length > 0) {
    throw untranslatable("mcp_servers", "it does not call MCP servers");
  }
  if (body["container"] !== undefined && body["container"] !== null) {
    throw untranslatable("container", "it has no containers");
  }
  const result: JsonObject = { model, messages: chatFromConversation(body) };
  for (const [field, value] of Object.entries(body)) {
    if (!NOT_PASSED.has(field) && value !== null) result[field] = value;
  }
  Object.assign(result, toolsFromMessages(body));
  setLimits(result, body, model);
  setSampling(result, body, model);
  setFormat(result, body);
  if (body["stream"] === true) result["stream_options"] = { include_usage: true };
  const effort = effortFromThinking(body, model);
  if (effort !== null) result["reasoning_effort"] = effort;
  const user = textOf(objectOf(body["metadata"])["user_id"]);
  if (user !== "" && user.length <= USER_LENGTH_MAX) result["user"] = user;
  if (body["service_tier"] === "standard_only") result["service_tier"] = "default";
  return result;
}

function setLimits(result: JsonObject, body: JsonObject, model: string): void {
  if (body["max_tokens"] !== undefined) {
    result[isReasoningModel(model) ? "max_completion_tokens" : "max_tokens"] = body["max_tokens"];
  }
  const stop = listOf(body["stop_sequences"]);
  if (stop.length > 0) result["stop"] = stop;
}

function setSampling(result: JsonObject, body: JsonObject, model: string): void {
  const fields = isReasoningModel(model) ? [] : ["temperature", "top_p"];
  if (!isOpenaiModel(model)) fields.push("top_k");
  for (const field of fields) {
    if (typeof body[field] === "number") result[field] = body[field];
  }
}

function setFormat(result: JsonObject, body: JsonObject): void {
  const format = objectOf(body["output_config"])["format"];
  if (!isObject(format)) return;
  if (format["type"] !== "json_schema") {
    throw untranslatable("output_config.format", `a format of type ${shown(format["type"])}`);
  }
  const schema = objectOf(format["schema"]);
  result["response_format"] = {
    type: "json_schema",
    json_schema: { name: "answer", schema, strict: isStrictSchema(schema) },
  };
}
