/**
 * Reasoning effort and thinking: how long a model may think before it answers.
 *
 * The chat API names an effort. The Messages API has a budget of tokens (older
 * models) or an effort of its own (newer ones):
 *
 *     effort                 none  minimal    low  medium    high   xhigh     max
 *     budget in tokens          -     1024   2048    8192   16384   20480   24576
 *     adaptive, effort          -      low    low  medium    high   xhigh     max
 *
 * and back, a budget below 4096 is low, below 12288 medium, else high. Thinking
 * counts towards `max_tokens`, so a budget takes at most four fifths of it, and
 * none is given where that leaves less than the least allowed, 1024.
 *
 * @module
 */
import { claudeTraits } from "./claude_model.ts";
import { countOf, isObject, type JsonObject, objectOf, textOf } from "./json_value.ts";

const BUDGET_TOKENS: ReadonlyMap<string, number> = new Map([
  ["minimal", 1_024],
  ["low", 2_048],
  ["medium", 8_192],
  ["high", 16_384],
  ["xhigh", 20_480],
  ["max", 24_576],
]);

const BUDGET_TOKENS_MIN = 1_024;

/** What an effort becomes; `null` for no thinking. */
export interface ThinkingPlan {
  /** The request's `thinking`. */
  readonly thinking: JsonObject;
  /** The request's `output_config.effort`, where the model has one. */
  readonly effort: string | null;
  /** The answer's limit, thinking included. */
  readonly answerTokensMax: number;
}

/**
 * Plans the thinking for an effort.
 *
 * @param effort The chat request's `reasoning_effort`.
 * @param model The backend's model.
 * @param limits The answer's limit as the caller set it, and what it is where nobody did.
 */
export function planThinking(
  effort: unknown,
  model: string,
  limits: { readonly asked: number | null; readonly fallback: number },
): ThinkingPlan | null {
  const wanted = BUDGET_TOKENS.get(textOf(effort));
  if (wanted === undefined) return null;
  const answerTokensMax = limits.asked ?? limits.fallback + wanted;

  if (claudeTraits(model).adaptive) {
    return {
      thinking: { type: "adaptive" },
      effort: effort === "minimal" ? "low" : textOf(effort),
      answerTokensMax,
    };
  }
  const budget = Math.min(wanted, Math.floor(answerTokensMax * 0.8));
  if (budget < BUDGET_TOKENS_MIN) return null;
  return { thinking: { type: "enabled", budget_tokens: budget }, effort: null, answerTokensMax };
}

/**
 * The reasoning effort that a messages request asks for, or `null`.
 *
 * Models of OpenAI that do not reason refuse the parameter, and most other
 * servers know only three efforts; only OpenAI's reasoning models get the rest.
 */
export function effortFromThinking(body: JsonObject, model: string): string | null {
  const effort = statedEffort(body);
  if (effort === null) return null;
  if (isReasoningModel(model)) return effort;
  if (isOpenaiModel(model)) return null;
  return effort === "xhigh" || effort === "max" ? "high" : effort;
}

/** Whether a model's name is one of OpenAI's own. */
export function isOpenaiModel(model: string): boolean {
  return /(^|[/:_])(gpt-(?!oss)|chatgpt-|o[1-9](-|$))/i.test(model);
}

/** Whether a model's name is one of OpenAI's that reason: these have parameters of their own. */
export function isReasoningModel(model: string): boolean {
  return /(^|[/:_])(gpt-([5-9]|1\d)(?!\d)|o[1-9](-|$))/i.test(model);
}

function statedEffort(body: JsonObject): string | null {
  const thinking = body["thinking"];
  if (isObject(thinking) && thinking["type"] === "disabled") return null;
  const stated = objectOf(body["output_config"])["effort"];
  if (typeof stated === "string") return stated;
  const budget = countOf(objectOf(thinking)["budget_tokens"]);
  if (budget === null) return null;
  if (budget < 4_096) return "low";
  return budget < 12_288 ? "medium" : "high";
}
