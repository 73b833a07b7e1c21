/**
 * A chat completions request as a messages request.
 *
 * | field | becomes |
 * |---|---|
 * | `max_completion_tokens`, `max_tokens` | `max_tokens`, which is required there: 4096 where absent |
 * | `stop` | `stop_sequences` |
 * | `temperature` | the same, at most 1 |
 * | `top_p`, `top_k`, `stream`, `thinking` | the same |
 * | `tools`, `tool_choice`, `parallel_tool_calls` | `tools`, `tool_choice` |
 * | `reasoning_effort` | `thinking`, `output_config.effort` |
 * | `response_format` of type `json_schema` | `output_config.format` |
 * | `safety_identifier`, `user` | `metadata.user_id` |
 * | `service_tier` | `auto` stays, `default` is `standard_only`, others are dropped |
 *
 * Refused, because the answer would not be what was asked for: `n` above 1,
 * `logprobs`, `top_logprobs`, audio, `functions`, `web_search_options`,
 * `response_format` of type `json_object`.
 *
 * Dropped, because there is no counterpart and the answer is one all the same:
 * {@linkcode DROPPED}. Any other field is passed on as it is: what this list
 * does not know may well be Anthropic's own, and if not, it is refused by name.
 *
 * @module
 */
import { claudeTraits } from "./claude_model.ts";
import { shown } from "./content.ts";
import { countOf, isObject, type JsonObject, listOf, objectOf, textOf } from "./json_value.ts";
import { malformed, untranslatable } from "./refusal.ts";
import { planThinking } from "./thinking.ts";
import { toolsFromChat } from "./tools.ts";
import { conversationFromChat, plainest } from "./turns_from_chat.ts";

/** The longest answer, in tokens, where the caller sets no limit. */
export const ANSWER_TOKENS_DEFAULT = 4_096;

/** Fields of the chat API that are left out. */
export const DROPPED: readonly string[] = [
  "frequency_penalty",
  "logit_bias",
  "metadata",
  "modalities",
  "moderation",
  "prediction",
  "presence_penalty",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "seed",
  "store",
  "stream_options",
  "verbosity",
];

/** Fields of the chat API that are translated or refused one by one. */
const HANDLED: readonly string[] = [
  "audio",
  "function_call",
  "functions",
  "logprobs",
  "max_completion_tokens",
  "max_tokens",
  "messages",
  "model",
  "n",
  "parallel_tool_calls",
  "reasoning_effort",
  "response_format",
  "safety_identifier",
  "service_tier",
  "stop",
  "temperature",
  "tool_choice",
  "tools",
  "top_k",
  "top_logprobs",
  "top_p",
  "user",
  "web_search_options",
];

/** `__proto__`, which JSON may hold, would be no field but the copy's prototype. */
const NOT_PASSED: ReadonlySet<string> = new Set([...DROPPED, ...HANDLED, "__proto__"]);

/**
 * Translates a request.
 *
 * @param body The caller's request.
 * @param model The backend's model.
 * @throws {GatewayError} `unsupported_translation` or `invalid_request`, naming the field.
 */
export function messagesRequest(body: JsonObject, model: string): JsonObject {
  refuseUntranslatable(body);
  const { system, messages } = conversationFromChat(body["messages"]);
  if (messages.length === 0) {
    throw malformed("messages", "there must be a message of the user or the assistant");
  }
  const result: JsonObject = { model, messages };
  if (system.length > 0) result["system"] = plainest(system);
  for (const [field, value] of Object.entries(body)) {
    if (!NOT_PASSED.has(field) && value !== null) result[field] = value;
  }
  Object.assign(result, toolsFromChat(body));
  setLimits(result, body);
  setThinking(result, body, model);
  setSampling(result, body, model);
  setFormat(result, body);
  setAccount(result, body);
  return result;
}

/** Whether a field asks for something: most clients send `null`, `false` or `[]` for no. */
function asks(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0) return false;
  return !(Array.isArray(value) && value.length === 0);
}

