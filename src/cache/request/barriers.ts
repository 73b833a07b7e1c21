/**
 * What a request asks for that no cache may answer.
 *
 * The fields are those of the OpenAI and Anthropic APIs and of the servers that
 * speak them. Whatever field is not known here is in the scope: at worst it makes
 * a miss.
 *
 * @module
 */
import type { BypassReason, CachedSurface, JsonObject } from "../types.ts";

/** Fields that let the backend look things up while it answers. */
const LOOKUP_FIELDS: readonly string[] = [
  "web_search_options",
  "web_search",
  "enable_search",
  "search_parameters",
  "plugins",
  "connectors",
  "data_sources",
  "mcp_servers",
  "container",
  "tool_resources",
];

/** Fields that tie a request to something the backend keeps. */
const STATE_FIELDS: readonly string[] = [
  "previous_response_id",
  "conversation",
  "conversation_id",
  "background",
  "thread_id",
  "session_id",
];

/** Fields that ask for more than text, or for more about it. */
const OUTPUT_FIELDS: readonly string[] = [
  "audio",
  "include",
  "top_logprobs",
  "prompt_logprobs",
  "return_token_ids",
  "return_tokens_as_token_ids",
];

/** Types of tools that the client runs itself, by API; the Messages API may leave it out. */
const CLIENT_TOOLS: Readonly<Record<CachedSurface, readonly unknown[]>> = {
  chat: ["function", "custom"],
  completions: ["function", "custom"],
  responses: ["function", "custom"],
  messages: ["custom", undefined, null],
};

/** The first thing that keeps a request from being cached; `null` if there is none. */
export function barrierOf(surface: CachedSurface, body: JsonObject): BypassReason | null {
  if (isSeveral(body["n"]) || isSeveral(body["best_of"])) return "choices";
  if (LOOKUP_FIELDS.some((field) => isAsked(body[field])) || hasHostedTool(surface, body)) {
    return "tools";
  }
  if (STATE_FIELDS.some((field) => isAsked(body[field])) || isKept(surface, body)) {
    return "server_state";
  }
  if (OUTPUT_FIELDS.some((field) => isAsked(body[field])) || asksMoreThanText(surface, body)) {
    return "output";
  }
  return null;
}

function isSeveral(count: unknown): boolean {
  return count !== undefined && count !== null && count !== 1;
}

/** Whether a field is there and not empty: `{}` is a request with default options. */
function isAsked(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0) return false;
  return !Array.isArray(value) || value.length > 0;
}

function hasHostedTool(surface: CachedSurface, body: JsonObject): boolean {
  const tools = body["tools"];
  if (tools === undefined || tools === null) return false;
  if (!Array.isArray(tools)) return true;
  const own = CLIENT_TOOLS[surface];
  return tools.some((tool: unknown) => {
    if (typeof tool !== "object" || tool === null) return true;
    const { type, name } = tool as JsonObject;
    return !own.includes(type) || (surface === "messages" && typeof name !== "string");
  });
}

/** A kept answer may be referred to later by its id, which a replay could not honour. */
function isKept(surface: CachedSurface, body: JsonObject): boolean {
  if (surface !== "responses") return isAsked(body["store"]);
  return body["store"] !== false || isAsked(body["prompt"]);
}

function asksMoreThanText(surface: CachedSurface, body: JsonObject): boolean {
  const modalities = body["modalities"];
  if (Array.isArray(modalities) && modalities.some((one: unknown) => one !== "text")) return true;
  const logprobs = body["logprobs"];
  // For completions 0 asks for the chosen tokens' own.
  return isAsked(logprobs) || (surface === "completions" && logprobs === 0);
}
