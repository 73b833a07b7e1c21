/**
 * Token counts, in the words of each API, brought to one meaning.
 *
 * OpenAI counts tokens read from its prompt cache as part of the prompt,
 * Anthropic counts them beside it. Here the prompt is always everything that was
 * read.
 *
 * @module
 */
import { isObject, type Usage } from "./wire.ts";

/** Reads a `usage` object of any of the five forms; `null` where it holds no count. */
export function usageFrom(value: unknown): Usage | null {
  if (!isObject(value)) return null;
  const inputDetails = value.prompt_tokens_details ?? value.input_tokens_details;
  const outputDetails = value.completion_tokens_details ?? value.output_tokens_details;
  const cached = isObject(inputDetails)
    ? count(inputDetails.cached_tokens)
    : count(value.cache_read_input_tokens) ?? count(value.prompt_cache_hit_tokens);
  const usage = {
    promptTokens: count(value.prompt_tokens) ?? inputOf(value),
    answerTokens: count(value.completion_tokens) ?? count(value.output_tokens),
    cachedTokens: cached,
    reasoningTokens: isObject(outputDetails) ? count(outputDetails.reasoning_tokens) : null,
  };
  return usage.promptTokens === null && usage.answerTokens === null ? null : usage;
}

/**
 * Joins two counts of one answer. Counts in a stream only ever grow, so the
 * larger one is the later one, and a field that is left out loses nothing.
 */
export function joinUsage(first: Usage | null, second: Usage | null): Usage | null {
  if (first === null || second === null) return first ?? second;
  return {
    promptTokens: larger(first.promptTokens, second.promptTokens),
    answerTokens: larger(first.answerTokens, second.answerTokens),
    cachedTokens: larger(first.cachedTokens, second.cachedTokens),
    reasoningTokens: larger(first.reasoningTokens, second.reasoningTokens),
  };
}

/** `input_tokens`, with the cached ones that Anthropic's messages count beside it. */
function inputOf(value: Readonly<Record<string, unknown>>): number | null {
  const input = count(value.input_tokens);
  if (input === null) return null;
  return input + (count(value.cache_read_input_tokens) ?? 0) +
    (count(value.cache_creation_input_tokens) ?? 0);
}

function count(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

function larger(first: number | null, second: number | null): number | null {
  if (first === null || second === null) return first ?? second;
  return Math.max(first, second);
}