function refuseUntranslatable(body: JsonObject): void {
  const answers = countOf(body["n"]);
  if (answers !== null && answers > 1) {
    throw untranslatable("n", `it gives one answer, ${answers} were asked for`);
  }
  for (
    const [field, what] of [
      ["logprobs", "it tells no log probabilities"],
      ["top_logprobs", "it tells no log probabilities"],
      ["audio", "it does not speak"],
      ["functions", "functions, which tools replaced"],
      ["function_call", "functions, which tools replaced"],
      ["web_search_options", "web search in the form of this API"],
    ] as const
  ) {
    if (asks(body[field])) throw untranslatable(field, what);
  }
  if (listOf(body["modalities"]).some((modality) => modality !== "text")) {
    throw untranslatable("modalities", "it answers in text only");
  }
}

function setLimits(result: JsonObject, body: JsonObject): void {
  result["max_tokens"] = askedTokens(body) ?? ANSWER_TOKENS_DEFAULT;
  const stop = body["stop"];
  const sequences = typeof stop === "string" ? [stop] : listOf(stop);
  if (sequences.length > 0) result["stop_sequences"] = sequences;
}

/** The limit as the caller set it; one that is no number is left for the backend to refuse. */
function askedTokens(body: JsonObject): unknown {
  return body["max_completion_tokens"] ?? body["max_tokens"];
}

/**
 * Turns an effort into thinking, where the rest of the request allows any: thinking goes
 * neither with a forced tool, nor with a prefilled answer, nor (with a budget) with calls
 * whose thinking the caller did not send back.
 */
function setThinking(result: JsonObject, body: JsonObject, model: string): void {
  if ("thinking" in result) return;
  const asked = askedTokens(body);
  const plan = planThinking(body["reasoning_effort"], model, {
    asked: countOf(asked),
    fallback: ANSWER_TOKENS_DEFAULT,
  });
  if (plan === null) return;
  const forced = objectOf(result["tool_choice"])["type"];
  const messages = listOf(result["messages"]);
  const prefilled = objectOf(messages.at(-1))["role"] === "assistant";
  if (forced === "any" || forced === "tool" || prefilled) return;
  if (plan.effort === null && callsWithoutThinking(messages)) return;
  result["thinking"] = plan.thinking;
  if (asked === undefined || asked === null) result["max_tokens"] = plan.answerTokensMax;
  if (plan.effort !== null) {
    result["output_config"] = { effort: plan.effort, ...objectOf(result["output_config"]) };
  }
}

function callsWithoutThinking(messages: readonly unknown[]): boolean {
  const last = messages.filter(isObject).findLast((message) => message["role"] === "assistant");
  const types = listOf(last?.["content"]).map((block) => objectOf(block)["type"]);
  return types.includes("tool_use") && types[0] !== "thinking" && types[0] !== "redacted_thinking";
}

/** While a model thinks, its sampling is its own affair. */
function setSampling(result: JsonObject, body: JsonObject, model: string): void {
  const traits = claudeTraits(model);
  if (!traits.sampling) return;
  const thinking = objectOf(result["thinking"])["type"];
  const thinks = thinking !== undefined && thinking !== "disabled";
  const { temperature, top_p: topP, top_k: topK } = body;
  if (typeof temperature === "number" && !thinks) result["temperature"] = Math.min(1, temperature);
  const blocked = !traits.bothSamplers && "temperature" in result;
  if (typeof topP === "number" && !blocked && !(thinks && topP < 0.95)) result["top_p"] = topP;
  if (typeof topK === "number" && !thinks) result["top_k"] = topK;
}

function setFormat(result: JsonObject, body: JsonObject): void {
  const format = body["response_format"];
  if (!isObject(format) || format["type"] === "text") return;
  if (format["type"] !== "json_schema") {
    throw untranslatable(
      "response_format",
      `a format of type ${shown(format["type"])}, only json_schema can be sent`,
    );
  }
  const schema = objectOf(format["json_schema"])["schema"];
  if (!isObject(schema)) {
    throw malformed("response_format.json_schema.schema", "the schema must be an object");
  }
  result["output_config"] = {
    ...objectOf(result["output_config"]),
    format: { type: "json_schema", schema },
  };
}

function setAccount(result: JsonObject, body: JsonObject): void {
  const user = textOf(body["safety_identifier"]) || textOf(body["user"]);
  if (user !== "") result["metadata"] = { user_id: user };
  if (body["service_tier"] === "auto") result["service_tier"] = "auto";
  if (body["service_tier"] === "default") result["service_tier"] = "standard_only";
}
