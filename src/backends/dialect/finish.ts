/**
 * How an answer ended and what it cost, in both APIs.
 *
 *     finish_reason      stop_reason
 *     stop           <-> end_turn, stop_sequence; from pause_turn too
 *     length         <-> max_tokens; from model_context_window_exceeded too
 *     tool_calls     <-> tool_use
 *     content_filter <-> refusal
 *
 * The prompt's tokens are counted differently: the chat API's `prompt_tokens`
 * include what was read from and written to the cache, `input_tokens` do not.
 *
 * @module
 */
import { countOf, isObject, type JsonObject, objectOf } from "./json_value.ts";

/** The chat API's reason for a stop of the Messages API. */
export function finishReason(stopReason: unknown): string {
  switch (stopReason) {
    case "max_tokens":
    case "model_context_window_exceeded":
      return "length";
    case "tool_use":
      return "tool_calls";
    case "refusal":
      return "content_filter";
    default:
      return "stop";
  }
}

/** Why an answer of the Messages API ended. */
export interface Stop {
  /** `stop_reason`. */
  readonly reason: string;
  /** `stop_sequence`: the text that ended it, where the backend says. */
  readonly sequence: string | null;
}

/**
 * The Messages API's stop for a finish of the chat API.
 *
 * @param finish The choice's `finish_reason`.
 * @param context Whether the answer calls tools (some servers say `stop` then), and
 * the stop sequence that was met, as vLLM and SGLang tell it.
 */
export function stopFrom(
  finish: unknown,
  context: { readonly callsTools: boolean; readonly sequence: unknown },
): Stop {
  switch (finish) {
    case "length":
      return { reason: "max_tokens", sequence: null };
    case "content_filter":
      return { reason: "refusal", sequence: null };
    case "tool_calls":
    case "function_call":
      return { reason: context.callsTools ? "tool_use" : "end_turn", sequence: null };
  }
  if (context.callsTools) return { reason: "tool_use", sequence: null };
  if (typeof context.sequence === "string" && context.sequence !== "") {
    return { reason: "stop_sequence", sequence: context.sequence };
  }
  return { reason: "end_turn", sequence: null };
}

/** The stop sequence in a chat choice: `stop_reason` at vLLM, `matched_stop` at SGLang. */
export function matchedStop(choice: JsonObject): unknown {
  return choice["stop_reason"] ?? choice["matched_stop"];
}

/** The chat API's usage for one of the Messages API. */
export function chatUsage(usage: unknown): JsonObject {
  const counts = objectOf(usage);
  const cached = countOf(counts["cache_read_input_tokens"]) ?? 0;
  const written = countOf(counts["cache_creation_input_tokens"]) ?? 0;
  const prompt = (countOf(counts["input_tokens"]) ?? 0) + cached + written;
  const completion = countOf(counts["output_tokens"]) ?? 0;
  const thinking = countOf(objectOf(counts["output_tokens_details"])["thinking_tokens"]);
  const result: JsonObject = {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
  };
  if (thinking !== null) result["completion_tokens_details"] = { reasoning_tokens: thinking };
  return result;
}

/** The Messages API's usage for one of the chat API; all zero where there is none. */
export function messagesUsage(usage: unknown): JsonObject {
  const counts = objectOf(usage);
  const details = objectOf(counts["prompt_tokens_details"]);
  // DeepSeek counts hits of its cache at the top.
  const cached = countOf(details["cached_tokens"]) ?? countOf(counts["prompt_cache_hit_tokens"]) ??
    0;
  const written = countOf(details["cache_write_tokens"]) ?? 0;
  const prompt = countOf(counts["prompt_tokens"]) ?? 0;
  const result: JsonObject = {
    input_tokens: Math.max(0, prompt - cached - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cached,
    output_tokens: countOf(counts["completion_tokens"]) ?? 0,
  };
  const reasoning = objectOf(counts["completion_tokens_details"])["reasoning_tokens"];
  if (countOf(reasoning) !== null) result["output_tokens_details"] = { thinking_tokens: reasoning };
  return result;
}

/** Adds what a later event says about usage; its counts are totals, not increments. */
export function mergedUsage(usage: JsonObject, later: unknown): JsonObject {
  if (!isObject(later)) return usage;
  const present = Object.entries(later).filter(([, value]) => value !== null);
  return { ...usage, ...Object.fromEntries(present) };
}
