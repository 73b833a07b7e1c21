/**
 * Writes chat completions and the older completions.
 *
 * @module
 */
import type { AnswerRecord, JsonObject } from "../../types.ts";
import { piecesOf } from "../text_pieces.ts";
import { dataEvent, type ReplayEventsOptions, type ReplayOptions } from "./replay_form.ts";

/** A whole chat completion. */
export function chatAnswer(record: AnswerRecord, options: ReplayOptions): JsonObject {
  const message = {
    role: "assistant",
    content: record.text,
    refusal: null,
    annotations: [],
    ...reasoningOf(record),
  };
  return {
    ...headOf(record, { ...options, object: "chat.completion" }),
    choices: [{ index: 0, message, logprobs: null, finish_reason: record.finish }],
    ...usageOf(record),
  };
}

/** The chunks of a chat completion. */
export function chatEvents(record: AnswerRecord, options: ReplayEventsOptions): readonly string[] {
  const object = "chat.completion.chunk";
  const head = `${openHead(record, { ...options, object })},"choices":[{"index":0,"delta":`;
  const noUsage = options.includeUsage ? ',"usage":null}' : "}";
  const tail = `,"logprobs":null,"finish_reason":null}]${noUsage}`;
  const events = [
    dataEvent(`${head}{"role":"assistant","content":"","refusal":null}${tail}`),
  ];
  if (record.reasoning !== null) {
    events.push(dataEvent(`${head}${JSON.stringify(reasoningOf(record))}${tail}`));
  }
  for (const piece of piecesOf(record.text, record.pieces)) {
    events.push(dataEvent(`${head}{"content":${JSON.stringify(piece)}}${tail}`));
  }
  const finish = JSON.stringify(record.finish);
  events.push(dataEvent(`${head}{},"logprobs":null,"finish_reason":${finish}}]${noUsage}`));
  return [...events, ...closing(record, { ...options, object })];
}

/** A whole completion. */
export function completionAnswer(record: AnswerRecord, options: ReplayOptions): JsonObject {
  const { text, finish } = record;
  return {
    ...headOf(record, { ...options, object: "text_completion" }),
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
    ...usageOf(record),
  };
}

/** The chunks of a completion. */
export function completionEvents(
  record: AnswerRecord,
  options: ReplayEventsOptions,
): readonly string[] {
  const object = "text_completion";
  const head = `${openHead(record, { ...options, object })},"choices":[{"index":0,"text":`;
  const noUsage = options.includeUsage ? ',"usage":null}' : "}";
  const events = piecesOf(record.text, record.pieces).map((piece) => {
    const text = JSON.stringify(piece);
    return dataEvent(`${head}${text},"logprobs":null,"finish_reason":null}]${noUsage}`);
  });
  const finish = JSON.stringify(record.finish);
  events.push(dataEvent(`${head}"","logprobs":null,"finish_reason":${finish}}]${noUsage}`));
  return [...events, ...closing(record, { ...options, object })];
}

/** Usage in a chunk of its own, if asked for and known, and the end mark. */
function closing(
  record: AnswerRecord,
  options: ReplayEventsOptions & { readonly object: string },
): readonly string[] {
  const done = dataEvent("[DONE]");
  if (!options.includeUsage || record.usage === null) return [done];
  const usage = JSON.stringify(record.usage);
  return [dataEvent(`${openHead(record, options)},"choices":[],"usage":${usage}}`), done];
}

/** JSON of what every chunk begins with, the last brace left open. */
function openHead(
  record: AnswerRecord,
  options: ReplayOptions & { readonly object: string },
): string {
  return JSON.stringify(headOf(record, options)).slice(0, -1);
}

function headOf(
  { extra, model, surface }: AnswerRecord,
  { id, object, createdSeconds }: ReplayOptions & { readonly object: string },
): JsonObject {
  const prefix = surface === "chat" ? "chatcmpl" : "cmpl";
  return { ...extra, id: `${prefix}-${id}`, object, created: createdSeconds, model };
}

function usageOf({ usage }: AnswerRecord): JsonObject {
  return usage === null ? {} : { usage };
}

/** Reasoning under each name that the backend had for it. */
function reasoningOf({ reasoning }: AnswerRecord): JsonObject {
  if (reasoning === null) return {};
  return Object.fromEntries(reasoning.field.split(" ").map((name) => [name, reasoning.text]));
}
