/**
 * What one event of a stream, or one whole answer, means.
 *
 * @module
 */
import { readChoiceChunk } from "./choice_events.ts";
import { errorFrom, failedResponse } from "./in_band_error.ts";
import { readMessageEvent } from "./messages_events.ts";
import { readResponseEvent } from "./responses_events.ts";
import { joinUsage, usageFrom } from "./usage.ts";
import {
  type InBandError,
  isObject,
  isText,
  type JsonObject,
  type Reading,
  type ReadingDraft,
  type Usage,
  type WireForm,
} from "./wire.ts";

export type { InBandError, Reading, Usage, WireForm } from "./wire.ts";

/** What one whole answer means. */
export interface AnswerReading {
  /** The answer is all there: neither `error` nor `problem`. */
  readonly complete: boolean;
  /** Finish reason, stop reason or status, of the last choice; `null` for embeddings. */
  readonly finish: string | null;
  /** Token counts. */
  readonly usage: Usage | null;
  /** The model that answered, in the backend's words. */
  readonly model: string | null;
  /** The backend reports an error in place of an answer. */
  readonly error: InBandError | null;
  /** The parsed answer; `null` where it is no JSON object. */
  readonly json: JsonObject | null;
  /** Why it cannot be used, to follow "Cannot …: "; `null` where it can. */
  readonly problem: string | null;
}

/**
 * Reads one event.
 *
 * @param form The API the stream speaks.
 * @param event The event's name, `null` for none.
 * @param data The event's data.
 */
export function readEvent(form: WireForm, event: string | null, data: string): Reading {
  const draft: ReadingDraft = {
    content: false,
    finish: null,
    terminal: false,
    usage: null,
    error: null,
    model: null,
    malformed: false,
    usageOnly: false,
    json: null,
  };
  if (data === "[DONE]") {
    // Other forms have end markers that say more; theirs is the one that counts.
    draft.terminal = form === "chat" || form === "completions";
    return draft;
  }
  const json = parseObject(data);
  if (json === null) {
    draft.malformed = true;
    return draft;
  }
  draft.json = json;
  draft.error = errorFrom(json, event);
  if (draft.error === null) interpret(form, json, draft);
  return draft;
}

/**
 * Reads a whole answer.
 *
 * @param form The API the answer speaks.
 * @param text The body.
 */
export function readAnswer(form: WireForm, text: string): AnswerReading {
  const json = parseObject(text);
  if (json === null) return unusable(null, "it is no JSON object");
  const error = errorFrom(json, null) ??
    (form === "responses" && (json.status === "failed" || json.status === "cancelled")
      ? failedResponse(json)
      : null);
  if (error !== null) return { ...unusable(json, null), error };

  const { finish, problem } = endOf(form, json);
  return {
    complete: problem === null,
    finish,
    usage: usageFrom(json.usage),
    model: isText(json.model) ? json.model : null,
    error: null,
    json,
    problem,
  };
}

/**
 * How far a stream has come.
 *
 * A stream is complete when its protocol says so, never because a connection
 * closed: chat and completions by a finish reason for every choice or `[DONE]`,
 * messages by `message_stop`, responses by `response.completed` or
 * `response.incomplete`.
 */
export class Progress {
  /** Events that brought content. */
  contentEvents = 0;
  /** Token counts so far. */
  usage: Usage | null = null;
  /** The model that answers, in the backend's words. */
  model: string | null = null;
  /** The last finish reason. */
  finish: string | null = null;
  readonly #choicesMin: number;
  readonly #finishedByIndex = new Map<number, boolean>();
  #unfinished = 0;
  #ended = false;

  /**
   * Starts before a stream's first event.
   *
   * @param options `choices`: how many the request asked for (its `n`). Without it
   * a stream counts as finished once all choices *seen* are, which is too early
   * where one ends before another begins.
   */
  constructor(options: { readonly choices?: number } = {}) {
    this.#choicesMin = options.choices ?? 1;
  }

  /** Takes the next event. */
  push(reading: Reading): void {
    if (reading.content) this.contentEvents++;
    if (reading.usage !== null) this.usage = joinUsage(this.usage, reading.usage);
    if (reading.model !== null) this.model = reading.model;
    if (reading.finish !== null) this.finish = reading.finish;
    if (reading.terminal) this.#ended = true;
    const choices = reading.json?.choices;
    if (Array.isArray(choices)) {
      for (let at = 0; at < choices.length; at++) this.#note(choices[at]);
    }
  }

  /** The answer is all there. */
  get complete(): boolean {
    return this.#ended || this.finished;
  }

  /**
   * Every choice has its finish reason, so only usage and the end marker can
   * follow. Where a finish reason does not end the answer (messages, responses)
   * this is true with the end marker only.
   */
  get finished(): boolean {
    const { size } = this.#finishedByIndex;
    if (size === 0) return this.#ended && this.finish !== null;
    return size >= this.#choicesMin && this.#unfinished === 0;
  }

  /** The end marker itself was there. */
  get ended(): boolean {
    return this.#ended;
  }

  #note(choice: unknown): void {
    if (!isObject(choice)) return;
    const index = typeof choice.index === "number" ? choice.index : 0;
    const before = this.#finishedByIndex.get(index);
    if (before === undefined) this.#unfinished++;
    const isFinished = isText(choice.finish_reason);
    if (isFinished && before !== true) this.#unfinished--;
    if (before === undefined || (isFinished && !before)) {
      this.#finishedByIndex.set(index, isFinished);
    }
  }
}

function interpret(form: WireForm, json: JsonObject, draft: ReadingDraft): void {
  switch (form) {
    case "chat":
    case "completions":
      return readChoiceChunk(json, draft);
    case "messages":
      return readMessageEvent(json, draft);
    case "responses":
      return readResponseEvent(json, draft);
    case "embeddings":
      return; // Never streamed.
  }
}

interface AnswerEnd {
  readonly finish: string | null;
  readonly problem: string | null;
}

/** How a whole answer ends, and what is missing. */
function endOf(form: WireForm, json: JsonObject): AnswerEnd {
  switch (form) {
    case "chat":
    case "completions":
      return endOfChoices(json.choices);
    case "messages":
      if (!Array.isArray(json.content)) return { finish: null, problem: "it has no content" };
      return isText(json.stop_reason)
        ? { finish: json.stop_reason, problem: null }
        : { finish: null, problem: "it has no stop reason" };
    case "responses":
      // A background response is answered with `queued` or `in_progress`: whole as it is.
      if (!Array.isArray(json.output)) return { finish: null, problem: "it has no output" };
      return isText(json.status)
        ? { finish: json.status, problem: null }
        : { finish: null, problem: "it has no status" };
    case "embeddings":
      return Array.isArray(json.data)
        ? { finish: null, problem: null }
        : { finish: null, problem: "it has no data" };
  }
}

function endOfChoices(choices: unknown): AnswerEnd {
  if (!Array.isArray(choices) || choices.length === 0) {
    return { finish: null, problem: "it has no choices" };
  }
  let finish: string | null = null;
  for (const [index, choice] of choices.entries()) {
    if (!isObject(choice) || !isText(choice.finish_reason)) {
      return { finish, problem: `choice ${index} has no finish reason` };
    }
    finish = choice.finish_reason;
  }
  return { finish, problem: null };
}

function unusable(json: JsonObject | null, problem: string | null): AnswerReading {
  return { complete: false, finish: null, usage: null, model: null, error: null, json, problem };
}

function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
