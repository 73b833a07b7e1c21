/**
 * Makes a record of an answer, if it is one that may be stored.
 *
 * What is recorded is what a client was sent, in its own API. Stored are only
 * answers of one choice, of nothing but text, that reached their protocol's own
 * end. In doubt an answer is refused: a miss costs a call, a damaged hit costs
 * trust.
 *
 * @module
 */
import type { CachedSurface, JsonObject } from "../types.ts";
import { isError, isObject, parseObject } from "./fields.ts";
import { readChoicesAnswer, readChoicesChunk } from "./reading/choices.ts";
import { AnswerDraft, type Recorded } from "./reading/draft.ts";
import { readMessagesAnswer, readMessagesEvent } from "./reading/messages.ts";
import { readResponsesAnswer, readResponsesEvent } from "./reading/responses.ts";

export type { Recorded } from "./reading/draft.ts";

interface Readers {
  readonly event: (json: JsonObject, draft: AnswerDraft) => void;
  readonly whole: (json: JsonObject, draft: AnswerDraft) => void;
}

const CHOICES: Readers = { event: readChoicesChunk, whole: readChoicesAnswer };

const READERS: Readonly<Record<CachedSurface, Readers>> = {
  chat: CHOICES,
  completions: CHOICES,
  messages: { event: readMessagesEvent, whole: readMessagesAnswer },
  responses: { event: readResponsesEvent, whole: readResponsesAnswer },
};

/** A chunk without choices, before it is parsed: text in a string has its quotes escaped. */
const NO_CHOICES = /"choices"\s*:\s*\[\s*\]/;

/** Recorder's limits. */
export interface RecorderOptions {
  /** What a record may occupy, in bytes. */
  readonly bytesMax: number;
}

/** Records a stream from its events. */
export class StreamRecorder {
  readonly #draft: AnswerDraft;
  readonly #read: Readers["event"];
  readonly #hasChoices: boolean;
  #closed = false;

  /** Starts before the first event. */
  constructor(surface: CachedSurface, options: RecorderOptions) {
    this.#draft = new AnswerDraft(surface, options.bytesMax);
    this.#read = READERS[surface].event;
    this.#hasChoices = surface === "chat" || surface === "completions";
  }

  /**
   * Takes the next event, once. Never throws, whatever it holds.
   *
   * @param event The event's name; `null` for none.
   * @param data The event's data.
   * @returns Whether it brings nothing but usage: a chunk without choices that is
   * there for its usage alone.
   */
  push(event: string | null, data: string): boolean {
    if (data === "[DONE]") {
      if (this.#hasChoices) this.#closed = true;
      return false;
    }
    const isIgnored = this.#closed || this.#draft.isRefused;
    if (isIgnored && !(this.#hasChoices && NO_CHOICES.test(data))) return false;
    const json = parseObject(data);
    if (!isIgnored) this.#take(event, json);
    return this.#hasChoices && json !== null && isUsageOnly(json) && !isError(json, event);
  }

  /** The record, or why the answer is not stored, as it is at this moment. */
  finish(): Recorded {
    return this.#draft.finished();
  }

  #take(event: string | null, json: JsonObject | null): void {
    const draft = this.#draft;
    if (json === null) draft.refuse("unreadable");
    else if (isError(json, event)) draft.refuse("error");
    else this.#read(json, draft);
    // Further events may follow a finish reason, but none an end marker.
    if (!this.#hasChoices && draft.ended) this.#closed = true;
  }
}

/** Records an answer that came whole. Never throws, whatever it holds. */
export function recordAnswer(
  surface: CachedSurface,
  json: JsonObject,
  options: RecorderOptions,
): Recorded {
  const draft = new AnswerDraft(surface, options.bytesMax);
  if (isError(json, null)) draft.refuse("error");
  else READERS[surface].whole(json, draft);
  draft.dropPieces();
  return draft.finished();
}

function isUsageOnly({ choices, usage }: JsonObject): boolean {
  if (!Array.isArray(choices) || choices.length > 0 || !isObject(usage)) return false;
  return [usage.prompt_tokens, usage.completion_tokens, usage.input_tokens, usage.output_tokens]
    .some((count) => typeof count === "number" && count >= 0);
}
