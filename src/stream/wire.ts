/**
 * The words in which the rest of `stream/` speaks about answers.
 *
 * @module
 */

/** The shape of requests and answers: OpenAI's four, and Anthropic's messages. */
export type WireForm = "chat" | "completions" | "responses" | "embeddings" | "messages";

/** A parsed JSON object of which nothing is known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Tokens as the backend counted them; `null` where it did not say. */
export interface Usage {
  /** Everything the model read, with what came from the backend's prompt cache. */
  readonly promptTokens: number | null;
  /** Everything the model wrote, with its reasoning. */
  readonly answerTokens: number | null;
  /** The part of `promptTokens` that was read from the backend's prompt cache. */
  readonly cachedTokens: number | null;
  /** The part of `answerTokens` that was reasoning. */
  readonly reasoningTokens: number | null;
}

/** An error that a backend reports inside an answer that began well. */
export interface InBandError {
  /** HTTP status it would have had; `null` where nothing says so. */
  readonly status: number | null;
  /** The backend's code. */
  readonly code: string | null;
  /** The backend's type. */
  readonly type: string | null;
  /** The backend's words, unredacted. */
  readonly message: string;
}

/** What one event of a stream means. */
export interface Reading {
  /**
   * Brings something of the answer: text, reasoning, refusal, audio, or a part of
   * a tool call. Roles, empty strings, pings and usage are not content.
   */
  readonly content: boolean;
  /** Finish reason, stop reason or final status, of the last choice that has one. */
  readonly finish: string | null;
  /** The protocol's end marker: `[DONE]`, `message_stop`, `response.completed` or `.incomplete`. */
  readonly terminal: boolean;
  /** Token counts so far. */
  readonly usage: Usage | null;
  /** The backend gave up. */
  readonly error: InBandError | null;
  /** The model that answers, in the backend's words. */
  readonly model: string | null;
  /** The data is no JSON object (and not `[DONE]`). */
  readonly malformed: boolean;
  /** A chunk without choices that is there for its usage alone. */
  readonly usageOnly: boolean;
  /** The parsed data; `null` for `[DONE]` and where malformed. */
  readonly json: JsonObject | null;
}

/** A {@linkcode Reading} while it is being made. */
export type ReadingDraft = { -readonly [Key in keyof Reading]: Reading[Key] };

/** Narrows to a JSON object: neither `null` nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Narrows to a string with something in it. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
