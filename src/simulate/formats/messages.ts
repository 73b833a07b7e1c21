/**
 * Anthropic's messages: events and whole.
 *
 * @module
 */

import { type Exchange, namedEvent, type WireEvent, type WireFormat } from "./wire.ts";

/** The format of `/v1/messages`. */
export const MESSAGES_FORMAT: WireFormat = { events, whole, malformed, failure };

const STOP_REASONS = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" } as const;

function* events(exchange: Exchange): Generator<WireEvent> {
  const { answer } = exchange;
  const usage = { ...inputUsage(exchange), output_tokens: 1 };
  const message = { ...messageOf(exchange), content: [], stop_reason: null, stop_sequence: null };
  yield typed("open", { type: "message_start", message: { ...message, usage } });
  yield typed("open", { type: "ping" });
  let index = 0;
  if (answer.thoughts.length > 0) {
    yield* thinking(answer.thoughts, index, exchange.id);
    index++;
  }
  if (answer.calls.length === 0) {
    const block = { type: "text", text: "" };
    yield typed("open", { type: "content_block_start", index, content_block: block });
    const head = `{"type":"content_block_delta","index":${index},"delta":{"type":"text_delta",`;
    for (const token of answer.tokens) {
      const json = `${head}"text":${JSON.stringify(token)}}}`;
      yield namedEvent("token", "content_block_delta", json);
    }
    yield typed("close", { type: "content_block_stop", index });
  }
  for (const [i, call] of answer.calls.entries()) {
    const block = { type: "tool_use", id: toolId(exchange, i), name: call.name, input: {} };
    yield typed("open", { type: "content_block_start", index: index + i, content_block: block });
    for (const piece of call.pieces) {
      const delta = { type: "input_json_delta", partial_json: piece };
      yield typed("token", { type: "content_block_delta", index: index + i, delta });
    }
    yield typed("close", { type: "content_block_stop", index: index + i });
  }
  yield typed("finish", {
    type: "message_delta",
    delta: stopFields(exchange),
    usage: { output_tokens: answer.answerTokens },
  });
  yield typed("done", { type: "message_stop" });
}

function* thinking(
  thoughts: readonly string[],
  index: number,
  signature: string,
): Generator<WireEvent> {
  const block = { type: "thinking", thinking: "", signature: "" };
  yield typed("open", { type: "content_block_start", index, content_block: block });
  for (const token of thoughts) {
    const delta = { type: "thinking_delta", thinking: token };
    yield typed("thought", { type: "content_block_delta", index, delta });
  }
  const delta = { type: "signature_delta", signature };
  yield typed("open", { type: "content_block_delta", index, delta });
  yield typed("open", { type: "content_block_stop", index });
}

function whole(exchange: Exchange): string {
  const { answer, id } = exchange;
  const content: unknown[] = [];
  if (answer.thoughts.length > 0) {
    content.push({ type: "thinking", thinking: answer.thoughts.join(""), signature: id });
  }
  if (answer.calls.length === 0) content.push({ type: "text", text: answer.tokens.join("") });
  for (const [i, call] of answer.calls.entries()) {
    const input = inputOf(call.pieces.join(""));
    content.push({ type: "tool_use", id: toolId(exchange, i), name: call.name, input });
  }
  const usage = { ...inputUsage(exchange), output_tokens: answer.answerTokens };
  return JSON.stringify({ ...messageOf(exchange), content, ...stopFields(exchange), usage });
}

/** Arguments cut by the token limit are no JSON; the API then shows an empty object. */
function inputOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function malformed(): string {
  return 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"ty\n\n';
}

function failure(_exchange: Exchange, message: string): string {
  const error = { type: "overloaded_error", message };
  return typed("close", { type: "error", error }).text;
}

function messageOf({ id, request }: Exchange): Readonly<Record<string, unknown>> {
  return { id: `msg_${id}`, type: "message", role: "assistant", model: request.model };
}

function stopFields({ answer }: Exchange): Readonly<Record<string, unknown>> {
  const reason = answer.stopText === null ? STOP_REASONS[answer.finish] : "stop_sequence";
  return { stop_reason: reason, stop_sequence: answer.stopText };
}

function inputUsage({ answer }: Exchange): Readonly<Record<string, number>> {
  return {
    input_tokens: answer.promptTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
}

function toolId({ id }: Exchange, index: number): string {
  return `toolu_${id.slice(0, 20)}${index.toString(16).padStart(4, "0")}`;
}

function typed(
  kind: WireEvent["kind"],
  body: Readonly<Record<string, unknown>> & { readonly type: string },
): WireEvent {
  return namedEvent(kind, body.type, JSON.stringify(body));
}
