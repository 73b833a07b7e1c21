/**
 * Between the chat completions API and the Messages API, both ways.
 *
 * A caller of one can be served by a backend that speaks the other. What each
 * field becomes stands in `dialect/chat_to_messages.ts` and
 * `dialect/messages_to_chat.ts`.
 *
 * @module
 */
import { messagesRequest } from "./dialect/chat_to_messages.ts";
import { ChunksFromMessages } from "./dialect/chunks_from_messages.ts";
import { completionFromMessage } from "./dialect/completion_from_message.ts";
import { EventsFromChat } from "./dialect/events_from_chat.ts";
import { messageFromCompletion } from "./dialect/message_from_completion.ts";
import { chatRequest } from "./dialect/messages_to_chat.ts";
import type { Surface } from "./surface.ts";

/** One event of a stream in the caller's API. */
export interface CallerEvent {
  /** The event's name; `null` in APIs that name none. */
  readonly event: string | null;
  /** What it says, or the chat API's end mark. */
  readonly data: Record<string, unknown> | "[DONE]";
}

/** What a translated stream says of itself. */
export interface StreamOptions {
  /** Whether a chat caller asked for usage. */
  readonly includeUsage: boolean;
  /** When it began, in seconds since the Unix epoch. */
  readonly createdSeconds: number;
  /** The answer's identity. */
  readonly id: string;
}

/** Translates one stream, event by event. */
export interface StreamTranslator {
  /**
   * Takes one event of the backend.
   *
   * Errors within the stream are the relay's business and are passed over here,
   * and so is anything unknown. After {@linkcode end} nothing comes any more.
   *
   * @param event Its name, or `null`.
   * @param data Its parsed JSON, or the string `[DONE]`.
   * @returns What the caller is to be sent, often nothing.
   */
  push(event: string | null, data: unknown): CallerEvent[];
  /**
   * What is still owed when the backend has ended as its API says it must:
   * finish and usage, and the caller's own end mark. Never to be called for a
   * stream that broke.
   */
  end(): CallerEvent[];
}

/** From the caller's API to the backend's, and back. */
export interface Translation {
  /**
   * Translates the caller's request; `body` is left as it was.
   *
   * @param body The request.
   * @param model The backend's model.
   * @throws {GatewayError} `unsupported_translation` or `invalid_request`, with
   * `param`, if something cannot be carried over.
   */
  request(body: Record<string, unknown>, model: string): Record<string, unknown>;
  /**
   * Translates a whole answer back; its `model` names the model that answered.
   *
   * @param json The backend's answer.
   * @param createdSeconds When it was made, in seconds since the Unix epoch, for
   * a chat caller whose backend does not say; 0 if left out.
   * @throws {GatewayError} `answer_unreadable` if it is none.
   */
  answer(json: unknown, createdSeconds?: number): Record<string, unknown>;
  /** Begins to translate a stream back. */
  stream(options: StreamOptions): StreamTranslator;
}

const CHAT_OVER_MESSAGES: Translation = {
  request: messagesRequest,
  answer: (json, createdSeconds = 0) => completionFromMessage(json, createdSeconds),
  stream: (options) => new ChunksFromMessages(options),
};

const MESSAGES_OVER_CHAT: Translation = {
  request: chatRequest,
  answer: (json) => messageFromCompletion(json),
  stream: (options) => new EventsFromChat(options),
};

/**
 * The translation for a caller of one API and a backend of another.
 *
 * @param from The caller's API.
 * @param to The backend's, as `upstreamSurface` names it.
 * @throws {RangeError} If there is none between these two.
 */
export function translation(from: Surface, to: Surface): Translation {
  if (from === "chat" && to === "messages") return CHAT_OVER_MESSAGES;
  if (from === "messages" && to === "chat") return MESSAGES_OVER_CHAT;
  throw new RangeError(`Cannot translate: there is no way from ${from} to ${to}`);
}

/** An event as SSE text. JSON has no line breaks of its own, so one `data` line is enough. */
export function formatEvent(event: CallerEvent): string {
  const data = event.data === "[DONE]" ? "[DONE]" : JSON.stringify(event.data);
  return event.event === null ? `data: ${data}\n\n` : `event: ${event.event}\ndata: ${data}\n\n`;
}
