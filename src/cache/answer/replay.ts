/**
 * Gives a recorded answer again, whole or as a stream, whichever way it had come.
 *
 * Everything is the original's but its ids and its time. Nothing is paced here.
 *
 * @module
 */
import type { AnswerRecord, JsonObject } from "../types.ts";
import { chatAnswer, chatEvents, completionAnswer, completionEvents } from "./writing/choices.ts";
import { messageAnswer, messageEvents } from "./writing/messages.ts";
import type { ReplayEventsOptions, ReplayOptions } from "./writing/replay_form.ts";
import { responseAnswer, responseEvents } from "./writing/responses.ts";

export type { ReplayEventsOptions, ReplayOptions } from "./writing/replay_form.ts";

/** The body of an answer that is not streamed. */
export function replayAnswer(record: AnswerRecord, options: ReplayOptions): JsonObject {
  switch (record.surface) {
    case "chat":
      return chatAnswer(record, options);
    case "completions":
      return completionAnswer(record, options);
    case "messages":
      return messageAnswer(record, options);
    case "responses":
      return responseAnswer(record, options);
  }
}

/** The events of a stream, each as it is sent: LF line ends, blank line included. */
export function replayEvents(
  record: AnswerRecord,
  options: ReplayEventsOptions,
): readonly string[] {
  switch (record.surface) {
    case "chat":
      return chatEvents(record, options);
    case "completions":
      return completionEvents(record, options);
    case "messages":
      return messageEvents(record, options);
    case "responses":
      return responseEvents(record, options);
  }
}
