/**
 * What a simulated model says.
 *
 * The text depends on the conversation alone, not on the model, the seed or the
 * API, unless randomness is asked for: two simulated backends give the same
 * answer to the same prompt, as two servings of one real model at temperature 0
 * would. An assistant's last message that begins this answer is continued.
 *
 * @module
 */

import { hash32 } from "../chance.ts";
import {
  prefillOf,
  promptTokens,
  type TextRequest,
  type Tool,
  type Turn,
} from "../requests/request.ts";
import { toolArguments } from "./tool_arguments.ts";
import { prose } from "./vocabulary.ts";

/** One call of a tool. */
export interface ToolCall {
  /** The function's name. */
  readonly name: string;
  /** JSON of the arguments, in pieces. */
  readonly pieces: readonly string[];
}

/** A whole answer, ready to be sent in any format. */
export interface Answer {
  /** Visible reasoning, in tokens; mostly empty. */
  readonly thoughts: readonly string[];
  /** The text, in tokens; joined they are the text. */
  readonly tokens: readonly string[];
  /** Tool calls; not empty only if `tokens` is. */
  readonly calls: readonly ToolCall[];
  /** Why it ends. */
  readonly finish: "stop" | "length" | "tool_calls";
  /** The stop text that ended it, or `null`. */
  readonly stopText: string | null;
  /** Tokens in the prompt. */
  readonly promptTokens: number;
  /** Tokens in the answer, reasoning included. */
  readonly answerTokens: number;
}

/** What shapes an answer besides the request. */
export interface AnswerOptions {
  /** Says this instead of made-up text. */
  readonly fixedText?: string;
  /** Length of the text; derived from the prompt if left out. */
  readonly words?: number;
  /** Words of visible reasoning. */
  readonly reasoningWords?: number;
  /** Tool calls in the answer, if it calls a tool at all or tools are offered. */
  readonly toolCalls?: number;
  /** Makes the text differ from that of other values; 0 for none. */
  readonly variation: number;
}

const REASONING_WORDS = 24;

/** The answer to `request`. */
export function answerTo(request: TextRequest, options: AnswerOptions): Answer {
  const seed = hash32(promptKey(request.turns), options.variation);
  const reasoningWords = options.reasoningWords ?? (request.reasoning ? REASONING_WORDS : 0);
  const tokensMax = request.tokensMax ?? Infinity;
  const allThoughts = reasoningWords === 0 ? [] : tokensOf(prose(seed ^ 0x7e7e, reasoningWords));
  const thoughts = allThoughts.slice(0, tokensMax);
  const room = tokensMax - thoughts.length;
  const shared = { thoughts, promptTokens: promptTokens(request) };

  const tool = toolToCall(request, options);
  if (tool !== null) return { ...shared, ...calling(tool, options.toolCalls ?? 1, room, thoughts) };

  const text = options.fixedText ?? prose(seed, options.words ?? 24 + (seed % 72));
  const { kept, stopText } = untilStop(remainder(text, prefillOf(request)), request.stops);
  const all = tokensOf(kept);
  const tokens = all.slice(0, room);
  const finish = tokens.length < all.length || thoughts.length < allThoughts.length
    ? "length"
    : "stop";
  return {
    ...shared,
    tokens,
    calls: [],
    finish,
    stopText: finish === "stop" ? stopText : null,
    answerTokens: thoughts.length + tokens.length,
  };
}

/** Splits text into tokens: each word with the blanks before it. */
export function tokensOf(text: string): readonly string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/**
 * What identifies a conversation: turns without the assistant's prefill,
 * neighbours of one role taken together, since some APIs require that.
 */
function promptKey(turns: readonly Turn[]): string {
  const asked = turns.at(-1)?.role === "assistant" ? turns.slice(0, -1) : turns;
  let key = "";
  let role = "";
  for (const turn of asked) {
    key += turn.role === role ? `\n${turn.text}` : `\u0000${turn.role}\u0001${turn.text}`;
    role = turn.role;
  }
  return key;
}

/** The rest of `text` after `prefill`; the whole text if it does not begin so. */
function remainder(text: string, prefill: string | null): string {
  if (prefill === null || prefill === "") return text;
  if (text.startsWith(prefill)) return text.slice(prefill.length);
  const trimmed = prefill.trim();
  return text.startsWith(trimmed) ? text.slice(trimmed.length) : text;
}

function untilStop(
  text: string,
  stops: readonly string[],
): { readonly kept: string; readonly stopText: string | null } {
  let end = text.length;
  let stopText: string | null = null;
  for (const stop of stops) {
    const at = stop === "" ? -1 : text.indexOf(stop);
    if (at >= 0 && at < end) {
      end = at;
      stopText = stop;
    }
  }
  return { kept: text.slice(0, end), stopText };
}

function toolToCall(request: TextRequest, options: AnswerOptions): Tool | null {
  const { tools, toolChoice } = request;
  if (toolChoice === "none") return null;
  if (typeof toolChoice === "object") {
    return tools.find((tool) => tool.name === toolChoice.name) ?? null;
  }
  const best = tools.find((tool) => /weather/i.test(tool.name)) ?? tools[0] ?? null;
  if (toolChoice === "any" || options.toolCalls !== undefined) return best;
  const last = request.turns.at(-1);
  return last?.role === "user" && /weather/i.test(last.text) ? best : null;
}

function calling(
  tool: Tool,
  count: number,
  room: number,
  thoughts: readonly string[],
): Pick<Answer, "tokens" | "calls" | "finish" | "stopText" | "answerTokens"> {
  const pieces = toolArguments(tool.parameters).match(/[^]{1,6}/gu) ?? [];
  const calls: ToolCall[] = [];
  let left = room;
  for (let i = 0; i < count && left > 0; i++) {
    calls.push({ name: tool.name, pieces: pieces.slice(0, left) });
    left -= pieces.length;
  }
  const sent = calls.reduce((total, call) => total + call.pieces.length, 0);
  return {
    tokens: [],
    calls,
    finish: left < 0 || calls.length < count ? "length" : "tool_calls",
    stopText: null,
    answerTokens: thoughts.length + sent,
  };
}
