/**
 * Writes Anthropic's messages.
 *
 * @module
 */
import type { AnswerRecord, JsonObject } from "../../types.ts";
import { piecesOf } from "../text_pieces.ts";
import { namedEvent, type ReplayOptions } from "./replay_form.ts";

/** Counts that the API gives again, as totals, at the end of a stream. */
const FINAL_COUNTS = [
  "input_tokens",
  "cache_creation_input_tokens",
  "cache_read_input_tokens",
  "output_tokens_details",
  "server_tool_use",
];

/** A whole message. */
export function messageAnswer(record: AnswerRecord, options: ReplayOptions): JsonObject {
  return {
    ...headOf(record, options),
    content: [{ type: "text", text: record.text, citations: null }],
    container: null,
    diagnostics: null,
    ...stopOf(record),
    usage: usageOf(record),
  };
}

/** The events of a message. */
export function messageEvents(record: AnswerRecord, options: ReplayOptions): readonly string[] {
  const events = [
    typed({ type: "message_start", message: startOf(record, options) }),
    typed({
      type: "content_block_start",
      index: 0,
      content_block: { type: "text", text: "", citations: null },
    }),
  ];
  const head = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":';
  for (const piece of piecesOf(record.text, record.pieces)) {
    events.push(namedEvent("content_block_delta", `${head}${JSON.stringify(piece)}}}`));
  }
  events.push(
    typed({ type: "content_block_stop", index: 0 }),
    typed({
      type: "message_delta",
      delta: { container: null, ...stopOf(record) },
      usage: finalUsage(usageOf(record)),
    }),
    typed({ type: "message_stop" }),
  );
  return events;
}

function startOf(record: AnswerRecord, options: ReplayOptions): JsonObject {
  const { output_tokens: total, ...usage } = usageOf(record);
  return {
    ...headOf(record, options),
    content: [],
    container: null,
    diagnostics: null,
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    // The first token is counted when a stream begins, the others when it ends.
    usage: {
      ...usage,
      ...(Object.hasOwn(usage, "output_tokens_details") ? { output_tokens_details: null } : {}),
      output_tokens: typeof total === "number" ? Math.min(total, 1) : total,
    },
  };
}

function headOf({ model }: AnswerRecord, { id }: ReplayOptions): JsonObject {
  return { id: `msg_${id}`, type: "message", role: "assistant", model };
}

function stopOf({ finish, stopSequence }: AnswerRecord): JsonObject {
  return { stop_reason: finish, stop_sequence: stopSequence, stop_details: null };
}

/** The two counts that every client of this API relies on are never left out. */
function usageOf({ usage }: AnswerRecord): JsonObject {
  return { input_tokens: 0, output_tokens: 0, ...usage };
}

function finalUsage(usage: JsonObject): JsonObject {
  const known = FINAL_COUNTS.filter((name) => Object.hasOwn(usage, name));
  return {
    ...Object.fromEntries(known.map((name) => [name, usage[name]])),
    output_tokens: usage.output_tokens,
  };
}

function typed(body: JsonObject & { readonly type: string }): string {
  return namedEvent(body.type, JSON.stringify(body));
}
