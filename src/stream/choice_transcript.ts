/**
 * Carrying on a stream of chat completions or legacy completions.
 *
 * Every choice has one channel a field of text, and two (name, arguments) a tool
 * call. They are compared one by one, so that it does not matter how the two
 * backends divide or interleave them.
 *
 * @module
 */
import { Channel, Comparison, type ContinuationMode, type Mismatch } from "./channel.ts";
import { isObject, isText, type JsonObject } from "./wire.ts";

/** Fields of a delta that grow by appending. */
const TEXT_FIELDS: ReadonlySet<string> = new Set([
  "content",
  "reasoning_content",
  "reasoning",
  "refusal",
]);

/** What the client has of one choice. */
class Choice {
  hasRole = false;
  isFinished = false;
  readonly channels = new Map<string, Channel>();
  /** Ids of tool calls, by index. */
  readonly toolIds = new Map<number, string>();

  channel(key: string): Channel {
    let channel = this.channels.get(key);
    if (channel === undefined) this.channels.set(key, channel = new Channel());
    return channel;
  }

  get isBehind(): boolean {
    return this.channels.values().some((channel) => channel.isBehind);
  }
}

/** What a client has of a chat completion or legacy completion. */
export class ChoiceTranscript {
  readonly #choices = new Map<number, Choice>();
  /** The first chunk, whose `id` and `created` all the others bear. */
  #identity: JsonObject | null = null;
  #isOpaque = false;
  /** The last chunk that was dropped while text was held back: the form for handing it out. */
  #heldChunk: JsonObject | null = null;

  /** Everything that was sent can be compared. */
  get canContinue(): boolean {
    return !this.#isOpaque;
  }

  /** The text sent so far, where that is all of one unfinished choice; else `null`. */
  get soleText(): string | null {
    const choice = this.#choices.get(0);
    if (this.#isOpaque || this.#choices.size !== 1 || !choice || choice.isFinished) return null;
    let text = "";
    for (const [key, { sent }] of choice.channels) {
      if (sent === "") continue;
      if (key !== "content" && key !== "text") return null;
      text = sent;
    }
    return choice.toolIds.size > 0 ? null : text;
  }

  /** Notes a chunk that is sent on. */
  record(json: JsonObject): void {
    this.#identity ??= json;
    if (!Array.isArray(json.choices)) return;
    for (const value of json.choices) {
      if (!isObject(value)) continue;
      const choice = this.#choice(value);
      if (isText(value.text)) choice.channel("text").append(value.text);
      if (isObject(value.delta)) this.#recordDelta(choice, value.delta);
      if (isText(value.finish_reason)) choice.isFinished = true;
    }
  }

  /** A new stream begins. */
  begin(mode: ContinuationMode): void {
    this.#heldChunk = null;
    for (const choice of this.#choices.values()) {
      for (const channel of choice.channels.values()) channel.begin(mode);
    }
  }

  /** The chunks to send in place of `json`, or where it differs. */
  splice(json: JsonObject): readonly JsonObject[] | Mismatch {
    if (!Array.isArray(json.choices)) return [];
    const comparison = new Comparison();
    const choices: JsonObject[] = [];
    let hasFinish = json.choices.length === 0;
    for (const value of json.choices) {
      if (!isObject(value)) continue;
      if (isText(value.finish_reason)) hasFinish = true;
      const spliced = spliceChoice(this.#choice(value), value, comparison);
      if (spliced !== null) choices.push(spliced);
    }
    if (comparison.mismatch !== null) return comparison.mismatch;
    if (choices.length === 0 && !(hasFinish && isObject(json.usage))) {
      if (json.choices.length > 0) this.#heldChunk = json;
      return [];
    }
    return [this.#forward({ ...json, choices })];
  }

  /** The end marker came: hands out what was held back, or says what is missing. */
  end(): readonly JsonObject[] | Mismatch {
    const comparison = new Comparison();
    const events: JsonObject[] = [];
    for (const [index, choice] of this.#choices) {
      for (const [key, channel] of choice.channels) {
        channel.expectCaughtUp(comparison);
        const text = channel.release();
        if (text === "") continue;
        const body = key === "text" ? { text } : { delta: { [key]: text } };
        const choices = [{ index, ...body, finish_reason: null }];
        events.push(this.#forward({ ...this.#heldChunk, choices }));
      }
    }
    return comparison.mismatch ?? events;
  }

  /** Gives a chunk the identity of the first stream, and notes it as sent. */
  #forward(json: JsonObject): JsonObject {
    const { id = json.id, created = json.created } = this.#identity ?? {};
    const event = { ...json, id, created };
    this.record(event);
    return event;
  }

  #choice(value: JsonObject): Choice {
    const index = typeof value.index === "number" ? value.index : 0;
    let choice = this.#choices.get(index);
    if (choice === undefined) this.#choices.set(index, choice = new Choice());
    return choice;
  }

  #recordDelta(choice: Choice, delta: JsonObject): void {
    for (const key in delta) {
      const value = delta[key];
      if (key === "role") choice.hasRole = true;
      else if (TEXT_FIELDS.has(key) && typeof value === "string") choice.channel(key).append(value);
      else if (key === "tool_calls" && Array.isArray(value)) {
        for (const [position, call] of value.entries()) this.#recordCall(choice, call, position);
      } else if (key === "function_call" && isObject(value)) {
        this.#recordFunction(choice, "function", value);
      } else if (saysSomething(value)) this.#isOpaque = true;
    }
  }

  #recordCall(choice: Choice, call: unknown, position: number): void {
    if (!isObject(call)) return;
    const index = indexOf(call, position);
    const known = choice.toolIds.get(index);
    if (isText(call.id)) {
      // Two calls under one index (some backends do that) cannot be told apart later.
      if (known !== undefined && known !== call.id) this.#isOpaque = true;
      else choice.toolIds.set(index, call.id);
    }
    if (isObject(call.function)) this.#recordFunction(choice, `tool ${index}`, call.function);
    if (isObject(call.custom)) this.#isOpaque = true;
  }

