/**
 * The responses API: events and whole.
 *
 * @module
 */

import type { ToolCall } from "../answers/answer.ts";
import {
  type EventKind,
  type Exchange,
  namedEvent,
  type WireEvent,
  type WireFormat,
} from "./wire.ts";

/** The format of `/v1/responses`. */
export const RESPONSES_FORMAT: WireFormat = { events, whole, malformed, failure };

type Body = Readonly<Record<string, unknown>>;
type Emit = (kind: EventKind, type: string, body: Body) => WireEvent;

function* events(exchange: Exchange): Generator<WireEvent> {
  const { answer } = exchange;
  let sequence = 0;
  const emit: Emit = (kind, type, body) => {
    const json = JSON.stringify({ type, sequence_number: sequence++, ...body });
    return namedEvent(kind, type, json);
  };
  const started = responseOf(exchange, "in_progress", []);
  yield emit("open", "response.created", { response: started });
  yield emit("open", "response.in_progress", { response: started });
  let index = 0;
  if (answer.thoughts.length > 0) yield* reasoningEvents(exchange, emit, index++);
  if (answer.calls.length === 0) yield* messageEvents(exchange, emit, index);
  for (const [i, call] of answer.calls.entries()) {
    yield* callEvents(exchange, emit, { call, number: i, index: index + i });
  }
  const response = finished(exchange);
  yield emit("finish", `response.${String(response["status"])}`, { response });
}

function* reasoningEvents(exchange: Exchange, emit: Emit, index: number): Generator<WireEvent> {
  const place = { item_id: `rs_${exchange.id}`, output_index: index, summary_index: 0 };
  const item = { ...reasoningItem(exchange), summary: [] };
  yield emit("open", "response.output_item.added", { output_index: index, item });
  const part = { type: "summary_text", text: "" };
  yield emit("open", "response.reasoning_summary_part.added", { ...place, part });
  for (const delta of exchange.answer.thoughts) {
    yield emit("thought", "response.reasoning_summary_text.delta", { ...place, delta });
  }
  const text = exchange.answer.thoughts.join("");
  yield emit("open", "response.reasoning_summary_text.done", { ...place, text });
  const done = { ...place, part: { ...part, text } };
  yield emit("open", "response.reasoning_summary_part.done", done);
  const output = { output_index: index, item: reasoningItem(exchange) };
  yield emit("open", "response.output_item.done", output);
}

function* messageEvents(exchange: Exchange, emit: Emit, index: number): Generator<WireEvent> {
  const place = { item_id: `msg_${exchange.id}`, output_index: index, content_index: 0 };
  const item = { ...messageItem(exchange), status: "in_progress", content: [] };
  yield emit("open", "response.output_item.added", { output_index: index, item });
  const part = { type: "output_text", text: "", annotations: [] };
  yield emit("open", "response.content_part.added", { ...place, part });
  for (const delta of exchange.answer.tokens) {
    yield emit("token", "response.output_text.delta", { ...place, delta, logprobs: [] });
  }
  const text = exchange.answer.tokens.join("");
  yield emit("close", "response.output_text.done", { ...place, text, logprobs: [] });
  yield emit("close", "response.content_part.done", { ...place, part: { ...part, text } });
  const output = { output_index: index, item: messageItem(exchange) };
  yield emit("close", "response.output_item.done", output);
}

function* callEvents(
  exchange: Exchange,
  emit: Emit,
  at: { readonly call: ToolCall; readonly number: number; readonly index: number },
): Generator<WireEvent> {
  const item = callItem(exchange, at.call, at.number);
  const place = { item_id: item["id"], output_index: at.index };
  const started = { ...item, status: "in_progress", arguments: "" };
  yield emit("open", "response.output_item.added", { output_index: at.index, item: started });
  for (const delta of at.call.pieces) {
    yield emit("token", "response.function_call_arguments.delta", { ...place, delta });
  }
  const text = { ...place, name: at.call.name, arguments: item["arguments"] };
  yield emit("close", "response.function_call_arguments.done", text);
  yield emit("close", "response.output_item.done", { output_index: at.index, item });
}

function whole(exchange: Exchange): string {
  return JSON.stringify(finished(exchange));
}

function malformed(exchange: Exchange): string {
  return "event: response.output_text.delta\n" +
    `data: {"type":"response.output_text.delta","item_id":"msg_${exchange.id}","del\n\n`;
}

function failure(exchange: Exchange, message: string): string {
  const error = { code: "server_error", message };
  const response = { ...responseOf(exchange, "failed", []), error };
  const body = { type: "response.failed", sequence_number: 0, response };
  return namedEvent("close", body.type, JSON.stringify(body)).text;
}

function finished(exchange: Exchange): Body {
  const { answer } = exchange;
  const output: Body[] = [];
  if (answer.thoughts.length > 0) output.push(reasoningItem(exchange));
  if (answer.calls.length === 0) output.push(messageItem(exchange));
  for (const [i, call] of answer.calls.entries()) output.push(callItem(exchange, call, i));
  const cut = answer.finish === "length";
  return {
    ...responseOf(exchange, cut ? "incomplete" : "completed", output),
    incomplete_details: cut ? { reason: "max_output_tokens" } : null,
    usage: {
      input_tokens: answer.promptTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: answer.answerTokens,
      output_tokens_details: { reasoning_tokens: answer.thoughts.length },
      total_tokens: answer.promptTokens + answer.answerTokens,
    },
  };
}

function responseOf(exchange: Exchange, status: string, output: readonly Body[]): Body {
  return {
    id: `resp_${exchange.id}`,
    object: "response",
    created_at: exchange.createdSeconds,
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: exchange.request.model,
    output,
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    usage: null,
  };
}

function reasoningItem({ id, answer }: Exchange): Body {
  const summary = [{ type: "summary_text", text: answer.thoughts.join("") }];
  return { id: `rs_${id}`, type: "reasoning", summary };
}

function messageItem({ id, answer }: Exchange): Body {
  const text = answer.tokens.join("");
  return {
    id: `msg_${id}`,
    type: "message",
    status: answer.finish === "length" ? "incomplete" : "completed",
    role: "assistant",
    content: [{ type: "output_text", text, annotations: [], logprobs: [] }],
  };
}

function callItem({ id }: Exchange, call: ToolCall, number: number): Body {
  const digits = `${id.slice(0, 20)}${number.toString(16).padStart(4, "0")}`;
  return {
    id: `fc_${digits}`,
    type: "function_call",
    status: "completed",
    call_id: `call_${digits}`,
    name: call.name,
    arguments: call.pieces.join(""),
  };
}
