/**
 * Writes OpenAI's responses.
 *
 * @module
 */
import type { AnswerRecord, JsonObject } from "../../types.ts";
import { RESPONSE_DEFAULTS } from "../surface_facts.ts";
import { piecesOf } from "../text_pieces.ts";
import { namedEvent, type ReplayOptions } from "./replay_form.ts";

/** A whole response. */
export function responseAnswer(record: AnswerRecord, options: ReplayOptions): JsonObject {
  return {
    ...headOf(record, options),
    status: record.finish,
    completed_at: options.createdSeconds,
    output: [itemOf(record, options)],
    // It is null only until a response is complete.
    ...(record.usage === null ? {} : { usage: record.usage }),
  };
}

/** The events of a response. */
export function responseEvents(record: AnswerRecord, options: ReplayOptions): readonly string[] {
  const events: string[] = [];
  const emit = (type: string, body: JsonObject) => {
    const json = JSON.stringify({ type, sequence_number: events.length, ...body });
    events.push(namedEvent(type, json));
  };
  const response = startOf(record, options);
  const item = itemOf(record, options);
  const place = { item_id: item.id, output_index: 0, content_index: 0 };
  const started = { ...item, status: "in_progress", content: [] };

  emit("response.created", { response });
  emit("response.in_progress", { response });
  emit("response.output_item.added", { output_index: 0, item: started });
  emit("response.content_part.added", { ...place, part: partOf("") });
  for (const delta of piecesOf(record.text, record.pieces)) {
    emit("response.output_text.delta", { ...place, delta, logprobs: [] });
  }
  emit("response.output_text.done", { ...place, text: record.text, logprobs: [] });
  emit("response.content_part.done", { ...place, part: partOf(record.text) });
  emit("response.output_item.done", { output_index: 0, item });
  emit("response.completed", { response: responseAnswer(record, options) });
  return events;
}

function startOf(record: AnswerRecord, options: ReplayOptions): JsonObject {
  return {
    ...headOf(record, options),
    status: "in_progress",
    completed_at: null,
    output: [],
    usage: null,
  };
}

function headOf(
  { extra, model }: AnswerRecord,
  { id, createdSeconds }: ReplayOptions,
): JsonObject {
  return {
    ...RESPONSE_DEFAULTS,
    ...extra,
    id: `resp_${id}`,
    object: "response",
    created_at: createdSeconds,
    model,
    error: null,
    incomplete_details: null,
    metadata: {},
  };
}

function itemOf({ text }: AnswerRecord, { id }: ReplayOptions): JsonObject {
  return {
    id: `msg_${id}`,
    type: "message",
    status: "completed",
    role: "assistant",
    content: [partOf(text)],
  };
}

function partOf(text: string): JsonObject {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}