  #recordFunction(choice: Choice, key: string, value: JsonObject): void {
    if (isText(value.name)) choice.channel(`${key} name`).append(value.name);
    if (typeof value.arguments === "string") {
      choice.channel(`${key} arguments`).append(value.arguments);
    } else if (saysSomething(value.arguments)) this.#isOpaque = true;
  }
}

/** The part of a choice the client does not have; `null` for none. */
function spliceChoice(
  choice: Choice,
  value: JsonObject,
  comparison: Comparison,
): JsonObject | null {
  comparison.isCut = false;
  const isLegacy = typeof value.text === "string";
  const body = isObject(value.delta) ? spliceDelta(choice, value.delta, comparison) : {};
  if (isText(value.text)) {
    const text = choice.channel("text").take(value.text, comparison);
    if (text !== "") body.text = text;
  }

  const isFinish = isText(value.finish_reason);
  if (isFinish) {
    for (const [key, channel] of choice.channels) {
      channel.expectCaughtUp(comparison);
      const held = channel.release();
      if (held !== "") body[key] = held;
    }
  }
  const hasNews = Object.keys(body).length > 0;
  if (hasNews && choice.isFinished) comparison.differ();
  if (!hasNews && (!isFinish || choice.isFinished)) return null;

  const spliced = isLegacy ? { ...value, text: body.text ?? "" } : { ...value, delta: body };
  // Log probabilities are listed a token: those of a cut text would not fit.
  return comparison.isCut && value.logprobs ? { ...spliced, logprobs: null } : spliced;
}

function spliceDelta(
  choice: Choice,
  delta: JsonObject,
  comparison: Comparison,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const key in delta) {
    const value = delta[key];
    if (key === "role") {
      if (!choice.hasRole) result.role = value;
    } else if (TEXT_FIELDS.has(key) && typeof value === "string") {
      const text = choice.channel(key).take(value, comparison);
      if (text !== "") result[key] = text;
    } else if (key === "tool_calls" && Array.isArray(value)) {
      const calls = value.map((call, position) => spliceCall(choice, call, position, comparison))
        .filter((call) => call !== null);
      if (calls.length > 0) result.tool_calls = calls;
    } else if (key === "function_call" && isObject(value)) {
      const call = spliceFunction(choice, "function", value, comparison);
      if (call !== null) result.function_call = call;
    } else if (saysSomething(value) && !choice.isBehind) {
      result[key] = value;
    }
  }
  return result;
}

/** A call keeps the id the client knows it by; with a new id, all of it is new. */
function spliceCall(
  choice: Choice,
  call: unknown,
  position: number,
  comparison: Comparison,
): JsonObject | null {
  if (!isObject(call)) return null;
  const index = indexOf(call, position);
  const given = isObject(call.function) ? call.function : {};
  const news = spliceFunction(choice, `tool ${index}`, given, comparison);
  if (isText(call.id) && !choice.toolIds.has(index)) {
    if (!isObject(call.function)) return call;
    const { name: _, ...others } = given;
    return { ...call, function: { ...others, arguments: "", ...news } };
  }
  return news === null ? null : { index, function: news };
}

function spliceFunction(
  choice: Choice,
  key: string,
  value: JsonObject,
  comparison: Comparison,
): JsonObject | null {
  const result: Record<string, unknown> = {};
  if (isText(value.name)) {
    const channel = choice.channel(`${key} name`);
    const name = channel.take(value.name, comparison);
    // Clients take a name as a whole: one that goes on behind what they have is another.
    if (name !== "" && channel.sent !== "") comparison.differ(channel.sent.length);
    if (name !== "") result.name = name;
  }
  if (isText(value.arguments)) {
    const rest = choice.channel(`${key} arguments`).take(value.arguments, comparison);
    if (rest !== "") result.arguments = rest;
  }
  return Object.keys(result).length === 0 ? null : result;
}

function indexOf(call: JsonObject, position: number): number {
  return typeof call.index === "number" ? call.index : position;
}

/** Neither `null` nor `false` nor empty. */
function saysSomething(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}
