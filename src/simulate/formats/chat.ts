/**
 * Chat completions: chunks and whole.
 *
 * Reasoning travels in `reasoning_content`, as most OpenAI-like servers have it.
 *
 * @module
 */

import { dataEvent, type Exchange, type WireEvent, type WireFormat } from "./wire.ts";

/** The format of `/v1/chat/completions`. */
export const CHAT_FORMAT: WireFormat = { events, whole, malformed, failure };

function* events(exchange: Exchange): Generator<WireEvent> {
  const { answer, request } = exchange;
  const head = `${chunkHead(exchange)},"choices":[{"index":0,"delta":`;
  const noUsage = request.includeUsage ? ',"usage":null' : "";
  const tail = `,"logprobs":null,"finish_reason":null}]${noUsage}}`;
  const first = answer.calls.length > 0 ? "null" : '""';
  yield dataEvent("open", `${head}{"role":"assistant","content":${first}}${tail}`);
  for (const token of answer.thoughts) {
    const delta = `{"reasoning_content":${JSON.stringify(token)}}`;
    yield dataEvent("thought", `${head}${delta}${tail}`);
  }
  for (const token of answer.tokens) {
    yield dataEvent("token", `${head}{"content":${JSON.stringify(token)}}${tail}`);
  }
  for (const [index, call] of answer.calls.entries()) {
    const opening = { index, id: callId(exchange, index), type: "function" };
    const started = { ...opening, function: { name: call.name, arguments: "" } };
    yield dataEvent("open", `${head}${JSON.stringify({ tool_calls: [started] })}${tail}`);
    for (const piece of call.pieces) {
      const delta = { tool_calls: [{ index, function: { arguments: piece } }] };
      yield dataEvent("token", `${head}${JSON.stringify(delta)}${tail}`);
    }
  }
  const finish = `,"logprobs":null,"finish_reason":"${answer.finish}"}]${noUsage}}`;
  yield dataEvent("finish", `${head}{}${finish}`);
  if (request.includeUsage) {
    const usage = JSON.stringify(chatUsage(exchange));
    yield dataEvent("usage", `${chunkHead(exchange)},"choices":[],"usage":${usage}}`);
  }
  yield dataEvent("done", "[DONE]");
}

function whole(exchange: Exchange): string {
  const { answer, request, id, createdSeconds } = exchange;
  const thoughts = answer.thoughts.join("");
  const calls = answer.calls.map((call, index) => ({
    id: callId(exchange, index),
    type: "function",
    function: { name: call.name, arguments: call.pieces.join("") },
  }));
  const message = {
    role: "assistant",
    content: calls.length > 0 ? null : answer.tokens.join(""),
    refusal: null,
    ...(thoughts === "" ? {} : { reasoning_content: thoughts }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return JSON.stringify({
    id: `chatcmpl-${id}`,
    object: "chat.completion",
    created: createdSeconds,
    model: request.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: answer.finish }],
    usage: chatUsage(exchange),
    system_fingerprint: "fp_simulated",
  });
}

function malformed(exchange: Exchange): string {
  return `data: ${chunkHead(exchange)},"choices":[{"index":0,"delta":{"cont\n\n`;
}

function failure(_exchange: Exchange, message: string): string {
  const error = { message, type: "server_error", param: null, code: null };
  return `data: ${JSON.stringify({ error })}\n\n`;
}

/** Usage as both OpenAI completion APIs report it. */
export function chatUsage({ answer }: Exchange): Readonly<Record<string, unknown>> {
  return {
    prompt_tokens: answer.promptTokens,
    completion_tokens: answer.answerTokens,
    total_tokens: answer.promptTokens + answer.answerTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: answer.thoughts.length },
  };
}

function chunkHead({ id, createdSeconds, request }: Exchange): string {
  return `{"id":"chatcmpl-${id}","object":"chat.completion.chunk","created":${createdSeconds},` +
    `"model":${JSON.stringify(request.model)},"system_fingerprint":"fp_simulated"`;
}

function callId({ id }: Exchange, index: number): string {
  return `call_${id.slice(0, 20)}${index.toString(16).padStart(4, "0")}`;
}
